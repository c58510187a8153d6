"""`benchmark characters`: two characters that cross in one clip keep their looks."""

import argparse
import sys

import numpy as np

from ...commands.number_option import add_numbers
from .options import add_results, check_results, say_checks, write_results

#: How much worse a character may be in company, in dB.
_MOST_LOST = 0.7
_WIDTH, _HEIGHT = 192, 128
_COLUMNS = ("first", "second", "swapped", "seen")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the benchmark's options."""
    add = parser.add_argument
    add("--models", default="built-in", metavar="DIR", help="the model's folder, or built-in")
    add_numbers(
        parser,
        ("--scenes", 1, 16, "held-out scenes of two dancers"),
        ("--frames", 2, 8, "frames of each"),
        ("--steps", 1, 10, "denoising steps"),
        ("--grid-scenes", 0, 4, "rows of the grid"),
    )
    add_results(parser)


def run(args: argparse.Namespace) -> bool:
    """Measure, print, and return whether all bars were met."""
    check_results(args)
    from ...checkpoints.model_folder import load_models
    from ...commands.progress_bar import progress_bar
    from ..evaluation.two_characters import WAYS, held_out_pair, make_pair, score_pair, settings_for

    models, _ = load_models(args.models)
    scenes: list[dict[str, dict[str, float]]] = []
    shown: list[dict[str, np.ndarray]] = []
    done, total = 0, args.scenes * (4 + len(WAYS))
    with progress_bar("two characters") as on_step:

        def step() -> None:
            nonlocal done
            done += 1
            on_step(done, total)

        for number in range(args.scenes):
            pair = held_out_pair(number, args.frames, _WIDTH, _HEIGHT)
            settings = settings_for(models, _WIDTH, _HEIGHT, args.steps, number)
            made = make_pair(models, pair, settings, step)
            scenes.append(score_pair(pair, made))
            if len(shown) < args.grid_scenes:
                pictures = {"first": pair.references[0], "second": pair.references[1]}
                middle = args.frames // 3
                pictures["truth"] = pair.clip.frames[middle]
                shown.append(pictures | {way: made[way][middle] for way in WAYS})
    table = totals(scenes)
    checks = check(table)
    sys.stdout.write(format_table(table))
    say_checks(checks)
    write_results(args, table, scenes, checks, shown)
    return all(is_met for _, is_met in checks)


def totals(scenes: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Mean PSNR over scenes, and how many views of a dancer were swapped in all."""
    table = {}
    for way in scenes[0]:
        rows = [scene[way] for scene in scenes]
        table[way] = {name: float(np.nanmean([r[name] for r in rows])) for name in _COLUMNS[:2]}
        table[way] |= {name: float(np.sum([r[name] for r in rows])) for name in _COLUMNS[2:]}
    return table


def check(table: dict[str, dict[str, float]]) -> list[tuple[str, bool]]:
    """The bars: a sentence with the numbers, and whether it is met."""
    from ..evaluation.two_characters import ALONE, BY_MASK, BY_POSE

    checks = []
    for way in (BY_MASK, BY_POSE):
        row = table[way]
        swapped, seen = int(row["swapped"]), int(row["seen"])
        checks.append((f"{way}: {swapped} of {seen} views swapped", swapped == 0))
        for who in _COLUMNS[:2]:
            lost = table[ALONE][who] - row[who]
            text = f"{way}: the {who} {lost:.2f} dB worse than alone, at most {_MOST_LOST:g}"
            checks.append((text, lost <= _MOST_LOST))
    return checks


def format_table(table: dict[str, dict[str, float]]) -> str:
    """Rows of scores as text."""
    from ...evaluation.report import table_lines

    rows = [["", *_COLUMNS]]
    rows += [[way, *(f"{values[name]:.2f}" for name in _COLUMNS)] for way, values in table.items()]
    return "\n".join(table_lines(rows, str.rjust)) + "\n\n"
