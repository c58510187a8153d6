"""The part of a video that is made anew: cut out and pasted back."""

import numpy as np
import pytest

from animate_anyone_core.errors import PoseError, ShapeError
from animate_anyone_core.pose.skeleton import NUM_KEYPOINTS, PoseSequence
from animate_anyone_core.replacement.person_boxes import PersonBoxes, person_boxes
from animate_anyone_core.replacement.region import (
    Region,
    boxes_of_poses,
    choose_region,
    masks_of_boxes,
    paste_region,
)

SIZE = 200, 100
SMALL = np.array([[90, 40, 100, 60], [100, 42, 110, 62], [0, 0, 0, 0]])


def test_a_small_person_is_cut_out_with_room_and_the_videos_shape():
    region = choose_region(SMALL, SIZE)
    x0, y0, x1, y1 = region.box
    assert x0 < 90 < 110 < x1
    assert y0 < 40 < 62 < y1
    assert region.height < 50
    assert region.width / region.height == pytest.approx(2.0, rel=0.05)


@pytest.mark.parametrize(
    "boxes",
    [np.array([[50, 10, 120, 90]]), np.array([[0, 40, 10, 60], [190, 40, 200, 60]]), SMALL * 0],
)
def test_a_large_or_wandering_person_needs_the_whole_picture(boxes):
    assert choose_region(boxes, SIZE).box == (0, 0, 200, 100)


def test_cutting_can_be_left_out():
    assert choose_region(SMALL, SIZE, crop=False).box == (0, 0, 200, 100)


@pytest.mark.parametrize("corner", [(0, 0), (190, 0), (0, 80), (190, 80)])
def test_a_region_stays_in_the_picture(corner):
    x, y = corner
    x0, y0, x1, y1 = choose_region(np.array([[x, y, x + 10, y + 20]]), SIZE).box
    assert 0 <= x0 <= x < x + 10 <= x1 <= 200
    assert 0 <= y0 <= y < y + 20 <= y1 <= 100


def test_clips_of_another_size_and_poses_are_cut_alike():
    region = Region((50, 20, 150, 70), SIZE)
    large = np.zeros((1, 200, 400, 3), np.uint8)
    large[0, 40:140, 100:300] = 1
    assert region.cut(large).shape == (1, 100, 200, 3)
    assert region.cut(large).all()
    points = np.full((1, 1, NUM_KEYPOINTS, 2), 120.0)
    poses = PoseSequence(points, np.ones(points.shape[:3]), 400, 200)
    cut = region.poses(poses)
    assert (cut.width, cut.height) == (100, 50)
    assert cut.points[0, 0, 0].tolist() == [10.0, 40.0]


def test_boxes_of_poses_are_around_what_is_seen():
    points = np.zeros((2, 1, NUM_KEYPOINTS, 2))
    points[0, 0, 1], points[0, 0, 10], points[0, 0, 5] = (50, 20), (60, 70), (500, 500)
    scores = np.zeros((2, 1, NUM_KEYPOINTS))
    scores[0, 0, [1, 10]] = 1.0
    boxes = boxes_of_poses(PoseSequence(points, scores, *SIZE))
    assert boxes.tolist() == [[44, 14, 66, 76], [0, 0, 0, 0]]
    with pytest.raises(PoseError, match="The poses show nobody"):
        boxes_of_poses(PoseSequence(points, scores * 0, *SIZE))


@pytest.mark.parametrize("size", [SIZE, (100, 50), (231, 77)])
def test_a_person_is_cut_out_as_its_mask_is(size):
    """Whether masks are cut and then searched, or the boxes found in them are."""
    width, height = size
    masks = np.zeros((5, height, width), np.uint8)
    masks[0, height // 3 : height // 2, width // 3 : width // 2] = 255
    masks[1, height // 2, width // 2] = 255  # one pixel
    masks[2, :, :] = 255  # ends where the part does
    masks[3, :3, :3] = 255  # outside of the part
    region = Region((50, 20, 150, 70), SIZE)
    expected = PersonBoxes.in_masks(region.cut(masks))
    found = region.cut_person(PersonBoxes.in_masks(masks))
    assert found.size == expected.size
    assert np.array_equal(found.boxes, expected.boxes)


def test_boxes_are_as_if_found_in_their_masks():
    """At the pictures' border, too, where a mask ends before its box."""
    boxes = np.concatenate([SMALL, [[0, 0, 200, 100], [150, 60, 200, 90], [7, 7, 7, 9]]])
    expected = PersonBoxes.in_masks(masks_of_boxes(boxes, SIZE))
    assert np.array_equal(PersonBoxes.around(boxes, SIZE).boxes, expected.boxes)
    pictures = masks_of_boxes(boxes, SIZE)[..., None].repeat(3, axis=-1).astype(np.uint8) * 255
    assert np.array_equal(PersonBoxes.in_pictures(pictures).boxes, expected.boxes)


def test_masks_of_boxes_are_found_as_these_boxes():
    assert np.array_equal(person_boxes(masks_of_boxes(SMALL, SIZE)), SMALL)


class TestPaste:
    target = np.random.default_rng(0).integers(0, 256, (3, 100, 200, 3), np.uint8)
    made = np.zeros((3, 30, 60, 3), np.uint8)

    def paste(self, region, **how):
        return np.stack(list(paste_region(self.target, self.made, region, SMALL, **how)))

    def test_inside_it_is_what_was_made_and_far_outside_the_videos_own(self):
        region = choose_region(SMALL, SIZE)
        result = self.paste(region)
        assert not result[0, 41:59, 91:99].any()
        far = np.ones((100, 200), bool)
        far[36:64, 86:104] = False
        assert np.array_equal(result[0][far], self.target[0][far])
        assert np.array_equal(result[2], self.target[2])  # nobody there

    def test_no_edge_shows_where_the_part_was_cut(self):
        region = Region((80, 30, 120, 70), SIZE)
        boxes = np.array([[70, 20, 130, 80]] * 3)  # larger than the part
        target = np.full_like(self.target, 200)
        result = np.stack(list(paste_region(target, self.made, region, boxes, feather=0.2)))
        steps = np.abs(np.diff(result[0, 50, :, 0].astype(int)))
        assert steps.max() < 40
        assert result[0, 50, 100, 0] == 0

    def test_the_pictures_own_border_has_no_soft_edge(self):
        region = Region((0, 0, 200, 100), SIZE)
        boxes = np.array([[0, 0, 60, 100]] * 3)
        result = np.stack(list(paste_region(self.target, self.made, region, boxes)))
        assert not result[:, :, :60].any()

    def test_a_box_for_every_frame(self):
        with pytest.raises(ShapeError, match="There are 3 frames, but 2 boxes"):
            list(paste_region(self.target, self.made, choose_region(SMALL, SIZE), SMALL[:2]))
