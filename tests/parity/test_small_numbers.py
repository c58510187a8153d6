"""The numbers that ship with the package: every stage, with no download and no skip."""

import pytest

from animate_anyone_core.checkpoints.families import FAMILIES
from animate_anyone_core.self_test.core_calls import published_windows_of
from animate_anyone_core.self_test.differences import EQUAL, Limit
from animate_anyone_core.self_test.limits import limit_for
from animate_anyone_core.self_test.reference_numbers import shipped_families
from animate_anyone_core.self_test.stages import STAGES, expected_result

LARGEST_FAMILY = 325_000  # bytes


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_a_stage_computes_what_was_published(stage, small_numbers, small_results, compare, way):
    results = small_results(stage)
    assert results
    for name, result in results.items():
        limit = small_numbers.limits.get(name)
        compare(
            name,
            result,
            expected_result(name, small_numbers),
            EQUAL if limit is None else limit_for(name, way.precision, Limit(**limit)),
        )


def test_windows_are_the_published_ones(small_numbers):
    num_frames = small_numbers.settings["sampling"]["num_frames"]
    assert published_windows_of(small_numbers).windows(num_frames) == small_numbers.windows


def test_every_stored_tensor_is_compared(small_numbers, small_results):
    """A stage that forgot one would pass silently."""
    compared = {name for stage in STAGES for name in small_results(stage)}
    assert set(small_numbers.expected) <= compared
    assert set(small_numbers.limits) <= compared


def test_families_that_ship_are_small():
    assert set(FAMILIES) == {folder.name for folder in shipped_families()}
    for folder in shipped_families():
        assert sum(path.stat().st_size for path in folder.iterdir()) < LARGEST_FAMILY
