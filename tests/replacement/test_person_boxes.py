"""A person's box a frame, and the box on latent cells."""

import numpy as np
import pytest
import torch

from animate_anyone_core.errors import ShapeError
from animate_anyone_core.replacement.person_boxes import box_cells, box_shares, person_boxes


def masks_of(*spans, size=(20, 30)):
    """A mask for each (x0, y0, x1, y1), last row and column included; None is empty."""
    masks = np.zeros((len(spans), size[1], size[0]), np.uint8)
    for mask, span in zip(masks, spans, strict=True):
        if span:
            x0, y0, x1, y1 = span
            mask[y0 : y1 + 1, x0 : x1 + 1] = 255
    return masks


def test_the_last_row_and_column_are_left_out():
    boxes = person_boxes(masks_of((3, 5, 9, 20), (0, 0, 19, 29)))
    assert boxes.tolist() == [[3, 5, 9, 20], [0, 0, 19, 29]]


def test_holes_and_strays_stretch_the_box():
    mask = masks_of((4, 6, 10, 12))
    mask[0, 8:10, 5:9] = 0
    mask[0, 25, 17] = 255
    assert person_boxes(mask).tolist() == [[4, 6, 17, 25]]


def test_a_frame_without_a_person_has_an_empty_box():
    boxes = person_boxes(masks_of(None, (2, 2, 4, 4)))
    assert boxes[0].tolist() == [0, 0, 0, 0]
    assert not box_cells(boxes, (20, 30), 6, 4)[0, 0, 0].any()


@pytest.mark.parametrize("kind", [bool, np.float32, np.uint8])
def test_masks_of_every_kind(kind):
    masks = masks_of((3, 5, 9, 20))
    given = masks if kind is np.uint8 else (masks / 255).astype(kind)
    assert person_boxes(given).tolist() == [[3, 5, 9, 20]]


def test_grey_of_a_lossy_video_is_rounded():
    masks = masks_of((3, 5, 9, 20))
    grey = np.where(masks > 0, 250, 6).astype(np.uint8)
    assert person_boxes(grey).tolist() == [[3, 5, 9, 20]]


@pytest.mark.parametrize("shape", [(3, 4), (0, 4, 4), (1, 4, 4, 1)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(
        ShapeError, match=r"Masks must have the shape \(frames, height, width\), got"
    ):
        person_boxes(np.zeros(shape, np.uint8))


@pytest.mark.parametrize(("width", "height"), [(20, 30), (33, 17), (7, 5)])
@pytest.mark.parametrize(("w", "h"), [(4, 6), (5, 5), (9, 3)])
def test_cells_are_those_of_nearest_interpolation(width, height, w, h):
    """PyTorch's `nearest`, in one step, of the box drawn in the mask's own pixels."""
    rng = np.random.default_rng(width + h)
    boxes = np.sort(rng.integers(0, (width, height), (6, 2, 2)), axis=1).reshape(6, 4)
    drawn = torch.zeros(6, 1, height, width)
    for picture, (x0, y0, x1, y1) in zip(drawn, boxes, strict=True):
        picture[0, y0:y1, x0:x1] = 1
    expected = torch.nn.functional.interpolate(drawn, (h, w), mode="nearest")
    cells = box_cells(boxes, (width, height), h, w)
    assert torch.equal(cells, expected.transpose(0, 1)[None])


@pytest.mark.parametrize(("width", "height"), [(20, 30), (33, 17), (7, 5)])
def test_shares_of_cells_are_the_means_of_their_pixels(width, height):
    """The last row and column belong to the person here. Counted on pixels, each cut finely."""
    boxes = person_boxes(masks_of((3, 5, 9, 20), None, (0, 0, 19, 29)))
    masks = torch.from_numpy(masks_of((3, 5, 9, 20), None, (0, 0, 19, 29)) / 255.0)
    fine = masks.repeat_interleave(height, dim=1).repeat_interleave(width, dim=2)
    expected = torch.nn.functional.avg_pool2d(fine[:, None], (30, 20))[:, 0]
    shares = box_shares(boxes, (20, 30), height, width)
    assert shares.shape == (1, 1, 3, height, width)
    torch.testing.assert_close(shares[0, 0], expected.float(), rtol=1e-5, atol=1e-5)
