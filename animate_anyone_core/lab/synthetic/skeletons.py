"""Articulated made-up people with exact keypoints, and retargeting tasks with exact answers.

`place_joints` lets a `Body` perform a `Motion` with a stance foot that does not slip; `project`
looks at the result with an orthographic camera; `make_retarget_case` puts a driver, a reference
picture in another pose and the exact answer together: the reference's body with the driver's bone
directions.

Convention: world axes are x right, y down, z away from the camera, in pixels; the ground is y = 0
and the lower ankle of a grounded person lies on it. Keypoints stand in the order of
`pose/skeleton.py`. Symbols: F frames, K keypoints.
"""

from dataclasses import dataclass

import numpy as np

from ...pose.skeleton import FACE, LEFT_HAND, NUM_KEYPOINTS, RIGHT_HAND, PoseSequence
from .skeleton_bodies import ADULT, BODIES, Body
from .skeleton_motions import BONES, CLIPS, SIDES, Motion, make_motion, make_still
from .skeleton_parts import face_points, foot_points, hand_points, head_points

NECK, NOSE = 1, 0
# Joints of each side: shoulder, elbow, wrist, hip, knee, ankle.
ARM_AND_LEG = {"right": (2, 3, 4, 8, 9, 10), "left": (5, 6, 7, 11, 12, 13)}
FOOT_START = {"left": 18, "right": 21}
ANKLES = (10, 13)  # right, left


def _about(axis: int, angle: np.ndarray) -> np.ndarray:
    """Return rotations (F, 3, 3) about an axis; positive turns the next axis to the one after."""
    matrix = np.zeros((*angle.shape, 3, 3))
    a, b = (axis + 1) % 3, (axis + 2) % 3
    matrix[..., axis, axis] = 1.0
    matrix[..., a, a] = matrix[..., b, b] = np.cos(angle)
    matrix[..., a, b], matrix[..., b, a] = -np.sin(angle), np.sin(angle)
    return matrix


def bone_directions(motion: Motion) -> dict[str, np.ndarray]:
    """Return the unit direction of every bone over time in the world: name -> (F, 3)."""
    turn = _about(1, motion.yaw)
    directions = {}
    for bone in BONES:
        spread, forward = motion.spread[bone], motion.forward[bone]
        if bone in ("torso", "neck"):
            flat = (np.sin(spread), -np.cos(spread))
        elif bone in ("shoulders", "hips"):
            flat = (np.cos(spread), np.sin(spread))
        else:
            flat = (np.sin(spread), np.cos(spread))
        own = np.stack(
            [flat[0] * np.cos(forward), flat[1] * np.cos(forward), -np.sin(forward)], axis=-1
        )
        directions[bone] = np.einsum("fij,fj->fi", turn, own)
    return directions


def _frame_along(forward: np.ndarray, hint: np.ndarray) -> np.ndarray:
    """Return frames (F, 3, 3) with y along `forward` and x near `hint`, both (F, 3)."""
    x = hint - (hint * forward).sum(axis=-1, keepdims=True) * forward
    x = x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-9)
    return np.stack([x, forward, np.cross(x, forward)], axis=-1)


def _add_head(joints: np.ndarray, body: Body, motion: Motion) -> None:
    yaw, pitch, roll = motion.head.T
    frame = _about(1, motion.yaw + yaw) @ _about(0, -pitch) @ _about(2, roll)
    nose = joints[:, NOSE, None]
    joints[:, 14:18] = nose + body.head * np.einsum("fij,kj->fki", frame, head_points())
    face = face_points(motion.mouth_open)
    joints[:, FACE] = nose + body.head * np.einsum("fij,fkj->fki", frame, face)


def _add_hands_and_feet(
    joints: np.ndarray, body: Body, motion: Motion, directions: dict[str, np.ndarray]
) -> None:
    turn = _about(1, motion.yaw)
    for index, (name, side) in enumerate(SIDES.items()):
        wrist, ankle = ARM_AND_LEG[name][2], ARM_AND_LEG[name][5]
        palm = _frame_along(directions[f"{name}_forearm"], turn @ np.array([0.8, 0.0, -0.6 * side]))
        hand = body.hand * hand_points(motion.curl, side)
        hands = LEFT_HAND if name == "left" else RIGHT_HAND
        joints[:, hands] = joints[:, wrist, None] + np.einsum("fij,fkj->fki", palm, hand)
        # Toes point forwards and a little outwards; the sole is level unless the foot is pitched.
        out = _about(1, motion.yaw - 0.35 * side) @ _about(0, motion.foot_pitch[:, index])
        axes = out @ np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]).T
        foot = body.foot * foot_points(side)
        start = FOOT_START[name]
        joints[:, start : start + 3] = joints[:, ankle, None] + np.einsum("fij,kj->fki", axes, foot)


def _carrying_feet(feet: np.ndarray, airborne: np.ndarray, tolerance: float) -> np.ndarray:
    """Find which foot carries the weight: the lower one, or both where they are level.

    Args:
        feet: (F, 2, 3) right and left ankle about the pelvis.
        airborne: (F,) True where no foot carries.
        tolerance: Difference in height up to which both feet carry.

    Returns:
        (F - 1, 2) share of the weight on each foot during the step to the next frame.
    """
    down = feet[..., 1] >= feet[..., 1].max(axis=1, keepdims=True) - tolerance
    down &= ~airborne[:, None]
    both_ends = down[:-1] & down[1:]
    either_end = (down[:-1] | down[1:]) & ~(airborne[:-1] & airborne[1:])[:, None]
    carries = np.where(both_ends.any(axis=1, keepdims=True), both_ends, either_end)
    return carries / np.maximum(carries.sum(axis=1, keepdims=True), 1)


def _pelvis_path(feet: np.ndarray, stance: np.ndarray, body: Body, motion: Motion) -> np.ndarray:
    """Return where the pelvis must be (F, 3) so that stance feet stay and the lower one stands."""
    step = -(stance[..., None] * np.diff(feet, axis=0)).sum(axis=1)
    flight = np.zeros_like(step)
    flight[:, 0] = body.leg * motion.drift[:-1]
    step = np.where((stance.sum(axis=1) == 0)[:, None], flight, step)
    path = np.concatenate([np.zeros((1, 3)), np.cumsum(step, axis=0)])
    path[:, 1] = -feet[..., 1].max(axis=1) - body.leg * motion.lift
    return path


def joints_about_pelvis(body: Body, motion: Motion) -> np.ndarray:
    """Return all keypoints (F, K, 3) of a body in a motion, with the pelvis held at the origin."""
    directions = bone_directions(motion)
    joints = np.zeros((motion.num_frames, NUM_KEYPOINTS, 3))
    joints[:, NECK] = body.torso * directions["torso"]
    joints[:, NOSE] = joints[:, NECK] + body.neck * directions["neck"]
    for name, side in SIDES.items():
        shoulder, elbow, wrist, hip, knee, ankle = ARM_AND_LEG[name]
        joints[:, shoulder] = joints[:, NECK] + side * body.shoulders * directions["shoulders"]
        joints[:, elbow] = joints[:, shoulder] + body.upper_arm * directions[f"{name}_upper_arm"]
        joints[:, wrist] = joints[:, elbow] + body.forearm * directions[f"{name}_forearm"]
        joints[:, hip] = side * body.hips * directions["hips"]
        joints[:, knee] = joints[:, hip] + body.thigh * directions[f"{name}_thigh"]
        joints[:, ankle] = joints[:, knee] + body.shin * directions[f"{name}_shin"]
    _add_head(joints, body, motion)
    _add_hands_and_feet(joints, body, motion, directions)
    return joints


def find_stance(motion: Motion, performer: Body = ADULT) -> np.ndarray:
    """Find the weight on the right and left foot during each step to the next frame: (F - 1, 2)."""
    feet = joints_about_pelvis(performer, motion)[:, ANKLES]
    return _carrying_feet(feet, motion.lift > 0, tolerance=0.004 * performer.leg)


def place_joints(body: Body, motion: Motion, stance: np.ndarray) -> np.ndarray:
    """Let a body perform a motion on the ground.

    Args:
        body: Who performs.
        motion: What.
        stance: (F - 1, 2) from `find_stance`: whoever imitates a performer stands on the same foot.

    Returns:
        (F, K, 3) keypoints in world pixels; the pelvis starts at x = z = 0. While one foot carries
        it does not move along x and z; the lower ankle is on the ground or `lift` above it.
    """
    joints = joints_about_pelvis(body, motion)
    return joints + _pelvis_path(joints[:, ANKLES], stance, body, motion)[:, None]


def project(
    joints: np.ndarray, origin: tuple[float, float], width: int, height: int, fps: float = 30.0
) -> PoseSequence:
    """Look at world joints (F, K, 3) with an orthographic camera.

    Args:
        joints: Keypoints in world pixels.
        origin: Canvas point (x, y) where the world's origin appears.
        width: Canvas width.
        height: Canvas height.
        fps: Frames per second of the clip.
    """
    points = joints[:, None, :, :2] + np.asarray(origin, dtype=np.float64)
    return PoseSequence(points, np.ones(points.shape[:3]), width, height, fps)


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
    ratios: dict[str, float]


#: Height in pixels of each named character on the reference's canvas; others stand 800 px tall.
REFERENCE_HEIGHTS = {"adult": 820.0, "lanky": 900.0, "chibi": 640.0, "child": 700.0}


def make_retarget_case(
    clip: str, body: str | Body, depth: float = 1.0, num_frames: int = 120, seed: int = 0
) -> RetargetCase:
    """Make a driver clip, a reference picture and the exact answer.

    Args:
        clip: A key of `skeleton_motions.CLIPS`.
        body: A key of `skeleton_bodies.BODIES` or proportions of one's own.
        depth: 0 for planar motion and picture, 1 for foreshortened limbs in both.
        num_frames: Frames of the clip.
        seed: Seed of the motion and of the reference's pose.
    """
    driver_body = ADULT.scaled_to(700.0)
    height = REFERENCE_HEIGHTS.get(body, 800.0) if isinstance(body, str) else 800.0
    reference_body = (BODIES[body] if isinstance(body, str) else body).scaled_to(height)
    motion = make_motion(clip, num_frames, depth, seed)
    stance = find_stance(motion)
    driver = place_joints(driver_body, motion, stance)
    exact = place_joints(reference_body, motion, stance)
    picture = make_still(depth, seed * len(CLIPS) + list(CLIPS).index(clip))
    still = place_joints(reference_body, picture, find_stance(picture))
    middle = 360.0 - 0.5 * (driver[:, NECK, 0].min() + driver[:, NECK, 0].max())
    ground = 512.0 + 0.5 * height
    reference_x = 384.0
    exact_x = reference_x + still[0, NECK, 0] - exact[0, NECK, 0]
    return RetargetCase(
        driver=project(driver, (middle, 1100.0), 720, 1280),
        reference=project(still, (reference_x, ground), 768, 1024),
        exact=project(exact, (exact_x, ground), 768, 1024),
        stance=stance,
        body_height=height,
        ratios=reference_body.ratios_to(driver_body),
    )
