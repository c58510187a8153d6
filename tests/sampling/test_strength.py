"""How strongly a condition acts, and when."""

import pytest

from animate_anyone_core.errors import SettingsError
from animate_anyone_core.sampling.strength import FULL_STRENGTH, StrengthWindow


def test_a_window_acts_from_its_first_level_to_its_last_and_nowhere_else():
    timed = StrengthWindow(0.6, 0.25, 0.75).timed(lambda share: 100 * (1 - share))
    levels = [100, 76, 75, 50, 25, 24, 0]
    assert [timed.at(level) for level in levels] == [0, 0, 0.6, 0.6, 0.6, 0, 0]


def test_the_whole_sampling_is_from_start_to_end():
    timed = StrengthWindow(1.5).timed(lambda share: 7 * (1 - share))
    assert timed.at(7) == timed.at(3) == timed.at(0) == 1.5


@pytest.mark.parametrize(
    ("window", "nothing"),
    [
        (StrengthWindow(), True),
        (StrengthWindow(1.0, 0.0, 1.0), True),
        (StrengthWindow(0.9), False),
        (StrengthWindow(1.0, 0.1), False),
        (StrengthWindow(1.0, 0.0, 0.9), False),
    ],
)
def test_only_full_strength_throughout_changes_nothing(window, nothing):
    assert window.changes_nothing is nothing
    assert FULL_STRENGTH.changes_nothing


@pytest.mark.parametrize("strength", [-0.1, 2.1, float("nan")])
def test_a_strength_outside_is_refused(strength):
    with pytest.raises(SettingsError, match="from 0 to 2, got"):
        StrengthWindow(strength)


@pytest.mark.parametrize(("start", "end"), [(-0.1, 1), (0, 1.1), (0.6, 0.5)])
def test_a_window_outside_is_refused(start, end):
    with pytest.raises(SettingsError, match="the start before the end"):
        StrengthWindow(1.0, start, end)
