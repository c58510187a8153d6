"""Skeletons with known joints, drawn, and sent through a compressed video."""

from itertools import combinations

import numpy as np

from animate_anyone_core.lab.synthetic.dancers import Dancer
from animate_anyone_core.lab.synthetic.motions import motion_from_seed
from animate_anyone_core.pose.drawing import draw_poses
from animate_anyone_core.pose.drawing_profiles import LIMBS
from animate_anyone_core.pose.skeleton import BODY, NUM_KEYPOINTS, PoseSequence
from animate_anyone_core.video import read_video, write_video

SIZE = (512, 768)
#: A person with bent arms, none of whose limbs cross; in a square of 1.
STANDING = np.array(
    [
        *((0.5, 0.12), (0.5, 0.24), (0.4, 0.24), (0.3, 0.36), (0.22, 0.26), (0.6, 0.25)),
        *((0.68, 0.39), (0.76, 0.5), (0.44, 0.55), (0.4, 0.74), (0.38, 0.95), (0.56, 0.55)),
        *((0.6, 0.74), (0.64, 0.94), (0.47, 0.09), (0.53, 0.09), (0.44, 0.11), (0.56, 0.11)),
    ]
)


def person(x=0.0, y=0.0, size=600.0, without=()):
    """Points (K, 2) and scores (K,) of a standing body without hands and face."""
    points, scores = np.zeros((NUM_KEYPOINTS, 2)), np.zeros(NUM_KEYPOINTS)
    points[BODY] = STANDING * size + (x, y)
    scores[BODY] = 1.0
    scores[list(without)] = 0.0
    return points, scores


def sequence(*people, size=SIZE):
    points, scores = (np.stack(values)[None] for values in zip(*people, strict=True))
    return PoseSequence(points, scores, *size, 12.0)


def dancers(seeds=(0, 1, 3, 5), frames=2):
    """Poses of made-up dancers, one after the other."""
    clips = [
        Dancer(seed, *SIZE).render(motion_from_seed(seed), frames, fps=2.0).poses for seed in seeds
    ]
    points = np.concatenate([clip.points for clip in clips])
    scores = np.concatenate([clip.scores for clip in clips])
    return PoseSequence(points, scores, *SIZE, 12.0)


def through_video(poses, style, folder, size=None):
    """Frames drawn in a style, as an H.264 file gives them back."""
    path = folder / f"{style}.mp4"
    write_video(path, draw_poses(poses, style, size, people="all"), poses.fps or 12.0)
    return read_video(path).frames


def is_uncrossed(points, scores, least=14.0):
    """Whether no two limbs that share no joint come nearer to each other than `least` pixels."""
    limbs = [ends for ends in LIMBS if (scores[list(ends)] > 0).all()]
    along = np.linspace(0, 1, 20)[:, None]
    for a, b in combinations(limbs, 2):
        if set(a) & set(b):
            continue
        first, second = (points[e[0]] + along * (points[e[1]] - points[e[0]]) for e in (a, b))
        if np.linalg.norm(first[:, None] - second, axis=-1).min() < least:
            return False
    return True
