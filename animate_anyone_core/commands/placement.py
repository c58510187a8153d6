"""Where the character goes: alone, in a person's place, or as a figure before a background."""

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from PIL import Image

from ..animate_settings import AnimateSettings
from ..checkpoints.families import FamilyProfile
from ..images import fit
from ..replacement.scene import NO_SCENE, Scene
from .driving_options import Driving, skeleton_pictures
from .videos_beside import open_beside


class Placement(Protocol):
    """What `animate` asks of the video around the character. Sizes are (width, height)."""

    @property
    def given(self) -> Scene:
        """The videos as they were read."""
        ...

    def size(self, profile: FamilyProfile) -> tuple[int | None, int | None]:
        """The size to make if none is asked for; None is the family's."""
        ...

    def reference(self, picture: Image.Image) -> Image.Image:
        """The character's picture as the networks see it, but for its size."""
        ...

    def scene(self, size: tuple[int, int]) -> Scene:
        """What the networks see around the character."""
        ...

    def pictures(
        self, reference: Image.Image, settings: AnimateSettings, style: str
    ) -> Iterator[np.ndarray]:
        """Pose pictures (H, W, 3) uint8, one a frame to make."""
        ...

    def first_needed(self, frame: int) -> int:
        """The first frame that must be decoded for the result from this frame on."""
        ...

    def finish(self, frames: Iterable[np.ndarray], first: int) -> Iterator[np.ndarray]:
        """The result's frames from `first` on, from frames as they come out of the networks."""
        ...

    def result_size(self, made: tuple[int, int]) -> tuple[int, int]:
        """The size of the result."""
        ...


@dataclass(frozen=True)
class Alone:
    """The character as it is made, perhaps before a background that the networks see.

    Attributes:
        args: The command's options.
        driving: What drives.
        given: The videos as they were read.
    """

    args: argparse.Namespace
    driving: Driving
    given: Scene = NO_SCENE

    def size(self, profile: FamilyProfile) -> tuple[int | None, int | None]:
        """See `Placement`, as the others."""
        return None, None

    def reference(self, picture: Image.Image) -> Image.Image:
        """As it is."""
        return picture

    def scene(self, size: tuple[int, int]) -> Scene:
        """As it is."""
        return self.given

    def pictures(
        self, reference: Image.Image, settings: AnimateSettings, style: str
    ) -> Iterator[np.ndarray]:
        """Drawn for the character's body where that is wanted."""
        fitted = fit(reference, settings.width, settings.height, settings.fit)
        return skeleton_pictures(self.args, self.driving, fitted, style)

    def first_needed(self, frame: int) -> int:
        """That frame itself."""
        return frame

    def finish(self, frames: Iterable[np.ndarray], first: int) -> Iterator[np.ndarray]:
        """As they are."""
        return iter(frames)

    def result_size(self, made: tuple[int, int]) -> tuple[int, int]:
        """As made."""
        return made


def alone(args: argparse.Namespace, driving: Driving) -> Alone:
    """The character alone, with the video of `--background-video` where there is one."""
    if args.background_video is None:
        return Alone(args, driving)
    return Alone(args, driving, Scene(background=open_beside(args, args.background_video, driving)))
