"""The exact whole-body keypoints of a posed dancer, as `PoseSequence` orders them."""

from __future__ import annotations

import numpy as np

from ...pose.skeleton import (
    EARS,
    EYES,
    FACE,
    JOINT_NAMES,
    LEFT_HAND,
    NECK,
    NOSE,
    NUM_KEYPOINTS,
    RIGHT_HAND,
    SHOULDERS,
)
from .characters import Character, Face
from .head_shape import (
    EYE_Y,
    NOSE_Y,
    HeadView,
    brow_points,
    eye_points,
    front,
    jaw,
    mouth_points,
)
from .rig import Posed, Track, on_canvas

HEAD_JOINTS = [NOSE, *EYES, *EARS]
#: The joints that the rig has by the same names.
RIG_JOINTS = {
    index: name for index, name in enumerate(JOINT_NAMES) if index not in (NECK, *HEAD_JOINTS)
}
#: Directions of nose tip, right ear and left ear.
NOSE_LIFT = 1.12
EAR_PLACES = {"right": (-1.0, -0.1, -0.05), "left": (1.0, -0.1, -0.05)}


def face_directions(face: Face, track: Track) -> np.ndarray:
    """Give the 68 face points as places on the head, (F, 68, 3), in iBUG order."""
    frames = track.num_frames
    lids = 1.0 - track["blink"]

    def still(points: np.ndarray) -> np.ndarray:
        return np.broadcast_to(points, (frames, *points.shape))

    bridge = front(np.zeros(4), np.linspace(EYE_Y, NOSE_Y, 4))
    bridge = bridge * np.linspace(1.0, NOSE_LIFT, 4)[:, None]
    nostrils = front(np.linspace(-0.1, 0.1, 5), NOSE_Y - np.array([6, 8, 9, 8, 6]) / 100)
    return np.concatenate(
        [
            still(jaw()),
            brow_points(face, -1.0, track["brow"]),
            brow_points(face, 1.0, track["brow"]),
            still(bridge),
            still(nostrils),
            eye_points(face, -1.0, lids, 6),
            eye_points(face, 1.0, lids, 6),
            mouth_points(face, track["mouth"], track["smile"], 7),
            mouth_points(face, track["mouth"], track["smile"], 5, inner=0.7),
        ],
        axis=1,
    )


def head_spots(face: Face) -> np.ndarray:
    """Give nose, right and left eye, right and left ear as places on the head, (5, 3)."""
    return np.concatenate(
        [
            front(0.0, NOSE_Y) * NOSE_LIFT,
            front(np.array([-face.eye_spread, face.eye_spread]), EYE_Y),
            np.array([EAR_PLACES["right"], EAR_PLACES["left"]]),
        ]
    )


def head_view(character: Character, posed: Posed, to_pixels: np.ndarray) -> HeadView:
    """Give a dancer's head as it is seen; `to_pixels` as in `rig.on_canvas`."""
    body, joint = character.body, posed.joints["head"]
    half = 0.5 * body.head * to_pixels[2]
    radii = half * np.array([body.head_width, 1.0, 0.5 * (1.0 + body.head_width)])
    centre = on_canvas(joint, to_pixels)[..., :2]
    return HeadView(centre, posed.frames["head"], radii, character.face.taper)


def whole_body(
    character: Character, posed: Posed, track: Track, to_pixels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Give the keypoints of a dancer in pixels; `to_pixels` as in `rig.on_canvas`.

    Returns:
        Points (F, 134, 2) in pixels and scores (F, 134): 1 for what can be seen or is a body joint,
        0 for features on the far side of the head.
    """
    frames = track.num_frames
    points = np.zeros((frames, NUM_KEYPOINTS, 2))
    scores = np.ones((frames, NUM_KEYPOINTS))
    parts: list[tuple[int | slice, str]] = [*RIG_JOINTS.items()]
    for place, name in (*parts, (LEFT_HAND, "left_hand"), (RIGHT_HAND, "right_hand")):
        points[:, place] = on_canvas(posed.joints[name], to_pixels)[..., :2]
    points[:, NECK] = 0.5 * (points[:, SHOULDERS[0]] + points[:, SHOULDERS[1]])

    head = head_view(character, posed, to_pixels)
    points[:, FACE], facing = head.place(face_directions(character.face, track))
    scores[:, FACE] = facing > -0.05
    # The jaw is an outline: of a face turned to the viewer it is seen even where it bends away.
    bend = -0.05 - 0.35 * np.maximum(head.turn[:, 2, 2:], 0.0)
    scores[:, FACE.start : FACE.start + 17] = facing[:, :17] > bend
    places, facing = head.place(head_spots(character.face))
    points[:, HEAD_JOINTS] = places
    scores[:, HEAD_JOINTS] = facing > np.array([-0.05, -0.05, -0.05, -0.45, -0.45])
    return points, scores
