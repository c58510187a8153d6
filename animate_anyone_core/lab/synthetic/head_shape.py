"""The shape of a dancer's head and where its features lie on a picture.

Symbols: F frames, N points. Places on the head are directions in the head's own frame (x to the
dancer's left, y up, z out of the face) on a unit sphere, which is stretched to an egg.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .characters import Face

#: Heights of the features of a face at rest, in units of the radii as seen from the front.
EYE_Y, NOSE_Y, MOUTH_Y = -0.06, -0.33, -0.6


def front(x: float | np.ndarray, y: float | np.ndarray) -> np.ndarray:
    """Directions (N, 3) that seen from the front lie at (x, y) of the unit disc."""
    x, y = np.broadcast_arrays(np.atleast_1d(x).astype(float), np.atleast_1d(y).astype(float))
    return np.stack([x, y, np.sqrt(np.maximum(1.0 - x * x - y * y, 0.0))], axis=-1)


@dataclass(frozen=True)
class HeadView:
    """A head seen over F frames, in pixels.

    Attributes:
        centre: (F, 2) pixels.
        turn: (F, 3, 3) rotation of the head.
        radii: Half width, half height, half depth in pixels.
        taper: How much narrower the chin is, 0..1.
    """

    centre: np.ndarray
    turn: np.ndarray
    radii: np.ndarray
    taper: float

    def in_space(self, local: np.ndarray) -> np.ndarray:
        """Give offsets from the centre in space (F, N, 3) of places (F or 1, N, 3)."""
        slim = 1.0 - self.taper * np.clip(-local[..., 1:2], 0.0, 1.2) ** 1.5
        local = np.concatenate([local[..., :1] * slim, local[..., 1:2], local[..., 2:] * slim], -1)
        return np.einsum(
            "fij,fnj->fni",
            self.turn,
            np.broadcast_to(local * self.radii, (len(self.turn), *local.shape[1:])),
        )

    def place(self, local: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Place points given in units of the radii.

        Args:
            local: (N, 3) or (F, N, 3); a unit vector lies on the surface.

        Returns:
            Pixels (F, N, 2), and how much each point faces the viewer (F, N), -1..1.
        """
        local = local if local.ndim == 3 else local[None]
        offset = self.in_space(local)
        normal = np.einsum(
            "fj,fnj->fn", self.turn[:, 2] / self.radii, np.broadcast_to(local, offset.shape)
        )
        length = np.linalg.norm(local / self.radii, axis=-1)
        points = self.centre[:, None] + offset[..., :2] * (1.0, -1.0)
        return points, normal / np.maximum(length, 1e-9)

    def clamped(self, local: np.ndarray) -> np.ndarray:
        """Place surface points (N, 3) or (F, N, 3); those behind move to the outline: (F, N, 2)."""
        points, facing = self.place(local)
        local = local if local.ndim == 3 else local[None]
        flat = np.einsum(
            "fij,fnj->fni",
            self.turn[:, :2] * self.radii,
            np.broadcast_to(local, (*points.shape[:2], 3)),
        )
        spread = self._spread()
        root = np.linalg.cholesky(spread[:, :2, :2])
        inside = np.linalg.solve(root, np.swapaxes(flat, 1, 2))  # (F, 2, N), in the unit disc
        inside = inside / np.maximum(np.linalg.norm(inside, axis=1, keepdims=True), 1e-9)
        along = np.linalg.solve(np.swapaxes(root, 1, 2), inside)
        rim = self._rim(spread, np.swapaxes(along, 1, 2), 1.0)
        rim_points = self.centre[:, None] + self.in_space(rim)[..., :2] * (1.0, -1.0)
        return np.where((facing < 0)[..., None], rim_points, points)

    def outline(
        self, swell: float = 1.0, cut: float | None = None, samples: int = 36, back: float = 0.0
    ) -> np.ndarray:
        """Trace the outline of the head.

        Args:
            swell: Size factor, e.g. 1.1 for hair around the head.
            cut: Local height below which the outline is pushed up; None keeps all.
            samples: Number of points.
            back: How far the shape is moved towards the back of the head.

        Returns:
            (F, samples, 2) pixels, counter-clockwise in space, starting at the right.
        """
        angle = np.linspace(0, 2 * np.pi, samples, endpoint=False)
        along = np.stack([np.cos(angle), np.sin(angle)], -1)[None]
        spread = self._spread()
        along = np.broadcast_to(along, (len(self.turn), samples, 2))
        rim = self._rim(spread, along, swell)
        rim[..., 2] -= back
        if cut is not None:
            rim[..., 1] = np.maximum(rim[..., 1], cut)
        return self.centre[:, None] + self.in_space(rim)[..., :2] * (1.0, -1.0)

    def _spread(self) -> np.ndarray:
        scaled = self.turn * self.radii
        return scaled @ np.swapaxes(scaled, 1, 2)

    def _rim(self, spread: np.ndarray, along: np.ndarray, swell: float) -> np.ndarray:
        """Local places (F, N, 3) on the outline in the in-plane directions (F, N, 2)."""
        reach = np.einsum("fij,fnj->fni", spread[:, :, :2], along)
        length = np.sqrt(np.maximum((reach[..., :2] * along).sum(-1, keepdims=True), 1e-12))
        return swell * np.einsum("fji,fnj->fni", self.turn, reach / length) / self.radii


def jaw() -> np.ndarray:
    """Directions (17, 3) along the jaw from the right ear round the chin to the left ear."""
    angle = np.linspace(-np.pi / 2, np.pi / 2, 17)
    return front(0.97 * np.sin(angle), -0.1 - 0.87 * np.cos(angle))


def mouth_points(
    face: Face, opened: np.ndarray, smile: np.ndarray, num: int, inner: float = 1.0
) -> np.ndarray:
    """Trace the lips over F frames.

    Args:
        face: Whose.
        opened: (F,) 0 closed to 1 wide open.
        smile: (F,) -1 sad to 1 happy.
        num: Points per lip, corners included.
        inner: Thickness left of the opening, 1 for the outer edge of the lips.

    Returns:
        (F, 2 num - 2, 3) directions: right corner, upper lip to the left corner, lower lip back.
    """
    along = np.linspace(-1.0, 1.0, num)
    x = face.mouth_width * along
    corner = 0.09 * smile[:, None] * along**2
    bulge = 1.0 - along**2
    lips = 0.035 * inner
    upper = MOUTH_Y + corner + (lips + 0.03 * opened[:, None]) * bulge - 0.02 * smile[:, None]
    drop = lips + (0.26 * opened[:, None] + 0.03 * np.maximum(smile[:, None], 0)) * inner
    lower = MOUTH_Y + corner - drop * bulge - 0.02 * smile[:, None]
    xs = np.broadcast_to(np.concatenate([x, x[-2:0:-1]]), (len(opened), 2 * num - 2))
    return front(xs, np.concatenate([upper, lower[:, -2:0:-1]], axis=1))


def eye_points(face: Face, side: float, lids: np.ndarray, num: int) -> np.ndarray:
    """Trace an eye over F frames.

    Args:
        face: Whose.
        side: 1 for the left eye, -1 for the right.
        lids: (F,) 0 shut to 1 open.
        num: Number of points.

    Returns:
        (F, num, 3) directions, from the corner at -x over the upper lid.
    """
    angle = np.pi - np.linspace(0, 2 * np.pi, num, endpoint=False)
    x = side * face.eye_spread + face.eye_size * np.cos(angle)
    height = face.eye_height * np.where(np.sin(angle) > 0, 1.0, 0.85)
    y = EYE_Y + lids[:, None] * height * np.sin(angle) - 0.04 * (1 - lids[:, None])
    return front(np.broadcast_to(x, y.shape), y)


def brow_points(face: Face, side: float, lift: np.ndarray) -> np.ndarray:
    """Trace an eyebrow, (F, 5, 3) directions from -x to +x."""
    along = np.linspace(-1.0, 1.0, 5)
    x = side * face.eye_spread + 1.15 * face.eye_size * along
    brow_y = EYE_Y + face.eye_height + 0.12
    y = brow_y + 0.05 * (1 - along**2) - face.brow_tilt * 0.4 * along * side + 0.05 * lift[:, None]
    return front(np.broadcast_to(x, y.shape), y)
