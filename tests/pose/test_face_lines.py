"""Faces as lines: what is drawn where, and from the 68 points."""

import numpy as np
import pytest

from animate_anyone_core.errors import PoseError
from animate_anyone_core.pose.drawing import draw_poses
from animate_anyone_core.pose.face_lines import (
    CANVAS,
    LINES,
    NUM_LANDMARKS,
    draw_landmarks,
    landmarks_of_68,
)
from animate_anyone_core.pose.skeleton import FACE, NUM_KEYPOINTS, PoseSequence

CHIN, TEMPLE = 152, 162
MOUTH_CORNER, UPPER_LIP = 61, 0


def ring(count, radius=0.3, middle=(0.5, 0.5)):
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.stack([np.cos(angles), np.sin(angles)], axis=-1) * radius + middle


def test_only_lines_with_both_ends_in_the_picture_are_drawn():
    landmarks = np.full((1, NUM_LANDMARKS, 2), np.nan)
    landmarks[0, [148, 152, 377]] = (0.5, 0.5), (0.5, 1.0), (0.5, np.nextafter(np.float32(1), 2))
    picture = draw_landmarks(landmarks, CANVAS)[0]
    rows, columns = picture.any(axis=-1).nonzero()
    assert (rows.min(), rows.max()) == (255, 511)
    assert (columns.min(), columns.max()) == (255, 257)
    assert (picture[rows, columns] == (10, 200, 10)).all()


def test_a_pixel_is_the_floor_and_the_last_one_at_the_border():
    landmarks = np.full((1, NUM_LANDMARKS, 2), np.nan)
    landmarks[0, [33, 7]] = (100.9 / 512, 1.0), (300.2 / 512, 1.0)
    rows, columns = draw_landmarks(landmarks, CANVAS)[0].any(axis=-1).nonzero()
    assert set(rows) == {510, 511}
    assert abs(int(columns.min()) - 100) <= 1
    assert abs(int(columns.max()) - 300) <= 1


def test_every_group_has_its_color_and_no_pixel_another():
    landmarks = np.zeros((1, NUM_LANDMARKS, 2))
    landmarks[0] = ring(NUM_LANDMARKS)
    picture = draw_landmarks(landmarks, CANVAS)[0]
    drawn = {tuple(color) for color in picture.reshape(-1, 3).tolist()} - {(0, 0, 0)}
    assert drawn <= {color for color, _ in LINES}
    assert LINES[-1][0] in drawn


def test_pictures_have_the_size_asked_for():
    assert draw_landmarks(ring(NUM_LANDMARKS)[None], (40, 24), (64, 36)).shape == (1, 24, 40, 3)


def test_other_landmarks_are_refused():
    with pytest.raises(PoseError, match=r"shape \(frames, 478, 2\), got \(1, 468, 2\)"):
        draw_landmarks(np.zeros((1, 468, 2)), CANVAS)


class TestSixtyEight:
    def test_points_lie_on_their_lines(self):
        """Corners, chin and middles are points of both."""
        points = np.random.default_rng(0).uniform(size=(2, 68, 2))
        landmarks = landmarks_of_68(points, np.ones((2, 68), bool))
        for ours, theirs in {
            CHIN: 8, 33: 36, 133: 39, 263: 45, 362: 42, MOUTH_CORNER: 48, 291: 54, UPPER_LIP: 51,
            17: 57, 78: 60, 308: 64, 13: 62, 14: 66, 70: 17, 107: 21, 300: 26, 336: 22,
        }.items():  # fmt: skip
            assert np.allclose(landmarks[:, ours], points[:, theirs]), ours

    def test_all_that_is_drawn_is_known_and_nothing_else(self):
        landmarks = landmarks_of_68(ring(68)[None], np.ones((1, 68), bool))
        used = {index for _, chains in LINES for chain in chains for index in chain}
        known = np.isfinite(landmarks[0]).all(axis=-1).nonzero()[0]
        assert set(known) == used

    def test_what_is_not_seen_is_not_drawn(self):
        seen = np.ones((1, 68), bool)
        seen[0, 48:] = False  # the mouth
        landmarks = landmarks_of_68(ring(68)[None], seen)
        assert np.isnan(landmarks[0, [MOUTH_CORNER, UPPER_LIP, 13, 14]]).all()
        assert np.isfinite(landmarks[0, [CHIN, 33, 70, 46]]).all()

    def test_a_brow_is_a_band_above_the_eye(self):
        points = ring(68)[None].copy()
        points[0, 17:22] = [(x, 0.3) for x in np.linspace(0.2, 0.4, 5)]
        points[0, 36:42] = (0.3, 0.5)
        landmarks = landmarks_of_68(points, np.ones((1, 68), bool))
        assert np.allclose(landmarks[0, [70, 63, 105, 66, 107], 1], 0.3)
        assert np.allclose(landmarks[0, [46, 53, 52, 65, 55], 1], 0.35)


def test_skeletons_are_drawn_as_faces_alone():
    points = np.zeros((2, 1, NUM_KEYPOINTS, 2))
    points[:, 0] = ring(NUM_KEYPOINTS) * (200, 100)
    scores = np.ones(points.shape[:3])
    poses = PoseSequence(points, scores, 200, 100)
    pictures = draw_poses(poses, "aniportrait", (96, 48))
    assert pictures.shape == (2, 48, 96, 3)
    shares = points[:, 0, FACE] / (200, 100)
    expected = draw_landmarks(landmarks_of_68(shares, scores[:, 0, FACE] > 0), (96, 48))
    assert np.array_equal(pictures, expected)
    scores[:, :, FACE] = 0
    assert not draw_poses(PoseSequence(points, scores, 200, 100), "aniportrait").any()
