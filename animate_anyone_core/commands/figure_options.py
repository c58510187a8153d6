"""A figure before a background, driven by rendered pictures of a body: MIMO's weights."""

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from ..animate_settings import AnimateSettings
from ..checkpoints.families import MADE_ELSEWHERE, FamilyProfile
from ..errors import SettingsError
from ..frames import ChangedFrames, FirstFrames, Frames, frame_size
from ..images import fit_clip, read_picture
from ..replacement.figure import CutFigure, cut_figure, square_character, whole_pictures
from ..replacement.scene import Scene
from .driving_options import Driving
from .videos_beside import open_beside


@dataclass(frozen=True)
class FigureVideo:
    """What was read of the videos around a figure; see `Placement`.

    Attributes:
        cut: Where the figure is cut out.
        bodies: Rendered pictures of the body; all are frames that are read when they are needed.
        background: What is behind; None is white.
        occlusion: White where `original` lies in front, or None.
        original: The video itself, or None.
        reference_path: The character's picture.
        is_pasted: Whether the result is pasted over the background.
    """

    cut: CutFigure
    bodies: Frames
    background: Frames | None
    occlusion: Frames | None
    original: Frames | None
    reference_path: Path
    is_pasted: bool

    @property
    def given(self) -> Scene:
        """The background."""
        return Scene(background=self.background)

    def size(self, profile: FamilyProfile) -> tuple[int | None, int | None]:
        """The family's."""
        return None, None

    def reference(self, picture: Image.Image) -> Image.Image:
        """On white, cut to the character if parts are transparent, padded to a square."""
        white, black = (
            np.asarray(read_picture(self.reference_path, ground)) for ground in ("white", "black")
        )
        seen_through = (white.astype(np.int16) - black).max(axis=-1)  # where the grounds differ
        alpha = 255 - seen_through.clip(0, 255)
        return square_character(white, alpha.astype(np.uint8))

    def scene(self, size: tuple[int, int]) -> Scene:
        """The background in the squares."""
        if self.background is None:
            return Scene()
        return Scene(background=self.cut.background_squares(self.background, *size))

    def pictures(
        self, reference: Image.Image, settings: AnimateSettings, style: str
    ) -> Iterator[np.ndarray]:
        """The body in the squares."""
        return iter(self.cut.pose_squares(self.bodies, settings.width, settings.height))

    def first_needed(self, frame: int) -> int:
        """All, where pieces are joined."""
        return 0 if self.is_pasted else frame

    def finish(self, frames: Iterable[np.ndarray], first: int) -> Iterator[np.ndarray]:
        """Pasted over the background, or as they are."""
        if not self.is_pasted:
            return iter(frames)
        assert self.background is not None  # nothing else is pasted over
        pasted = self.cut.pasted(frames, self.background, self.occlusion, self.original)
        return islice(pasted, first, None)

    def result_size(self, made: tuple[int, int]) -> tuple[int, int]:
        """The background's, where it is pasted."""
        return self.cut.size if self.is_pasted else made


def add_figure_options(parser: argparse.ArgumentParser) -> None:
    """Define the options."""
    add = parser.add_argument
    add(
        "--background-video",
        type=Path,
        metavar="PATH",
        help="what is behind the character (MIMO's weights; default white)",
    )
    add(
        "--occlusion",
        type=Path,
        metavar="PATH",
        help="white where --original lies in front of the character, a video or pictures; with "
        "--background-video",
    )
    add(
        "--original",
        type=Path,
        metavar="PATH",
        help="the video that --occlusion restores; with the person still in it",
    )


def check_figure_options(args: argparse.Namespace) -> None:
    """Raise SettingsError if options contradict each other."""
    if (args.occlusion is None) != (args.original is None):
        raise SettingsError(
            "--occlusion says where --original lies in front of the character: give both, or none."
        )
    if args.occlusion is not None and (args.background_video is None or not args.paste):
        raise SettingsError(
            "--occlusion is for a character that is pasted over --background-video: give that, and "
            "leave --no-paste out."
        )


def is_figure(args: argparse.Namespace, driving: Driving, profile: FamilyProfile) -> bool:
    """Whether the weights draw a figure from rendered pictures, and these were given."""
    draws_figures = profile.drawing == MADE_ELSEWHERE and "background" in profile.extra_inputs
    return draws_figures and args.poses is not None and driving.clip is not None


def read_figure(args: argparse.Namespace, driving: Driving) -> FigureVideo:
    """Open the videos around a figure, and find where to cut it out.

    Raises:
        MediaError: If a video is shorter than the pictures of the body.
    """
    assert driving.clip is not None
    driven = FirstFrames(driving.clip, driving.count_frames(), driving.clip.name)
    background, occlusion, original = (
        None if path is None else open_beside(args, path, driving)
        for path in (args.background_video, args.occlusion, args.original)
    )
    is_pasted = background is not None and args.paste
    size = frame_size(driven if background is None else background)
    bodies = _fitted(driven, size)
    cut = whole_pictures(len(bodies), size)
    if args.crop:
        cut = cut_figure(bodies, in_pieces=is_pasted)
    front, whole = (
        None if video is None else _fitted(video, size) for video in (occlusion, original)
    )
    return FigureVideo(cut, bodies, background, front, whole, args.reference, is_pasted)


def _fitted(frames: Frames, size: tuple[int, int]) -> Frames:
    return ChangedFrames(frames, lambda frame: fit_clip(frame[None], *size)[0])
