"""Which family a file belongs to, and what each expects."""

import json

import pytest

from animate_anyone_core.checkpoints.families import (
    ANIPORTRAIT,
    ANYCHARV,
    FAMILIES,
    MADE_ELSEWHERE,
    MIMO,
    MOORE,
    MUSEPOSE,
    FamilyProfile,
    choose_family,
)
from animate_anyone_core.errors import SettingsError, UnknownCheckpointError
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
    assert str(error.value) == (
        "Families are auto, moore, musepose, anycharv, mimo, aniportrait, got 'champion'."
    )


@pytest.mark.parametrize(
    ("channels", "guider", "profile", "reason"),
    [
        ((9, 4), None, ANYCHARV, "its first convolution takes 9 channels"),
        ((8, 4), "common", MIMO, "its first convolution takes 8 channels"),
        ((17, 8), None, ANYCHARV, "its first convolution takes 17 channels"),
        ((4, 4), "aniportrait", ANIPORTRAIT, "its Pose Guider is AniPortrait's"),
    ],
)
def test_auto_goes_by_the_channels_and_the_guider(channels, guider, profile, reason):
    assert choose_family("auto", 32, channels, guider) == (profile, reason)


def test_a_network_of_no_family_is_refused():
    with pytest.raises(UnknownCheckpointError) as error:
        choose_family("auto", 32, (5, 4))
    assert str(error.value) == (
        "The denoising UNet takes 5 channels and hands over 4; known families take 4 "
        "(Moore-AnimateAnyone), 4 (MusePose), 9 (AnyCharV), 8 (MIMO), 4 (AniPortrait). It is a "
        "network of another kind, such as an inpainting model."
    )


def test_the_family_asked_for_must_have_the_channels():
    with pytest.raises(UnknownCheckpointError) as error:
        choose_family("anycharv", 32, (4, 4))
    assert str(error.value) == (
        "AnyCharV's denoising UNet takes 9 channels (noisy latents, latents of the target video, "
        "the person's box), this file's takes 4, as Moore-AnimateAnyone and MusePose and "
        'AniPortrait have. Choose the family "auto", or the file of the family you chose.'
    )
    with pytest.raises(UnknownCheckpointError, match="takes 6, as no known family does"):
        choose_family("moore", 32, (6, 4))


@pytest.mark.parametrize("profile", FAMILIES.values(), ids=FAMILIES)
def test_profiles_go_into_a_header_and_back(profile):
    assert FamilyProfile.from_json(json.loads(json.dumps(profile.to_json()))) == profile


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
        ({"name": "a", "noise": {}, "extra_inputs": ["sound"]}, "extra_inputs must be a list of"),
        ({"name": "a", "noise": {}, "extra_inputs": 3}, "extra_inputs must be a list of"),
        ({"name": "a", "noise": {}, "guider": "x"}, "guider must be 'common' or 'aniportrait'"),
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
    assert profile.drawing in {*PROFILES, MADE_ELSEWHERE}
