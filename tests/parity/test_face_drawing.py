"""AniPortrait's drawn landmarks and retargeted heads, against what its program made."""

import json
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from animate_anyone_core.pose.face_lines import LINES, NUM_LANDMARKS, draw_landmarks
from animate_anyone_core.pose.head_pose import (
    HeadMotion,
    euler_and_translation,
    expressed,
    head_matrices,
    mean_over,
    neutral_frame,
    project,
    retarget_head,
)


def numbers(parity, name):
    known = parity.inputs | parity.expected
    if name not in known:
        pytest.skip(f"this fixture has no {name}")
    return known[name].numpy()


def picture(parity, name):
    return np.asarray(Image.open(parity.folder / "drawing" / f"{name}.png").convert("RGB"))


def close(actual, expected):
    return np.abs(actual - expected).max() < 1e-6


def test_lines_and_colors(parity):
    numbers(parity, "drawing/landmarks")
    groups = json.loads((parity.folder / "drawing" / "edges.json").read_text())
    assert [tuple(group["rgb"]) for group in groups] == [color for color, _ in LINES]
    for group, (_, chains) in zip(groups, LINES, strict=True):
        assert sorted(map(tuple, group["edges"])) == sorted(p for c in chains for p in pairwise(c))


@pytest.mark.parametrize("kind", ["canvas", "small", "two_stage"])
def test_drawn_faces(parity, kind):
    landmarks = numbers(parity, "drawing/landmarks")
    how = parity.inference["drawing"]
    frame_size = tuple(how["frame_size_wh"]) if kind == "two_stage" else None
    size = tuple(how[{"canvas": "canvas", "small": "small_wh", "two_stage": "output_wh"}[kind]])
    for index, name in enumerate(how["sets"]):
        shares = landmarks[index][None]
        if frame_size is not None:  # as pixels of the video's frame, and back
            shares = shares * np.array(frame_size) / frame_size
        drawn = draw_landmarks(shares, size, frame_size)[0]
        assert np.array_equal(drawn, picture(parity, f"{index}_{name}_{kind}")), name


def test_drawn_clip(parity):
    landmarks, expected = numbers(parity, "pose_landmarks"), numbers(parity, "pose_frames_u8")
    assert np.array_equal(draw_landmarks(landmarks, expected.shape[2:0:-1]), expected)


@pytest.fixture
def driver(parity):
    return HeadMotion(
        numbers(parity, "retarget/transform"),
        numbers(parity, "retarget/vertices"),
        numbers(parity, "retarget/blendshapes"),
    )


def test_angles_and_back(parity, driver):
    rows = euler_and_translation(driver.poses)
    assert close(rows, numbers(parity, "retarget/euler_translation"))
    assert close(
        head_matrices(numbers(parity, "retarget/pose_smooth")), numbers(parity, "retarget/matrix")
    )
    place = numbers(parity, "retarget/ref_transform")[:3, 3]
    relative = rows.copy()
    relative[:, 3:] += place - rows[0, 3:]
    assert close(relative, numbers(parity, "retarget/pose_relative"))
    assert close(mean_over(relative, 3), numbers(parity, "retarget/pose_smooth"))


def test_expressions(parity, driver):
    assert neutral_frame(driver.expressions) == numbers(parity, "retarget/min_index")[0]
    vertices = expressed(driver, numbers(parity, "retarget/ref_vertices"))
    assert close(vertices[[0, -1]], numbers(parity, "retarget/vertices_out"))


def test_retargeted_faces(parity, driver):
    size = tuple(numbers(parity, "retarget/frame_size_wh").tolist())
    projected = retarget_head(
        driver,
        numbers(parity, "retarget/ref_transform"),
        numbers(parity, "retarget/ref_vertices"),
        size,
        unwrap=False,
    )
    assert close(projected, numbers(parity, "retarget/projected"))
    out = tuple(parity.inference["drawing"]["output_wh"])
    shares = np.zeros((len(projected), NUM_LANDMARKS, 2))  # irises are not drawn
    shares[:, : projected.shape[1]] = projected / size
    for path in sorted((parity.folder / "drawing").glob("retarget_[0-9]*.png")):
        number = int(path.stem.split("_")[1])
        to = size if "frame_size" in path.stem else out
        drawn = draw_landmarks(shares[number][None], to, size)[0]
        assert np.array_equal(drawn, picture(parity, path.stem)), path.stem


def test_angles_beyond_half_a_turn(parity):
    rows = euler_and_translation(numbers(parity, "retarget_wrap/transform"))
    assert close(rows, numbers(parity, "retarget_wrap/euler_translation"))
    assert close(mean_over(rows, 3), numbers(parity, "retarget_wrap/pose_smooth"))


def test_templates_of_head_poses(parity, driver):
    """A template is relative to its first frame; its smoothing and projection are those of heads."""
    poses = numbers(parity, "retarget/transform")
    relative = euler_and_translation(np.linalg.inv(poses[0]) @ poses)
    assert np.abs(relative - numbers(parity, "pose_template/relative")).max() < 1e-4  # float32
    at_30 = numbers(parity, "pose_template/at_30_fps")
    assert close(mean_over(at_30, 5), numbers(parity, "pose_template/smooth"))
    tiled = numbers(parity, "pose_template/tiled")
    assert close(mean_over(tiled, 7), numbers(parity, "pose_template/smooth_window7"))
    expected = numbers(parity, "pose_template/projected")
    vertices = expressed(driver, numbers(parity, "retarget/ref_vertices"))
    frames = len(expected)
    matrices = numbers(parity, "retarget/ref_transform") @ head_matrices(tiled[:frames])
    out = tuple(parity.inference["drawing"]["output_wh"])
    projected = project(matrices, np.repeat(vertices, 2, axis=0)[:frames], out)
    assert close(projected, expected)
