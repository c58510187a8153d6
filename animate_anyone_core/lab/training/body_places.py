"""Where the reference shows what a place of another picture of the same person shows.

Found by the joints of both: a place on a limb, the trunk or the head lies as far along and beside it in
the other picture. So far as the background stands still, it is found where it was.
"""

import numpy as np

from ...pose.skeleton import ANKLES, EARS, ELBOWS, EYES, HIPS, KNEES, NECK, NOSE, SHOULDERS, WRISTS

#: Bones with the half of their breadth, in lengths of the trunk.
_LIMBS = tuple(
    (start[side], end[side], breadth)
    for start, end, breadth in (
        (SHOULDERS, ELBOWS, 0.13),
        (ELBOWS, WRISTS, 0.13),
        (HIPS, KNEES, 0.18),
        (KNEES, ANKLES, 0.18),
    )
    for side in (0, 1)
)
_FACE = [NOSE, *EYES, *EARS]
#: Pixels below which a bone points at the viewer: how far along it something is cannot be told.
_SHORTEST = 3.0
#: A trunk seen from the side is taken for this share of its breadth at least.
_NARROWEST = 0.6
#: Share of the shoulders' breadth that must be seen for a head to show what it shows in the reference.
_FACING = 0.4
#: Share of a cell that a person covers at least where it shows the person.
_SHOWS = 0.3


def places_in_reference(joints: np.ndarray, covers: np.ndarray, cell: float) -> np.ndarray:
    """Find for cells of other pictures where the reference shows the same.

    Args:
        joints: Of the reference and F other pictures (1 + F, 18, 3): x, y in pixels and score.
        covers: Share of each cell that the person covers in them, (1 + F, h, w) in [0, 1].
        cell: Pixels a side of a cell.

    Returns:
        (F, h·w, 2): x and y in cells of the reference, 0 in the middle of the first; NaN where the
        reference does not show it, or nobody can tell.
    """
    reference, others = joints[0].astype(np.float64), joints[1:].astype(np.float64)
    reference_cover, other_covers = covers[0], covers[1:]
    rows, columns = reference_cover.shape
    y, x = np.divmod(np.arange(rows * columns), columns)
    cells = np.stack([x, y], axis=-1).astype(np.float64)
    spots = (cells + 0.5) * cell
    far, there = _on_body(reference, others, spots)
    nearest = far.argmin(axis=0)[None, ..., None]
    found = np.take_along_axis(there, nearest, axis=0)[0] / cell - 0.5
    is_known = np.isfinite(far.min(axis=0)) & np.isfinite(found).all(axis=-1)
    whole = np.where(is_known[..., None], found, 0.0).round().astype(int)
    inside = ((whole >= 0) & (whole < [columns, rows])).all(axis=-1)
    whole = whole.clip(0, [columns - 1, rows - 1])
    shows = reference_cover[whole[..., 1], whole[..., 0]] >= _SHOWS
    covers = other_covers.reshape(len(others), -1)
    is_body = (covers >= _SHOWS) & is_known & inside & shows
    is_empty = (covers == 0) & (reference_cover.reshape(1, -1) == 0)
    places = np.where(is_body[..., None], found, np.nan)
    return np.where(is_empty[..., None], cells, places).astype(np.float32)


def _on_body(
    reference: np.ndarray, others: np.ndarray, spots: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where spots (L, 2) are on each part of the body.

    Returns:
        How far they are from it, in its breadths, (P, F, L), and their places in the reference
        (P, F, L, 2).
    """
    hips = [(j[..., HIPS[0], :2] + j[..., HIPS[1], :2]) / 2 for j in (reference, others)]
    necks = [j[..., NECK, :2] for j in (reference, others)]
    length = max(float(np.hypot(*(hips[0] - necks[0]))), _SHORTEST)
    parts = []
    for start, end, breadth in _LIMBS:
        first, then = ((j[..., start, :2], j[..., end, :2]) for j in (reference, others))
        is_seen = _all_seen(reference, others, [start, end])
        parts.append(_along(first, then, spots, breadth * length, is_seen))
    breadths = [j[..., SHOULDERS[1], :2] - j[..., SHOULDERS[0], :2] for j in (reference, others)]
    trunk = [NECK, *SHOULDERS, *HIPS]
    is_seen = _all_seen(reference, others, trunk)
    bones = tuple(zip(necks, hips, strict=True))
    parts.append(_along(bones[0], bones[1], spots, length, is_seen, breadths))
    heads = [_middle(j) for j in (reference, others)]
    is_seen = is_seen & np.isfinite(heads[0]).all() & np.isfinite(heads[1]).all(axis=-1)
    sides = _side(bones[0], breadths[0]), _side(bones[1], breadths[1])
    shows = sides[1] * np.sign(sides[0]) >= _FACING * abs(sides[0])  # no face behind
    far, there = _around((necks[0], heads[0]), (necks[1], heads[1]), spots, is_seen)
    parts.append((far, np.where(shows[:, None, None], there, np.nan)))
    return np.stack([far for far, _ in parts]), np.stack([there for _, there in parts])


def _all_seen(reference: np.ndarray, others: np.ndarray, joints: list[int]) -> np.ndarray:
    """Whether these joints are seen in the reference and in each other picture, (F,)."""
    scores = np.minimum(others[:, joints, 2], reference[joints, 2])
    return scores.min(axis=-1) > 0


def _middle(joints: np.ndarray) -> np.ndarray:
    """The middle of what is seen of a face, (..., 2); NaN where nothing is."""
    weights = (joints[..., _FACE, 2:] > 0).astype(float)
    count = weights.sum(axis=-2)
    total = (joints[..., _FACE, :2] * weights).sum(axis=-2)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _side(trunk: tuple[np.ndarray, np.ndarray], breadth: np.ndarray) -> np.ndarray:
    """Pixels by which the left shoulder is to the left of the trunk, seen along it; (...)."""
    way = trunk[1] - trunk[0]
    return (way[..., 1] * breadth[..., 0] - way[..., 0] * breadth[..., 1]) / np.maximum(
        np.hypot(way[..., 0], way[..., 1]), 1e-6
    )


def _along(
    reference: tuple[np.ndarray, np.ndarray],
    others: tuple[np.ndarray, np.ndarray],
    spots: np.ndarray,
    breadth: float,
    is_seen: np.ndarray,
    breadths: list[np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Places along a bone (F, 2) to (F, 2), and beside it: as many pixels, or in shares of breadths."""
    way = others[1] - others[0]
    length = np.hypot(way[:, 0], way[:, 1])
    unit = way / np.maximum(length, 1e-6)[:, None]
    way_there = reference[1] - reference[0]
    length_there = float(np.hypot(*way_there))
    unit_there = way_there / max(length_there, 1e-6)
    from_start = spots[None] - others[0][:, None]
    along = (from_start * unit[:, None]).sum(axis=-1)
    beside = from_start[..., 0] * unit[:, None, 1] - from_start[..., 1] * unit[:, None, 0]
    over = np.maximum(np.maximum(-along, along - length[:, None]), 0)
    if breadths is None:
        far = np.hypot(over, beside) / breadth
    else:
        wide_there = float(_side(reference, breadths[0]))
        wide = _side(others, breadths[1])
        wide = np.where(wide < 0, -1, 1) * np.maximum(abs(wide), _NARROWEST * abs(wide_there))
        far = np.hypot(over, beside) / np.maximum(abs(wide[:, None]) / 2, 1)
        limit = 0.75 * abs(wide_there)
        beside = (beside * wide_there / np.where(wide == 0, 1, wide)[:, None]).clip(-limit, limit)
    share = along / np.maximum(length, 1e-6)[:, None]
    normal = np.array([unit_there[1], -unit_there[0]])
    there = reference[0] + share[..., None] * way_there + beside[..., None] * normal
    is_told = is_seen & (length >= _SHORTEST) & (length_there >= _SHORTEST)
    return np.where(is_told[:, None], far, np.inf), there


def _around(
    reference: tuple[np.ndarray, np.ndarray],
    others: tuple[np.ndarray, np.ndarray],
    spots: np.ndarray,
    is_seen: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Places around the middle of a head, turned as the neck is."""
    up, up_there = others[1] - others[0], reference[1] - reference[0]
    turn = np.arctan2(up_there[1], up_there[0]) - np.arctan2(up[:, 1], up[:, 0])
    off = spots[None] - others[1][:, None]
    cos, sin = np.cos(turn)[:, None], np.sin(turn)[:, None]
    turned = np.stack(
        [cos * off[..., 0] - sin * off[..., 1], sin * off[..., 0] + cos * off[..., 1]], axis=-1
    )
    size = max(float(np.hypot(*up_there)) if np.isfinite(up_there).all() else 0.0, 1.0)
    far = np.hypot(off[..., 0], off[..., 1]) / size
    is_told = is_seen & (np.hypot(up[:, 0], up[:, 1]) >= 1)
    return np.where(is_told[:, None], far, np.inf), reference[1] + turned
