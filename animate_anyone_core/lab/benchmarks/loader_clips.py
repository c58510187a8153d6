"""Clips for `benchmark loader`: a dancer before a still background, with a camera's noise.

A few seconds are encoded once; longer clips repeat their packets, whose cost to decode is the same.
"""

import shutil
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from ...media.color import Bt709Writer
from ...pose.openpose_json import save_poses
from ...pose.skeleton import PoseSequence
from ..synthetic.dancers import render_clip
from ..training.pose_arrays import write_pose_arrays

FPS = 25
_DRAWN = 12
_NOISE = 3.0


class Dance:
    """A dancer there and back, for as long as wanted."""

    def __init__(self, width: int, height: int) -> None:
        """Draw it in upright pictures of this size."""
        clip = render_clip(1, 2, _DRAWN, width, height)
        self._order = [*range(_DRAWN), *range(_DRAWN - 2, 0, -1)]
        self.width, self.height, self._clip = width, height, clip

    def frames(self, count: int) -> Iterator[np.ndarray]:
        """(H, W, 3) uint8 RGB with noise, each another."""
        rng = np.random.default_rng(0)
        noise = rng.normal(0, _NOISE, (self.height + 64, self.width + 64, 1)).astype(np.float32)
        for number in range(count):
            frame = self._clip.frames[self._order[number % len(self._order)]]
            y, x = rng.integers(0, 64, 2)
            noisy = frame + noise[y : y + self.height, x : x + self.width]
            yield np.clip(noisy, 0, 255).astype(np.uint8)

    def poses(self, count: int) -> PoseSequence:
        """Its poses, with as many digits as found ones have."""
        poses = self._clip.poses.at([self._order[i % len(self._order)] for i in range(count)])
        shake = np.random.default_rng(0).normal(0, 0.5, poses.points.shape)
        points = poses.points + shake * (poses.scores > 0)[..., None]
        return PoseSequence(points, poses.scores, self.width, self.height, float(FPS))


def write_loop(path: Path, dance: Dance, count: int, key_frames: int) -> None:
    """Encode H.264 at x264's own quality, with key frames exactly every so many."""
    rate = Fraction(FPS)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = dance.width, dance.height, "yuv420p"
        keys = f"keyint={key_frames}:min-keyint={key_frames}:scenecut=0"
        stream.options = {"preset": "veryfast", "x264-params": keys}
        Bt709Writer.tag(stream.codec_context)
        to_yuv = Bt709Writer(dance.width, dance.height, "yuv420p")
        for number, frame in enumerate(dance.frames(count)):
            picture = to_yuv(frame)
            picture.pts, picture.time_base = number, 1 / rate
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def repeat_loop(loop: Path, path: Path, loop_frames: int, count: int) -> None:
    """Write a clip of `count` frames from the packets of a shorter one, over and over."""
    with av.open(str(path), "w") as target:
        made, stream = 0, None
        while made < count:
            with av.open(str(loop)) as source:
                track = source.streams.video[0]
                stream = stream or target.add_stream_from_template(track, opaque=True)
                assert track.time_base is not None
                later = round(made / FPS / track.time_base)
                for packet in source.demux(track):
                    if packet.pts is None or packet.dts is None:
                        continue
                    if made + packet.pts * track.time_base * FPS >= count:
                        continue
                    packet.pts, packet.dts, packet.stream = (
                        packet.pts + later,
                        packet.dts + later,
                        stream,
                    )
                    target.mux(packet)
            made += loop_frames


def write_clip(folder: Path, dance: Dance, loop: Path, loop_frames: int, count: int) -> None:
    """Write a clip into two folders: `json` with its poses as text, `arrays` with arrays too."""
    poses = dance.poses(count)
    for name in ("json", "arrays"):
        (folder / name).mkdir(parents=True)
        repeat_loop(loop, folder / name / "clip.mp4", loop_frames, count)
    save_poses(poses, folder / "json" / "clip.json")
    shutil.copyfile(folder / "json" / "clip.json", folder / "arrays" / "clip.json")
    write_pose_arrays(poses, folder / "arrays" / "clip.json")


def write_copied(folder: Path, name: str, copied: Path, loop_frames: int, count: int) -> None:
    """Write the clip once more into a folder of that name, from a copied loop, with the same poses."""
    place = folder / name
    place.mkdir()
    repeat_loop(copied, place / "clip.mp4", loop_frames, count)
    for poses in (folder / "arrays").glob("clip.[js]*"):
        shutil.copyfile(poses, place / poses.name)
