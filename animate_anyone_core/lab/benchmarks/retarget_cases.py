"""Retargeting tasks with exact answers: a motion of the rig, performed with the bones of two bodies.

The rig gives every bone its direction over time; whoever performs has a length for every bone. So the
exact answer to "this driver, that character" is the driver's directions with the character's lengths.
Performers stand on the ground with a foot that does not slip, which makes them travel, and an
orthographic camera looks at them. Every joint is visible, those behind too.

Convention: world axes are the rig's: x to the right of the picture, y up, z towards the viewer; the
ground is y = 0 and the lower ankle of whoever stands lies on it. Lengths are pixels. Keypoints
stand in the order of `pose/skeleton.py`, the middle of the hips behind them. Symbols: F frames, K
keypoints.
"""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from ...pose.bones import BODY_TREE, MID_HIP, RIGID_PARTS
from ...pose.skeleton import (
    ANKLES,
    EYES,
    FACE,
    HIPS,
    LEFT_HAND,
    NECK,
    NOSE,
    NUM_KEYPOINTS,
    RIGHT_HAND,
    SHOULDERS,
    PoseSequence,
)
from ..synthetic.characters import BUILDS, Body, Character, character_from_seed, make_body
from ..synthetic.keypoints import HEAD_JOINTS, RIG_JOINTS, face_directions, head_spots, head_view
from ..synthetic.motions import make_motion
from ..synthetic.rig import SIDES, Track, pose_body

CLIPS = ("walk", "wave", "dance", "squat", "turn", "jump", "kick", "side_step")
FPS = 30.0

#: Length in pixels of every bone group of `pose/bones.py`, of `foot` and `face`; left and right alike,
#: `shoulders` and `hips` from the middle to one side.
Lengths = dict[str, float]

#: Name -> build, factors on single bones, height in pixels. The two bones of a limb differ on purpose:
#: a retargeter that assumes they are equal must not be flattered.
_LONG = {"upper_arm": 1.12, "forearm": 1.22, "thigh": 1.12, "shin": 1.22, "shoulders": 0.95}
_SHORT = {"head": 1.4, "face": 1.4, "upper_arm": 0.8, "forearm": 0.7, "thigh": 0.75, "shin": 0.85}
PEOPLE: dict[str, tuple[str, Lengths, float]] = {
    "adult": ("adult", {}, 820.0),
    "lanky": ("tall", _LONG, 900.0),
    "chibi": ("chibi", _SHORT, 640.0),
    "child": ("child", {"shin": 1.05}, 700.0),
    "broad": ("stocky", {"shoulders": 1.1, "torso": 1.05}, 800.0),
}
DRIVER_HEIGHT, OTHERS_HEIGHT = 700.0, 800.0
# How far people turn from the camera, radians: a clip, and a reference picture.
TURN, TURN_OF_STILLS = 0.9, 0.4

#: Channel -> its value in a picture without depth: nothing turns or leans out of the plane, elbows
#: and knees bend outwards (the rig turns a knee by half of the foot's turn).
PLANAR = {"heading": 0.0, "pelvis_z": 0.0} | {
    f"{part}_{turn}": 0.0 for part in ("pelvis", "chest", "head") for turn in ("yaw", "pitch")
}
PLANAR |= {
    f"{side}_{name}": value
    for side in SIDES
    for name, value in (("arm_forward", 0), ("arm_twist", np.pi / 2), ("foot_turn", np.pi))
}
#: Kind of reference picture -> channels that make it. On a chair thighs point at the viewer. The
#: heading of a picture keeps its side.
STILLS: dict[str, dict[str, float]] = {
    "standing": {},
    "seated": {"pelvis_drop": 0.5}
    | {
        f"{side}_{name}": value
        for side in SIDES
        for name, value in (("foot_z", 0.45), ("foot_x", 0.05))
    },
    "three-quarter": {"heading": 0.8},
}
_PERSON_STREAM = 404


@cache
def performer() -> Character:
    """The adult whose joints give the bones their directions."""
    seeds = (character_from_seed(seed) for seed in range(100))
    return next(character for character in seeds if character.build == "adult")


def bone_lengths(body: Body) -> Lengths:
    """Give the bone groups of a rig's body, in body heights."""
    same = ("head", "upper_arm", "forearm", "hand", "thigh", "shin", "foot")
    return {name: getattr(body, name) for name in same} | {
        "torso": body.lower_torso + body.upper_torso,
        "shoulders": body.shoulder,
        "hips": body.hip,
        "neck": body.neck + 0.5 * body.head,
        "face": body.head,
    }


def standing_height(lengths: Lengths) -> float:
    """Give the height from ankles to crown."""
    return sum(lengths[g] for g in ("thigh", "shin", "torso", "neck")) + 0.5 * lengths["head"]


def scaled_to(lengths: Lengths, height: float) -> Lengths:
    """Give the same proportions with another height."""
    own = standing_height(lengths)
    return {group: height / own * length for group, length in lengths.items()}


def make_person(name: str) -> Lengths:
    """Give the bones of one of `PEOPLE`."""
    build, factors, height = PEOPLE[name]
    rng = np.random.default_rng([_PERSON_STREAM, BUILDS.index(build)])
    body = performer().body if name == "adult" else make_body(rng, build)
    lengths = bone_lengths(body)
    return scaled_to({group: x * factors.get(group, 1.0) for group, x in lengths.items()}, height)


def random_person(rng: np.random.Generator) -> Lengths:
    """Draw any build, and change arms, legs, head and every single bone by a factor of their own."""
    lengths = bone_lengths(make_body(rng, str(rng.choice(BUILDS))))
    factors = {group: rng.normal(0, 0.08) for group in lengths}
    for part in (("upper_arm", "forearm", "hand"), ("thigh", "shin", "foot"), ("head", "neck")):
        together = rng.normal(0, 0.15)
        factors |= {group: factors[group] + together for group in part}
    lengths = {group: float(length * np.exp(factors[group])) for group, length in lengths.items()}
    return scaled_to(lengths | {"face": lengths["head"]}, OTHERS_HEIGHT)


@dataclass(frozen=True)
class Performance:
    """What anybody needs to perform a motion.

    Attributes:
        points: (F, K + 1, 3) the rig's adult, in body heights.
        depth: What is left of the bones' depth: at 0 they lie in the picture's plane.
        lift: (F,) height of the lower ankle above the ground, in leg lengths.
        way: (F - 1, 2) of the pelvis along x and z to the next frame, in leg lengths.
        airborne: (F,) True during a jump.
    """

    points: np.ndarray
    depth: float
    lift: np.ndarray
    way: np.ndarray
    airborne: np.ndarray


def turned(track: Track, depth: float, turn: float) -> Track:
    """Let a dancer face the camera, and take what leaves the picture's plane times `depth`.

    Args:
        track: Any channels, with any heading.
        depth: 0 for a planar puppet, 1 for a person in space with foreshortened limbs.
        turn: Largest heading in radians.
    """
    track = track.with_values({"heading": turn * np.sin(track["heading"])})
    values = {name: depth * track[name] + (1 - depth) * flat for name, flat in PLANAR.items()}
    for side, sign in SIDES.items():  # in the plane a walk forwards is one to the left
        ahead = track[f"{side}_foot_z"]
        values[f"{side}_foot_z"] = depth * ahead
        values[f"{side}_foot_x"] = track[f"{side}_foot_x"] + (1 - depth) * sign * ahead
    return track.with_values(values)


def perform(track: Track, depth: float = 1.0) -> Performance:
    """Let the rig's adult perform."""
    character = performer()
    posed = pose_body(character.body, track)
    points = np.zeros((track.num_frames, NUM_KEYPOINTS + 1, 3))
    for index, name in RIG_JOINTS.items():
        points[:, index] = posed.joints[name]
    points[:, NECK] = points[:, SHOULDERS].mean(axis=1)
    points[:, MID_HIP] = points[:, HIPS].mean(axis=1)
    points[:, LEFT_HAND], points[:, RIGHT_HAND] = (posed.joints[f"{s}_hand"] for s in SIDES)
    head, middle = head_view(character, posed, np.array([0, 0, 1.0])), posed.joints["head"][:, None]
    points[:, HEAD_JOINTS] = middle + head.in_space(head_spots(character.face)[None])
    points[:, FACE] = middle + head.in_space(face_directions(character.face, track))
    leg = character.body.thigh + character.body.shin
    lift = np.maximum(points[:, ANKLES, 1].min(axis=1) - character.body.ankle, 0.0) / leg
    way = np.diff(points[:, MID_HIP], axis=0)[:, [0, 2]] / leg
    return Performance(points, depth, lift, way, track["jump"] > 0)


def joints_about_pelvis(lengths: Lengths, performance: Performance) -> np.ndarray:
    """Give a body with these lengths and the performer's directions, (F, K + 1, 3), hips at 0."""
    own, old = bone_lengths(performer().body), performance.points
    joints = np.zeros_like(old)
    for joint, parent, group in BODY_TREE:
        bone = old[:, joint] - old[:, parent]
        if group == "head":  # rigid, as all that hangs at a joint
            bone = bone * lengths[group] / own[group]
        else:
            bone = bone * np.array([1.0, 1.0, performance.depth])
            bone = bone * lengths[group] / np.linalg.norm(bone, axis=-1, keepdims=True)
        joints[:, joint] = joints[:, parent] + bone
    for part, joint, group in RIGID_PARTS:
        about = old[:, part] - old[:, joint, None]
        joints[:, part] = joints[:, joint, None] + about * lengths[group] / own[group]
    return joints - joints[:, MID_HIP, None]


def find_stance(performance: Performance) -> np.ndarray:
    """Find the performer's weight on the right and left foot during each step: (F - 1, 2).

    The lower foot carries, or both where they are level within 0.4 % of a leg, or none in the air.
    """
    own = bone_lengths(performer().body)
    heights = joints_about_pelvis(own, performance)[:, ANKLES, 1]
    level = 0.004 * (own["thigh"] + own["shin"])
    airborne = performance.airborne[:, None]
    down = (heights <= heights.min(axis=1, keepdims=True) + level) & ~airborne
    both_ends = down[:-1] & down[1:]
    either_end = (down[:-1] | down[1:]) & ~(airborne[:-1] & airborne[1:])
    carries = np.where(both_ends.any(axis=1, keepdims=True), both_ends, either_end)
    return carries / np.maximum(carries.sum(axis=1, keepdims=True), 1)


def place_joints(lengths: Lengths, performance: Performance, stance: np.ndarray) -> np.ndarray:
    """Let a body perform on the ground.

    Args:
        lengths: Whose bones.
        performance: What.
        stance: (F - 1, 2) from `find_stance`: all imitators stand on the performer's foot.

    Returns:
        (F, K + 1, 3) with the pelvis at x = z = 0 in frame 0. While one foot carries it does not
        move along x and z; the lower ankle is on the ground or `lift` above it.
    """
    joints, leg = joints_about_pelvis(lengths, performance), lengths["thigh"] + lengths["shin"]
    feet = joints[:, ANKLES]
    steps = -(stance[..., None] * np.diff(feet[..., [0, 2]], axis=0)).sum(axis=1)
    steps = np.where(stance.any(axis=1, keepdims=True), steps, leg * performance.way)
    pelvis = np.zeros((len(joints), 1, 3))
    pelvis[1:, 0, [0, 2]] = np.cumsum(steps, axis=0)
    pelvis[:, 0, 1] = leg * performance.lift - feet[..., 1].min(axis=1)
    return joints + pelvis


def project(
    joints: np.ndarray, origin: tuple[float, float], width: int, height: int
) -> PoseSequence:
    """Look at joints (F, K + 1, 3) with an orthographic camera that has the world's 0 at `origin`."""
    points = np.array(origin) + joints[:, None, :NUM_KEYPOINTS, :2] * (1.0, -1.0)
    return PoseSequence(points, np.ones(points.shape[:3]), width, height, FPS)


@dataclass(frozen=True)
class RetargetCase:
    """A retargeting task with its exact answer.

    Attributes:
        driver: The performer, an adult, in 720x1280.
        reference: One frame of the character in another pose, in 768x1024.
        exact: The character performing the driver's motion, on the reference's canvas. Its ground
            is the reference's lower ankle, its neck in frame 0 is above the reference's neck.
        stance: (F - 1, 2) weight on the right and left foot during each step to the next frame.
        body_height: Height of the standing character in pixels.
        ratios: True ratio of every bone group, reference over driver.
    """

    driver: PoseSequence
    reference: PoseSequence
    exact: PoseSequence
    stance: np.ndarray
    body_height: float
    ratios: Lengths


def make_clip(
    clip: str, num_frames: int = 120, depth: float = 1.0, seed: int = 0, away: bool = False
) -> Performance:
    """Make a named motion of `CLIPS`; `depth` as in `turned`, `away` seen from behind."""
    track = make_motion(clip, seed).track(np.arange(num_frames) / FPS)
    track = turned(track, depth, TURN)
    if away:
        track = track.with_values({"heading": np.pi + track["heading"]})
    return perform(track, depth)


def make_still(depth: float = 1.0, seed: int = 0, kind: str = "standing") -> Performance:
    """Make the single frame of a reference picture: somebody in a pose of their own; see `STILLS`."""
    track = turned(make_motion("idle", seed).track(np.zeros(1)), depth, TURN_OF_STILLS)
    turn = float(np.sign(track["heading"][0])) or 1.0
    values = STILLS[kind] | {
        "heading": turn * STILLS[kind].get("heading", abs(track["heading"][0]))
    }
    return perform(track.with_values(values), depth)


def make_retarget_case(
    clip: str,
    person: str | Lengths,
    depth: float = 1.0,
    num_frames: int = 120,
    seed: int = 0,
    *,
    still: str = "standing",
    away: bool = False,
) -> RetargetCase:
    """Make a driver clip, a reference picture and the exact answer.

    Args:
        clip: One of `CLIPS`.
        person: A key of `PEOPLE`, or lengths of one's own.
        depth: 0 for planar motion and picture, 1 for foreshortened limbs in both.
        num_frames: Frames of the clip.
        seed: Seed of the motion and of the reference's pose.
        still: A key of `STILLS`: how the reference holds itself.
        away: The driver is seen from behind: nose, eyes and face are hidden.
    """
    actor = scaled_to(bone_lengths(performer().body), DRIVER_HEIGHT)
    lengths = make_person(person) if isinstance(person, str) else person
    motion = make_clip(clip, num_frames, depth, seed, away)
    picture = make_still(depth, seed * len(CLIPS) + CLIPS.index(clip), still)
    stance = find_stance(motion)
    driver, exact = (place_joints(who, motion, stance) for who in (actor, lengths))
    pictured = place_joints(lengths, picture, find_stance(picture))
    middle = 360.0 - 0.5 * (driver[:, NECK, 0].min() + driver[:, NECK, 0].max())
    height = standing_height(lengths)
    ground, x = 512.0 + 0.5 * height, 384.0
    filmed = project(driver, (middle, 1100.0), 720, 1280)
    if away:
        filmed.scores[:, 0, [NOSE, *EYES, *range(FACE.start, FACE.stop)]] = 0.0
    return RetargetCase(
        driver=filmed,
        reference=project(pictured, (x, ground), 768, 1024),
        exact=project(exact, (x + pictured[0, NECK, 0] - exact[0, NECK, 0], ground), 768, 1024),
        stance=stance,
        body_height=height,
        ratios={group: length / actor[group] for group, length in lengths.items()},
    )


def panned(case: RetargetCase, speed: float) -> RetargetCase:
    """Let the camera follow or pass the driver; the answer stays as it is.

    Args:
        case: A task.
        speed: Way of the ground to the right per frame, in % of `DRIVER_HEIGHT`.
    """
    points = case.driver.points.copy()
    steps = np.arange(len(points))[:, None, None]
    points[..., 0] += speed / 100 * DRIVER_HEIGHT * steps
    return replace(case, driver=replace(case.driver, points=points))


def zoomed(case: RetargetCase, factor: float) -> RetargetCase:
    """Let the camera zoom in evenly about the middle of its picture; the answer stays as it is.

    Args:
        case: A task.
        factor: How much larger the driver is pictured in the last frame than in the first.
    """
    sizes = np.linspace(1.0, factor, case.driver.num_frames)[:, None, None, None]
    middle = np.array([case.driver.width, case.driver.height]) / 2
    points = middle + (case.driver.points - middle) * sizes
    return replace(case, driver=replace(case.driver, points=points))
