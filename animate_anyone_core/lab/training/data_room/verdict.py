"""A clip's verdict: looked at once, measured, judged by itself."""

from typing import NamedTuple

import numpy as np

from ....pose.opencv import import_cv2
from ....pose.skeleton import PoseSequence
from ..footage import Footage
from .filters import FilterSettings, Measures, Reason, judge, measure, person_boxes
from .looks import look, picture_to_show

#: Frames per second of pictures, which do not tell.
_PICTURES_FPS = 25.0
_FRAME = (70, 200, 90)


class Verdict(NamedTuple):
    """What was found of a clip, see `stages.Examined`."""

    reasons: list[Reason]
    measures: Measures
    prints: np.ndarray
    thumbnail: np.ndarray


def judge_clip(
    clip: Footage, people: PoseSequence | None, main: PoseSequence, settings: FilterSettings
) -> Verdict:
    """Look at a clip and judge it.

    Args:
        clip: Its frames.
        people: Everybody found in them; None if only the person to train on is known.
        main: The person to train on.
        settings: What it must be like.

    Raises:
        MediaError: If it cannot be read to its end.
    """
    cut = None if clip.is_one_shot else settings.cut
    everybody = [main] if people is None else [main, people]
    boxes = np.concatenate([person_boxes(poses) for poses in everybody], axis=1)
    looks = look(clip.frames(), main.num_frames, boxes, cut)
    stamps = None if clip.is_even else clip.stamps()
    height = None if clip.picture is None else clip.picture[1]
    found = measure(looks, people, main, clip.fps or _PICTURES_FPS, stamps, height)
    thumbnail = looks.thumbnail if clip.window is None else _with_window(clip)
    return Verdict(judge(found, settings), found, looks.prints, thumbnail)


def _with_window(clip: Footage) -> np.ndarray:
    """The picture in the middle, whole, with what is cut out of it framed."""
    assert clip.window is not None
    cv2 = import_cv2()
    picture = clip.frame(clip.num_frames // 2)
    small = picture_to_show(cv2, picture)
    scale = small.shape[0] / picture.shape[0]
    left, top, right, bottom = (round(side * scale) for side in clip.window)
    return cv2.rectangle(small, (left, top), (right - 1, bottom - 1), _FRAME, 2)
