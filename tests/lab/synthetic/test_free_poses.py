"""Freely bent bodies: other poses of the same body, always the same ones."""

import numpy as np
import pytest

from animate_anyone_core.errors import SettingsError
from animate_anyone_core.lab.synthetic.characters import character_from_seed
from animate_anyone_core.lab.synthetic.free_poses import free_pose
from animate_anyone_core.lab.synthetic.motions import motion_from_seed
from animate_anyone_core.lab.synthetic.rig import pose_body
from animate_anyone_core.lab.training.dancer_pictures import render_pictures

BONES = (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"))


def bone_lengths(posed):
    return [
        np.linalg.norm(posed.joints[f"{side}_{a}"][0] - posed.joints[f"{side}_{b}"][0])
        for side in ("left", "right")
        for a, b in BONES
    ]


def test_bones_keep_their_lengths_and_bodies_bend():
    body = character_from_seed(4).body
    track = motion_from_seed(5).track(np.array([0.5]))
    before = pose_body(body, track)
    leaning = []
    for seed in range(40):
        posed = pose_body(body, free_pose(track, np.random.default_rng(seed)))
        assert bone_lengths(posed) == pytest.approx(bone_lengths(before), rel=0.01)
        leaning.append(posed.frames["chest"][0, 1, 1])  # 1 upright, 0 level
    assert before.frames["chest"][0, 1, 1] > 0.95, "the dance stands upright"
    assert min(leaning) < 0.5
    assert np.std(leaning) > 0.1


def test_the_share_of_pictures_is_bent_and_the_rest_stays():
    plain, bent = (render_pictures("train", 8, 4, 64, 64, free_poses=s) for s in (0.0, 0.5))
    same = (plain.frames == bent.frames).all(axis=(1, 2, 3))
    assert 8 <= same.sum() <= 24
    assert np.array_equal(plain.points[same], bent.points[same])
    assert np.array_equal(plain.characters, bent.characters)
    again = render_pictures("train", 8, 4, 64, 64, free_poses=0.5)
    assert np.array_equal(again.frames, bent.frames)


def test_the_points_of_a_bent_body_lie_on_it():
    pictures = render_pictures("train", 4, 4, 128, 128, free_poses=1.0)
    shown = 0
    for mask, points, scores in zip(pictures.masks, pictures.points, pictures.scores, strict=True):
        for x, y in points[2:14][scores[2:14] > 0]:  # shoulders to ankles
            shown += 1
            around = mask[max(0, int(y) - 2) : int(y) + 3, max(0, int(x) - 2) : int(x) + 3]
            assert around.max() > 127
    assert shown > 100


def test_a_share_above_one_is_refused():
    with pytest.raises(SettingsError, match="share of pictures must be within 0 to 1, got 2"):
        render_pictures("train", 1, 1, 64, 64, free_poses=2.0)
