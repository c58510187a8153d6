"""A film's shots: found from small pictures of its frames, by cuts, dissolves and fades.

A cut is a change from one frame to the next that is large, and alone in its neighborhood; a jump
within the same place is smaller, and more alone. While one shot dissolves into another, or fades, frames
between two of its frames are mixtures of these; what only moves is none. Frames of a passage belong to
no shot. Where pictures are the same before and after a short passage, it was a flash, and no passage.

Convention: spans are [start, end), frame 0 first.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from ....media.container import open_input, picture_track
from ....media.stream import in_a_sentence
from ....pose.opencv import import_cv2
from ..clip_files import iterate_frames

#: Side of the pictures that shots are found in, and of those that mixtures are.
SIDE, _COARSE = 32, 16
#: Neighbors on each side that a change is compared with: a cut is so many times the usual one.
_AROUND, _MUCH = 6, 4
#: So much of a cut's change is one, too, if it is that much larger than every neighbor: the same place,
#: a while later.
_JUMP = 0.25
#: Frames from one end of a mixture to the other.
_REACHES = (2, 3, 5, 8, 12, 18, 27, 40, 60)
#: Frames between them that are looked at.
_LOOKS = 5
#: How far they may be from a mixture, as a share of the change, and how unevenly it may go on.
_OFF, _SLOWEST, _FASTEST = 0.2, 0.5, 2.0
#: What is shorter, in frames, lies within one passage.
_SHORTEST = 5
#: A change over some reach is so many times that before or after it.
_ALONE = 2.0
#: A passage no longer than this is a flash if its change is in the end less than so much of a cut's, or
#: of the largest meanwhile.
_FLASH, _BACK = 12, (0.5, 0.25)
#: Frames whose changes are computed at a time.
_CHUNK = 2048


class Span(NamedTuple):
    """Frames [start, end) of a film."""

    start: int
    end: int

    @property
    def num_frames(self) -> int:
        """How many there are."""
        return self.end - self.start


def small_picture(frame: np.ndarray) -> np.ndarray:
    """A frame (H, W, 3) uint8 as shots are found in it."""
    cv2 = import_cv2()
    return cv2.resize(frame, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def small_pictures(film: Path) -> np.ndarray:
    """All frames of a film like that, (F, SIDE, SIDE, 3) uint8; of a video without its large ones.

    Raises:
        MediaError: If it cannot be read to its end.
    """
    if film.is_dir():
        return np.array([small_picture(frame) for frame in iterate_frames(film)])
    with in_a_sentence(film.name), open_input(film) as container:
        stream = picture_track(container, film.name)
        small = (
            frame.reformat(SIDE, SIDE, "rgb24", interpolation="AREA")
            for frame in container.decode(stream)
        )
        return np.array([frame.to_ndarray() for frame in small])


def find_shots(thumbnails: np.ndarray, least: float) -> list[Span]:
    """The shots of a film, in order; one if there is nothing else.

    Args:
        thumbnails: (F, SIDE, SIDE, 3) in [0, 255].
        least: Mean change of a pixel, in levels, that can be a passage.
    """
    passages = [Span(i, i + 1) for i in _cuts(thumbnails, least)] + _mixtures(thumbnails, least)
    real = _without_flashes(_joined(passages, 0), thumbnails, least)
    shots, start = [], 0
    for before, after in _joined(real, _SHORTEST):
        shots.append(Span(start, before + 1))
        start = after
    shots.append(Span(start, len(thumbnails)))
    return [shot for shot in shots if shot.num_frames > 0]


def _cuts(thumbnails: np.ndarray, least: float) -> list[int]:
    """The frames before cuts."""
    changes = _changes(thumbnails, 1)
    cuts = []
    for i in np.flatnonzero(changes >= _JUMP * least):
        around = [changes[max(0, i - _AROUND) : i], changes[i + 1 : i + 1 + _AROUND]]
        beside = np.concatenate(around) if len(changes) > 1 else np.zeros(1)
        usual = np.median(beside) if changes[i] >= least else beside.max()
        if changes[i] >= _MUCH * usual:
            cuts.append(int(i))
    return cuts


def _mixtures(thumbnails: np.ndarray, least: float) -> list[Span]:
    """First and last frames that what lies between is evenly mixed of; many overlap."""
    count = len(thumbnails)
    coarse = thumbnails.reshape(count, _COARSE, 2, _COARSE, 2, 3)
    spans = []
    for reach in _REACHES:
        changes = _changes(thumbnails, reach)
        far = np.flatnonzero((changes >= least) & (changes >= _ALONE * _beside(changes, reach)))
        between = np.unique(np.linspace(0, reach, _LOOKS + 2).round().astype(int))[1:-1]
        for chunk in (far[i : i + _CHUNK] for i in range(0, len(far), _CHUNK)):
            first, last = (_flat(coarse[chunk + step]) for step in (0, reach))
            way = last - first
            length = (way**2).sum(axis=1)
            off, shares = np.zeros(len(chunk)), [np.zeros(len(chunk))]
            for step in between:
                gone = _flat(coarse[chunk + step]) - first
                share = (gone * way).sum(axis=1) / length
                off += np.abs(gone - share[:, None] * way).mean(axis=1) / len(between)
                shares.append(share)
            steps = np.diff(np.stack([*shares, np.ones(len(chunk))]), axis=0)
            even = np.diff([0, *between, reach])[:, None] / reach
            is_even = ((steps >= _SLOWEST * even) & (steps <= _FASTEST * even)).all(axis=0)
            is_mixed = off <= _OFF * np.abs(way).mean(axis=1)
            spans += [Span(int(i), int(i) + reach) for i in chunk[is_even & is_mixed]]
    return spans


def _beside(changes: np.ndarray, reach: int) -> np.ndarray:
    """For changes over some reach, the smaller of those that end or begin where each begins or ends."""
    none = np.full(min(reach, len(changes)), np.inf)
    before, after = np.append(none, changes[:-reach]), np.append(changes[reach:], none)
    beside = np.minimum(before, after)
    return np.where(np.isfinite(beside), beside, 0.0)


def _joined(passages: list[Span], apart: int) -> list[Span]:
    """Passages, from the last frame before to the first after; what is nearer than `apart` is one."""
    joined: list[Span] = []
    for before, after in sorted(passages):
        if joined and before + 1 - joined[-1].end < max(apart, 1):
            joined[-1] = Span(joined[-1].start, max(joined[-1].end, after))
        else:
            joined.append(Span(before, after))
    return joined


def _without_flashes(passages: list[Span], thumbnails: np.ndarray, least: float) -> list[Span]:
    """Passages, but for those that lead, some together, back to the picture before them."""
    left, i = [], 0
    while i < len(passages):
        before = passages[i].start
        for j in range(i, len(passages)):
            after = passages[j].end
            if after - before > _FLASH:
                left.append(passages[i])
                break
            if _is_back(thumbnails[before : after + 1], least):
                i = j
                break
        else:
            left.append(passages[i])
        i += 1
    return left


def _is_back(thumbnails: np.ndarray, least: float) -> bool:
    """Whether a passage ends where it began; what moved meanwhile is little beside a flash."""
    if len(thumbnails) == 2:
        return False
    change = _change(thumbnails[0], thumbnails[-1])
    most = _change(thumbnails[0], thumbnails[1:]).max()
    return bool(change < _BACK[0] * least or change < min(least, _BACK[1] * most))


def _changes(thumbnails: np.ndarray, reach: int) -> np.ndarray:
    """Mean change of a pixel from each frame to the one that is `reach` later, (F - reach,)."""
    count = max(0, len(thumbnails) - reach)
    parts = [
        _change(thumbnails[i : min(i + _CHUNK, count)], thumbnails[i + reach :][:_CHUNK])
        for i in range(0, count, _CHUNK)
    ]
    return np.concatenate(parts) if parts else np.zeros(0)


def _change(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Mean change of a pixel, over the last three axes."""
    return np.abs(other.astype(np.float32) - one.astype(np.float32)).mean(axis=(-3, -2, -1))


def _flat(coarse: np.ndarray) -> np.ndarray:
    """Pictures (N, h, 2, w, 2, 3) as rows of means, float32."""
    return coarse.mean(axis=(2, 4), dtype=np.float32).reshape(len(coarse), -1)
