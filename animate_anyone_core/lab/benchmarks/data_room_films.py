"""Films for `benchmark data-room`: made-up dancers in several shots, and where the shots are.

Shots follow each other by a cut, a dissolve or a fade through black, and some flash. A film is a
function of its seed; where `prepare`'s thresholds lie is not looked at.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..training.data_room.report_page import Judged
from ..training.footage import Footage
from .data_room_clips import HEIGHT, SIDE, Film, dancer, filmed, pasted, room, walled, write_film

#: How far the second person of a shot stands from the first, and with them the width of the pictures.
_APART = 128
WIDTH = SIDE + _APART
#: Frames of a shot that is too short, of a dissolve, of each half of a fade, and of a flash.
_SHORT, _DISSOLVE, _FADE, _FLASH = (5, 10), (4, 13), (3, 8), (1, 3)
#: Shots shorter than this are called too short.
LEAST_FRAMES = 12
_FPS = (12, 15, 24)
#: Frames by which an end or a beginning may be off.
NEAR = 2


@dataclass(frozen=True)
class MadeShot:
    """A shot as it was made: frames [start, end) that show nothing else, and what it is left out for."""

    start: int
    end: int
    defect: str


@dataclass(frozen=True)
class MadeFilm:
    """A film, its shots, and for each pair of neighbors how one goes over into the other."""

    film: Film
    shots: tuple[MadeShot, ...]
    passages: tuple[str, ...]


def make_film(seed: int) -> MadeFilm:
    """Make a film of 2 to 5 shots."""
    rng = np.random.default_rng([20, seed])
    fps = int(rng.choice(_FPS))
    count = int(rng.integers(2, 6))
    defects = [str(d) for d in rng.choice(["", "people", "short"], count, p=[0.6, 0.2, 0.2])]
    frames, shots, passages = _shot(rng, fps, defects[0]), [], []
    start = 0
    for defect, following in zip(defects, [*defects[1:], None], strict=True):
        if following is None:
            shots.append(MadeShot(start, len(frames), defect))
            break
        after = _shot(rng, fps, following)
        can_blend = "short" not in (defect, following)
        passage = str(rng.choice(["cut", "dissolve", "fade"], p=[0.6, 0.3, 0.1]))
        passage = passage if can_blend else "cut"
        passages.append(passage)
        end, frames, begin = _joined(rng, frames, after, passage)
        shots.append(MadeShot(start, end, defect))
        start = begin
    return MadeFilm(Film(filmed(rng, frames), fps), tuple(shots), tuple(passages))


def write_films(folder: Path, seed: int, count: int) -> dict[str, MadeFilm]:
    """Write a folder of films; name of the file -> the film."""
    folder.mkdir(parents=True, exist_ok=True)
    films = {}
    for number in range(count):
        made = make_film(seed + number)
        name = f"film{number:02d}.mp4"
        write_film(made.film, folder / name)
        films[name] = made
    return films


class FilmScore(NamedTuple):
    """How well films are cut: where shots end and begin, and what becomes of each.

    Attributes:
        passages: From one shot to another, as made.
        found: Those of them that were found, to within `NEAR` frames at both ends.
        false: Others that were found.
        shots: As made.
        right: Those that were kept, or left out for what was planted.
        wrong: The others, as sentences.
    """

    passages: int
    found: int
    false: int
    shots: int
    right: int
    wrong: tuple[str, ...] = ()


def score_films(films: Mapping[str, MadeFilm], judged: Sequence[Judged]) -> FilmScore:
    """Compare what became of films with how they were made.

    Args:
        films: Name of the file -> the film.
        judged: What became of their shots.
    """
    totals, wrong = np.zeros(5, int), []
    for name, made in films.items():
        clips = [j for j in judged if j.clip.film.name == name and j.footage is not None]
        kinds = {_span(j.footage): {reason.kind for reason in j.reasons} for j in clips}
        spans = sorted(kinds)
        wanted = [(one.end, other.start) for one, other in pairwise(made.shots)]
        found = [(one[1], other[0]) for one, other in pairwise(spans)]
        hits = sum(any(_near(own, other) for other in found) for own in wanted)
        false = sum(not any(_near(own, other) for other in wanted) for own in found)
        right = 0
        for shot in made.shots:
            own = next((s for s in spans if _near(s, (shot.start, shot.end))), None)
            told = {"missed"} if own is None else kinds[own]
            is_right = shot.defect in told if shot.defect else not told
            right += is_right
            if not is_right:
                place = f"{name}, frames {shot.start} to {shot.end}"
                wrong.append(f"{place}: planted {shot.defect or 'none'}, found {sorted(told)}")
        totals += [len(wanted), hits, false, len(made.shots), right]
    passages, hits, false, shots, right = map(int, totals)
    return FilmScore(passages, hits, false, shots, right, tuple(wrong))


def _span(clip: Footage | None) -> tuple[int, int]:
    assert clip is not None
    picks = range(clip.num_frames) if clip.picks is None else clip.picks
    return int(picks[0]), int(picks[-1]) + 1


def _near(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return all(abs(a - b) <= NEAR for a, b in zip(one, other, strict=True))


def _shot(rng: np.random.Generator, fps: int, defect: str) -> np.ndarray:
    """Frames (F, HEIGHT, WIDTH, 3) of a shot; a good one may flash in its middle."""
    if defect == "people":
        (one, _), (other, _) = (dancer(rng, SIDE, HEIGHT, fps) for _ in range(2))
        wide = np.stack([room(frame, _APART) for frame in walled(rng, one)])
        size = round(HEIGHT * rng.uniform(0.75, 1.0))
        return pasted(wide, other, size, _APART)[: len(other.frames)]
    clip, _ = dancer(rng, WIDTH, HEIGHT, fps)
    frames = walled(rng, clip)
    if defect == "short":
        return frames[: int(rng.integers(*_SHORT))]
    if rng.random() < 0.5 and len(frames) > 2 * _DISSOLVE[1] + _FLASH[1]:
        at = int(rng.integers(_DISSOLVE[1], len(frames) - _DISSOLVE[1] - _FLASH[1]))
        long = int(rng.integers(*_FLASH))
        light = rng.uniform(0.6, 1.0)
        frames[at : at + long] = frames[at : at + long] * (1 - light) + 255 * light
    return frames


def _joined(
    rng: np.random.Generator, before: np.ndarray, after: np.ndarray, passage: str
) -> tuple[int, np.ndarray, int]:
    """Where the first shot ends, all frames, and where the second begins."""
    if passage == "cut":
        return len(before), np.concatenate([before, after]), len(before)
    if passage == "dissolve":
        long = int(rng.integers(*_DISSOLVE))
        share = (np.arange(1, long + 1) / (long + 1))[:, None, None, None]
        mixed = before[-long:] * (1 - share) + after[:long] * share
        frames = np.concatenate([before[:-long], mixed.astype(np.uint8), after[long:]])
        return len(before) - long, frames, len(before)
    long = int(rng.integers(*_FADE))
    share = (np.arange(1, long + 1) / (long + 1))[:, None, None, None]
    out, into = before[-long:] * (1 - share), after[:long] * share
    dark = np.zeros((int(rng.integers(1, 4)), *before.shape[1:]))
    mixed = np.concatenate([out, dark, into]).astype(np.uint8)
    frames = np.concatenate([before[:-long], mixed, after[long:]])
    return len(before) - long, frames, len(before) + len(dark) + long
