"""Give clips their poses: find the main person of every video and write it where training looks.

A clip that cannot be used is left out with one line that says why; the others go on. What is there
already is kept, so a stopped run goes on where it was; a file that is not ours is never replaced.
"""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ...errors import AnimateAnyoneError, MediaError, PoseError, SettingsError
from ...files import write_json
from ...pose.detection import PoseDetector
from ...pose.openpose_json import FORMAT, load_poses, save_poses
from ...pose.skeleton import PoseSequence
from ...pose.smoothing import SmoothingSettings, smooth_poses
from ...pose.tracking import choose_person
from ...progress import OnStep, silent
from .clip_copies import write_copy
from .clip_files import count_frames, find_sources, frame_rate, iterate_frames
from .data_room.filters import FilterSettings, Reason
from .data_room.report_page import Judged, explain
from .data_room.verdict import judge_clip
from .pose_arrays import write_pose_arrays

logger = logging.getLogger("animate_anyone")

LIST_NAME = "meta.json"


class FilteredClipError(MediaError):
    """A clip that is not what the filters ask for."""


class DoubtedPosesError(PoseError):
    """Poses were found that do not hold when a few frames are looked at again."""


@dataclass(frozen=True, kw_only=True)
class PrepareSettings:
    """How poses are found.

    Attributes:
        interval: The detector looks for people every so many frames.
        smoothing: How poses are smoothed; None keeps them as found, as the published training.
        min_frames: Shorter clips are left out.
        min_seen: Least share of frames that must show a person.
        filters: What clips must be like besides; None takes every clip with a person.
        copy_side: Write copies to train on, of this shorter side at the most, see `clip_copies`; None
            writes none.
    """

    interval: int = 8
    smoothing: SmoothingSettings | None = None
    min_frames: int = 2
    min_seen: float = 0.8
    filters: FilterSettings | None = None
    copy_side: int | None = None

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


@dataclass
class PrepareReport:
    """What became of the clips.

    Attributes:
        written: Clips whose poses were found now, and the files.
        kept: Clips whose poses were there.
        left_out: Clips that cannot be used, and why.
        doubted: Those of them whose poses cannot be trusted.
        judged: With filters: every clip's measures, and why it is left out.
        copies: Clips that have a copy to train on, and that.
    """

    written: dict[Path, Path] = field(default_factory=dict)
    kept: dict[Path, Path] = field(default_factory=dict)
    left_out: dict[Path, str] = field(default_factory=dict)
    doubted: list[Path] = field(default_factory=list)
    judged: list[Judged] = field(default_factory=list)
    copies: dict[Path, Path] = field(default_factory=dict)

    def __str__(self) -> str:
        text = f"{len(self.written) + len(self.kept)} clips have poses"
        if self.kept:
            text += f", {len(self.kept)} had them before"
        text += f"; {len(self.left_out)} are left out"
        if self.doubted:
            text += f", {len(self.doubted)} of them because their poses cannot be trusted"
        return f"{text}."


def prepare_clips(
    path: Path,
    detector: PoseDetector,
    output: Path | None = None,
    settings: PrepareSettings | None = None,
    on_step: OnStep = silent,
) -> PrepareReport:
    """Find the poses of all clips in a folder.

    Args:
        path: A video, a folder of frames, or a folder that holds any number of them at any depth.
        detector: Finds the poses.
        output: Folder for the files of poses and `meta.json`, which lists videos and poses for
            training; None writes each file beside its clip, where training finds it as well.
        settings: How.
        on_step: Called as frames are done; raise from it to stop. What is written stays.

    Raises:
        SettingsError: If there are no clips, or copies have no folder to go to.
        MediaError: If poses or copies cannot be written.
    """
    settings = settings or PrepareSettings()
    if settings.copy_side is not None and output is None:
        raise SettingsError("Copies of clips need a folder to go to: name it with --output.")
    report = PrepareReport()
    clips = find_sources(path)
    root = path.parent if path in clips else path
    lengths: dict[Path, int] = {}
    for clip in clips:
        with _left_out_if_unusable(clip, report):
            lengths[clip] = _length(clip, settings.min_frames)
    done, total = 0, sum(lengths.values())
    owners: dict[Path, Path] = {}  # file of poses -> its clip
    prints: dict[Path, np.ndarray] = {}  # of clips that pass the filters
    for clip, num_frames in lengths.items():
        target = _target(clip, root, output)
        poses = None
        with _left_out_if_unusable(clip, report):
            _check_target(target, owners.setdefault(target, clip), clip, num_frames)
            if _is_there(target, num_frames):
                there = load_poses(target, canvas=(1, 1))
                _check_doubts(there, target.name)
                _filter(clip, there, there, settings.filters, prints, report)
                write_pose_arrays(there, target)
                report.kept[clip] = target
            else:

                def step(frame: int, _: int, before: int = done, most: int = num_frames) -> None:
                    on_step(before + min(frame, most), total)

                people = find_people(clip, num_frames, detector, settings, step)
                main = main_person(people, clip.name, settings)
                _filter(clip, people, main, settings.filters, prints, report)
                poses = main
        if poses is not None:
            _save(poses, target)
            report.written[clip] = target
        is_taken = clip in report.written or clip in report.kept
        if output is not None and settings.copy_side is not None and is_taken:
            _copy(clip, target.with_suffix(".mp4"), settings.copy_side, report)
        done += num_frames
        on_step(done, total)
    if output is not None and (report.written or report.kept):
        _write_list(output, report)
    return report


def find_people(
    clip: Path,
    num_frames: int,
    detector: PoseDetector,
    settings: PrepareSettings,
    on_step: OnStep = silent,
) -> PoseSequence:
    """Find the poses of everybody in a clip, frame by frame.

    Raises:
        MediaError: If the clip cannot be read to its end.
        DoubtedPosesError: If the poses cannot be trusted.
    """
    people, _ = detector.detect(
        iterate_frames(clip),
        fps=frame_rate(clip),
        num_frames=num_frames,
        interval=settings.interval,
        on_step=on_step,
    )
    if people.num_frames != num_frames:
        raise MediaError(
            f"{clip.name} should have {num_frames} frames, {people.num_frames} can be read: it is "
            "cut short or damaged. Encode it again."
        )
    _check_doubts(people, clip.name)
    return people


def main_person(people: PoseSequence, name: str, settings: PrepareSettings) -> PoseSequence:
    """The poses of the largest person of a clip.

    Raises:
        PoseError: If too few frames show it.
    """
    poses = choose_person(people, "largest")
    share = (poses.scores > 0).any(axis=(1, 2)).mean()
    if share < settings.min_seen:
        raise PoseError(
            f"{name} shows its main person in {100 * share:.0f} % of the frames, "
            f"{100 * settings.min_seen:.0f} % are needed. Cut it to the part with the person."
        )
    return poses if settings.smoothing is None else smooth_poses(poses, settings.smoothing)[0]


def explain_clip(clip: Path, detector: PoseDetector, settings: PrepareSettings) -> str:
    """What is measured of one clip, and why it would be kept or left out; writes nothing.

    Raises:
        AnimateAnyoneError: If it cannot be read, or shows nobody.
    """
    num_frames = _length(clip, settings.min_frames)
    people = find_people(clip, num_frames, detector, settings)
    main = main_person(people, clip.name, settings)
    filters = settings.filters or FilterSettings()
    return explain(judge_clip(clip, people, main, filters, {}).judged)


def _filter(
    clip: Path,
    people: PoseSequence,
    main: PoseSequence,
    filters: FilterSettings | None,
    prints: dict[Path, np.ndarray],
    report: PrepareReport,
) -> None:
    """Raise FilteredClipError if a clip is not what the filters ask for."""
    if filters is None:
        return
    judged, own = judge_clip(clip, people, main, filters, prints)
    report.judged.append(judged)
    if judged.reasons:
        why = "; ".join(reason.text for reason in judged.reasons)
        raise FilteredClipError(f"{clip.name}: {why}.")
    prints[clip] = own


@contextmanager
def _left_out_if_unusable(clip: Path, report: PrepareReport) -> Iterator[None]:
    try:
        yield
    except AnimateAnyoneError as error:
        report.left_out[clip] = str(error)
        if not isinstance(error, FilteredClipError):
            unreadable = Reason("unusable", " ".join(str(error).split()))
            report.judged.append(Judged(clip, [unreadable], None, None))
        if isinstance(error, DoubtedPosesError):
            report.doubted.append(clip)
        logger.warning("Left out: %s", " ".join(str(error).split()))


def _check_doubts(poses: PoseSequence, name: str) -> None:
    if poses.doubts:
        raise DoubtedPosesError(f"{name}: {' '.join(poses.doubts)}")


def _length(clip: Path, min_frames: int) -> int:
    count = count_frames(clip)
    if count < min_frames:
        raise MediaError(f"{clip.name} has {count} frames, at least {min_frames} are needed.")
    return count


def _target(clip: Path, root: Path, output: Path | None) -> Path:
    """Where a clip's poses go: beside it, or at the same place below another folder."""
    name = f"{clip.name if clip.is_dir() else clip.stem}.json"
    if output is None:
        return clip.with_name(name)
    return output / clip.relative_to(root).with_name(name)


def _check_target(target: Path, owner: Path, clip: Path, num_frames: int) -> None:
    """Raise SettingsError if a clip's poses cannot go to a file."""
    if owner != clip:
        raise SettingsError(
            f"{clip.name} and {owner.name} would have their poses in one file, {target.name}. "
            "Rename one of them."
        )
    try:
        document = json.loads(target.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return  # not there, or cut short
    is_ours = isinstance(document, dict) and document.get("format") == FORMAT
    if not is_ours and not _is_there(target, num_frames):
        raise SettingsError(
            f"{target} is there and is no file of poses of {clip.name}. Move it away, or name "
            "another folder with --output."
        )


def _is_there(target: Path, num_frames: int) -> bool:
    try:
        return target.is_file() and load_poses(target, canvas=(1, 1)).num_frames == num_frames
    except AnimateAnyoneError:
        return False  # damaged: found again


def _save(poses: PoseSequence, target: Path) -> None:
    try:
        save_poses(poses, target)
        write_pose_arrays(poses, target)
    except MediaError as error:
        raise MediaError(
            f"{error} Free the disk, or name another folder with --output; the poses written so "
            "far are intact."
        ) from error


def _copy(clip: Path, path: Path, side: int, report: PrepareReport) -> None:
    """Write a video's copy; pictures are near already."""
    if clip.is_dir():
        return
    if path.exists() and path.samefile(clip):
        raise SettingsError(
            f"The copy of {clip.name} would take its place. Name another folder with --output."
        )
    write_copy(clip, path, side)
    report.copies[clip] = path


def _write_list(output: Path, report: PrepareReport) -> None:
    """List videos and poses as training reads them; poses and copies relative to the list."""
    clips = sorted({**report.written, **report.kept}.items())
    copies = {clip: copy.relative_to(output).as_posix() for clip, copy in report.copies.items()}
    entries = [
        {
            "video_path": copies.get(clip, str(clip.resolve())),
            "kps_path": poses.relative_to(output).as_posix(),
        }
        for clip, poses in clips
    ]
    write_json(entries, output / LIST_NAME, indent=1)
