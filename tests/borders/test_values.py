"""Rules for settings from files."""

import math

import pytest

from animate_anyone_core.borders.networks import (
    AUTOENCODERS,
    IMAGE_ENCODER,
    NOISE,
    PROFILE,
    TEMPORAL,
    UNET,
    check_divisible,
    check_picture_entry,
)
from animate_anyone_core.borders.values import (
    AtMost,
    Flag,
    Maybe,
    Name,
    OneOf,
    Real,
    Several,
    Whole,
    check_known,
    check_values,
    shown,
)
from animate_anyone_core.errors import SettingsError

HOSTILE = (-1, 0, 10**30, 2**70, "x y", None, [], {}, True, [[[1]]], 0.37, math.nan, math.inf)


@pytest.mark.parametrize(
    ("rule", "right", "wrong"),
    [
        (Whole(0, 9), (0, 9), (-1, 10, 1.0, True, None, "3", [3], math.nan)),
        (Real(-1, 1), (-1, 0.5, 1), (1.1, True, None, "0", math.nan, math.inf)),
        (AtMost(5), (-5, 5.0), (5.1, -6, math.nan, math.inf, None)),
        (Flag(), (True, False), (0, 1, None, "true")),
        (OneOf(("a", 1, None)), ("a", 1, 1.0, None), ("b", True, 2, [], {})),
        (Name(3), ("a", "a_b", "x-1"), ("", "a b", "abcd", "a/b", None, 3)),
        (Several(Whole(0, 9), 1, 2), ([1], (1, 2)), ([], [1, 2, 3], [-1], "12", None, {1: 2})),
        (Maybe(Flag()), (None, True), (0, "x")),
    ],
)
def test_what_a_rule_accepts(rule, right, wrong):
    assert all(rule.accepts(value) for value in right)
    assert not [value for value in wrong if rule.accepts(value)]
    assert rule.words


def test_the_message_names_setting_rule_and_value():
    with pytest.raises(SettingsError) as caught:
        check_values("config.json", {"a": 1, "b": "x"}, {"a": Whole(0, 1), "b": Whole(0, 3)})
    assert str(caught.value) == ("config.json: b must be a whole number from 0 to 3, got 'x'.")
    assert check_known("it", {"a": 1}, {"a": None}) == {"a": 1}
    for value, message in (
        ([], "it must hold named settings, got []."),
        ({"b": 1}, "it holds an unknown setting 'b'. Known: a."),
    ):
        with pytest.raises(SettingsError) as caught:
            check_known("it", value, {"a": None})
        assert str(caught.value) == message


def test_values_are_shown_short():
    assert shown(10**5000) == "a number of about 5001 digits"
    assert shown([0] * 99) == "a list of 99 entries"
    assert shown("x" * 99) == repr("x" * 99)[:56] + " ..."
    assert shown(None) == "None"
    deep = []
    for _ in range(100_000):
        deep = [deep]
    assert shown(deep).startswith(("a list", "[["))


@pytest.mark.parametrize(
    "rules", [UNET, TEMPORAL, NOISE, PROFILE, IMAGE_ENCODER, *AUTOENCODERS.values()]
)
def test_every_setting_refuses_what_no_setting_is(rules):
    for name, rule in rules.items():
        refused = [value for value in HOSTILE if not rule.accepts(value)]
        assert len(refused) >= 9, (name, refused)
        assert not rule.accepts(math.nan), name
        assert not rule.accepts(10**30), name


def test_widths_divide_and_sizes_are_sizes():
    check_divisible("it", {"block_out_channels": [32, 64], "norm_num_groups": 32})
    with pytest.raises(
        SettingsError, match=r"it: hidden_size must be multiples of .*\(7\), got 16"
    ):
        check_divisible("it", {"hidden_size": 16, "num_attention_heads": 7})
    check_picture_entry("it", "size", {"height": 224, "width": 224})
    for value in (-1, {}, {"height": "x"}, "x", None, [3]):
        with pytest.raises(SettingsError, match="it: size must be a size in pixels"):
            check_picture_entry("it", "size", value)
