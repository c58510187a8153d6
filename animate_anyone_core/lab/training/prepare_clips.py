"""Give clips their poses: find the main person of every clip and write it where training looks.

A clip that cannot be used is left out with one line that says why; the others go on. What is there
already is kept, so a stopped run goes on where it was; a file that is not ours is never replaced. Stages
run on any workers; near-duplicates are decided here, in the order of the clips, so that what becomes of
a clip does not depend on who was quicker.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from ...errors import SettingsError
from ...files import write_json
from ...pose.detection import PoseDetector
from ...progress import OnStep, silent
from ...workers.tasks import Workers
from .clip_files import find_sources
from .data_room.filters import FilterSettings
from .data_room.line import Line
from .data_room.report_page import Judged, explain
from .data_room.stages import PrepareSettings, examine, probe
from .data_room.tasks import Places
from .footage import Footage, Shot
from .remote import Place, Remote, at_hand, at_work, find_videos

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

    written: dict[Shot, Place] = field(default_factory=dict)
    kept: dict[Shot, Place] = field(default_factory=dict)
    left_out: dict[Shot, str] = field(default_factory=dict)
    doubted: list[Shot] = field(default_factory=list)
    judged: list[Judged] = field(default_factory=list)
    copies: dict[Shot, Place] = field(default_factory=dict)

    def __str__(self) -> str:
        text = f"{len(self.written) + len(self.kept)} clips have poses"
        if self.kept:
            text += f", {len(self.kept)} had them before"
        text += f"; {len(self.left_out)} are left out"
        if self.doubted:
            text += f", {len(self.doubted)} of them because their poses cannot be trusted"
        return f"{text}."


def prepare_clips(
    path: Place,
    workers: Workers,
    output: Place | None = None,
    settings: PrepareSettings | None = None,
    on_step: OnStep = silent,
) -> PrepareReport:
    """Find the poses of all clips in a folder.

    Args:
        path: A video, a folder of frames, or a folder that holds any number of them at any depth; also
            elsewhere, but for folders of frames.
        workers: Who finds the poses; it does not matter for what is found.
        output: Folder for the files of poses and `meta.json`, which lists videos and poses for
            training; None writes each file beside its clip, where training finds it as well.
        settings: How.
        on_step: Called with the frames of the clips that are done; raise from it to stop. What is
            written stays.

    Raises:
        SettingsError: If there are no clips, or what is made of them has no folder to go to.
        MediaError: If poses or copies cannot be written.
        MissingDependencyError: If a package is missing that reaches a place elsewhere.
    """
    settings = settings or PrepareSettings()
    films = find_films(path)
    _check_output(path, output, settings)
    is_whole = isinstance(path, Path) and path in films
    root = path.parent if isinstance(path, Path) and is_whole else path

    def places(clip: Shot, frames: Footage) -> Places:
        return _places(clip, frames, root, output, settings)

    line = Line(films, places, settings)

    def on_frame(frame: int, _: int) -> None:
        done, total = line.frames
        on_step(min(done + frame, total), total)

    for task, answer in workers.run(lambda: line.next_task(workers.size), on_frame):
        before = line.examined
        line.take(task, answer)
        if line.examined > before:
            on_step(*line.frames)
    report = _report(line)
    if output is not None and line.written:
        _write_list(output, report)
    return report


def find_films(path: Place) -> Sequence[Place]:
    """What there is to prepare at a place, in order; see `find_sources`."""
    return find_sources(path) if isinstance(path, Path) else find_videos(path)


def explain_clip(clip: Place, detector: PoseDetector, settings: PrepareSettings) -> str:
    """What is measured of a clip, and why it would be kept or left out; writes nothing.

    Args:
        clip: A film, whose shots are told one by one; or one of its shots, as they are called: film-003.
        detector: Finds the poses.
        settings: How, and what it must be like.

    Raises:
        AnimateAnyoneError: If it cannot be read, or there is no such shot.
    """
    filtered = replace(settings, filters=settings.filters or FilterSettings())
    film, wanted = _film_of(clip)
    with at_hand(film) as path:
        clips = probe(path, filtered)
        if wanted and wanted not in clips:
            raise SettingsError(f"{film.name} has {len(clips)} shots; there is no shot {wanted}.")
        chosen = {wanted: clips[wanted]} if wanted else clips
        texts = [f"{film.name}: {len(clips)} shots"] if len(chosen) > 1 else []
        for number, footage in chosen.items():
            texts.append(_explained(Shot(film, number), footage, detector, filtered))
    return "\n".join(texts)


def _explained(
    clip: Shot, footage: Footage, detector: PoseDetector, settings: PrepareSettings
) -> str:
    found = examine(footage, None, detector, settings)
    return explain(Judged(clip, found.reasons, found.measures, found.thumbnail, found.clip))


def _film_of(clip: Place) -> tuple[Place, int]:
    """The film that a name means, and which of its shots; 0 for all."""
    if isinstance(clip, Remote) or clip.exists():
        return clip, 0
    match = re.fullmatch(r"(.+)-(\d{3,})", clip.name)
    if match and clip.parent.is_dir():
        for place in sorted(clip.parent.iterdir()):
            if Shot(place).stem == match[1] and place in find_sources(clip.parent):
                return place, int(match[2])
    return clip, 0


def _check_output(path: Place, output: Place | None, settings: PrepareSettings) -> None:
    if output is None:
        if settings.copy_side is not None or settings.makes_videos or isinstance(path, Remote):
            raise SettingsError(
                "Copies of clips, shots of films, other rates, crops and films from elsewhere need a "
                "folder to go to: name it with --output."
            )
        return
    if isinstance(path, Remote) or isinstance(output, Remote) or not settings.makes_videos:
        return
    if output.resolve().is_relative_to(path.resolve()):
        raise SettingsError(
            f"{output} lies within {path}: the next run would take the clips that are written there "
            "for films. Name another folder with --output, or leave films as they are with --cuts "
            "leave-out."
        )


def _places(
    clip: Shot, frames: Footage, root: Place, output: Place | None, settings: PrepareSettings
) -> Places:
    """Where a clip's poses go: beside it, or at the same place below another folder; and its copy."""
    film = clip.film
    if output is None:
        assert isinstance(film, Path)
        return Places(film.with_name(f"{clip.stem}.json"), None)
    inside = film.inside if isinstance(film, Remote) else film.relative_to(str(root))
    stem = PurePosixPath(inside).with_name(clip.stem).as_posix()
    poses = output / f"{stem}.json"
    if settings.copy_side is not None or not frames.is_untouched:
        return Places(poses, output / f"{stem}.mp4")
    if isinstance(film, Remote) or isinstance(output, Remote):
        return Places(poses, output / f"{stem}{film.suffix}")
    return Places(poses, None)


def _report(line: Line) -> PrepareReport:
    """What became of the clips, in their order."""
    done = sorted(line.written.items())
    return PrepareReport(
        written={clip: line.places[clip].poses for clip, is_new in done if is_new},
        kept={clip: line.places[clip].poses for clip, is_new in done if not is_new},
        left_out=line.left_out,
        doubted=[j.clip for j in line.judged if any(r.kind == "doubted" for r in j.reasons)],
        judged=line.judged,
        copies={clip: copy for clip in sorted(line.copied) if (copy := line.places[clip].copy)},
    )


def _write_list(output: Place, report: PrepareReport) -> None:
    """List videos and poses as training reads them; poses and copies relative to the list."""
    entries = []
    for clip, poses in sorted({**report.written, **report.kept}.items()):
        copy = report.copies.get(clip)
        video = str(clip.film.resolve()) if isinstance(clip.film, Path) else clip.film.url
        entries.append(
            {
                "video_path": video if copy is None else _inside(copy, output),
                "kps_path": _inside(poses, output),
            }
        )
    with at_work([output / LIST_NAME]) as (path,):
        assert path is not None
        write_json(entries, path, indent=1)


def _inside(place: Place, folder: Place) -> str:
    return place.inside if isinstance(place, Remote) else place.relative_to(str(folder)).as_posix()
