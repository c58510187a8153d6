"""What is done to one clip, stage by stage: probed, examined, written. Plain functions, in any process.

Nothing here knows of the other clips, so a stage gives the same answer wherever it runs; what needs the
others, near-duplicates, is left to whoever collects the answers in the order of the clips.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ....errors import AnimateAnyoneError, MediaError, SettingsError
from ....pose.detection import PoseDetector
from ....pose.openpose_json import FORMAT, load_poses, save_poses
from ....pose.skeleton import PoseSequence
from ....pose.smoothing import SmoothingSettings, smooth_poses
from ....pose.tracking import choose_person
from ....progress import OnStep, silent
from ..clip_copies import write_copy
from ..clip_files import count_frames, frame_rate, iterate_frames
from ..pose_arrays import write_pose_arrays
from .filters import FilterSettings, Measures, Reason
from .verdict import judge_clip


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


class Examined(NamedTuple):
    """What was found of a clip.

    Attributes:
        poses: Of its main person; None where a file of them is there already.
        reasons: Why it is left out; empty if nothing speaks against it.
        measures: What was measured; None without filters.
        prints: Its fingerprints, see `looks.Looks`; None without filters.
        thumbnail: Its frame in the middle, (h, w, 3) uint8; None without filters.
    """

    poses: PoseSequence | None
    reasons: tuple[Reason, ...] = ()
    measures: Measures | None = None
    prints: np.ndarray | None = None
    thumbnail: np.ndarray | None = None


def probe(clip: Path, min_frames: int) -> int:
    """How many frames a clip has.

    Raises:
        MediaError: If it cannot be read, or is too short.
    """
    count = count_frames(clip)
    if count < min_frames:
        raise MediaError(f"{clip.name} has {count} frames, at least {min_frames} are needed.")
    return count


def examine(
    clip: Path,
    target: Path | None,
    num_frames: int,
    detector: PoseDetector,
    settings: PrepareSettings,
    on_step: OnStep = silent,
) -> Examined:
    """Find the poses of a clip, unless its file of poses is there, and judge it. Writes nothing.

    Args:
        clip: A video or a folder of pictures.
        target: Its file of poses; None finds them in any case.
        num_frames: Its frames, as `probe` says.
        detector: Finds the poses.
        settings: How, and what clips must be like.
        on_step: Called as frames are done.

    Raises:
        MediaError: If it cannot be read to its end.
        SettingsError: If another file stands where its poses should go.
    """
    people, unseen = None, None
    if target is not None and _has_poses(target, clip, num_frames):
        main = load_poses(target, canvas=(1, 1))
    else:
        people = find_people(clip, num_frames, detector, settings, on_step)
        main, unseen = main_person(people, settings)
    poses = None if people is None else main
    reasons = [Reason("doubted", " ".join(main.doubts))] if main.doubts else []
    reasons += [] if unseen is None else [unseen]
    if settings.filters is None:
        return Examined(poses, tuple(reasons))
    found = judge_clip(clip, people, main, settings.filters)
    own = found.reasons
    if unseen is not None:
        is_there = bool(
            (main.scores > 0).any()
        )  # or else the camera is followed on the person, too
        kinds = _OF_PICTURES if is_there else _OF_PICTURES - {"camera"}
        own = [reason for reason in own if reason.kind in kinds]
    return Examined(poses, (*own, *reasons), found.measures, found.prints, found.thumbnail)


#: What is told of a clip's pictures, whoever is in them.
_OF_PICTURES = {"cut", "camera", "rate", "text", "blur"}


def write(
    clip: Path, target: Path, poses: PoseSequence | None, copy: Path | None, side: int
) -> bool:
    """Write what training reads of a clip that is kept.

    Args:
        clip: A video or a folder of pictures.
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
    try:
        if poses is not None:
            save_poses(poses, target)
        write_pose_arrays(poses or load_poses(target, canvas=(1, 1)), target)
    except MediaError as error:
        raise MediaError(
            f"{error} Free the disk, or name another folder with --output; the poses written so "
            "far are intact."
        ) from error
    if copy is None or clip.is_dir():
        return False
    if copy.exists() and copy.samefile(clip):
        raise SettingsError(
            f"The copy of {clip.name} would take its place. Name another folder with --output."
        )
    write_copy(clip, copy, side)
    return True


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
    return people


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


def _has_poses(target: Path, clip: Path, num_frames: int) -> bool:
    """Whether the whole file of a clip's poses is there; a damaged one is found again.

    Raises:
        SettingsError: If another file stands there.
    """
    if not target.is_file():
        return False
    try:
        if load_poses(target, canvas=(1, 1)).num_frames == num_frames:
            return True
    except AnimateAnyoneError:
        pass
    try:
        document = json.loads(target.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return False  # cut short
    if isinstance(document, dict) and document.get("format") == FORMAT:
        return False
    raise SettingsError(
        f"{target} is there and is no file of poses of {clip.name}. Move it away, or name "
        "another folder with --output."
    )
