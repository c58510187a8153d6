"""How much frames look like the same character, by features of a network of the user's choice.

A similarity is the cosine between two feature vectors, -1 to 1. Which values are good depends on the
network: the truth's own similarity to the reference picture is the yardstick, because a character
that turns its back resembles its front less, however well it was made.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .picture_features import PictureFeatures

#: Frames in which fewer pixels than this show the person have no identity.
_FEWEST_PIXELS = 16


@dataclass(frozen=True)
class Character:
    """Who the frames should show, and what tells characters apart.

    Attributes:
        features: See `picture_features`.
        reference: (h, w, 3) uint8 RGB picture of the character; None leaves `identity` and
            `identity_drift` out.
        fps: Frames per second.
    """

    features: PictureFeatures
    reference: np.ndarray | None = None
    fps: float = 24.0


def identity_scores(
    result: np.ndarray, truth: np.ndarray, mask: np.ndarray | None, character: Character
) -> dict[str, float]:
    """Measure whether the character stays itself.

    Args:
        result: (F, H, W, 3) uint8 RGB.
        truth: (F, H, W, 3) uint8 RGB.
        mask: (F, H, W) uint8, above 127 where the person is: only the box around it is looked at.
        character: Who it should be.

    Returns:
        `similarity`, to the truth frame by frame; `identity`, to the reference; `identity_drift`, what
        of that is lost in a second beyond what the truth loses (below 0: it comes nearer). Means over
        frames that show the person; NaN where there are none, or one for a drift.
    """
    shown = np.arange(len(truth))
    if mask is not None:
        shown = np.flatnonzero((mask > 127).sum(axis=(1, 2)) >= _FEWEST_PIXELS)
    if not len(shown):
        nothing = float("nan")
        return {"similarity": nothing, "identity": nothing, "identity_drift": nothing}
    ours, theirs = (
        _unit(
            np.concatenate(
                [character.features(_around(clip[t], mask, int(t))[None]) for t in shown]
            )
        )
        for clip in (result, truth)
    )
    scores = {"similarity": float((ours * theirs).sum(axis=1).mean())}
    if character.reference is None:
        return scores
    look = _unit(character.features(character.reference[None]))[0]
    own, expected = ours @ look, theirs @ look
    scores["identity"] = float(own.mean())
    scores["identity_drift"] = -_slope(shown / character.fps, own - expected)
    return scores


def _around(frame: np.ndarray, mask: np.ndarray | None, t: int) -> np.ndarray:
    if mask is None:
        return frame
    rows, columns = (np.flatnonzero((mask[t] > 127).any(axis=axis)) for axis in (1, 0))
    return frame[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _unit(features: np.ndarray) -> np.ndarray:
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)


def _slope(seconds: np.ndarray, values: np.ndarray) -> float:
    """Change per second of the line through the values; NaN for one moment."""
    if len(seconds) < 2:
        return float("nan")
    time = seconds - seconds.mean()
    return float((time * values).sum() / (time**2).sum())
