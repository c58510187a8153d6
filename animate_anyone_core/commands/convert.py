"""`convert`: weights as safetensors, in another precision, split or merged."""

import argparse
import logging
from pathlib import Path

import torch

from ..checkpoints.convert import convert
from .progress_bar import progress_bar

logger = logging.getLogger("animate_anyone")

DTYPES = {
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
    "fp32": torch.float32,
    "fp8": torch.float8_e4m3fn,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's options."""
    add = parser.add_argument
    add("inputs", type=Path, nargs="+", metavar="IN", help="weights, or folders of weights")
    add(
        "--output",
        type=Path,
        required=True,
        metavar="OUT",
        help="OUT.safetensors, or a folder that gets a file for each input",
    )
    precision = "precision of the weights (default: as they are); fp8 is scaled"
    add("--dtype", choices=list(DTYPES), help=precision)
    add(
        "--half",
        nargs="+",
        default=[],
        metavar="NAME",
        help="with fp8: weights whose names begin so stay in fp16, such as up_blocks.3. conv_out.",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--split", action="store_true", help="one UNet file to denoising_unet and motion_module"
    )
    form.add_argument(
        "--merge", action="store_true", help="denoising_unet and motion_module to one file"
    )
    add("--force", action="store_true", help="replace files that exist")


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    with progress_bar("convert") as on_step:
        written = convert(
            args.inputs,
            args.output,
            dtype=DTYPES[args.dtype] if args.dtype else None,
            half=args.half,
            form="split" if args.split else "merge" if args.merge else "keep",
            overwrite=args.force,
            on_step=on_step,
        )
    for file in written:
        logger.info(
            "%s: %s, %d tensors, %.1f MB",
            file.path,
            file.layout.value,
            file.tensors,
            file.size_bytes / 1e6,
        )
