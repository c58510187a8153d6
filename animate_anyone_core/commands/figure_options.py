"""A figure before a background, driven by rendered pictures of a body: MIMO's weights."""

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ..animate_settings import AnimateSettings
from ..checkpoints.families import MADE_ELSEWHERE, FamilyProfile
from ..errors import SettingsError
from ..images import fit_clip, read_picture
from ..replacement.figure import CutFigure, cut_figure, square_character, whole_pictures
from ..replacement.scene import Scene
from .driving_options import Driving
from .videos_beside import read_beside


@dataclass(frozen=True)
class FigureVideo:
    """What was read of the videos around a figure; see `Placement`.

    Attributes:
        cut: Where the figure is cut out.
        bodies: Rendered pictures of the body (F, H, W, 3) uint8.
        background: What is behind (F, H, W, 3) uint8; None is white.
        occlusion: White where `original` lies in front (F, H, W, 3) uint8, or None.
        original: (F, H, W, 3) uint8, or None.
        reference_path: The character's picture.
        is_pasted: Whether the result is pasted over the background.
    """

    cut: CutFigure
    bodies: np.ndarray
    background: np.ndarray | None
    occlusion: np.ndarray | None
    original: np.ndarray | None
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
        return Scene(background=self.cut.background(self.background, *size))

    def pictures(
        self, reference: Image.Image, settings: AnimateSettings, style: str
    ) -> Iterator[np.ndarray]:
        """The body in the squares."""
        return iter(self.cut.poses(self.bodies, settings.width, settings.height))

    def first_needed(self, frame: int) -> int:
        """All, where pieces are joined."""
        return 0 if self.is_pasted else frame

    def finish(self, frames: Iterable[np.ndarray], first: int) -> Iterator[np.ndarray]:
        """Pasted over the background, or as they are."""
        if not self.is_pasted:
            return iter(frames)
        assert self.background is not None  # nothing else is pasted over
        made = np.stack(list(frames))
        return iter(self.cut.paste(made, self.background, self.occlusion, self.original)[first:])

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
    """Read the videos around a figure, and find where to cut it out.

    Raises:
        MediaError: If a video is shorter than the pictures of the body.
    """
    assert driving.clip is not None
    bodies = np.stack(list(driving.clip))
    background, occlusion, original = (
        None if path is None else read_beside(args, path, driving)
        for path in (args.background_video, args.occlusion, args.original)
    )
    is_pasted = background is not None and args.paste
    if background is not None:
        size = background.shape[2], background.shape[1]
        bodies = fit_clip(bodies, *size)
        occlusion, original = (
            None if v is None else fit_clip(v, *size) for v in (occlusion, original)
        )
    if args.crop:
        cut = cut_figure(bodies, in_pieces=is_pasted)
    else:
        cut = whole_pictures(len(bodies), (bodies.shape[2], bodies.shape[1]))
    return FigureVideo(cut, bodies, background, occlusion, original, args.reference, is_pasted)
