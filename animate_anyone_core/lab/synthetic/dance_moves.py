"""The vocabulary of dances: arm positions on beats, and what the legs do under them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

#: Channel values of a stretch of time: channel -> (F,), or one number for all of it.
Values = dict[str, np.ndarray | float]
#: A motion: seconds (F,) -> channel values.
Motion = Callable[[np.ndarray], Values]

#: Arm positions: out, forward, twist, elbow, wrist twist, curl, spread (see `rig.SIDE_CHANNELS`).
ARM_POSES: dict[str, tuple[float, ...]] = {
    "down": (0.18, 0.05, 0.0, 0.25, 0.0, 0.35, 0.2),
    "low_v": (0.7, 0.1, 0.0, 0.3, 0.0, 0.15, 0.5),
    "hips": (0.85, -0.35, -1.25, 1.75, 0.2, 0.5, 0.2),
    "t_pose": (1.5, 0.0, 0.0, 0.1, 0.0, 0.1, 0.4),
    "high_v": (2.3, 0.2, 0.0, 0.25, 0.0, 0.1, 0.8),
    "up": (2.75, 0.1, 0.0, 0.3, 0.3, 0.1, 0.5),
    "front": (0.15, 1.4, 0.0, 0.15, 0.0, 0.2, 0.3),
    "open": (0.9, 0.5, 0.3, 0.9, 0.6, 0.1, 0.6),
    "flex": (1.45, 1.5, 0.0, 1.75, 0.0, 0.95, 0.0),
    "guard": (0.35, 0.75, -0.2, 1.9, 0.0, 0.95, 0.0),
    "cross": (0.1, 0.6, -0.75, 1.5, 0.0, 0.4, 0.2),
    "head": (1.75, 1.15, -0.2, 2.0, 0.0, 0.3, 0.3),
    "point_up": (2.35, 0.35, 0.0, 0.08, 0.0, 0.5, 0.1),
    "point_down": (0.45, 0.6, -0.5, 0.25, 0.0, 0.5, 0.1),
    "side_bent": (1.1, 0.2, 0.2, 1.3, 0.2, 0.25, 0.4),
}
_ARM_CHANNELS = ("arm_out", "arm_forward", "arm_twist", "elbow", "wrist_twist", "curl", "spread")


class Drift:
    """A smooth random curve of time within -1..1, the same whenever it is asked."""

    def __init__(self, rng: np.random.Generator, slowest: float, fastest: float) -> None:
        self._frequency = 2 * np.pi * rng.uniform(slowest, fastest, 3)
        self._phase = rng.uniform(0, 2 * np.pi, 3)
        weight = rng.uniform(0.4, 1.0, 3)
        self._weight = weight / weight.sum()

    def __call__(self, seconds: np.ndarray) -> np.ndarray:
        """Give the curve at (F,) seconds."""
        return np.sin(seconds[:, None] * self._frequency + self._phase) @ self._weight


def ease(x: np.ndarray) -> np.ndarray:
    """Start and stop gently: 0..1 -> 0..1."""
    return x * x * (3.0 - 2.0 * x)


def mirrored(values: Values) -> Values:
    """Give both sides the same values."""
    return {f"{side}_{name}": v for name, v in values.items() for side in ("left", "right")}


class ArmKeys:
    """A loop of arm positions, one per beat, with gentle ways between them."""

    def __init__(self, rng: np.random.Generator, names: tuple[str, ...], beats: int) -> None:
        poses = np.array([ARM_POSES[name] for name in names])
        order = rng.integers(len(names), size=(beats, 2))
        style = rng.random()
        if style < 0.45:  # both arms alike
            order[:, 1] = order[:, 0]
        elif style < 0.8:  # one arm does what the other did a beat before
            order[:, 1] = np.roll(order[:, 0], 1)
        self._keys = poses[order] + rng.normal(0.0, 0.05, (beats, 2, poses.shape[1]))
        self._offset = rng.uniform(0, beats)
        self._sharpness = rng.uniform(1.0, 1.6)

    def layer(self, rate: float) -> Motion:
        """Give the arms as a motion with `rate` positions a second."""
        return lambda t: self._at(t * rate + self._offset)

    def _at(self, beat: np.ndarray) -> Values:
        count = len(self._keys)
        whole = np.floor(beat).astype(int)
        part = np.clip((beat - whole - 0.5) * self._sharpness + 0.5, 0.0, 1.0)
        blend = ease(part)[:, None, None]
        keys = self._keys[whole % count] * (1 - blend) + self._keys[(whole + 1) % count] * blend
        return {
            f"{side}_{name}": keys[:, s, c]
            for s, side in enumerate(("left", "right"))
            for c, name in enumerate(_ARM_CHANNELS)
        }


def resting_arms(rng: np.random.Generator, *, calm: bool = False) -> Motion:
    """Let the arms hang, or put a hand on the hip; `calm` only lets them hang."""
    choices = ("down",) if calm else ("down", "down", "down", "hips", "cross", "open", "low_v")
    poses = {side: np.array(ARM_POSES[str(rng.choice(choices))]) for side in ("left", "right")}
    if rng.random() < 0.4:
        poses["right"] = poses["left"]
    drifts = {side: Drift(rng, 0.15, 0.45) for side in poses}

    def layer(t: np.ndarray) -> Values:
        return {
            f"{side}_{name}": pose[c] + 0.07 * drifts[side](t)
            for side, pose in poses.items()
            for c, name in enumerate(_ARM_CHANNELS)
        }

    return layer


def dance(rng: np.random.Generator) -> list[Motion]:
    """Put a dance together: arms on beats over a groove of the legs, the head on the beat."""
    rate = float(rng.uniform(1.2, 2.1))  # beats a second
    groove = (_side_step, _twist, _bounce, _step_touch)[int(rng.integers(4))]
    arms = ArmKeys(rng, names=tuple(ARM_POSES), beats=int(rng.choice([4, 6, 8])))
    per_position = int(rng.choice([1, 2]))
    return [arms.layer(rate / per_position), groove(rng, rate), _head_on_beat(rng, rate)]


def _head_on_beat(rng: np.random.Generator, rate: float) -> Motion:
    nod, roll = rng.uniform(0.02, 0.14), rng.uniform(0.0, 0.16)

    def layer(t: np.ndarray) -> Values:
        beat = 2 * np.pi * rate * t
        return {"head_pitch": nod * np.sin(beat), "head_roll": roll * np.sin(beat / 2)}

    return layer


def _side_step(rng: np.random.Generator, rate: float) -> Motion:
    sway, dip = rng.uniform(0.1, 0.22), rng.uniform(0.02, 0.07)
    wide, lift = rng.uniform(0.14, 0.25), rng.uniform(0.0, 0.08)

    def layer(t: np.ndarray) -> Values:
        beat = np.pi * rate * t
        side = np.sin(beat)
        return {
            "pelvis_x": sway * side,
            "pelvis_drop": 0.03 + dip * np.cos(2 * beat) ** 2,
            "pelvis_roll": -0.5 * sway * side,
            "chest_roll": 0.9 * sway * side,
            "left_foot_x": wide,
            "right_foot_x": wide,
            "left_foot_lift": lift * np.maximum(-side, 0) ** 2,
            "right_foot_lift": lift * np.maximum(side, 0) ** 2,
            "left_foot_pitch": 0.5 * np.maximum(-side, 0) ** 2,
            "right_foot_pitch": 0.5 * np.maximum(side, 0) ** 2,
        }

    return layer


def _twist(rng: np.random.Generator, rate: float) -> Motion:
    amount, dip = rng.uniform(0.25, 0.5), rng.uniform(0.05, 0.14)

    def layer(t: np.ndarray) -> Values:
        beat = np.pi * rate * t
        turn = amount * np.sin(beat)
        return {
            "pelvis_yaw": turn,
            "chest_yaw": -1.5 * turn,
            "head_yaw": 0.5 * turn,
            "pelvis_drop": 0.04 + dip * (0.5 + 0.5 * np.sin(2 * beat)),
            "left_foot_turn": 0.2 + 0.8 * turn,
            "right_foot_turn": 0.2 - 0.8 * turn,
            "left_foot_x": 0.08,
            "right_foot_x": 0.08,
        }

    return layer


def _bounce(rng: np.random.Generator, rate: float) -> Motion:
    dip, lean = rng.uniform(0.06, 0.14), rng.uniform(0.0, 0.12)

    def layer(t: np.ndarray) -> Values:
        beat = 2 * np.pi * rate * t
        return {
            "pelvis_drop": 0.02 + dip * (0.5 - 0.5 * np.cos(beat)),
            "chest_pitch": 0.05 + 0.06 * np.sin(beat),
            "chest_roll": lean * np.sin(beat / 2),
            "pelvis_x": 0.4 * lean * np.sin(beat / 2),
            "left_foot_x": 0.1,
            "right_foot_x": 0.1,
        }

    return layer


def _step_touch(rng: np.random.Generator, rate: float) -> Motion:
    lift, forward = rng.uniform(0.12, 0.35), rng.uniform(0.0, 0.3)
    sway = rng.uniform(0.04, 0.1)

    def layer(t: np.ndarray) -> Values:
        beat = np.pi * rate * t
        values: Values = {"pelvis_x": sway * np.sin(beat), "chest_yaw": 0.15 * np.sin(beat)}
        for side, wave in (("left", -np.sin(beat)), ("right", np.sin(beat))):
            up = np.maximum(wave, 0.0) ** 1.5
            values |= {
                f"{side}_foot_lift": lift * up,
                f"{side}_foot_z": forward * up,
                f"{side}_foot_pitch": 0.6 * up,
            }
        return values | {"pelvis_drop": 0.03 + 0.04 * np.cos(beat) ** 2}

    return layer
