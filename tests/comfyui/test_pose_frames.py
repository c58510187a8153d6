"""A POSE_KEYPOINT that is written when somebody looks is the one that the core writes, to everybody."""

import pytest
from comfyui_harness.small_clip import once

SNIPPET = """
import copy, json, pickle
import comfy.model_patcher
import numpy as np

keypoint, skeleton, frames_ = core("pose.pose_keypoint"), core("pose.skeleton"), ours("pose_frames")
dice = np.random.default_rng(3)
scores = dice.uniform(0, 1, (6, 3, 134)) * (dice.random((6, 3, 134)) > 0.3)
scores[2:4, 1] = 0  # who leaves and comes back
scores[:, 2] = 0  # a place that nobody ever takes
clip = skeleton.PoseSequence(dice.uniform(1, 90, (6, 3, 134, 2)), scores, 96, 80, 12.5, ("it's",))
written = keypoint.to_pose_keypoint(clip)
make = lambda: frames_.poses_to_socket(clip)
plain = lambda frames: [dict(frame) for frame in frames]
looks = {
    "json": lambda f: json.loads(json.dumps(f)) == json.loads(json.dumps(written)),
    "equal": lambda f: f == written and written == f and not f != written,
    "index": lambda f: all(a["people"] == b["people"] for a, b in zip(f, written)),
    "get": lambda f: all(a.get("people") == b["people"] for a, b in zip(f, written)),
    "dict": lambda f: plain(f) == written,
    "spread": lambda f: [{**frame} for frame in f] == written,
    "merged": lambda f: [frame | {} for frame in f] == written,
    "into": lambda f: [{} | frame for frame in f] == written,
    "copied": lambda f: copy.deepcopy(f) == written and copy.copy(f[0]) == written[0],
    "pickled": lambda f: pickle.loads(pickle.dumps(f)) == written,
    "shown": lambda f: eval(repr(f)) == written,
    "asked": lambda f: all("people" in frame and len(frame) == 5 for frame in f),
    "keys": lambda f: all(set(frame) == set(b) for frame, b in zip(f, written)),
    "items": lambda f: [dict(frame.items()) for frame in f] == written,
    "values": lambda f: all(b["people"] in list(frame.values()) for frame, b in zip(f, written)),
    "edited": lambda f: f[0].pop("people") == written[0]["people"] and "people" not in f[0],
}
read = ours("pose_sockets").poses_from_socket

def same(a, b):
    return (np.array_equal(a.points, b.points) and np.array_equal(a.scores, b.scores)
            and (a.width, a.height, a.fps, a.doubts) == (b.width, b.height, b.fps, b.doubts))

def edited():
    frames = make()
    frames[1]["people"][0]["pose_keypoints_2d"][0] += 1
    return read(frames)

moved = read(make())
watched = make()
if hasattr(comfy.model_patcher, "PromptModelTracker"):  # how newer versions look for models
    comfy.model_patcher.PromptModelTracker().add(watched)
read(watched)
result = {
    "looks": {name: bool(look(make())) for name, look in looks.items()},
    "read": same(moved, keypoint.from_pose_keypoint(written)),
    "some": same(read(make()[4:1:-1]), keypoint.from_pose_keypoint(written[4:1:-1])),
    "of two": same(read(make()[:2] + make()[2:]), keypoint.from_pose_keypoint(written)),
    "untouched": all(frame.unwritten is not None for frame in watched),
    "edit": float(edited().points[1, 0, 0, 0] - moved.points[1, 0, 0, 0]),
    "nobody": same(read(frames_.poses_to_socket(clip.of([2]))),
                   keypoint.from_pose_keypoint(keypoint.to_pose_keypoint(clip.of([2])))),
}
"""


@pytest.fixture
def result(checkout, in_comfyui):
    return once(checkout, SNIPPET, in_comfyui)


def test_whoever_looks_finds_the_written_one(result):
    assert [name for name, found in result["looks"].items() if not found] == []
    assert len(result["looks"]) == 16


@pytest.mark.parametrize("which", ["read", "some", "of two", "untouched", "nobody"])
def test_our_nodes_read_the_poses_themselves(result, which):
    assert result[which]


def test_a_change_of_another_node_counts(result):
    assert result["edit"] == 1.0
