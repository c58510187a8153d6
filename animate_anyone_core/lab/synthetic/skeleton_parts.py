"""Unit shapes of the rigid parts of a person: head with face, hands, feet.

Convention: each shape has its own axes and is multiplied by the part's size and rotated by the
part's frame in `skeletons.py`. A frame is a (3, 3) matrix whose columns are the part's axes in the
world (x right, y down, z away from the camera); for a person who stands upright and faces the camera
the head's axes are the world's. The person's left is then +x.
"""

import numpy as np


def head_points() -> np.ndarray:
    """Return right eye, left eye, right ear, left ear about the nose: (4, 3), head size 1."""
    return np.array(
        [[-0.30, -0.35, 0.20], [0.30, -0.35, 0.20], [-0.70, -0.20, 0.95], [0.70, -0.20, 0.95]]
    )


def _arc(centre: tuple[float, float], radii: tuple[float, float], turns: np.ndarray) -> np.ndarray:
    """Return points of an ellipse in the plane, `turns` in degrees, 0 right and 90 down."""
    turns = np.radians(turns)
    return np.stack(
        [centre[0] + radii[0] * np.cos(turns), centre[1] + radii[1] * np.sin(turns)], axis=-1
    )


def face_points(mouth_open: np.ndarray) -> np.ndarray:
    """Return the 68 face landmarks about the nose tip (landmark 30): (F, 68, 3), head size 1.

    Args:
        mouth_open: (F,) 0 closed to 1 wide open.
    """
    jaw = _arc((0.0, -0.25), (0.72, 1.05), np.linspace(180.0, 0.0, 17))
    brow = _arc((0.0, 0.0), (0.17, 0.09), np.linspace(200.0, 340.0, 5))
    eye = _arc((0.0, 0.0), (0.12, 0.06), np.array([180.0, 240.0, 300.0, 0.0, 60.0, 120.0]))
    nose = np.array([[0, -0.36], [0, -0.24], [0, -0.12], [0, 0.0]])
    nostrils = np.array([[-0.12, 0.09], [-0.06, 0.12], [0, 0.13], [0.06, 0.12], [0.12, 0.09]])
    lips = _arc((0.0, 0.36), (0.25, 0.10), np.arange(180.0, 540.0, 30.0))
    inner = _arc((0.0, 0.36), (0.19, 0.03), np.arange(180.0, 540.0, 45.0))
    # iBUG order; landmarks 0..16 run from the person's right ear over the chin to the left ear.
    flat = np.concatenate(
        [
            jaw,
            brow + np.array([-0.32, -0.48]),
            brow + np.array([0.32, -0.48]),
            nose,
            nostrils,
            eye + np.array([-0.30, -0.35]),
            eye + np.array([0.30, -0.35]),
            lips,
            inner,
        ]
    )
    depth = 0.20 + 1.0 * flat[:, :1] ** 2  # a face bends back towards its sides
    depth[27:31] = np.array([[0.15], [0.10], [0.05], [0.0]])
    depth[31:36] = 0.12
    face = np.broadcast_to(np.concatenate([flat, depth], axis=-1), (len(mouth_open), 68, 3)).copy()
    below = np.zeros(68)
    below[55:60] = 1.0  # lower lip
    below[65:68] = 1.0
    below[4:13] = 0.6  # chin
    face[..., 1] += 0.18 * mouth_open[:, None] * below
    return face


def hand_points(curl: np.ndarray, side: float) -> np.ndarray:
    """Return the 21 hand points about the wrist: (F, 21, 3), hand size 1 (wrist to middle tip).

    Axes: y along the stretched fingers, x to the person's left when the palm faces the camera.

    Args:
        curl: (F,) bend of each finger joint in radians.
        side: +1 for the left hand, -1 for the right; with the palm forward thumbs point outwards.
    """
    roots = np.array([[0.12, 0.12], [0.16, 0.46], [0.04, 0.50], [-0.07, 0.47], [-0.17, 0.42]])
    directions = np.array([[0.75, 0.66], [0.14, 0.99], [0.0, 1.0], [-0.10, 0.995], [-0.22, 0.975]])
    lengths = np.array(
        [
            [0.20, 0.15, 0.13],
            [0.22, 0.13, 0.11],
            [0.24, 0.14, 0.12],
            [0.22, 0.13, 0.11],
            [0.17, 0.10, 0.09],
        ]
    )
    points = np.zeros((len(curl), 21, 3))
    for finger in range(5):
        at = np.zeros((len(curl), 3))
        at[:, :2] = roots[finger]
        points[:, 1 + 4 * finger] = at
        bend = 0.3 if finger == 0 else 1.0
        for joint in range(3):
            angle = bend * curl * (joint + 1)
            step = np.zeros((len(curl), 3))
            step[:, :2] = directions[finger] * np.cos(angle)[:, None]
            step[:, 2] = -np.sin(angle)  # the palm faces the camera
            at = at + lengths[finger, joint] * step
            points[:, 2 + 4 * finger + joint] = at
    points[..., 0] *= side
    return points


def foot_points(side: float) -> np.ndarray:
    """Return big toe, small toe and heel about the ankle: (3, 3), foot size 1.

    Axes: y along the toes, x to the person's left, z down to the sole.

    Args:
        side: +1 for the left foot, -1 for the right.
    """
    return np.array([[-0.12 * side, 0.72, 0.28], [0.25 * side, 0.60, 0.30], [0.0, -0.25, 0.30]])
