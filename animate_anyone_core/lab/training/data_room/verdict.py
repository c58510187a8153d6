"""A clip's verdict: looked at once, measured, judged by itself."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from ....pose.skeleton import PoseSequence
from ..clip_files import frame_rate, iterate_frames
from ..frame_seeking import index_frames
from .filters import FilterSettings, Measures, Reason, judge, measure, person_boxes
from .looks import look

#: Frames per second of pictures, which do not tell.
_PICTURES_FPS = 25.0


class Verdict(NamedTuple):
    """What was found of a clip, see `stages.Examined`."""

    reasons: list[Reason]
    measures: Measures
    prints: np.ndarray
    thumbnail: np.ndarray


def judge_clip(
    clip: Path, people: PoseSequence | None, main: PoseSequence, settings: FilterSettings
) -> Verdict:
    """Look at a clip and judge it.

    Args:
        clip: A video or a folder of pictures.
        people: Everybody found in it; None if only the person to train on is known.
        main: The person to train on.
        settings: What it must be like.

    Raises:
        MediaError: If it cannot be read to its end.
    """
    looks = look(iterate_frames(clip), main.num_frames, person_boxes(main), settings.cut)
    index = None if clip.is_dir() else index_frames(clip)
    fps = frame_rate(clip) or _PICTURES_FPS
    found = measure(looks, people, main, fps, None if index is None else index.stamps)
    return Verdict(judge(found, settings), found, looks.prints, looks.thumbnail)
