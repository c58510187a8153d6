"""From joint angles to joints in space: the bones of a dancer.

Convention: x to the right of the picture, y up, z towards the viewer, in body heights; a dancer
with heading 0 faces the viewer, so the dancer's left is at +x. Rotations turn rest vectors
(standing upright, arms hanging) into the pose. F is the number of frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .characters import Body

SIDES = {"left": 1.0, "right": -1.0}

#: Channel -> value at rest. Angles in radians (`spin` in radians a second, it swings hair and
#: skirts), distances in leg lengths, the rest in 0..1.
BODY_CHANNELS: dict[str, float] = dict.fromkeys(
    (
        *("heading", "spin", "pelvis_x", "pelvis_z", "jump"),
        *("pelvis_yaw", "pelvis_pitch", "pelvis_roll", "chest_yaw", "chest_pitch", "chest_roll"),
        *("head_yaw", "head_pitch", "head_roll", "blink", "mouth", "gaze_x", "gaze_y", "brow"),
    ),
    0.0,
) | {"pelvis_drop": 0.02, "smile": 0.5}
SIDE_CHANNELS: dict[str, float] = {
    "shrug": 0.0,
    "arm_out": 0.16,
    "arm_forward": 0.0,
    "arm_twist": 0.0,
    "elbow": 0.25,
    "wrist_twist": 0.0,
    "wrist_bend": 0.0,
    "curl": 0.3,
    "spread": 0.3,
    "foot_x": 0.04,
    "foot_z": 0.0,
    "foot_lift": 0.0,
    "foot_pitch": 0.0,
    "foot_turn": 0.2,
}


class Track:
    """The value of every channel in every frame; channels nobody set are at rest.

    Attributes:
        num_frames: Number of frames F.
    """

    def __init__(self, num_frames: int, values: Mapping[str, np.ndarray | float]) -> None:
        self.num_frames = num_frames
        self._values = dict(values)

    def __getitem__(self, channel: str) -> np.ndarray:
        """Give a channel as (F,) floats; channels of a side are called `left_…` and `right_…`."""
        value = self._values.get(channel)
        if value is None:
            side, _, name = channel.partition("_")
            value = SIDE_CHANNELS[name] if side in SIDES else BODY_CHANNELS[channel]
        return np.broadcast_to(np.asarray(value, float), self.num_frames)

    def with_values(self, values: Mapping[str, np.ndarray | float]) -> Track:
        """Give the same frames with some channels (F,) replaced."""
        return Track(self.num_frames, self._values | dict(values))


def on_canvas(points: np.ndarray, to_canvas: np.ndarray) -> np.ndarray:
    """Space (F, ..., 3) -> x, y and depth towards the viewer in pixels of a picture.

    Args:
        points: In body heights.
        to_canvas: x offset, y of the ground line and pixels per body height.
    """
    left, ground, scale = to_canvas
    x, y, depth = scale * points[..., 0], scale * points[..., 1], scale * points[..., 2]
    return np.stack([left + x, ground - y, depth], axis=-1)


def join_tracks(tracks: Sequence[Track]) -> Track:
    """Put tracks one after the other."""
    sides = [f"{side}_{name}" for side in SIDES for name in SIDE_CHANNELS]
    names = (*BODY_CHANNELS, *sides)
    values = {name: np.concatenate([track[name] for track in tracks]) for name in names}
    return Track(sum(track.num_frames for track in tracks), values)


@dataclass(frozen=True)
class Posed:
    """A skeleton in space.

    Attributes:
        joints: Joint name -> (F, 3) body heights; the ground is y = 0.
        frames: Bone name -> (F, 3, 3) rotation from rest.
    """

    joints: dict[str, np.ndarray]
    frames: dict[str, np.ndarray]


def rot_x(angle: np.ndarray) -> np.ndarray:
    """Turn y towards z: (F,) -> (F, 3, 3)."""
    return _rotation(angle, 1, 2)


def rot_y(angle: np.ndarray) -> np.ndarray:
    """Turn z towards x: (F,) -> (F, 3, 3)."""
    return _rotation(angle, 2, 0)


def rot_z(angle: np.ndarray) -> np.ndarray:
    """Turn x towards y: (F,) -> (F, 3, 3)."""
    return _rotation(angle, 0, 1)


def _rotation(angle: np.ndarray, first: int, second: int) -> np.ndarray:
    matrix = np.zeros((len(angle), 3, 3))
    matrix[:, 3 - first - second, 3 - first - second] = 1.0
    matrix[:, first, first] = matrix[:, second, second] = np.cos(angle)
    matrix[:, second, first] = np.sin(angle)
    matrix[:, first, second] = -matrix[:, second, first]
    return matrix


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def _frame_along(direction: np.ndarray, lateral: np.ndarray) -> np.ndarray:
    """Rotation whose -y is `direction` and whose x is near `lateral`."""
    y = -direction
    x = _unit(lateral - (lateral * y).sum(-1, keepdims=True) * y)
    return np.stack([x, y, np.cross(x, y)], axis=-1)


def pose_body(body: Body, track: Track) -> Posed:
    """Bend a body as the channels say; feet that stand stay on the ground."""
    own = Posed({}, {})
    ankles = {side: _ankle(body, track, side) for side in SIDES}
    _pose_trunk(body, track, ankles, own)
    for side in SIDES:
        _pose_leg(body, track, side, ankles[side], own)
        _pose_arm(body, track, side, own)
    turn = rot_y(track["heading"])
    return Posed(
        {name: np.einsum("fij,f...j->f...i", turn, point) for name, point in own.joints.items()},
        {name: turn @ frame for name, frame in own.frames.items()},
    )


def _ankle(body: Body, track: Track, side: str) -> np.ndarray:
    leg = body.thigh + body.shin
    pitch = track[f"{side}_foot_pitch"]
    tip_toe = np.maximum(np.sin(pitch), 0.0) * body.foot * 0.7
    return np.stack(
        [
            SIDES[side] * (body.hip + track[f"{side}_foot_x"] * leg),
            body.ankle + track[f"{side}_foot_lift"] * leg + tip_toe + track["jump"] * leg,
            track[f"{side}_foot_z"] * leg,
        ],
        axis=-1,
    )


def _pose_trunk(body: Body, track: Track, ankles: dict[str, np.ndarray], posed: Posed) -> None:
    leg = body.thigh + body.shin
    pelvis_frame = rot_y(track["pelvis_yaw"]) @ rot_x(track["pelvis_pitch"])
    pelvis_frame = pelvis_frame @ rot_z(track["pelvis_roll"])
    x, z = track["pelvis_x"] * leg, track["pelvis_z"] * leg
    height = body.hip_height + (track["jump"] - track["pelvis_drop"]) * leg
    for side, sign in SIDES.items():  # a leg that stands cannot be longer than it is
        hip = sign * body.hip * pelvis_frame[:, :, 0]
        gap = ankles[side] - np.stack([x, np.zeros_like(x), z], axis=-1) - hip
        reach = np.sqrt(np.maximum((0.998 * leg) ** 2 - gap[:, 0] ** 2 - gap[:, 2] ** 2, 0.0))
        stands = track[f"{side}_foot_lift"] < 0.02
        height = np.where(stands, np.minimum(height, gap[:, 1] + reach), height)
    pelvis = np.stack([x, height, z], axis=-1)
    chest_frame = pelvis_frame @ rot_y(track["chest_yaw"]) @ rot_x(track["chest_pitch"])
    chest_frame = chest_frame @ rot_z(track["chest_roll"])
    neck_turn = (rot_y(track["head_yaw"]), rot_x(track["head_pitch"]), rot_z(track["head_roll"]))
    neck_frame = chest_frame @ rot_x(0.5 * track["head_pitch"]) @ rot_z(0.5 * track["head_roll"])
    head_frame = chest_frame @ neck_turn[0] @ neck_turn[1] @ neck_turn[2]
    waist = pelvis + body.lower_torso * pelvis_frame[:, :, 1]
    collar = waist + body.upper_torso * chest_frame[:, :, 1]
    chin = collar + body.neck * neck_frame[:, :, 1] + 0.05 * body.head * neck_frame[:, :, 2]
    head = chin + 0.5 * body.head * head_frame[:, :, 1]
    posed.joints.update(pelvis=pelvis, waist=waist, collar=collar, head=head)
    posed.frames.update(pelvis=pelvis_frame, chest=chest_frame, neck=neck_frame, head=head_frame)


def _pose_leg(body: Body, track: Track, side: str, ankle: np.ndarray, posed: Posed) -> None:
    sign = SIDES[side]
    hip = posed.joints["pelvis"] + sign * body.hip * posed.frames["pelvis"][:, :, 0]
    toe_out = sign * track[f"{side}_foot_turn"]
    knee_turn = 0.5 * toe_out + 0.5 * track["pelvis_yaw"]
    lateral = rot_y(knee_turn)[:, :, 0]
    span = ankle - hip
    longest, shortest = 0.999 * (body.thigh + body.shin), 0.35 * body.thigh
    distance = np.linalg.norm(span, axis=-1, keepdims=True)
    direction = span / np.maximum(distance, 1e-9)
    distance = np.clip(distance, shortest, longest)
    ankle = hip + direction * distance
    along = (body.thigh**2 - body.shin**2 + distance**2) / (2 * distance)
    aside = np.sqrt(np.maximum(body.thigh**2 - along**2, 0.0))
    knee = hip + along * direction + aside * _unit(np.cross(direction, lateral))
    foot = rot_y(toe_out) @ rot_x(track[f"{side}_foot_pitch"])
    soles = {
        "heel": (0.0, -0.8 * body.ankle, -0.26 * body.foot),
        "big_toe": (-sign * 0.012, -0.85 * body.ankle, 0.72 * body.foot),
        "small_toe": (sign * 0.022, -0.85 * body.ankle, 0.58 * body.foot),
    }
    for name, joint in (("hip", hip), ("knee", knee), ("ankle", ankle)):
        posed.joints[f"{side}_{name}"] = joint
    for name, local in soles.items():
        posed.joints[f"{side}_{name}"] = ankle + foot @ np.asarray(local)
    posed.frames[f"{side}_thigh"] = _frame_along(_unit(knee - hip), lateral)
    posed.frames[f"{side}_shin"] = _frame_along(_unit(ankle - knee), lateral)
    posed.frames[f"{side}_foot"] = foot


def _pose_arm(body: Body, track: Track, side: str, posed: Posed) -> None:
    sign = SIDES[side]
    # A raised arm lifts its shoulder.
    raised = np.sin(
        np.clip(np.maximum(track[f"{side}_arm_out"], track[f"{side}_arm_forward"]), 0, np.pi)
    )
    lift = 0.012 * raised + 0.03 * track[f"{side}_shrug"] - 0.010
    shoulder = posed.joints["collar"] + sign * body.shoulder * posed.frames["chest"][:, :, 0]
    shoulder = shoulder + lift[:, None] * posed.frames["chest"][:, :, 1]
    upper = posed.frames["chest"] @ rot_x(-track[f"{side}_arm_forward"])
    upper = upper @ rot_z(sign * track[f"{side}_arm_out"])
    upper = upper @ rot_y(sign * track[f"{side}_arm_twist"])
    fore = upper @ rot_x(-track[f"{side}_elbow"])
    hand = fore @ rot_y(sign * track[f"{side}_wrist_twist"])
    hand = hand @ rot_z(-sign * track[f"{side}_wrist_bend"])
    elbow = shoulder - body.upper_arm * upper[:, :, 1]
    wrist = elbow - body.forearm * fore[:, :, 1]
    posed.joints.update(
        {f"{side}_shoulder": shoulder, f"{side}_elbow": elbow, f"{side}_wrist": wrist}
    )
    posed.frames.update({f"{side}_upper_arm": upper, f"{side}_forearm": fore, f"{side}_hand": hand})
    fingers = _finger_points(body, sign, track[f"{side}_curl"], track[f"{side}_spread"])
    posed.joints[f"{side}_hand"] = wrist[:, None] + np.einsum("fij,fkj->fki", hand, fingers)


#: Base along the palm, base across it, length: fractions of the hand, from index to little finger.
_FINGERS = ((0.50, 0.20, 0.40), (0.53, 0.07, 0.45), (0.51, -0.06, 0.41), (0.46, -0.18, 0.33))


def _finger_points(body: Body, sign: float, curl: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Give the 21 hand joints in the hand's own frame, (F, 21, 3), OpenPose order, root first."""
    points = np.zeros((len(curl), 21, 3))
    size = body.hand
    base = np.stack([0 * curl, 0 * curl - 0.16, 0 * curl + 0.16], -1)
    tilt = 0.55 + 0.5 * spread
    for k, length in enumerate((0.0, 0.2, 0.18, 0.15)):
        bend = curl * (0.15 + 0.3 * k)
        step = np.stack(
            [-sign * np.sin(bend + 0.25), -np.cos(tilt), np.sin(tilt) * np.cos(bend)], -1
        )
        base = base + length * _unit(step)
        points[:, 1 + k] = base
    for finger, (along, across, length) in enumerate(_FINGERS):
        tip = np.stack([0 * curl, 0 * curl - along, 0 * curl + across], -1)
        points[:, 5 + 4 * finger] = tip
        fan = across * 1.9 * spread
        for k, part in enumerate((0.45, 0.31, 0.24)):
            bend = curl * (0.45 + k) * 1.15
            step = np.stack([-sign * np.sin(bend), -np.cos(bend) * np.cos(fan), np.sin(fan)], -1)
            tip = tip + part * length * step
            points[:, 6 + 4 * finger + k] = tip
    return points * size
