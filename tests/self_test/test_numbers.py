"""Hashed numbers, stored numbers, and the measure of a difference."""

import math

import numpy as np
import pytest
import torch

from animate_anyone_core.errors import CheckpointError
from animate_anyone_core.self_test import hashed_numbers
from animate_anyone_core.self_test.differences import EQUAL, Limit, difference
from animate_anyone_core.self_test.reference_numbers import ReferenceNumbers, shipped_families


def splitmix64(state):
    """As published, in Python's integers."""
    z = (state + 0x9E3779B97F4A7C15) % 2**64
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return z ^ (z >> 31)


def test_hashes_are_those_of_splitmix64():
    """The crc32 of an empty name is 0; the first number is the published test vector of seed 0."""
    found = hashed_numbers.hashes("", 5)
    assert int(found[0]) == 0xE220A8397B1DCDAF
    assert [int(h) for h in found] == [splitmix64(i) for i in range(5)]


def test_normal_numbers_are_nearly_normal():
    numbers = hashed_numbers.normal("any", (100, 100), 2.0)
    assert numbers.dtype == np.float32
    assert numbers.mean() == pytest.approx(0.0, abs=0.05)
    assert numbers.std() == pytest.approx(2.0, abs=0.05)


@pytest.mark.parametrize(
    ("key", "shape", "deviation", "mean"),
    [
        ("a.linear.weight", (300, 400), 400**-0.5, 0.0),
        ("a.to_q.weight", (300, 400), 1.7 * 400**-0.5, 0.0),
        ("a.conv2.weight", (50, 40, 3, 3), 360**-0.5 / 16, 0.0),
        ("conv_in.bias", (4000,), 0.1 / 16, 0.0),
        ("a.norm.weight", (4000,), 0.2, 1.0),
        ("a.running_var", (4000,), 0.5, 1.0),
    ],
)
def test_weights_have_the_wanted_size(key, shape, deviation, mean):
    weight = hashed_numbers.weight("denoising_unet", key, shape).astype(np.float64)
    assert weight.std() == pytest.approx(deviation, rel=0.03)
    assert weight.mean() == pytest.approx(mean, abs=0.05 * max(deviation, mean))


@pytest.mark.parametrize("folder", shipped_families(), ids=lambda f: f.name)
def test_checksums_of_another_implementation_are_met(folder):
    assert ReferenceNumbers(folder).wrong_checksums() == []


def test_a_wrong_hash_is_found(monkeypatch):
    true = hashed_numbers.normal
    monkeypatch.setattr(hashed_numbers, "normal", lambda name, **how: true(name + " ", **how))
    wrong = ReferenceNumbers(shipped_families()[0]).wrong_checksums()
    assert "input/noise" in wrong
    assert "denoising_unet" not in wrong


def test_damaged_numbers_are_told(tmp_path):
    folder = tmp_path / "moore"
    folder.mkdir()
    (folder / "fixture.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"numbers of moore cannot be read .* again"):
        ReferenceNumbers(folder)


def test_differences_are_relative_to_the_size():
    expected = torch.tensor([300.0, 400.0])  # norm 500, RMS 500 / sqrt 2
    found = difference("x", expected + torch.tensor([0.0, 5.0]), expected, Limit(1.0, 0.1))
    assert found.relative_l2 == pytest.approx(0.01)
    assert found.max_over_rms == pytest.approx(5 * math.sqrt(2) / 500)
    assert found.of_limit == pytest.approx(0.1)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_no_number_is_an_infinite_difference(value):
    found = difference("x", torch.tensor([1.0, value]), torch.ones(2), Limit(1e9, 1e9))
    assert found.of_limit == math.inf
    assert str(found) == "x: infinite or not a number"


def test_another_shape_is_an_infinite_difference():
    assert difference("x", torch.ones(3), torch.ones(2), Limit(1e9, 1e9)).of_limit == math.inf


def test_what_must_be_equal_may_not_differ_at_all():
    one = torch.ones(3)
    assert difference("x", one, one, EQUAL).of_limit == 0.0
    assert difference("x", one + 1e-7, one, EQUAL).of_limit == math.inf
