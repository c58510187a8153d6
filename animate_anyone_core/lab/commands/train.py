"""`train`: train a model in the paper's two stages, distill it, or go on with a run."""

import argparse
import importlib
import json
import logging
import os
import sys
import textwrap
from pathlib import Path
from typing import Any

from ...commands.progress_bar import progress_bar
from ...errors import SettingsError
from ..training.config import TrainConfig
from ..training.config_files import make_config, merge, parse_assignments, read_settings, to_text
from ..training.recipes import PART_RECIPES, RECIPES, recipe_settings
from ..training.settings import flatten

logger = logging.getLogger("animate_anyone")

DRY_RUN = "print the resolved settings, and the memory that a step takes, and stop"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's options."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = (
        "train a model in two stages, or a student of one; the same command goes on after a stop"
    )
    parser.epilog = f"""recipes:
{_recipes_text()}

settings, their defaults, and what they mean (--set NAME=VALUE, or in a file):
{_settings_text()}

several processes: accelerate launch --num_processes 2 -m animate_anyone_core train ..."""
    add = parser.add_argument
    add("--recipe", metavar="NAME", help="start from a recipe's settings")
    add("--config", type=Path, metavar="FILE", help="settings: .yaml, .toml or .json")
    add(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        dest="assignments",
        help="one setting, such as optimizer.lr=1e-4; may be given several times",
    )
    add("--output", type=Path, metavar="DIR", help="folder of the run")
    add(
        "--init-from",
        metavar="DIR",
        help="folder of a trained model to start from (stages 2 and 3)",
    )
    add("--vae", metavar="DIR", help="folder of the VAE (init.vae)")
    add("--image-encoder", metavar="DIR", help="folder of the image encoder (init.image_encoder)")
    text = (
        "clips to train on (data.path); sets data.kind to clips. Shards of `pack` are read where "
    )
    text += "they are, also at s3://bucket/shards, gs://, https:// and what else fsspec reaches"
    add("--data", metavar="PATH", help=text)
    add("--max-minutes", type=float, metavar="X", help="stop after this long (run.max_minutes)")
    add("--dry-run", action="store_true", help=DRY_RUN)


def _recipes_text() -> str:
    texts = {name: text for name, (text, _) in RECIPES.items()}
    texts |= {name: text for name, (_, text) in PART_RECIPES.items()}
    return "\n".join(f"  {name:22} {text}" for name, text in texts.items())


def _settings_text() -> str:
    lines: list[str] = []
    for name, setting in flatten(TrainConfig()).items():
        indent = 6 * " "
        lines.append(f"  {name} = {json.dumps(setting.value)}")
        lines += textwrap.wrap(setting.meaning, 88, initial_indent=indent, subsequent_indent=indent)
    return "\n".join(lines)


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    if args.recipe in PART_RECIPES:
        _run_part(args)
        return
    config = make_config(TrainConfig, resolve_settings(args))
    if args.dry_run:
        sys.stdout.write(to_text(config))
        from ..training.memory_plan import plan_step, table  # heavy

        logger.info("%s", table(plan_step(config)))
        return
    if args.output is None:
        raise SettingsError("--output is missing: name the folder of the run.")
    from ..training.train import train  # heavy, and not needed for a dry run

    is_main = os.environ.get("LOCAL_RANK", "0") == "0"
    if not is_main:
        logger.setLevel(logging.ERROR)
        train(config, args.output)
        return
    with progress_bar("train") as on_step:
        folder = train(config, args.output, on_step)
    logger.info("The model's files: %s", folder)


def resolve_settings(args: argparse.Namespace) -> dict[str, Any]:
    """Lay recipe, file, options and `--set` over each other, the last on top."""
    recipe = () if args.recipe is None else recipe_settings(args.recipe)
    file = {} if args.config is None else read_settings(args.config)
    return merge(*recipe, file, _options(args), parse_assignments(args.assignments))


def _options(args: argparse.Namespace) -> dict[str, Any]:
    given = {"vae": args.vae, "image_encoder": args.image_encoder}
    init = {name: value for name, value in given.items() if value is not None}
    if args.init_from is not None:
        networks = ("unet", "reference", "pose_guider")
        init |= {"kind": "files"} | dict.fromkeys(networks, args.init_from)
    options: dict[str, Any] = {"init": init}
    if args.data is not None:
        options["data"] = {"kind": "clips", "path": args.data}
    if args.max_minutes is not None:
        options["run"] = {"max_minutes": args.max_minutes}
    return options


def _run_part(args: argparse.Namespace) -> None:
    if args.output is None:
        raise SettingsError("--output is missing: name the folder for the recipe's files.")
    module = importlib.import_module(f"..training.{PART_RECIPES[args.recipe][0]}", __package__)
    with progress_bar(args.recipe) as on_step:
        module.run_recipe(args.output, on_step)
