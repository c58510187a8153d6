"""Who looks like whom: planted swaps are counted, each dancer is scored where it is seen."""

import numpy as np
import pytest

from animate_anyone_core.lab.benchmarks.characters import check, format_table, totals
from animate_anyone_core.lab.evaluation.two_characters import (
    ALONE,
    BY_MASK,
    BY_POSE,
    WAYS,
    held_out_pair,
    score_pair,
)
from animate_anyone_core.lab.synthetic.two_dancers import render_two

FRAMES = 3


@pytest.fixture(scope="module")
def pair():
    return held_out_pair(0, FRAMES, 120, 80)


def made_with(pair, way, frames):
    """The truth in every way but one; the looks that both would have by one picture are gray tones."""
    clip = pair.clip
    looks = {"as first": np.full_like(clip.frames, 60), "as second": np.full_like(clip.frames, 200)}
    for who, name in enumerate(("as first", "as second")):  # its own look is the truth
        looks[name][clip.masks[who] > 127] = clip.frames[clip.masks[who] > 127]
    alone = {"first alone": clip.alone[0], "second alone": clip.alone[1]}
    return looks | alone | dict.fromkeys(WAYS, clip.frames) | {way: frames(looks)}


def test_the_truth_has_no_swaps_and_full_scores(pair):
    table = score_pair(pair, made_with(pair, BY_MASK, lambda looks: pair.clip.frames))
    for way in (ALONE, *WAYS):
        assert table[way]["swapped"] == 0
        assert table[way]["first"] == table[way]["second"] == 100
    assert table[BY_MASK]["seen"] == 2 * FRAMES


def test_a_planted_swap_is_counted(pair):
    """The first dancer gets what the second's picture gives, in one frame."""

    def swapped(looks):
        frames = pair.clip.frames.copy()
        here = pair.clip.masks[0, 1] > 127
        frames[1, here] = looks["as second"][1, here]
        return frames

    table = score_pair(pair, made_with(pair, BY_POSE, swapped))
    assert table[BY_POSE]["swapped"] == 1
    assert table[BY_POSE]["first"] < table[BY_POSE]["second"] == 100
    assert table[BY_MASK]["swapped"] == 0


def test_the_bars_are_judged_by_the_numbers(pair):
    good = score_pair(pair, made_with(pair, BY_MASK, lambda looks: pair.clip.frames))
    assert all(is_met for _, is_met in check(totals([good, good])))
    bad = {way: dict(row) for way, row in good.items()}
    bad[BY_POSE] |= {"swapped": 1.0, "first": 90.0}
    verdicts = dict(check(totals([bad])))
    assert [text for text, is_met in verdicts.items() if not is_met] == [
        "placed by poses: 1 of 6 views swapped",
        "placed by poses: the first 10.00 dB worse than alone, at most 0.7",
    ]
    assert "combined" in format_table(totals([bad]))


def test_the_dancers_cross_and_the_second_hides_the_first():
    clip = render_two((2_000_123, 2_000_456), (2_000_010, 2_000_020), 5, 120, 80)
    across = clip.poses.points[:, :, 1, 0]
    assert (np.diff(across[:, 0]) > 0).all()
    assert (np.diff(across[:, 1]) < 0).all()
    second = clip.masks[1] == 255
    assert np.array_equal(clip.frames[second], clip.alone[1][second])
    first = (clip.masks[0] == 255) & (clip.masks[1] == 0)
    apart = np.abs(clip.frames[first].astype(int) - clip.alone[0][first])
    assert np.median(apart) <= 1
    assert not ((clip.masks[0] > 127) & (clip.masks[1] > 127)).any()
