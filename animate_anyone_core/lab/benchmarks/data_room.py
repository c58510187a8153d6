"""`benchmark data-room`: whether `prepare --clean` finds planted defects, whoever does the work.

Made-up clips, most of them good, go through `prepare`'s stages with one process, with several and, if
one is named, on a Ray cluster. Recall and precision are counted by kind: a kind is found where it is
among the reasons that a clip is left out for, also where another was planted. Films of several shots
are cut into them: passages from one to another are counted, and shots with the right verdict.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ...commands.number_option import add_numbers
from ...files import check_writable, write_json
from .options import add_json, say_checks

if TYPE_CHECKING:
    from .data_room_films import FilmScore

#: Share of the planted defects that must be found, and of what is found that must be planted.
BAR = 0.95


class Score(NamedTuple):
    """How well a kind of defect is found."""

    planted: int
    found: int
    right: int

    @property
    def recall(self) -> float:
        """Share of what was planted that is found."""
        return self.right / self.planted if self.planted else 1.0

    @property
    def precision(self) -> float:
        """Share of what is found that was planted."""
        return self.right / self.found if self.found else 1.0


#: What else is true of a defect: somebody far away, or out of focus, the networks do not see, or guess.
_ALSO_TRUE = {"tiny": {"unseen", "body"}, "blur": {"unseen", "body"}}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the benchmark's options."""
    add_numbers(
        parser,
        ("--good", 1, 180, "clips without a defect"),
        ("--each", 1, 12, "clips of each kind of defect"),
        ("--films", 0, 20, "films of several shots"),
        ("--processes", 1, 2, "processes beside one"),
    )
    add = parser.add_argument
    add("--seed", type=int, default=20_000, metavar="N", help="first seed of the clips (20000)")
    add("--ray", metavar="ADDRESS", help="also on the Ray cluster there, or auto")
    add("--folder", type=Path, metavar="DIR", help="where the clips go meanwhile (default: temp)")
    add("--report", type=Path, metavar="FILE", help="also write `prepare`'s page of all clips")
    add_json(parser)


def run(args: argparse.Namespace) -> bool:
    """Write clips, prepare them, print, and return whether all bars are met."""
    from ...checkpoints.builtin import built_in_pose_networks
    from ...pose.detection import load_pose_detector
    from ...workers.tasks import OneProcess
    from ..training.data_room.filters import FilterSettings
    from ..training.data_room.report_page import write_report
    from ..training.data_room.workers import in_processes, on_cluster
    from ..training.prepare_clips import PrepareSettings, prepare_clips
    from .data_room_clips import write_clips
    from .data_room_films import LEAST_FRAMES, score_films, write_films

    for place in filter(None, (args.json, args.report)):
        check_writable(place)
    # whether built-in networks can be trusted is another question: `benchmark pose-trust`
    networks = partial(load_pose_detector, *built_in_pose_networks(), "cpu", num_threads=1)
    ways: dict[str, Callable[[], Any]] = {"1 process": lambda: OneProcess(networks())}
    if args.processes > 1:
        ways[f"{args.processes} processes"] = lambda: in_processes(args.processes, networks)
    if args.ray is not None:
        ways["Ray"] = lambda: on_cluster(args.ray, networks)
    settings = PrepareSettings(filters=FilterSettings())
    in_shots = replace(settings, cuts="split", min_frames=LEAST_FRAMES)
    outcomes, rates = [], {}
    with tempfile.TemporaryDirectory(prefix="data-room-", dir=args.folder) as name:
        truth = write_clips(Path(name) / "clips", args.seed, args.good, args.each)
        films = write_films(Path(name) / "films", args.seed, args.films)
        for way, open_workers in ways.items():
            start = time.monotonic()
            output = Path(name) / way.replace(" ", "-")
            workers = open_workers()
            report = prepare_clips(Path(name) / "clips", workers, output / "clips", settings)
            rates[way] = len(truth) / (time.monotonic() - start)
            sys.stdout.write(f"{way}: {rates[way]:.2f} clips a second\n")
            sys.stdout.flush()
            outcomes.append([_told(report, output / "clips")])
            if films:
                shots = prepare_clips(Path(name) / "films", workers, output / "films", in_shots)
                outcomes[-1].append(_told(shots, output / "films"))
        every = [*report.judged, *(shots.judged if films else [])]
        if args.report is not None:
            write_report(args.report, every)
    found = {clip: kinds for clip, kinds, _ in outcomes[0][0][0]}
    scores = score(truth, found)
    checks = judge(scores)
    good = [clip for clip, kind in truth.items() if not kind]
    kept = sum(not found[clip] for clip in good)
    text = f"{kept} of {len(good)} good clips are kept (bar {BAR:.0%})"
    checks[text] = kept >= BAR * len(good)
    if films:
        cutting = score_films(films, shots.judged)
        checks |= judge_films(cutting)
    checks["the same verdicts and files, whoever does the work"] = all(
        outcome == outcomes[0] for outcome in outcomes
    )
    sys.stdout.write(_table(scores, truth, found))
    sys.stdout.writelines(f"{line}\n" for line in (cutting.wrong if films else ()))
    say_checks(checks.items())
    if args.json is not None:
        rows = {kind: entry._asdict() for kind, entry in scores.items()}
        write_json({"scores": rows, "clips_a_second": rates, "checks": checks}, args.json)
    return all(checks.values())


def score(truth: Mapping[str, str], found: Mapping[str, Sequence[str]]) -> dict[str, Score]:
    """How well each kind of defect is found.

    Args:
        truth: Name of a clip -> kind that was planted, "" for none.
        found: Name of a clip -> kinds that were found.
    """
    kinds = dict.fromkeys([*truth.values(), *(kind for own in found.values() for kind in own)])
    scores = {}
    for kind in filter(None, kinds):
        planted = {clip for clip, own in truth.items() if own == kind}
        named = {clip for clip, own in found.items() if kind in own}
        named |= {
            clip for clip in planted if set(found.get(clip, ())) & _ALSO_TRUE.get(kind, set())
        }
        scores[kind] = Score(len(planted), len(named), len(planted & named))
    return scores


def judge(scores: Mapping[str, Score]) -> dict[str, bool]:
    """The bars of the kinds that were planted, and whether they are met."""
    return {
        f"{kind}: recall {own.recall:.0%}, precision {own.precision:.0%} (bar {BAR:.0%})": min(
            own.recall, own.precision
        )
        >= BAR
        for kind, own in scores.items()
        if own.planted
    }


def judge_films(score: "FilmScore") -> dict[str, bool]:
    """The bars of films, and whether they are met."""
    passages = Score(score.passages, score.found + score.false, score.found)
    text = f"{score.found} of {score.passages} passages between shots, {score.false} others"
    verdicts = f"{score.right} of {score.shots} shots are kept, or left out for what was planted"
    return {
        f"{text} (bar {BAR:.0%})": min(passages.recall, passages.precision) >= BAR,
        f"{verdicts} (bar {BAR:.0%})": score.right >= BAR * score.shots,
    }


def _told(report: Any, output: Path) -> tuple[Any, Any]:
    """Verdicts, and the bytes of all poses and of the list."""
    judged = [
        (j.clip.name, [reason.kind for reason in j.reasons], str(j.measures)) for j in report.judged
    ]
    return sorted(judged), {p.name: p.read_bytes() for p in sorted(output.glob("*.json"))}


def _table(
    scores: Mapping[str, Score], truth: Mapping[str, str], found: Mapping[str, Sequence[str]]
) -> str:
    lines = [f"{'kind':>10} {'planted':>8} {'found':>6} {'right':>6}"]
    lines += [f"{k:>10} {s.planted:8} {s.found:6} {s.right:6}" for k, s in scores.items()]
    wrong = {c: own for c, own in truth.items() if list(filter(None, [own])) != found.get(c, [])}
    lines += [
        f"{clip}: planted {own or 'none'}, found {found[clip]}" for clip, own in wrong.items()
    ]
    return "\n".join([*lines, ""])
