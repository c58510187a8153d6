"""Masks over frames and cells."""

import pytest
import torch
from torch.testing import assert_close

from animate_anyone_core.errors import SettingsError, ShapeError
from animate_anyone_core.sampling.masks import cell_mask, cell_shares, frame_range_mask


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((6, 2, 3), [0, 0, 1, 1, 0, 0]),
        ((6, 0, -1), [1, 1, 1, 1, 1, 1]),
        ((8, 2, 6, 1), [0, 0, 1 / 2, 1, 1, 1, 1 / 2, 0]),
        ((8, 1, 7, 2), [0, 1 / 3, 2 / 3, 1, 1, 1, 1, 1]),  # the clip's end needs no fade
        ((6, 0, 3, 2), [1, 1, 2 / 3, 1 / 3, 0, 0]),
        ((1, 0, 0, 0), [1]),
        ((3, 0, -1, 5), [1, 1, 1]),  # nothing to fade to
    ],
)
def test_a_range_fades_inside_itself(arguments, expected):
    assert_close(frame_range_mask(*arguments), torch.tensor(expected, dtype=torch.float32))


@pytest.mark.parametrize(("start", "end"), [(4, 3), (0, 6), (-1, 3), (7, -1)])
def test_a_range_outside_the_clip_is_refused(start, end):
    with pytest.raises(SettingsError, match="must lie in the clip, 0 to 5"):
        frame_range_mask(6, start, end)


@pytest.mark.parametrize(("start", "end", "soft"), [(2, 5, 2), (3, 3, 1), (0, 1, 2)])
def test_a_range_shorter_than_its_fades_is_refused(start, end, soft):
    with pytest.raises(SettingsError, match="cannot fade over"):
        frame_range_mask(9, start, end, soft)


def test_a_cell_is_open_if_any_of_its_pixels_is():
    mask = torch.zeros(2, 32, 48)
    mask[0, 9, 17] = 1
    mask[1, 31, 47] = 0.5
    cells = cell_mask(mask, 4, 6, grow=0, feather=0)
    expected = torch.zeros(2, 1, 4, 6)
    expected[0, 0, 1, 2] = 1
    expected[1, 0, 3, 5] = 0.5
    assert torch.equal(cells, expected)


def test_it_grows_and_then_fades_outside():
    mask = torch.zeros(1, 72, 72)
    mask[0, 32:40, 32:40] = 1
    cells = cell_mask(mask, 9, 9, grow=1, feather=2)[0, 0]
    assert_close(cells[4], torch.tensor([0, 1, 2, 3, 3, 3, 2, 1, 0]) / 3)
    assert_close(cells, cells.T)


def test_a_mask_without_frames_is_refused():
    with pytest.raises(ShapeError, match="must be"):
        cell_mask(torch.zeros(0, 8, 8), 1, 1, 0, 0)


def test_a_cell_that_two_share_is_each_ones_by_its_part():
    mask = torch.zeros(1, 8, 16)
    mask[:, :, :6] = 1  # all of the first cell's columns but two, none of the second's
    assert_close(cell_shares(mask, 1, 2), torch.tensor([[[0.75, 0.0]]]))
    assert_close(cell_shares(mask, 1, 2) + cell_shares(1 - mask, 1, 2), torch.ones(1, 1, 2))
    with pytest.raises(ShapeError, match="A mask must be"):
        cell_shares(torch.zeros(0, 8, 8), 1, 1)
