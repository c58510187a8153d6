"""Clips for `benchmark data-room`: made-up dancers in rooms, some with a planted defect.

A clip is a function of its kind and seed. What a defect is worth, such as how fast a zoom is, is drawn
from ranges that a person would call one; where `prepare`'s thresholds lie is not looked at.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ...media.color import Bt709Writer
from ..synthetic.backgrounds import make_background
from ..synthetic.dancers import DancerClip, render_clip
from ..synthetic.painting import cv2
from ..training.data_room.filters import motion

SIDE, HEIGHT = 144, 192
_FPS = (12, 15)
_SECONDS = (2.0, 2.6)
#: Dancers who go less far than this, in heights, only stand: no good clips, and no defect but "still".
_DANCES = 0.06
#: Side of the pictures that this is looked up in.
_SMALL = 32
#: Levels of 255 by which walls differ; the built-in networks know drawn rooms, not wallpaper.
_WALL = 12
#: Characters of a caption, at least: nobody would call two letters one.
_SHORTEST_CAPTION = 8
_WORDS = [
    "dance",
    "like",
    "share",
    "follow",
    "music",
    "live",
    "2024",
    "vol.3",
    "studio",
    "@amy_moves",
    "part",
    "2",
    "subscribe",
    "now",
]


@dataclass(frozen=True)
class Film:
    """What becomes a video.

    Attributes:
        frames: (F, H, W, 3) uint8 RGB.
        fps: Frames per second.
        gaps: How many times its usual time each frame lasts; None for once each.
    """

    frames: np.ndarray
    fps: int
    gaps: np.ndarray | None = None


def good(seed: int) -> Film:
    """A clip without a defect."""
    rng = np.random.default_rng([1, seed])
    clip, fps = dancer(rng, SIDE, HEIGHT)
    return Film(filmed(rng, walled(rng, clip)), fps)


def cut(seed: int) -> Film:
    """Two shots in one clip: another dancer in another room, from some frame on."""
    rng = np.random.default_rng([2, seed])
    (one, fps), (other, _) = dancer(rng, SIDE, HEIGHT), dancer(rng, SIDE, HEIGHT)
    shots = walled(rng, one), walled(rng, other)
    count = len(shots[0])
    at = round(count * rng.uniform(0.25, 0.75))
    return Film(filmed(rng, np.concatenate([shots[0][:at], shots[1][: count - at]])), fps)


def people(seed: int) -> Film:
    """Two dancers side by side, the other a little smaller at times."""
    rng = np.random.default_rng([3, seed])
    (one, fps), (other, _) = dancer(rng, SIDE, HEIGHT), dancer(rng, SIDE, HEIGHT)
    frames = walled(rng, one)
    size = round(HEIGHT * rng.uniform(0.75, 1.0))
    apart = 2 * round(SIDE / 2 * rng.uniform(0.75, 0.95))
    wide = np.stack([room(frame, apart) for frame in frames])
    both = pasted(wide, other, size, apart)[: len(other.frames)]  # who vanishes makes a cut
    return Film(filmed(rng, both), fps)


def still(seed: int) -> Film:
    """A photograph, filmed: only the camera's noise moves."""
    rng = np.random.default_rng([4, seed])
    clip, fps = dancer(rng, SIDE, HEIGHT)
    frames = walled(rng, clip)
    return Film(filmed(rng, np.repeat(frames[:1], len(frames), axis=0)), fps)


def tiny(seed: int) -> Film:
    """Somebody far away in a large picture."""
    rng = np.random.default_rng([5, seed])
    clip, fps = dancer(rng, SIDE, HEIGHT)
    width, height = 2 * SIDE, 2 * HEIGHT
    wall = make_background(int(rng.integers(10**9)), width, height, 0.93)[..., :3]
    wall = textured(rng, wall[None], np.zeros((1, height, width), np.uint8))
    wide = np.repeat(wall, len(clip.frames), axis=0)
    size = round(height * rng.uniform(0.24, 0.32))
    return Film(filmed(rng, pasted(wide, clip, size, round(width * rng.uniform(0.1, 0.6)))), fps)


def blur(seed: int) -> Film:
    """Out of focus."""
    rng = np.random.default_rng([6, seed])
    clip, fps = dancer(rng, SIDE, HEIGHT)
    sigma = rng.uniform(2.0, 4.0)
    frames = np.stack([cv2.GaussianBlur(f, None, sigma) for f in walled(rng, clip)])
    return Film(filmed(rng, frames), fps)


def text(seed: int) -> Film:
    """A caption or a channel's name, burnt in."""
    rng = np.random.default_rng([7, seed])
    clip, fps = dancer(rng, SIDE, HEIGHT)
    words = ""
    while len(words) < _SHORTEST_CAPTION:
        words = " ".join(rng.choice(_WORDS, int(rng.integers(2, 4)), replace=False))
    size = int(rng.uniform(0.055, 0.08) * HEIGHT)
    color = [(255, 255, 255), (255, 230, 60), (20, 20, 20)][int(rng.integers(3))]
    across, down = rng.uniform(0.03, 0.2), float(rng.choice([0.03, 0.12, 0.78, 0.88]))
    frames = walled(rng, clip)
    written = np.stack([_written(f, words, size, color, (across, down)) for f in frames])
    return Film(filmed(rng, written), fps)


def zoom(seed: int) -> Film:
    """The camera goes nearer or further, by a quarter to a half of the picture a second."""
    rng = np.random.default_rng([8, seed])
    clip, fps = dancer(rng, 2 * SIDE, 2 * HEIGHT)
    frames = walled(rng, clip)
    scales = (1 + rng.uniform(0.25, 0.5)) ** (np.arange(len(frames)) / fps)
    scales = scales[::-1] if rng.random() < 0.5 else scales
    return Film(
        filmed(rng, np.stack([_scaled(f, s) for f, s in zip(frames, scales, strict=True)])), fps
    )


def rate(seed: int) -> Film:
    """Frames are missing here and there, and the file's times say so."""
    film = good(seed + 10**6)
    rng = np.random.default_rng([9, seed])
    gaps = rng.choice([1, 1, 1, 2, 3], len(film.frames))
    gaps[int(rng.integers(2, 10))] = 3
    return Film(film.frames, film.fps, gaps)


#: Defects that are seen in the clip alone; "duplicate" and "damaged" are made of good files.
PLANTED: dict[str, Callable[[int], Film]] = {
    "cut": cut,
    "people": people,
    "still": still,
    "tiny": tiny,
    "blur": blur,
    "text": text,
    "camera": zoom,
    "rate": rate,
}


def write_film(film: Film, path: Path, quality: int = 20) -> None:
    """Encode H.264 with the film's own times."""
    times = np.arange(len(film.frames))
    if film.gaps is not None:
        times = np.concatenate([[0], np.cumsum(film.gaps[:-1])])
    height, width = film.frames.shape[1:3]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=film.fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = Fraction(1, film.fps)
        stream.options = {"preset": "veryfast", "crf": str(quality)}
        Bt709Writer.tag(stream.codec_context)
        to_yuv = Bt709Writer(width, height, "yuv420p")
        for time, frame in zip(times, film.frames, strict=True):
            picture = to_yuv(frame)
            picture.pts, picture.time_base = int(time), Fraction(1, film.fps)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def write_duplicate(film: Film, path: Path, seed: int) -> None:
    """Write a clip once more: other brightness, other size, other compression."""
    rng = np.random.default_rng([10, seed])
    frames = np.clip(film.frames * rng.uniform(0.92, 1.06) + rng.uniform(-6, 6), 0, 255)
    scale = rng.uniform(0.8, 1.2)
    size = tuple(2 * round(side * scale / 2) for side in (frames.shape[2], frames.shape[1]))
    again = [cv2.resize(f, size, interpolation=cv2.INTER_AREA) for f in frames.astype(np.uint8)]
    write_film(Film(np.stack(again), film.fps), path, 24)


def damage(whole: Path, path: Path, seed: int) -> None:
    """Copy a file with its end missing, or a hole in it."""
    content = bytearray(whole.read_bytes())
    rng = np.random.default_rng([11, seed])
    if rng.random() < 0.5:
        content = content[: round(len(content) * rng.uniform(0.3, 0.9))]
    else:
        start = round(len(content) * rng.uniform(0.2, 0.4))
        content[start : start + len(content) // 4] = bytes(len(content) // 4)
    path.write_bytes(content)


def write_clips(folder: Path, seed: int, num_good: int, each: int) -> dict[str, str]:
    """Write a folder of clips.

    Args:
        folder: An empty one.
        seed: The first of the seeds; as many as there are clips are used up.
        num_good: Clips without a defect.
        each: Clips of each kind of defect.

    Returns:
        Name of the file -> kind of defect, "" for none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    truth, number = {}, 0
    order = np.random.default_rng(seed).permutation(num_good + each * len(PLANTED))
    kinds = [""] * num_good + [kind for kind in PLANTED for _ in range(each)]
    for place, kind in zip(order, kinds, strict=True):
        name = f"{place:05d}.mp4"
        write_film((PLANTED[kind] if kind else good)(seed + number), folder / name)
        truth[name], number = kind, number + 1
    whole = [name for name, kind in truth.items() if not kind]
    for extra in range(each):
        again, damaged = f"9{extra:04d}a.mp4", f"9{extra:04d}b.mp4"
        write_duplicate(good(seed + extra), folder / again, seed + extra)
        damage(folder / whole[-1 - extra], folder / damaged, seed + extra)
        truth[again], truth[damaged] = "duplicate", "unusable"
    return truth


def dancer(
    rng: np.random.Generator, width: int, height: int, fps: int | None = None
) -> tuple[DancerClip, int]:
    """Somebody who really dances, and the frame rate: drawn, too, if it is not given."""
    fps = fps or int(rng.choice(_FPS))
    count = round(fps * rng.uniform(*_SECONDS))
    while True:
        seeds = [int(value) for value in rng.integers(10**6, size=2)]
        small = render_clip(seeds[0], seeds[1], count, _SMALL, _SMALL, fps=fps)
        if motion(small.poses) >= _DANCES:
            return render_clip(seeds[0], seeds[1], count, width, height, fps=fps), fps


def walled(rng: np.random.Generator, clip: DancerClip) -> np.ndarray:
    """A dancer's frames with something on the wall."""
    return textured(rng, clip.frames, clip.masks)


def textured(rng: np.random.Generator, frames: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Put something on the wall, as in real rooms, behind the person."""
    height, width = frames.shape[1:3]
    coarse = rng.integers(0, 2 * _WALL, (height // 8, width // 8, 3), dtype=np.uint8)
    wall = (
        cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)
        - _WALL
    )
    behind = 1 - masks[..., None].astype(np.float32) / 255
    return np.clip(frames + wall * behind, 0, 255).astype(np.uint8)


def filmed(rng: np.random.Generator, frames: np.ndarray) -> np.ndarray:
    """Add a camera's noise."""
    noise = rng.normal(0, rng.uniform(0.5, 1.5), frames.shape)
    return np.clip(np.rint(frames + noise), 0, 255).astype(np.uint8)


def room(frame: np.ndarray, more: int) -> np.ndarray:
    """The picture with its right edge drawn out."""
    return np.concatenate([frame, np.repeat(frame[:, -1:], more, axis=1)], axis=1)


def pasted(frames: np.ndarray, clip: DancerClip, height: int, left: int) -> np.ndarray:
    """Paste a dancer of this height before frames, its feet where floors are."""
    width = round(clip.frames.shape[2] * height / clip.frames.shape[1])
    top = frames.shape[1] - height if height > 0.5 * frames.shape[1] else frames.shape[1] // 2
    result = frames.copy()
    for frame, picture, mask in zip(result, clip.frames, clip.masks, strict=False):
        small = cv2.resize(
            np.dstack([picture, mask]), (width, height), interpolation=cv2.INTER_AREA
        )
        part = frame[top : top + height, left : left + width]
        small = small[: part.shape[0], : part.shape[1]].astype(np.float32)
        alpha = small[..., 3:] / 255
        part[:] = np.rint(part * (1 - alpha) + small[..., :3] * alpha)
    return result


def _written(
    frame: np.ndarray,
    words: str,
    size: int,
    color: tuple[int, int, int],
    place: tuple[float, float],
) -> np.ndarray:
    image = Image.fromarray(frame)
    height, width = frame.shape[:2]
    outline = (0, 0, 0) if sum(color) > 300 else (255, 255, 255)
    ImageDraw.Draw(image).text(
        (place[0] * width, place[1] * height),
        words,
        color,
        ImageFont.load_default(size),
        stroke_width=1,
        stroke_fill=outline,
    )
    return np.asarray(image)


def _scaled(frame: np.ndarray, scale: float) -> np.ndarray:
    """The middle of a picture, so many times larger, at half of the picture's size."""
    width, height = SIDE, HEIGHT
    change = np.array(
        [[scale / 2, 0, width / 2 * (1 - scale)], [0, scale / 2, height / 2 * (1 - scale)]]
    )
    smooth = cv2.GaussianBlur(frame, None, max(0.1, 0.5 / scale))
    return cv2.warpAffine(smooth, change, (width, height), flags=cv2.INTER_LINEAR)
