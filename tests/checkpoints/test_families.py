"""Which family a file belongs to, and what each expects."""

import pytest

from animate_anyone_core.checkpoints.families import (
    FAMILIES,
    MOORE,
    MUSEPOSE,
    FamilyProfile,
    choose_family,
)
from animate_anyone_core.errors import SettingsError
from animate_anyone_core.pose.drawing_profiles import PROFILES


@pytest.mark.parametrize(
    ("length", "profile", "reason"),
    [
        (128, MUSEPOSE, "its position table has 128 entries"),
        (
            32,
            MOORE,
            "its position table has 32 entries, as Moore-AnimateAnyone's; choose the family by "
            "hand if these are MusePose weights",
        ),
        (
            None,
            MOORE,
            "nothing in the file tells the families apart; choose the family by hand if these are "
            "MusePose weights",
        ),
    ],
)
def test_auto_goes_by_the_position_table_and_says_so(length, profile, reason):
    assert choose_family("auto", length) == (profile, reason)


@pytest.mark.parametrize("name", list(FAMILIES))
def test_a_family_asked_for_is_taken(name):
    assert choose_family(name, 128) == (FAMILIES[name], "as asked for")


def test_an_unknown_family_is_refused():
    with pytest.raises(SettingsError) as error:
        choose_family("champion", 32)
    assert str(error.value) == "Families are auto, moore, musepose, got 'champion'."


@pytest.mark.parametrize("profile", FAMILIES.values(), ids=FAMILIES)
def test_profiles_go_into_a_header_and_back(profile):
    assert FamilyProfile.from_json(profile.to_json()) == profile


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "a", "noise": {}, "color": 1}, "the profile holds an unknown setting 'color'"),
        ({"name": "a"}, "the profile must have a noise"),
        ({"noise": {}}, "the profile must have a name"),
        ([1], "the profile must hold named settings, got [1]"),
        ({"name": "a", "noise": {"beta_end": 2}}, "beta_end must be a number from 1e-08 to 0.999"),
        ({"name": "a", "noise": {"beta_end": 1e-7}}, "must grow from beta_start to beta_end"),
        ({"name": "a", "noise": {}, "width": 33}, "must be multiples of 8, got 33x784"),
        ({"name": "a", "noise": {}, "drawing": "x"}, "drawing must be one of moore"),
        ({"name": "a", "noise": {}, "context_frames": 3}, "smaller than context_frames (3), got 4"),
    ],
)
def test_a_header_with_other_settings_is_refused(values, message):
    with pytest.raises(SettingsError) as error:
        FamilyProfile.from_json(values)
    assert message in str(error.value)


@pytest.mark.parametrize("profile", FAMILIES.values(), ids=FAMILIES)
def test_defaults_fit_together(profile):
    assert profile.context_frames <= profile.max_frames
    assert profile.context_overlap < profile.context_frames
    assert profile.width % 8 == profile.height % 8 == 0
    assert profile.drawing in PROFILES
