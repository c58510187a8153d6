"""MediaPipe's landmarks as ComfyUI hands them over."""

import numpy as np
import pytest

from animate_anyone_core.errors import PoseError
from animate_anyone_core.pose.face_landmarks import landmark_shares, read_face_landmarks
from animate_anyone_core.pose.face_lines import NUM_LANDMARKS
from animate_anyone_core.pose.head_pose import head_matrices, project

WIDTH, HEIGHT = 320, 240
SHAPE = np.random.default_rng(0).normal(size=(NUM_LANDMARKS, 3)) * (5, 6, 1.5) + (0, 0, 3)


def face(x=0.0, turn=0.0, smile=0.0, size=1.0):
    """A face before the camera: where it is, how far it is turned, how much it smiles."""
    shape = SHAPE * size
    shape[61] += (-smile, smile, 0)
    pose = head_matrices(np.array([[0, turn, 0, x, 0, -45.0]]))
    points = project(pose, shape[None], (WIDTH, HEIGHT))[0]
    seen = shape @ pose[0, :3, :3].T
    units = np.concatenate([points * 0.5, -seen[:, 2:] * 2], axis=1)  # 192 units, any offset
    return {
        "landmarks_xy": points.astype(np.float32),
        "landmarks_3d": units.astype(np.float32),
        "bbox_xyxy": np.concatenate([points.min(axis=0), points.max(axis=0)]),
        "blendshapes": {"_neutral": 0.5} | {f"shape{i}": smile / 10 for i in range(51)},
        "transformation_matrix": pose[0].astype(np.float32),
    }


def value(*frames):
    return {"frames": [list(faces) for faces in frames], "image_size": (HEIGHT, WIDTH)}


def test_the_largest_face_is_taken():
    large = face(x=3, size=1.5)
    read = read_face_landmarks(value([face(), large], [face()]))
    assert np.allclose(read.points[0], large["landmarks_xy"])
    assert (read.width, read.height) == (WIDTH, HEIGHT)


def test_the_drivers_own_face_is_drawn_where_it_is_and_only_there():
    read = read_face_landmarks(value([face(x=1)], [], [face(x=2)]))
    shares = landmark_shares(read, None, (64, 64))
    assert np.allclose(shares[0] * (WIDTH, HEIGHT), face(x=1)["landmarks_xy"])
    assert np.isnan(shares[1]).all()


def test_a_face_driven_by_itself_stays_on_its_landmarks():
    read = read_face_landmarks(value([face(x=2, turn=10)]))
    shares = landmark_shares(read, read, (WIDTH, HEIGHT))
    assert np.allclose(
        shares[0, :468] * (WIDTH, HEIGHT), face(x=2, turn=10)["landmarks_xy"][:468], atol=0.05
    )
    assert np.isnan(shares[0, 468:]).all()


def test_a_smile_goes_over_to_another_face_and_a_gap_is_bridged():
    driver = read_face_landmarks(value([face()], [], [face(smile=2)]))
    other = read_face_landmarks(value([face(x=6, size=1.3)]))
    shares = landmark_shares(driver, other, (WIDTH, HEIGHT)) * (WIDTH, HEIGHT)
    still = face(x=6, size=1.3)["landmarks_xy"]
    assert np.isfinite(shares[1, :468]).all()
    assert np.abs(shares[0, 100] - still[100]).max() < 2
    moved = shares[2, 61] - shares[0, 61]
    assert moved[0] < -1
    assert moved[1] < -1
    between = shares[1, 61] - shares[0, 61]
    assert np.allclose(between, moved / 2, atol=0.5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([1], "must be what ComfyUI's MediaPipe node gives"),
        (value([], []), "No frame shows a face"),
        (value([face() | {"landmarks_xy": np.zeros((468, 2))}]), "A face has 478 landmarks"),
    ],
)
def test_anything_else_is_refused(given, message):
    with pytest.raises(PoseError, match=message):
        read_face_landmarks(given)
