"""Adjust Pose in a graph, with our poses and with what pose editors write."""

import json

import numpy as np
import pytest
from comfyui_harness import first_light as line
from comfyui_harness.server import PromptFailedError

SETTINGS = {
    "part": "whole person",
    "move_x": 0.0,
    "move_y": 0.0,
    "scale": 1.0,
    "mirror": False,
    "hide": False,
    "person": 0,
    "start_frame": 0,
    "end_frame": -1,
}
DRAWN = {
    "style": "moore",
    "width": 0,
    "height": 0,
    "fit": "pad",
    "body": True,
    "hands": True,
    "face": "by style",
    "feet": False,
    "people": "by style",
}


def drawn(server, **settings):
    """Two frames of the shipped dance, adjusted and drawn: (2, H, W, 3) uint8."""
    graph = {
        "in": line.ours("BuiltinInputs", character="character_a", num_frames=2),
        "adjusted": line.ours("AdjustPose", pose_keypoint=["in", 2], **{**SETTINGS, **settings}),
        "drawn": line.ours("DrawPose", pose_keypoint=["adjusted", 0], **DRAWN),
        "save": line.node("SaveImage", images=["drawn", 0], filename_prefix="adjusted"),
    }
    entry = server.run(graph)
    files = server.files(entry, "save")
    return np.stack([np.asarray(line.Image.open(server.path_of(f)))[..., :3] for f in files])


def test_only_the_frames_asked_for_change(server):
    plain, hidden = drawn(server), drawn(server, hide=True, start_frame=1)
    assert plain.max() > 0
    np.testing.assert_array_equal(hidden[0], plain[0])
    assert hidden[1].max() == 0


@pytest.mark.parametrize("share", [0.125, -0.125])
def test_a_moved_person_is_drawn_beside_the_place(server, share):
    plain, moved = drawn(server), drawn(server, move_x=share)
    shift = round(share * plain.shape[2])
    both = np.roll(plain, shift, axis=2)
    assert (moved != both).any(axis=-1).mean() < 0.01  # but for the border
    assert (moved != plain).any(axis=-1).mean() > 0.02


def test_an_editors_text_comes_in_and_goes_out(server):
    """A frame as an editor writes it, as text: moved by us, told as text, and drawn."""
    body = [n for k in range(18) for n in (40.0 + 4 * k, 60.0 + 8 * k, 1.0)]
    person = {"pose_keypoints_2d": body, "face_keypoints_2d": [], "hand_left_keypoints_2d": []}
    page = {"people": [person], "canvas_width": 256, "canvas_height": 256}
    settings = {**SETTINGS, "move_x": 0.25}
    graph = {
        "text": line.node("PrimitiveStringMultiline", value=json.dumps(page, indent=4)),
        "adjusted": line.ours("AdjustPose", pose_keypoint=["text", 0], **settings),
        "told": line.node("PreviewAny", source=["adjusted", 1]),
        "drawn": line.ours("DrawPose", pose_keypoint=["adjusted", 0], **DRAWN),
        "save": line.node("SaveImage", images=["drawn", 0], filename_prefix="adjusted"),
    }
    entry = server.run(graph)
    (frame,) = json.loads(entry["outputs"]["told"]["text"][0])
    moved = np.reshape(frame["people"][0]["pose_keypoints_2d"], (18, 3))
    np.testing.assert_allclose(moved, np.reshape(body, (18, 3)) + np.array([64.0, 0.0, 0.0]))
    picture = line.Image.open(server.path_of(server.files(entry, "save")[0]))
    assert np.asarray(picture).max() > 0


def test_a_text_that_is_no_pose_is_refused_in_one_sentence(server):
    graph = {
        "text": line.node("PrimitiveStringMultiline", value="{'people': []}"),
        "adjusted": line.ours("AdjustPose", pose_keypoint=["text", 0], **SETTINGS),
        "told": line.node("PreviewAny", source=["adjusted", 1]),
    }
    with pytest.raises(PromptFailedError) as failed:
        server.run(graph)
    assert failed.value.details["exception_type"] == "PoseError"
    assert failed.value.details["exception_message"].startswith("The text of the poses is not JSON")
