"""Give clips their poses: find the main person of every video and write it where training looks.

A clip that cannot be used is left out with one line that says why; the others go on. What is there
already is kept, so a stopped run goes on where it was; a file that is not ours is never replaced. Stages
run on any workers; near-duplicates are decided here, in the order of the clips, so that what becomes of
a clip does not depend on who was quicker.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ...errors import SettingsError
from ...files import write_json
from ...pose.detection import PoseDetector
from ...progress import OnStep, silent
from ...workers.tasks import Workers
from .clip_files import find_sources
from .data_room.filters import FilterSettings
from .data_room.line import Line, Places
from .data_room.report_page import Judged, explain
from .data_room.stages import PrepareSettings, examine, probe

LIST_NAME = "meta.json"


@dataclass
class PrepareReport:
    """What became of the clips.

    Attributes:
        written: Clips whose poses were found now, and the files.
        kept: Clips whose poses were there.
        left_out: Clips that cannot be used, and why.
        doubted: Those of them whose poses cannot be trusted.
        judged: Every clip, why it is left out, and with filters what was measured of it.
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
    workers: Workers,
    output: Path | None = None,
    settings: PrepareSettings | None = None,
    on_step: OnStep = silent,
) -> PrepareReport:
    """Find the poses of all clips in a folder.

    Args:
        path: A video, a folder of frames, or a folder that holds any number of them at any depth.
        workers: Who finds the poses; it does not matter for what is found.
        output: Folder for the files of poses and `meta.json`, which lists videos and poses for
            training; None writes each file beside its clip, where training finds it as well.
        settings: How.
        on_step: Called with the frames of the clips that are done; raise from it to stop. What is
            written stays.

    Raises:
        SettingsError: If there are no clips, or copies have no folder to go to.
        MediaError: If poses or copies cannot be written.
    """
    settings = settings or PrepareSettings()
    if settings.copy_side is not None and output is None:
        raise SettingsError("Copies of clips need a folder to go to: name it with --output.")
    clips = find_sources(path)
    root = path.parent if path in clips else path
    line = Line({clip: _places(clip, root, output, settings) for clip in clips}, settings)

    def on_frame(frame: int, _: int) -> None:
        done, total = line.frames
        on_step(min(done + frame, total), total)

    for task, answer in workers.run(lambda: line.next_task(workers.size), on_frame):
        before = line.examined
        line.take(task, answer)
        if line.examined > before:
            on_step(*line.frames)
    report = _report(line, {clip: _places(clip, root, output, settings) for clip in line.written})
    if output is not None and line.written:
        _write_list(output, report)
    return report


def explain_clip(clip: Path, detector: PoseDetector, settings: PrepareSettings) -> str:
    """What is measured of one clip, and why it would be kept or left out; writes nothing.

    Raises:
        AnimateAnyoneError: If it cannot be read.
    """
    filtered = replace(settings, filters=settings.filters or FilterSettings())
    num_frames = probe(clip, settings.min_frames)
    found = examine(clip, None, num_frames, detector, filtered)
    return explain(Judged(clip, found.reasons, found.measures, found.thumbnail))


def _places(clip: Path, root: Path, output: Path | None, settings: PrepareSettings) -> Places:
    """Where a clip's poses go: beside it, or at the same place below another folder; and its copy."""
    name = f"{clip.name if clip.is_dir() else clip.stem}.json"
    if output is None:
        return Places(clip.with_name(name), None)
    poses = output / clip.relative_to(root).with_name(name)
    return Places(poses, None if settings.copy_side is None else poses.with_suffix(".mp4"))


def _report(line: Line, places: Mapping[Path, Places]) -> PrepareReport:
    """What became of the clips, in their order."""
    done = {clip: place.poses for clip, place in sorted(places.items(), key=lambda one: one[0])}
    return PrepareReport(
        written={clip: poses for clip, poses in done.items() if line.written[clip]},
        kept={clip: poses for clip, poses in done.items() if not line.written[clip]},
        left_out=line.left_out,
        doubted=[j.clip for j in line.judged if any(r.kind == "doubted" for r in j.reasons)],
        judged=line.judged,
        copies={clip: places[clip].poses.with_suffix(".mp4") for clip in sorted(line.copied)},
    )


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
