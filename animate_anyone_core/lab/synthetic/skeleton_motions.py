"""Motions of made-up people: bone directions over time.

A motion knows no body: any `Body` can perform it (`skeletons.py`), which is what makes the answer
of a retargeting task exact. Every bone has two angles in the person's own axes: `spread` within the
plane of the chest, and `forward` out of it towards the front. `depth` multiplies all forward angles
and turns of the body, so depth 0 is a paper puppet and depth 1 a person in space.

Convention: person's axes are x to the person's left, y down, z to the back; a person with yaw 0
looks into the camera and the axes are the world's. Angles are radians. Limbs at (0, 0) hang
straight down, torso and neck at (0, 0) point straight up, shoulder and hip lines at (0, 0) lie
level. Frames are 30 per second. Symbols: F frames.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from .skeleton_bodies import ADULT

BONES = (
    "torso",
    "shoulders",
    "hips",
    "neck",
    "right_upper_arm",
    "right_forearm",
    "left_upper_arm",
    "left_forearm",
    "right_thigh",
    "right_shin",
    "left_thigh",
    "left_shin",
)
SIDES = {"right": -1.0, "left": 1.0}


@dataclass
class Motion:
    """Bone directions and the rest that any body needs to perform a clip.

    Attributes:
        spread: Bone name -> (F,) angle within the plane of the chest. Limbs: to the person's left.
        forward: Bone name -> (F,) angle towards the front (for the lines: of the left end).
        yaw: (F,) turn of the whole body about the vertical; positive turns the face to the
            person's right.
        head: (F, 3) yaw, pitch (down) and roll of the head on top of the body's yaw.
        lift: (F,) height of the lower foot above the ground in leg lengths.
        drift: (F,) steps of the pelvis along world x in leg lengths, used while airborne.
        curl: (F,) bend of the finger joints.
        mouth_open: (F,) 0 to 1.
        foot_pitch: (F, 2) toes-down angle of the right and left foot.
    """

    spread: dict[str, np.ndarray]
    forward: dict[str, np.ndarray]
    yaw: np.ndarray
    head: np.ndarray
    lift: np.ndarray
    drift: np.ndarray
    curl: np.ndarray
    mouth_open: np.ndarray
    foot_pitch: np.ndarray

    @property
    def num_frames(self) -> int:
        """Number of frames F."""
        return len(self.yaw)


@dataclass
class Timeline:
    """What a clip's function draws with: time, randomness, and the angles it fills in.

    Attributes:
        num_frames: Frames F.
        depth: Factor of everything that leaves the picture plane.
        generator: Source of the clip's individual touch.
    """

    num_frames: int
    depth: float
    generator: np.random.Generator
    spread: dict[str, np.ndarray] = field(default_factory=dict)
    forward: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.frame = np.arange(self.num_frames, dtype=np.float64)
        for bone in BONES:
            self.spread[bone] = np.zeros(self.num_frames)
            self.forward[bone] = np.zeros(self.num_frames)
        self.yaw = np.zeros(self.num_frames)
        self.lift = np.zeros(self.num_frames)
        self.drift = np.zeros(self.num_frames)

    def wave(self, period: float, phase: float = 0.0) -> np.ndarray:
        """Return a sine over the frames; `phase` in turns."""
        return np.sin(2 * np.pi * (self.frame / period + phase))

    def vary(self, value: float, share: float = 0.15) -> float:
        """Return `value` changed at random by up to `share` of itself."""
        return value * float(self.generator.uniform(1 - share, 1 + share))

    def drift_slowly(self, amplitude: float) -> np.ndarray:
        """Return a smooth random curve of about the given amplitude."""
        g = self.generator
        return (amplitude / 1.5) * sum(
            (self.wave(g.uniform(35, 130), g.uniform()) for _ in range(3)),
            start=np.zeros(self.num_frames),
        )

    def arms(self, spread: float, bend: float) -> None:
        """Let both arms hang: upper arms out by `spread`, elbows bent forwards and in by `bend`."""
        for name, side in SIDES.items():
            self.spread[f"{name}_upper_arm"] = side * (spread + self.drift_slowly(0.08))
            self.spread[f"{name}_forearm"] = side * (spread - 0.5 * bend + self.drift_slowly(0.10))
            self.forward[f"{name}_upper_arm"] = 0.10 + self.drift_slowly(0.45)
            self.forward[f"{name}_forearm"] = 0.25 + 0.5 * bend + self.drift_slowly(0.50)

    def legs(self, spread: float) -> None:
        """Stand still with both legs out by `spread`."""
        for name, side in SIDES.items():
            turned_out = self.generator.uniform(-0.15, 0.25)
            self.spread[f"{name}_thigh"] = np.full(self.num_frames, side * spread)
            self.spread[f"{name}_shin"] = np.full(self.num_frames, side * 0.6 * spread)
            self.forward[f"{name}_thigh"] = np.full(self.num_frames, turned_out)
            self.forward[f"{name}_shin"] = np.full(self.num_frames, -0.5 * abs(turned_out))

    def trunk(self, sway: float = 0.05) -> None:
        """Let torso, neck and the shoulder line move a little, as they always do."""
        self.spread["torso"] = self.drift_slowly(sway)
        self.forward["torso"] = 0.05 + self.drift_slowly(0.15)
        self.spread["neck"] = self.drift_slowly(1.2 * sway)
        self.forward["neck"] = 0.15 + self.drift_slowly(0.20)
        self.spread["shoulders"] = self.drift_slowly(0.8 * sway)
        self.forward["shoulders"] = self.drift_slowly(0.30)

    def hips(self, sway: float = 0.05) -> None:
        """Let the hip line move (not where both feet stay put: their places would move too)."""
        self.spread["hips"] = self.drift_slowly(0.8 * sway)
        self.forward["hips"] = self.drift_slowly(0.25)

    def flex(self, side: str, bend: np.ndarray, sideways: float = 0.35) -> None:
        """Lift a foot by bending hip and knee; `bend` (F,) in radians, 0 is straight."""
        sign = SIDES[side]
        self.spread[f"{side}_thigh"] = self.spread[f"{side}_thigh"] + sign * sideways * bend
        self.spread[f"{side}_shin"] = self.spread[f"{side}_shin"] - sign * 0.7 * bend
        self.forward[f"{side}_thigh"] = self.forward[f"{side}_thigh"] + 0.7 * bend
        self.forward[f"{side}_shin"] = self.forward[f"{side}_shin"] - 0.6 * bend

    def finish(self) -> Motion:
        """Return the motion with head, hands and mouth alive."""
        swing = self.depth * self.drift_slowly(0.35)
        nod = self.depth * self.drift_slowly(0.15)
        tilt = self.spread["neck"] + self.drift_slowly(0.06)
        foot_pitch = np.repeat(np.clip(self.lift, 0.0, 0.6)[:, None], 2, axis=1)
        return Motion(
            spread=self.spread,
            forward={name: self.depth * angle for name, angle in self.forward.items()},
            yaw=self.depth * self.yaw,
            head=np.stack([swing, nod, tilt], axis=-1),
            lift=self.lift,
            drift=self.drift,
            curl=0.25 + 0.2 * (1 + self.drift_slowly(0.8)),
            mouth_open=np.clip(self.drift_slowly(0.8), 0, 1),
            foot_pitch=foot_pitch,
        )


def _walk(t: Timeline) -> None:
    """Walk to the person's left; the legs swing like those of somebody seen from the side."""
    t.trunk()
    t.hips()
    t.arms(spread=0.05, bend=0.5)
    period, reach = t.vary(60), t.vary(0.24)
    phase = t.generator.uniform()
    for name, shift in (("right", 0.0), ("left", 0.5)):
        swing = t.wave(period, phase + shift)
        forwards = np.clip(t.wave(period, phase + shift + 0.25), 0, None)  # the foot is in the air
        t.spread[f"{name}_thigh"] = reach * swing
        t.spread[f"{name}_shin"] = reach * swing - 0.6 * forwards
        t.forward[f"{name}_thigh"] = 0.1 * swing
        t.spread[f"{name}_upper_arm"] = -0.6 * reach * swing
        t.spread[f"{name}_forearm"] = -0.6 * reach * swing + 0.35
    t.yaw = np.full(t.num_frames, t.generator.uniform(-0.9, -0.4)) + t.drift_slowly(0.15)


def _wave(t: Timeline) -> None:
    """Stand on both feet, raise an arm and wave."""
    t.trunk(0.08)
    t.arms(spread=0.25, bend=0.4)
    t.legs(t.vary(0.12))
    name, side = ("right", -1.0) if t.generator.uniform() < 0.5 else ("left", 1.0)
    up = 0.5 - 0.5 * np.cos(2 * np.pi * t.frame / max(t.num_frames - 1, 1))
    t.spread[f"{name}_upper_arm"] = side * (0.25 + t.vary(1.5) * up)
    t.spread[f"{name}_forearm"] = side * (0.2 + up * (2.4 + 0.6 * t.wave(t.vary(16))))
    t.forward[f"{name}_forearm"] = 0.3 + t.drift_slowly(0.4)


def _step_in_place(t: Timeline, period: float, height: float) -> None:
    """Lift the right and the left foot in turns."""
    phase = t.generator.uniform()
    beat = t.wave(period, phase)
    t.flex("right", height * np.clip(beat, 0, None))
    t.flex("left", height * np.clip(-beat, 0, None))


def _dance(t: Timeline) -> None:
    """Step to the beat with wide arms and a swaying trunk."""
    t.trunk(0.14)
    t.hips()
    t.legs(t.vary(0.15))
    beat = t.vary(30)
    _step_in_place(t, beat, t.vary(0.8))
    for name, side in SIDES.items():
        lag = t.generator.uniform()
        t.spread[f"{name}_upper_arm"] = side * (1.1 + 0.7 * t.wave(2 * beat, lag))
        t.spread[f"{name}_forearm"] = side * (1.4 + 1.0 * t.wave(beat, lag + 0.1))
        t.forward[f"{name}_upper_arm"] = 0.5 * t.wave(1.5 * beat, lag + 0.3)
        t.forward[f"{name}_forearm"] = 0.3 + 0.6 * t.wave(beat, lag + 0.6)


def _bend_knees(t: Timeline, down: np.ndarray, apart: float) -> None:
    """Bend both knees by `down` (F,) in [0, 1] with the feet kept in place.

    The performer is an adult, so it is an adult's shins that make up for the thighs; on another
    body the same directions move the feet apart or together a little.
    """
    across = ADULT.leg * np.sin(apart) * 0.95
    for name, side in SIDES.items():
        thigh, ahead, shin_ahead = apart + 0.45 * down, 0.15 + 0.8 * down, -0.1 - 0.5 * down
        left_over = across - ADULT.thigh * np.sin(thigh) * np.cos(t.depth * ahead)
        shin = np.arcsin(np.clip(left_over / (ADULT.shin * np.cos(t.depth * shin_ahead)), -1, 1))
        t.spread[f"{name}_thigh"], t.spread[f"{name}_shin"] = side * thigh, side * shin
        t.forward[f"{name}_thigh"], t.forward[f"{name}_shin"] = ahead, shin_ahead


def _squat(t: Timeline) -> None:
    """Bend both knees with the feet kept in place, arms forward."""
    t.trunk(0.04)
    t.arms(spread=0.3, bend=0.2)
    down = 0.5 - 0.5 * np.cos(2 * np.pi * t.frame / t.vary(60))
    _bend_knees(t, down, apart=t.vary(0.16))
    for name, side in SIDES.items():
        t.spread[f"{name}_upper_arm"] = side * (0.3 + 0.8 * down)
        t.forward[f"{name}_upper_arm"] = 0.9 * down + t.drift_slowly(0.2)
    t.forward["torso"] = 0.1 + 0.4 * down


def _turn(t: Timeline) -> None:
    """Turn to one side and to the other with small steps."""
    t.trunk()
    t.hips()
    t.arms(spread=0.35, bend=0.6)
    t.legs(t.vary(0.14))
    _step_in_place(t, t.vary(28), 0.45)
    t.yaw = t.vary(1.2) * t.wave(t.vary(110), t.generator.uniform())


def _jump(t: Timeline) -> None:
    """Crouch, jump with the arms thrown up, land and do it again."""
    t.trunk(0.04)
    t.arms(spread=0.3, bend=0.3)
    period = t.vary(56, 0.1)
    at = (t.frame / period + t.generator.uniform(0, 0.3)) % 1.0
    crouch = np.exp(-(((at - 0.35) / 0.09) ** 2)) + 0.7 * np.exp(-(((at - 0.80) / 0.07) ** 2))
    flight = np.clip((at - 0.45) / 0.28, 0, 1)
    t.lift = t.vary(0.45) * 4 * flight * (1 - flight)
    _bend_knees(t, 0.8 * crouch, apart=t.vary(0.12))
    for name, side in SIDES.items():
        t.spread[f"{name}_upper_arm"] = side * (0.3 + 2.2 * np.sin(np.pi * flight))
        t.spread[f"{name}_forearm"] = side * (0.2 + 2.4 * np.sin(np.pi * flight))
    t.drift = np.full(t.num_frames, t.generator.uniform(-0.01, 0.01))


def _kick(t: Timeline) -> None:
    """Stand on one leg and kick with the other, then change."""
    t.trunk(0.08)
    t.hips()
    t.arms(spread=0.7, bend=0.5)
    t.legs(0.1)
    beat = t.wave(t.vary(80), t.generator.uniform())
    for name, side, lifted in (("right", -1.0, beat), ("left", 1.0, -beat)):
        kick = np.clip(lifted, 0, None) ** 2
        t.spread[f"{name}_thigh"] = t.spread[f"{name}_thigh"] + side * 1.1 * kick
        t.spread[f"{name}_shin"] = t.spread[f"{name}_shin"] + side * (1.3 * kick - 0.3 * kick**4)
        t.forward[f"{name}_thigh"] = t.forward[f"{name}_thigh"] + 0.6 * kick
        t.forward[f"{name}_shin"] = t.forward[f"{name}_shin"] + 0.4 * kick


def _side_step(t: Timeline) -> None:
    """Travel sideways: one foot steps out, the other closes, then back again."""
    t.trunk(0.08)
    t.hips()
    t.arms(spread=0.5, bend=0.8)
    period = t.vary(30)
    at = t.frame / period + t.generator.uniform()
    heading = np.where(np.floor(at / 2) % 2 == 0, 1.0, -1.0)
    opened = np.abs(np.sin(np.pi * at))
    for name, side in SIDES.items():
        t.spread[f"{name}_thigh"] = side * (0.06 + 0.32 * opened)
        t.spread[f"{name}_shin"] = side * (0.04 + 0.26 * opened)
        t.forward[f"{name}_thigh"] = 0.1 + t.drift_slowly(0.08)
    leads = (at % 1.0) < 0.5  # while opening the leading foot is in the air, then the other
    left_in_air = leads == (heading > 0)
    lifted = 0.35 * np.abs(np.sin(2 * np.pi * at))
    t.flex("left", np.where(left_in_air, lifted, 0.0), sideways=0.1)
    t.flex("right", np.where(left_in_air, 0.0, lifted), sideways=0.1)


CLIPS: dict[str, Callable[[Timeline], None]] = {
    "walk": _walk,
    "wave": _wave,
    "dance": _dance,
    "squat": _squat,
    "turn": _turn,
    "jump": _jump,
    "kick": _kick,
    "side_step": _side_step,
}


def make_motion(clip: str, num_frames: int = 120, depth: float = 1.0, seed: int = 0) -> Motion:
    """Make a named motion with individual timing and amplitudes.

    Args:
        clip: A key of `CLIPS`.
        num_frames: Frames F, at least 1.
        depth: 0 for a planar puppet, 1 for a person in space with foreshortened limbs.
        seed: The same seed gives the same motion.
    """
    timeline = Timeline(num_frames, depth, np.random.default_rng([seed, list(CLIPS).index(clip)]))
    CLIPS[clip](timeline)
    return timeline.finish()


def make_still(depth: float = 1.0, seed: int = 0) -> Motion:
    """Make the single frame of a reference picture: somebody standing in a pose of their own."""
    generator = np.random.default_rng([seed, 1000])
    t = Timeline(1, depth, generator)
    draw = generator.uniform
    for bone in ("torso", "neck", "shoulders", "hips"):
        t.spread[bone][:] = draw(-0.08, 0.08)
        t.forward[bone][:] = draw(-0.30, 0.30)
    for name, side in SIDES.items():
        upper, leg = draw(0.1, 1.2), draw(0.03, 0.25)
        t.spread[f"{name}_upper_arm"][:] = side * upper
        t.spread[f"{name}_forearm"][:] = side * (upper + draw(-1.0, 1.6))
        t.forward[f"{name}_upper_arm"][:] = draw(-0.5, 0.7)
        t.forward[f"{name}_forearm"][:] = draw(-0.1, 0.9)
        t.spread[f"{name}_thigh"][:] = side * leg
        t.spread[f"{name}_shin"][:] = side * leg * draw(0.2, 1.1)
        t.forward[f"{name}_thigh"][:] = draw(-0.15, 0.40)
        t.forward[f"{name}_shin"][:] = draw(-0.35, 0.10)
    t.yaw[:] = draw(-0.4, 0.4)
    return t.finish()
