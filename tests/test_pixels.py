"""Bytes, [0, 1] and [-1, 1]: every value, on pictures that differ along every axis."""

import numpy as np
import pytest
import torch

from animate_anyone_core.pixels import (
    bytes_from_unit,
    pixels_01,
    signed_from_unit,
    unit_from_bytes,
    unit_from_signed,
)

ALL = np.arange(256, dtype=np.uint8)
FRAMES = np.arange(2 * 3 * 4 * 3, dtype=np.uint8).reshape(2, 3, 4, 3)


def test_every_byte_is_its_fraction_of_255():
    expected = ALL.astype(np.float32) / np.float32(255)  # one rounding, as IEEE divides
    assert unit_from_bytes(ALL).numpy().tolist() == expected.tolist()
    assert unit_from_bytes(torch.from_numpy(ALL)).numpy().tolist() == expected.tolist()
    assert unit_from_bytes(ALL).dtype == torch.float32


def test_every_byte_comes_back_also_by_way_of_signed():
    unit = unit_from_bytes(ALL)
    assert (bytes_from_unit(unit) == ALL).all()
    assert (bytes_from_unit(unit_from_signed(signed_from_unit(unit))) == ALL).all()
    assert (bytes_from_unit(unit.double()) == ALL).all()


def test_ends_are_exact():
    ends = unit_from_bytes(np.array([0, 255], np.uint8))
    assert ends.tolist() == [0.0, 1.0]
    assert signed_from_unit(ends).tolist() == [-1.0, 1.0]
    assert unit_from_signed(torch.tensor([-1.0, 0.0, 1.0])).tolist() == [0.0, 0.5, 1.0]


def test_signed_is_bytes_over_half_of_255():
    expected = torch.from_numpy(ALL).float() / 127.5 - 1
    assert torch.equal(signed_from_unit(unit_from_bytes(ALL)), expected)


@pytest.mark.parametrize(
    ("value", "byte"),
    [
        (0.5 / 255, 0),
        (1.5 / 255, 2),
        (2.5 / 255, 2),  # halves to the even
        (1.49 / 255, 1),
        (1.51 / 255, 2),
        (254.6 / 255, 255),
        (-0.2, 0),
        (1.2, 255),
        (float("inf"), 255),
        (float("-inf"), 0),
    ],
)
def test_bytes_are_the_nearest_and_clipped(value, byte):
    # in float64 these products with 255 are exactly the halves
    assert np.rint(np.clip(value * 255, 0, 255)) == byte
    assert bytes_from_unit(torch.tensor([value], dtype=torch.float64)).tolist() == [byte]


def test_half_precision_is_rounded_in_single():
    unit = unit_from_bytes(ALL).half()
    expected = np.rint(unit.float().numpy() * np.float32(255)).astype(np.uint8)
    assert (bytes_from_unit(unit) == expected).all()


def test_axes_stay_but_for_the_channels_of_frames():
    assert unit_from_bytes(FRAMES).shape == (2, 3, 4, 3)
    assert bytes_from_unit(unit_from_bytes(FRAMES)).tolist() == FRAMES.tolist()
    moved = pixels_01(FRAMES)
    assert moved.shape == (2, 3, 3, 4)
    for frame, row, column, channel in np.ndindex(2, 3, 4, 3):
        expected = np.float32(FRAMES[frame, row, column, channel]) / np.float32(255)
        assert moved[frame, channel, row, column] == expected


def test_mirrored_and_read_only_frames_are_copied():
    mirrored = FRAMES[:, ::-1, ::-1]
    mirrored.flags.writeable = False
    unit = unit_from_bytes(mirrored)
    assert torch.equal(unit, unit_from_bytes(FRAMES).flip(1, 2))
    unit.zero_()
    assert FRAMES.max() == 71


def test_dtypes_stay_on_the_way_between_floats():
    half = torch.tensor([0.25, 0.75], dtype=torch.bfloat16)
    assert signed_from_unit(half).dtype == unit_from_signed(half).dtype == torch.bfloat16
    assert signed_from_unit(half).tolist() == [-0.5, 0.5]
