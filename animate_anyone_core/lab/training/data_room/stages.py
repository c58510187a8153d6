"""What is done to one clip, stage by stage: cut out of its film, examined, written. Plain functions.

Nothing here knows of the other clips, so a stage gives the same answer wherever it runs; what needs the
others, near-duplicates, is left to whoever collects the answers in the order of the clips.
"""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from ....errors import AnimateAnyoneError, MediaError, SettingsError
from ....files import whole_file
from ....media.color import Region
from ....pose.detection import PoseDetector
from ....pose.openpose_json import FORMAT, load_poses, save_poses
from ....pose.skeleton import PoseSequence
from ....pose.smoothing import SmoothingSettings, smooth_poses
from ....pose.tracking import choose_person
from ....progress import OnStep, silent
from ..clip_copies import write_copy
from ..footage import Footage, at_rate, seconds, whole
from ..frame_seeking import index_frames
from ..pose_arrays import read_origin, write_pose_arrays
from .crops import choose_window, has_ratio, moved
from .filters import FilterSettings, Measures, Reason, jitter
from .shots import find_shots, small_pictures
from .verdict import judge_clip

#: A rate so little above the wished one is left as it is: 30.0 is 29.97.
_ABOUT = 1.01
#: A frame that lasts so many times as long as the usual one makes an uneven rate.
_UNEVEN = 1.5


@dataclass(frozen=True, kw_only=True)
class PrepareSettings:
    """What becomes of a film, and how poses are found.

    Attributes:
        interval: The detector looks for people every so many frames.
        smoothing: How poses are smoothed; None keeps them as found, as the published training.
        min_frames: Shorter clips are left out.
        min_seen: Least share of frames that must show a person.
        filters: What clips must be like besides; None takes every clip with a person.
        copy_side: Write copies to train on, of this shorter side at the most, see `clip_copies`; None
            writes none, but of clips that are no whole film.
        cuts: A film with cuts is cut into its shots, each a clip of its own; or, with filters, it is
            left out.
        fps: Frames per second at the most: clips with more are brought to it by their time stamps.
        is_evened: Clips of an uneven rate are brought to their mean rate, by their time stamps.
        crop: Width over height of a window around the main person that is cut out; None keeps
            pictures whole.
    """

    interval: int = 8
    smoothing: SmoothingSettings | None = None
    min_frames: int = 2
    min_seen: float = 0.8
    filters: FilterSettings | None = None
    copy_side: int | None = None
    cuts: Literal["split", "leave-out"] = "leave-out"
    fps: float | None = None
    is_evened: bool = False
    crop: float | None = None

    def __post_init__(self) -> None:
        if self.interval < 1 or self.min_frames < 1:
            raise SettingsError(
                f"interval and min_frames must be at least 1, got {self.interval} and "
                f"{self.min_frames}."
            )
        if self.copy_side is not None and self.copy_side < 64:
            raise SettingsError(f"copy_side must be at least 64 pixels, got {self.copy_side}.")
        if not 0 < self.min_seen <= 1:
            raise SettingsError(f"min_seen must be above 0 and at most 1, got {self.min_seen}.")
        if self.cuts not in ("split", "leave-out"):
            raise SettingsError(f"cuts must be split or leave-out, got {self.cuts!r}.")
        if self.fps is not None and not 1 <= self.fps <= 1000:
            raise SettingsError(f"fps must be from 1 to 1000, got {self.fps:g}.")
        if self.crop is not None and not 0.2 <= self.crop <= 5:
            raise SettingsError(
                f"crop, width over height, must be from 0.2 to 5, got {self.crop:g}."
            )

    @property
    def makes_videos(self) -> bool:
        """Whether clips may be others than the films' own frames, so that they must be written."""
        return (
            self.cuts == "split" or self.fps is not None or self.is_evened or self.crop is not None
        )


class Examined(NamedTuple):
    """What was found of a clip.

    Attributes:
        poses: Of its main person; None where a file of them is there already.
        reasons: Why it is left out; empty if nothing speaks against it.
        measures: What was measured; None without filters.
        prints: Its fingerprints, see `looks.Looks`; None without filters.
        thumbnail: Its frame in the middle, (h, w, 3) uint8; None without filters.
        clip: Its frames, with what is cut out of them.
    """

    poses: PoseSequence | None
    reasons: tuple[Reason, ...] = ()
    measures: Measures | None = None
    prints: np.ndarray | None = None
    thumbnail: np.ndarray | None = None
    clip: Footage | None = None


def probe(film: Path, settings: PrepareSettings) -> dict[int, Footage]:
    """Its clips, at the rate that is wished for: the whole film as number 0, or its shots from 1 on.

    Raises:
        MediaError: If it cannot be read, or is too short.
    """
    clip = whole(film)
    if clip.num_frames < settings.min_frames:
        raise MediaError(
            f"{film.name} has {clip.num_frames} frames, at least {settings.min_frames} are needed."
        )
    if settings.makes_videos and not film.is_dir():
        clip = replace(clip, index=index_frames(film))
    if clip.index is not None and len(clip.index.stamps) != clip.num_frames:
        clip = replace(clip, index=None)
    clips = _shots(clip, settings) if settings.cuts == "split" else {0: clip}
    clips = {number: _at_wished_rate(own, settings) for number, own in clips.items()}
    return {  # where all frames are is found again when it is asked for: there are many films
        number: replace(own, index=None) if own.is_untouched else own
        for number, own in clips.items()
    }


def _shots(film: Footage, settings: PrepareSettings) -> dict[int, Footage]:
    least = (settings.filters or FilterSettings()).cut
    if least is None:
        return {0: film}
    small = small_pictures(film.film)
    check_count(film, len(small))
    shots = find_shots(small, least)
    if len(shots) == 1 and shots[0].num_frames == film.num_frames:
        return {0: replace(film, is_one_shot=True)}
    clips = {}
    for number, (start, end) in enumerate(shots, start=1):
        index = None if film.index is None else film.index.part(start, end)
        picks = np.arange(start, end)
        place = replace(film, num_frames=end - start, first=start, picks=picks, index=index)
        clips[number] = replace(place, is_one_shot=True)
    return clips


def _at_wished_rate(clip: Footage, settings: PrepareSettings) -> Footage:
    if clip.fps is None or clip.num_frames < 3 or not (settings.fps or settings.is_evened):
        return clip
    times = seconds(clip)
    mean = (len(times) - 1) / times[-1]
    most = settings.fps or mean
    is_uneven = (jitter(times) or 1.0) > _UNEVEN
    if settings.is_evened and is_uneven:
        return replace(at_rate(clip, min(mean, most)), is_even=True)
    return at_rate(clip, most) if mean > _ABOUT * most else clip


def examine(
    clip: Footage,
    target: Path | None,
    detector: PoseDetector,
    settings: PrepareSettings,
    on_step: OnStep = silent,
) -> Examined:
    """Find the poses of a clip, unless its file of poses is there, and judge it. Writes nothing.

    Args:
        clip: Its frames.
        target: Its file of poses; None finds them in any case.
        detector: Finds the poses.
        settings: How, and what clips must be like.
        on_step: Called as frames are done.

    Raises:
        MediaError: If it cannot be read to its end.
        SettingsError: If another file stands where its poses should go.
    """
    people, unseen = None, None
    kept = None if target is None else _kept(target, clip, settings)
    if kept is not None:
        assert target is not None
        main, clip = load_poses(target, canvas=(1, 1)), kept
    else:
        people = find_people(clip, detector, settings, on_step)
        main, unseen = main_person(people, settings)
    reasons = [Reason("doubted", " ".join(main.doubts))] if main.doubts else []
    reasons += [] if unseen is None else [unseen]
    if people is not None and settings.crop is not None and unseen is None:
        window = choose_window(main, settings.crop)
        if window is None:
            reasons.append(Reason("crop", _TOO_WIDE))
        else:
            clip = replace(clip, window=window, picture=(main.width, main.height))
            people, main = moved(people, window), moved(main, window)
    poses = None if people is None else main
    if settings.filters is None:
        return Examined(poses, tuple(reasons), clip=clip)
    found = judge_clip(clip, people, main, settings.filters)
    own = found.reasons
    if unseen is not None:
        is_there = bool(
            (main.scores > 0).any()
        )  # or else the camera is followed on the person, too
        kinds = _OF_PICTURES if is_there else _OF_PICTURES - {"camera"}
        own = [reason for reason in own if reason.kind in kinds]
    every = (*own, *reasons)
    return Examined(poses, every, found.measures, found.prints, found.thumbnail, clip)


#: What is told of a clip's pictures, whoever is in them.
_OF_PICTURES = {"cut", "camera", "rate", "text", "blur"}
_TOO_WIDE = "no window of the wished shape holds the person all the time"


def write(
    clip: Footage,
    target: Path,
    poses: PoseSequence | None,
    copy: Path | None,
    side: int | None,
) -> bool:
    """Write what training reads of a clip that is kept.

    Args:
        clip: Its frames.
        target: Its file of poses; its arrays go beside it.
        poses: None where that file is there.
        copy: Where a copy of a video goes; None for none.
        side: See `clip_copies.copy_size`.

    Returns:
        Whether there is a copy now; folders of pictures need none.

    Raises:
        MediaError: If something cannot be written.
        SettingsError: If the copy would take the place of the clip.
    """
    is_copied = copy is not None and not (clip.film.is_dir() and clip.is_untouched)
    if is_copied:
        assert copy is not None
        _write_video(clip, copy, side, is_new=poses is not None and not clip.is_untouched)
    try:
        if poses is not None:
            save_poses(poses, target)
        own = poses or load_poses(target, canvas=(1, 1))
        write_pose_arrays(own, target, clip.origin())
    except MediaError as error:
        raise MediaError(
            f"{error} Free the disk, or name another folder with --output; the poses written so "
            "far are intact."
        ) from error
    return is_copied


def _write_video(clip: Footage, copy: Path, side: int | None, is_new: bool) -> None:
    if copy.exists() and copy.samefile(clip.film):
        raise SettingsError(
            f"The copy of {clip.film.name} would take its place. Name another folder with --output."
        )
    if side is None and clip.is_untouched:
        with whole_file(copy) as part:
            shutil.copyfile(clip.film, part)
    else:
        write_copy(clip, copy, side, is_new)


def find_people(
    clip: Footage,
    detector: PoseDetector,
    settings: PrepareSettings,
    on_step: OnStep = silent,
) -> PoseSequence:
    """Find the poses of everybody in a clip, frame by frame.

    Raises:
        MediaError: If the clip cannot be read to its end.
    """
    people, _ = detector.detect(
        clip.frames(),
        fps=clip.fps,
        num_frames=clip.num_frames,
        interval=settings.interval,
        on_step=on_step,
    )
    check_count(clip, people.num_frames)
    return people


def check_count(clip: Footage, count: int) -> None:
    """Raise MediaError if other than all frames of a clip can be read."""
    if count != clip.num_frames:
        raise MediaError(
            f"{clip.film.name} should have {clip.num_frames} frames, {count} can be read: it is "
            "cut short or damaged. Encode it again."
        )


def main_person(
    people: PoseSequence, settings: PrepareSettings
) -> tuple[PoseSequence, Reason | None]:
    """The poses of the largest person of a clip, and a reason if too few frames show it."""
    poses = choose_person(people, "largest")
    share = (poses.scores > 0).any(axis=(1, 2)).mean()
    if share < settings.min_seen:
        text = (
            f"it shows its main person in {100 * share:.0f} % of the frames, "
            f"{100 * settings.min_seen:.0f} % are needed: cut it to the part with the person"
        )
        return poses, Reason("unseen", text)
    if settings.smoothing is not None:
        poses = smooth_poses(poses, settings.smoothing)[0]
    return poses, None


def _kept(target: Path, clip: Footage, settings: PrepareSettings) -> Footage | None:
    """The frames that the whole file of a clip's poses is of; None if there is none of this clip.

    Raises:
        SettingsError: If another file stands there.
    """
    if not target.is_file():
        return None
    try:
        if load_poses(target, canvas=(1, 1)).num_frames == clip.num_frames:
            return _as_written(read_origin(target), clip, settings.crop)
    except AnimateAnyoneError:
        pass
    try:
        document = json.loads(target.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return None  # cut short
    if isinstance(document, dict) and document.get("format") == FORMAT:
        return None
    raise SettingsError(
        f"{target} is there and is no file of poses of {clip.film.name}. Move it away, or name "
        "another folder with --output."
    )


def _as_written(origin: dict[str, Any] | None, clip: Footage, crop: float | None) -> Footage | None:
    """The clip with the window that its poses were written in; None if they are of other frames."""
    window = (origin or {}).get("window")
    if window is not None and origin is not None:
        clip = replace(clip, window=Region(*window), picture=tuple(origin["picture"]))
    is_as_wished = (
        crop is None if clip.window is None else crop is not None and has_ratio(clip.window, crop)
    )
    return clip if is_as_wished and clip.origin() == origin else None
