"""Crops show what the box holds; pasted back unchanged they change nothing; the outside stays."""

import numpy as np
import pytest
import torch

from animate_anyone_core.errors import SettingsError, ShapeError
from animate_anyone_core.face_pass import crop_faces, paste_faces, resampling
from animate_anyone_core.lab.synthetic.dancers import Dancer
from animate_anyone_core.lab.synthetic.motions import motion_from_seed
from animate_anyone_core.pose.face_boxes import FaceBoxes, find_face_boxes


@pytest.fixture(scope="module")
def clip():
    return Dancer(3, 192, 192).render(motion_from_seed(1), 6, fps=12)


@pytest.fixture(scope="module")
def frames(clip):
    return torch.from_numpy(clip.frames).float() / 255


def box(x, y, side, num_frames=1, size=(64, 48), shown=True):
    """The same box in every frame, by its top left corner."""
    centers = np.tile([x + side / 2, y + side / 2], (num_frames, 1))
    sides = np.full(num_frames, float(side))
    return FaceBoxes(centers, sides, np.full(num_frames, shown), *size)


def ramp_picture(width=64, height=48):
    """Red is x, green is y, at pixel middles: any straight resampling is known exactly."""
    y, x = torch.meshgrid(
        (torch.arange(height) + 0.5) / 100, (torch.arange(width) + 0.5) / 100, indexing="ij"
    )
    return torch.stack([x, y, torch.zeros_like(x)], dim=-1)[None].double()


@pytest.mark.parametrize(("side", "size"), [(16, 16), (10.5, 33), (24.25, 8)])
def test_a_crop_pixel_shows_the_place_of_its_middle(side, size):
    """Oracle: on a linear picture a cubic kernel gives the exact value, larger and smaller."""
    left, top = 12.3, 9.7
    crop = crop_faces(ramp_picture(), box(left, top, side), size)[0]
    middles = (np.arange(size) + 0.5) * side / size
    inner = slice(2, -2)
    np.testing.assert_allclose(crop[0, inner, 0], (left + middles)[inner] / 100, atol=2e-4)
    np.testing.assert_allclose(crop[inner, 0, 1], (top + middles)[inner] / 100, atol=2e-4)


def test_a_box_on_pixels_is_the_plain_slice(frames):
    boxes = box(40, 20, 32, len(frames), (192, 192))
    torch.testing.assert_close(crop_faces(frames, boxes, 32), frames[:, 20:52, 40:72])


@pytest.mark.parametrize("size", [24, 64, 200])
def test_unchanged_crops_leave_the_clip_as_it_was(clip, frames, size):
    """Enlarged crops: equal to rounding. Shrunk crops: what a shrunk picture cannot show is lost."""
    boxes = find_face_boxes(clip.poses, padding=2.0)
    pasted = paste_faces(frames, crop_faces(frames, boxes, size), boxes)
    error = (pasted - frames).abs()
    if size >= boxes.sides.max():
        assert error.max() < 1e-5
    else:
        assert error.mean() < 3e-3


def test_enlarged_crops_pasted_plainly_are_near_too(clip, frames):
    """The geometry alone, without keeping what resampling blurs: bicubic up and down again."""
    boxes = find_face_boxes(clip.poses, padding=2.0)
    size = 200
    left, top = boxes.corners[0]
    side = boxes.sides[0]
    crop = crop_faces(frames, boxes, size)[0]
    columns, rows = np.arange(192)[None], np.arange(192)[:, None]
    inside = (columns > left + 3) & (columns < left + side - 4)
    inside = inside & (rows > top + 3) & (rows < top + side - 4)
    back_x = resampling(-left * size / side, size / side, 192, size).float()
    back_y = resampling(-top * size / side, size / side, 192, size).float()
    back = torch.einsum("yh,hwc,xw->yxc", back_y, crop, back_x)
    error = (back - frames[0]).abs().amax(dim=-1)[torch.from_numpy(inside)]
    assert error.mean() < 0.02


def test_only_the_inside_changes_and_no_seam_shows(clip, frames):
    boxes = find_face_boxes(clip.poses, padding=2.0)
    crops = crop_faces(frames, boxes, 96)
    darker = 0.6 * crops + 0.05  # stays in the range, also where the kernel swings over
    pasted = paste_faces(frames, darker, boxes, feather=0.25)
    for index in range(len(frames)):
        left, top = boxes.corners[index]
        side = boxes.sides[index]
        columns, rows = np.arange(192)[None], np.arange(192)[:, None]
        outside = (columns + 1 <= left) | (columns >= left + side)
        outside = outside | (rows + 1 <= top) | (rows >= top + side)
        kept = torch.from_numpy(outside)
        assert torch.equal(pasted[index][kept], frames[index][kept])
        x, y = boxes.centers[index].astype(int)
        middle = (slice(y - 2, y + 2), slice(x - 2, x + 2))
        wanted = 0.6 * frames[index][middle] + 0.05
        assert (pasted[index][middle] - wanted).abs().mean() < 0.05
    half = paste_faces(frames, darker, boxes, feather=0.25, strength=0.5)
    assert (half - (frames + pasted) / 2).abs().max() < 1e-5
    assert torch.equal(paste_faces(frames, darker, boxes, strength=0.0), frames)


def test_the_border_is_a_soft_ramp():
    """Oracle: white on black is the ramp itself; its steepest step is 1.5 / width."""
    boxes = box(20.3, 10.6, 25.5)
    pasted = paste_faces(torch.zeros(1, 48, 64, 3), torch.ones(1, 64, 64, 3), boxes, feather=0.3)
    row = pasted[0, 23, :, 0].numpy()
    assert row.max() == pytest.approx(1.0, abs=1e-6)
    assert np.abs(np.diff(row)).max() <= 1.5 / (0.3 * 25.5) + 1e-6
    assert (np.diff(row[:33]) >= -1e-6).all()
    np.testing.assert_allclose(row.sum(), 25.5 * (1 - 0.3), rtol=0.02)  # half of each ramp


def test_frames_without_the_face_are_left_alone(frames):
    boxes = box(40, 20, 32, len(frames), (192, 192), shown=False)
    assert torch.equal(paste_faces(frames, torch.zeros(len(frames), 32, 32, 3), boxes), frames)


def test_a_box_across_the_edge_and_one_outside(frames):
    for x in (-20, 180):
        boxes = box(x, 150, 60, len(frames), (192, 192))
        crops = crop_faces(frames, boxes, 80)
        assert torch.isfinite(crops).all()
        assert (paste_faces(frames, crops, boxes) - frames).abs().max() < 1e-5
    outside = box(500, 500, 60, len(frames), (192, 192))
    crops = crop_faces(frames, outside, 16)
    assert torch.equal(paste_faces(frames, torch.zeros_like(crops), outside), frames)


def test_crops_and_clip_may_come_back_enlarged(clip, frames):
    """A restorer's 2x crops, and a clip enlarged before pasting: the change lands in the same place."""
    boxes = find_face_boxes(clip.poses, padding=2.0)
    crops = crop_faces(frames, boxes, 64)
    twice = crops.repeat_interleave(2, 1).repeat_interleave(2, 2) * 0.5
    plain = paste_faces(frames, crops * 0.5, boxes)
    assert (paste_faces(frames, twice, boxes) - plain).abs().mean() < 2e-3
    large = frames.repeat_interleave(2, 1).repeat_interleave(2, 2)
    pasted = paste_faces(large, crops * 0.5, boxes)
    small = torch.nn.functional.avg_pool2d(pasted.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)
    assert (small - plain).abs().mean() < 5e-3


def test_errors_teach(frames):
    boxes = box(40, 20, 32, len(frames), (192, 192))
    crops = crop_faces(frames, boxes, 16)
    with pytest.raises(SettingsError, match="at least 1 pixel a side, got 0"):
        crop_faces(frames, boxes, 0)
    with pytest.raises(ShapeError, match="6 face boxes, but the clip is"):
        crop_faces(frames[:2], boxes, 16)
    with pytest.raises(SettingsError, match=r"feather must be from 0 to 0\.5"):
        paste_faces(frames, crops, boxes, feather=0.9)
    with pytest.raises(SettingsError, match="strength must be from 0 to 1"):
        paste_faces(frames, crops, boxes, strength=2)
    with pytest.raises(ShapeError, match="one crop a frame"):
        paste_faces(frames, crops[:3], boxes)
    with pytest.raises(SettingsError, match="another shape"):
        crop_faces(frames[:, :96], boxes, 16)
