"""A clip's verdict: looked at once, measured, judged."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ....pose.skeleton import PoseSequence
from ..clip_files import frame_rate, iterate_frames
from ..frame_seeking import index_frames
from .filters import FilterSettings, Reason, find_duplicates, judge, measure, person_boxes
from .looks import look
from .report_page import Judged

#: Frames per second of pictures, which do not tell.
_PICTURES_FPS = 25.0


class Verdict(NamedTuple):
    """What the report shows of a clip, and its fingerprints for those that follow."""

    judged: Judged
    prints: np.ndarray


def judge_clip(
    clip: Path,
    people: PoseSequence,
    main: PoseSequence,
    settings: FilterSettings,
    kept: Mapping[Path, np.ndarray],
) -> Verdict:
    """Look at a clip and judge it.

    Args:
        clip: A video or a folder of pictures.
        people: Everybody found in it.
        main: The person to train on.
        settings: What it must be like.
        kept: Fingerprints of the clips before it that were kept.

    Raises:
        MediaError: If it cannot be read to its end.
    """
    looks = look(iterate_frames(clip), main.num_frames, person_boxes(main), settings.cut)
    index = None if clip.is_dir() else index_frames(clip)
    fps = frame_rate(clip) or _PICTURES_FPS
    found = measure(looks, people, main, fps, None if index is None else index.stamps)
    reasons = judge(found, settings)
    twin = find_duplicates({**kept, clip: looks.prints}, settings.least_difference).get(clip)
    if twin is not None:
        reasons.append(Reason("duplicate", f"it looks like {twin.name}"))
    return Verdict(Judged(clip, reasons, found, looks.thumbnail), looks.prints)
