"""How a made-up dancer moves: smooth motions in joint angles, all from a seed.

A motion is a function of time. Each kind sets the channels of `rig.Track` it cares about;
breathing, blinking and glances lie under all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .characters import check_seed
from .dance_moves import (
    ArmKeys,
    Drift,
    Motion,
    Values,
    dance,
    ease,
    mirrored,
    resting_arms,
)
from .rig import Track
from .splits import split_seeds

_MOTION_STREAM, _CHOSEN_STREAM = 202, 303


@dataclass(frozen=True)
class MotionFromSeed:
    """A motion with its name and the moment a clip starts at.

    Attributes:
        kind: One of `MOTION_KINDS`.
        start: Seconds into the motion at which frame 0 lies.
    """

    kind: str
    start: float
    _layers: tuple[Motion, ...]

    def track(self, seconds: np.ndarray) -> Track:
        """Give the channels at the given seconds (F,) after the start of a clip."""
        values: Values = {}
        for layer in self._layers:
            values |= layer(seconds + self.start)
        return Track(len(seconds), values)


def _alive(rng: np.random.Generator) -> Motion:
    """Breathe, blink, glance around: what everybody does all the time."""
    breath, look = Drift(rng, 0.25, 0.35), Drift(rng, 0.1, 0.4)
    nod, tilt, gaze = Drift(rng, 0.1, 0.5), Drift(rng, 0.1, 0.4), Drift(rng, 0.2, 0.7)
    blink_every, blink_at = rng.uniform(2.2, 4.0), rng.uniform(0, 4)
    smile, talk = rng.uniform(0.25, 1.0), rng.random() < 0.3
    mouth_open, mouth = rng.uniform(0.0, 0.35), Drift(rng, 1.5, 3.0)

    def layer(t: np.ndarray) -> Values:
        since = (t + blink_at) % blink_every
        speech = np.maximum(mouth(t), 0) * 0.7 if talk else mouth_open
        return {
            "left_shrug": 0.12 * breath(t),
            "right_shrug": 0.12 * breath(t),
            "chest_pitch": 0.02 * breath(t),
            "head_yaw": 0.18 * look(t),
            "head_pitch": 0.06 * nod(t),
            "head_roll": 0.07 * tilt(t),
            "gaze_x": 0.6 * gaze(t),
            "gaze_y": 0.3 * nod(t),
            "blink": np.clip(1.0 - np.abs(since - 0.11) / 0.11, 0.0, 1.0),
            "smile": smile,
            "mouth": speech,
            "brow": 0.4 * tilt(t),
        }

    return layer


def _facing(rng: np.random.Generator, *, away: float = 0.12) -> Motion:
    """Face the viewer more or less, sometimes sideways or (chance `away`) with the back."""
    heading = float(rng.choice([0.0, rng.uniform(-0.5, 0.5), rng.uniform(-1.3, 1.3)]))
    if rng.random() < away:
        heading += np.pi
    drift, amount = Drift(rng, 0.05, 0.2), rng.uniform(0.0, 0.3)
    return lambda t: {"heading": heading + amount * drift(t)}


def _weight_shift(rng: np.random.Generator, most: float = 0.09) -> Motion:
    sway, amount = Drift(rng, 0.15, 0.4), rng.uniform(0.03, most)
    stance, turn = rng.uniform(0.0, 0.12), rng.uniform(0.1, 0.45)

    def layer(t: np.ndarray) -> Values:
        s = sway(t)
        return {
            "pelvis_x": amount * s,
            "pelvis_roll": -0.9 * amount * s,
            "chest_roll": 1.3 * amount * s,
        } | mirrored({"foot_x": stance, "foot_turn": turn})

    return layer


def _idle(rng: np.random.Generator) -> list[Motion]:
    return [_facing(rng), _weight_shift(rng), resting_arms(rng)]


def _wave(rng: np.random.Generator) -> list[Motion]:
    side = str(rng.choice(["left", "right"]))
    out, swing = rng.uniform(1.2, 2.0), rng.uniform(0.25, 0.55)
    elbow, speed = rng.uniform(1.0, 1.5), rng.uniform(0.9, 1.8)
    phase = rng.uniform(0, 2 * np.pi)

    def layer(t: np.ndarray) -> Values:
        beat = np.sin(2 * np.pi * speed * t + phase)
        later = np.sin(2 * np.pi * speed * t + phase - 0.7)
        return {
            f"{side}_arm_out": out + 0.1 * beat,
            f"{side}_arm_forward": 1.42,
            f"{side}_arm_twist": 0.0,
            f"{side}_elbow": elbow + swing * beat,
            f"{side}_wrist_bend": 0.0,
            f"{side}_wrist_twist": 0.15 * later,
            f"{side}_curl": 0.08,
            f"{side}_spread": 0.9,
        }

    return [_facing(rng, away=0.0), _weight_shift(rng), resting_arms(rng), layer]


def _walk(rng: np.random.Generator) -> list[Motion]:
    speed, stride = rng.uniform(0.7, 1.2), rng.uniform(0.22, 0.38)
    height, swing = rng.uniform(0.07, 0.2), rng.uniform(0.4, 0.8)
    bend, phase = rng.uniform(0.2, 0.8), rng.uniform(0, 2 * np.pi)
    heading = float(rng.choice([0.0, -0.7, 0.7, -1.35, 1.35, rng.uniform(-np.pi, np.pi)]))
    wander, width = Drift(rng, 0.05, 0.15), rng.uniform(-0.02, 0.05)

    def layer(t: np.ndarray) -> Values:
        values: Values = {"heading": heading + 0.25 * wander(t)}
        base = 2 * np.pi * speed * t + phase
        for side, own in (("left", base), ("right", base + np.pi)):
            values |= {
                f"{side}_foot_z": stride * np.cos(own),
                f"{side}_foot_lift": height * np.maximum(-np.sin(own), 0) ** 1.4,
                f"{side}_foot_pitch": 0.75 * np.exp(3 * (np.cos(own - np.pi - 0.3) - 1))
                - 0.3 * np.exp(4 * (np.cos(own + 0.2) - 1)),
                f"{side}_foot_x": width,
                f"{side}_foot_turn": 0.08,
                f"{side}_arm_forward": -swing * np.cos(own - 0.15) + 0.05,
                f"{side}_elbow": bend + 0.25 * (1 - np.cos(own - 0.3)) * swing,
            }
        return values | {
            "pelvis_yaw": -0.14 * np.cos(base),
            "chest_yaw": 0.28 * np.cos(base),
            "pelvis_roll": 0.06 * np.sin(base),
            "chest_roll": -0.05 * np.sin(base),
            "chest_pitch": 0.05,
            "pelvis_x": -0.035 * np.sin(base),
        }

    return [resting_arms(rng, calm=True), layer]


def _turn(rng: np.random.Generator) -> list[Motion]:
    speed = rng.uniform(0.8, 2.2) * rng.choice([-1.0, 1.0])
    start, there_and_back = rng.uniform(-np.pi, np.pi), rng.random() < 0.3
    step_rate = rng.uniform(0.9, 1.4)
    carry = ArmKeys(rng, names=("down", "low_v", "hips", "open", "flex", "t_pose"), beats=6)

    def layer(t: np.ndarray) -> Values:
        heading = start + (2.2 * np.sin(speed * t / 2.2) if there_and_back else speed * t)
        step = 2 * np.pi * step_rate * t
        return {
            "heading": heading,
            "spin": speed * (np.cos(speed * t / 2.2) if there_and_back else 1.0),
            "left_foot_lift": 0.06 * np.maximum(np.sin(step), 0),
            "right_foot_lift": 0.06 * np.maximum(-np.sin(step), 0),
            "pelvis_x": -0.03 * np.sin(step),
            "chest_roll": 0.03 * np.sin(step),
            "head_yaw": 0.25 * np.sign(speed),
        }

    return [carry.layer(0.5), layer]


def _squat(rng: np.random.Generator) -> list[Motion]:
    rate, depth = rng.uniform(0.35, 0.6), rng.uniform(0.25, 0.5)
    phase, reach = rng.uniform(0, 2 * np.pi), rng.uniform(0.9, 1.6)
    out, elbow = rng.uniform(-0.15, 0.3), rng.uniform(0.1, 0.6)

    def layer(t: np.ndarray) -> Values:
        down = 0.5 - 0.5 * np.cos(2 * np.pi * rate * t + phase)
        return {
            "pelvis_drop": 0.02 + depth * down,
            "pelvis_z": -0.3 * depth * down,
            "pelvis_pitch": 0.9 * depth * down,
            "chest_pitch": 0.35 * depth * down,
            "head_pitch": -0.9 * depth * down,
        } | mirrored(
            {
                "foot_x": 0.1,
                "foot_turn": 0.45,
                "arm_forward": 0.1 + reach * down,
                "arm_out": 0.16 + out * down,
                "elbow": 0.25 + elbow * down,
                "curl": 0.2,
            }
        )

    return [_facing(rng), layer]


def _reach(rng: np.random.Generator) -> list[Motion]:
    side = str(rng.choice(["left", "right"]))
    sign = 1.0 if side == "left" else -1.0
    goal = rng.uniform([0.6, -0.1, -0.3], [2.7, 1.2, 0.3])  # arm out, forward, twist
    lean, rate = rng.uniform(0.05, 0.25), rng.uniform(0.3, 0.6)
    phase = rng.uniform(0, 2 * np.pi)

    def layer(t: np.ndarray) -> Values:
        go = ease(0.5 - 0.5 * np.cos(2 * np.pi * rate * t + phase))
        return {
            f"{side}_arm_out": 0.2 + (goal[0] - 0.2) * go,
            f"{side}_arm_forward": goal[1] * go,
            f"{side}_arm_twist": goal[2] * go,
            f"{side}_elbow": 0.9 - 0.8 * go,
            f"{side}_curl": 0.6 - 0.55 * go,
            f"{side}_spread": 0.2 + 0.6 * go,
            "chest_roll": -sign * lean * go,
            "pelvis_x": 0.09 * sign * go,
            "head_yaw": 0.4 * sign * go,
            "head_pitch": -0.12 * go,
        }

    return [_facing(rng), _weight_shift(rng, 0.05), resting_arms(rng), layer]


def _kick(rng: np.random.Generator) -> list[Motion]:
    rate, forward = rng.uniform(0.5, 0.85), rng.uniform(0.35, 0.75)
    height, aside = rng.uniform(0.2, 0.5), rng.uniform(0.0, 0.25)
    phase = rng.uniform(0, 2 * np.pi)
    arms, guard = ArmKeys(rng, names=("low_v", "guard", "open", "t_pose"), beats=2), rng.random()

    def layer(t: np.ndarray) -> Values:
        own = 2 * np.pi * rate * t + phase
        values: Values = {}
        for side, sign, wave in (("left", 1.0, np.sin(own)), ("right", -1.0, -np.sin(own))):
            up = np.maximum(wave, 0.0) ** 1.3
            values |= {
                f"{side}_foot_z": forward * up,
                f"{side}_foot_lift": height * up,
                f"{side}_foot_x": 0.03 + aside * up,
                f"{side}_foot_pitch": 0.5 * up,
            }
            values[f"{side}_arm_forward"] = -0.5 * wave + 0.2
            values[f"{side}_arm_out"] = 0.4 + 0.3 * np.abs(wave)
            values["pelvis_x"] = values.get("pelvis_x", 0.0) - 0.07 * sign * up
        values["pelvis_pitch"] = -0.12 * np.abs(np.sin(own))
        return values

    return [_facing(rng), *([arms.layer(rate)] if guard < 0.3 else [resting_arms(rng)]), layer]


def _dance(rng: np.random.Generator) -> list[Motion]:
    return [_facing(rng), *dance(rng)]


def _jumping_jack(rng: np.random.Generator) -> list[Motion]:
    rate, phase = rng.uniform(0.7, 1.0), rng.uniform(0, 2 * np.pi)
    height, wide = rng.uniform(0.05, 0.1), rng.uniform(0.2, 0.3)

    def layer(t: np.ndarray) -> Values:
        own = 2 * np.pi * rate * t + phase
        opened = ease(0.5 - 0.5 * np.cos(own))
        both_sides: Values = {
            "foot_x": wide * opened,
            "foot_pitch": 0.4 * np.sin(own) ** 2,
            "arm_out": 0.15 + 2.5 * opened,
            "elbow": 0.2 + 0.1 * opened,
            "curl": 0.15,
        }
        return mirrored(both_sides) | {"jump": height * np.sin(own) ** 2, "pelvis_drop": 0.03}

    return [_facing(rng), layer]


def _bow(rng: np.random.Generator) -> list[Motion]:
    rate, depth = rng.uniform(0.3, 0.5), rng.uniform(0.4, 0.9)
    phase = rng.uniform(0, 2 * np.pi)
    heading = rng.uniform(0.3, 1.4) * rng.choice([-1.0, 1.0])

    def layer(t: np.ndarray) -> Values:
        down = ease(0.5 - 0.5 * np.cos(2 * np.pi * rate * t + phase))
        return {
            "heading": heading,
            "pelvis_pitch": 0.6 * depth * down,
            "chest_pitch": 0.6 * depth * down,
            "head_pitch": 0.2 * down,
            "pelvis_z": -0.12 * depth * down,
        } | mirrored({"arm_forward": 0.5 * depth * down, "arm_out": 0.12 + 0.1 * down})

    return [resting_arms(rng, calm=True), layer]


def _jump(rng: np.random.Generator) -> list[Motion]:
    period, height, phase = rng.uniform(1.7, 2.0), rng.uniform(0.38, 0.52), rng.uniform(0, 0.3)
    aside, bend = rng.uniform(0.05, 0.15), rng.uniform(0.2, 0.35)

    def layer(t: np.ndarray) -> Values:
        turns = t / period + phase
        at = turns % 1.0
        flight = np.clip((at - 0.45) / 0.28, 0, 1)
        crouch = np.exp(-(((at - 0.35) / 0.09) ** 2)) + 0.7 * np.exp(-(((at - 0.80) / 0.07) ** 2))
        up = np.sin(np.pi * flight)
        place = aside * np.where(np.floor(turns) % 2 == 0, 1.0, -1.0) * (2 * flight - 1)
        return (
            {"jump": height * 4 * flight * (1 - flight), "pelvis_drop": 0.03 + bend * crouch}
            | {"pelvis_x": place, "chest_pitch": 0.5 * bend * crouch}
            | mirrored({"arm_out": 0.3 + 2.2 * up, "elbow": 0.2 + 0.3 * up, "foot_pitch": 0.4 * up})
            | {"left_foot_x": 0.06 + place, "right_foot_x": 0.06 - place}
        )

    return [_facing(rng), layer]


def _side_step(rng: np.random.Generator) -> list[Motion]:
    rate, phase = rng.uniform(0.8, 1.2), rng.uniform(0, 1)
    wide, lift, dip = rng.uniform(0.2, 0.3), rng.uniform(0.08, 0.16), rng.uniform(0.02, 0.05)

    def layer(t: np.ndarray) -> Values:
        at = rate * t + phase
        opened, lifted = np.abs(np.sin(np.pi * at)), lift * np.abs(np.sin(2 * np.pi * at))
        # One foot opens, the other closes; two steps to the left, two to the right.
        left = (at % 1.0 < 0.5) == (np.floor(at / 2) % 2 == 0)
        return {
            "pelvis_drop": 0.03 + dip * opened,
            "left_foot_lift": np.where(left, lifted, 0.0),
            "right_foot_lift": np.where(left, 0.0, lifted),
        } | mirrored({"foot_x": wide * opened})

    return [_facing(rng), resting_arms(rng), layer]


_KINDS: dict[str, Callable[[np.random.Generator], list[Motion]]] = {
    "idle": _idle,
    "wave": _wave,
    "walk": _walk,
    "turn": _turn,
    "squat": _squat,
    "reach": _reach,
    "kick": _kick,
    "dance": _dance,
    "jumping_jack": _jumping_jack,
    "bow": _bow,
}
#: Kinds that no seed draws, see `make_motion`: the carrying foot tells how these travel.
_TRAVELS = {"jump": _jump, "side_step": _side_step}
#: Every kind of motion that seeds draw.
MOTION_KINDS = tuple(_KINDS)
#: Kinds that only the test split contains.
HELD_OUT_KINDS = ("jumping_jack", "bow")
#: Kinds of the other splits; dances and turns come more often.
COMMON_KINDS = tuple(kind for kind in MOTION_KINDS if kind not in HELD_OUT_KINDS)
_COMMON_CHANCES = (0.08, 0.13, 0.16, 0.14, 0.09, 0.1, 0.08, 0.22)


def motion_from_seed(seed: int) -> MotionFromSeed:
    """Make up a motion.

    Args:
        seed: Any whole number from 0; the same seed always gives the same motion. A third of the
            seeds of the test split give kinds that no other seed gives.

    Raises:
        SettingsError: If the seed is negative or not a whole number.
    """
    check_seed(seed, "motion")
    rng = np.random.default_rng([_MOTION_STREAM, int(seed)])
    kind = str(rng.choice(COMMON_KINDS, p=_COMMON_CHANCES))
    if int(seed) in split_seeds("test", "motion") and rng.random() < 0.35:
        kind = str(rng.choice(HELD_OUT_KINDS))
    start = float(rng.uniform(0.0, 8.0))
    return MotionFromSeed(kind, start, (_alive(rng), *_KINDS[kind](rng)))


def make_motion(kind: str, seed: int) -> MotionFromSeed:
    """Make up a motion of a wanted kind: one of `MOTION_KINDS`, `jump` or `side_step`."""
    kinds = _KINDS | _TRAVELS
    rng = np.random.default_rng([_CHOSEN_STREAM, list(kinds).index(kind), int(seed)])
    return MotionFromSeed(kind, float(rng.uniform(0, 8)), (_alive(rng), *kinds[kind](rng)))


def standing() -> MotionFromSeed:
    """Stand still, facing the viewer, arms a little away from the body: a reference picture."""
    calm = mirrored({"arm_out": 0.45, "elbow": 0.2, "foot_x": 0.05}) | {"smile": 0.8}
    return MotionFromSeed("standing", 0.0, (lambda t: calm,))
