"""The exact whole-body keypoints of a posed dancer, as `PoseSequence` orders them."""

from __future__ import annotations

import numpy as np

from ...pose.skeleton import FACE, LEFT_HAND, NUM_KEYPOINTS, RIGHT_HAND
from .characters import Character
from .head_shape import (
    FaceLayout,
    HeadView,
    brow_points,
    eye_points,
    face_layout,
    front,
    jaw,
    mouth_points,
)
from .rig import Posed, Track

_BODY_JOINTS = {
    2: "right_shoulder",
    3: "right_elbow",
    4: "right_wrist",
    5: "left_shoulder",
    6: "left_elbow",
    7: "left_wrist",
    8: "right_hip",
    9: "right_knee",
    10: "right_ankle",
    11: "left_hip",
    12: "left_knee",
    13: "left_ankle",
    18: "left_big_toe",
    19: "left_small_toe",
    20: "left_heel",
    21: "right_big_toe",
    22: "right_small_toe",
    23: "right_heel",
}
#: Directions of nose tip, right ear and left ear.
NOSE_LIFT = 1.12
EARS = {"right": (-1.0, -0.1, -0.05), "left": (1.0, -0.1, -0.05)}


def face_directions(layout: FaceLayout, tilt: float, track: Track) -> np.ndarray:
    """Give the 68 face points as places on the head, (F, 68, 3), in iBUG order."""
    frames = track.num_frames
    lids = 1.0 - track["blink"]

    def still(points: np.ndarray) -> np.ndarray:
        return np.broadcast_to(points, (frames, *points.shape))

    right_eye = eye_points(layout, -1.0, lids, 6)
    left_eye = eye_points(layout, 1.0, lids, 6)
    bridge = front(np.zeros(4), np.linspace(layout.eye_y, layout.nose_y, 4))
    bridge = bridge * np.linspace(1.0, NOSE_LIFT, 4)[:, None]
    nostrils = front(np.linspace(-0.1, 0.1, 5), layout.nose_y - np.array([6, 8, 9, 8, 6]) / 100)
    return np.concatenate(
        [
            still(jaw()),
            brow_points(layout, tilt, -1.0, track["brow"]),
            brow_points(layout, tilt, 1.0, track["brow"]),
            still(bridge),
            still(nostrils),
            right_eye,
            left_eye,
            mouth_points(layout, track["mouth"], track["smile"], 7),
            mouth_points(layout, track["mouth"], track["smile"], 5, inner=0.7),
        ],
        axis=1,
    )


def whole_body(
    character: Character, posed: Posed, track: Track, head: HeadView, to_pixels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Give the keypoints of a dancer in pixels.

    Args:
        character: Who it is.
        posed: The skeleton in space.
        track: The channels it was posed by.
        head: The head as seen.
        to_pixels: x offset, y offset of the ground line and pixels per body height.

    Returns:
        Points (F, 134, 2) in pixels and scores (F, 134): 1 for what can be seen or is a body joint,
        0 for features on the far side of the head.
    """
    frames = track.num_frames
    points = np.zeros((frames, NUM_KEYPOINTS, 2))
    scores = np.ones((frames, NUM_KEYPOINTS))
    left, ground, scale = to_pixels

    def flat(joint: np.ndarray) -> np.ndarray:
        return np.stack([left + scale * joint[..., 0], ground - scale * joint[..., 1]], axis=-1)

    for index, name in _BODY_JOINTS.items():
        points[:, index] = flat(posed.joints[name])
    points[:, 1] = 0.5 * (points[:, 2] + points[:, 5])
    points[:, LEFT_HAND] = flat(posed.joints["left_hand"])
    points[:, RIGHT_HAND] = flat(posed.joints["right_hand"])

    layout = face_layout(character)
    directions = face_directions(layout, character.face.brow_tilt, track)
    points[:, FACE], facing = head.place(directions)
    scores[:, FACE] = facing > -0.05
    # The jaw is an outline: of a face turned to the viewer it is seen even where it bends away.
    bend = -0.05 - 0.35 * np.maximum(head.turn[:, 2, 2:], 0.0)
    scores[:, FACE.start : FACE.start + 17] = facing[:, :17] > bend
    spots = np.concatenate(
        [
            front(0.0, layout.nose_y) * NOSE_LIFT,
            front(np.array([-layout.eye_x, layout.eye_x]), layout.eye_y),
            np.array([EARS["right"], EARS["left"]]),
        ]
    )
    places, facing = head.place(spots)
    for column, index in enumerate((0, 14, 15, 16, 17)):
        points[:, index] = places[:, column]
        scores[:, index] = facing[:, column] > (-0.05 if index < 16 else -0.45)
    return points, scores
