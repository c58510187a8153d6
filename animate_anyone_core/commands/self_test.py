"""`self-test`: whether this machine computes what the published code computes."""

import argparse
import logging
import sys

import torch

from ..errors import MissingDependencyError
from ..self_test.precision import PRECISIONS
from ..self_test.run import SelfTest, run_self_test
from .devices import choose_device

logger = logging.getLogger("animate_anyone")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's options."""
    add_device_options(parser)
    parser.add_argument(
        "--no-clip", action="store_true", help="leave out the built-in clip, which takes longest"
    )


def add_device_options(parser: argparse.ArgumentParser) -> None:
    """Define where the self-test runs, and in what."""
    add = parser.add_argument
    add("--device", default="auto", metavar="D", help="cuda, cuda:1, mps, dml, cpu (default auto)")
    add("--dtype", default="fp32", choices=list(PRECISIONS), help="precision (default fp32)")


def run(args: argparse.Namespace) -> int:
    """Run the command; 1 if a stage differs."""
    result = test_device(args.device, args.dtype, with_clip=not args.no_clip)
    sys.stdout.write(result.to_text() + "\n")
    return 0 if result.passes else 1


def test_device(device: str, dtype: str, *, with_clip: bool) -> SelfTest:
    """Run the self-test on a device by name.

    Raises:
        SettingsError: If there is no such device here.
        MissingDependencyError: If DirectML is asked for and is not installed.
    """
    place = self_test_device(device)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the networks are small: more threads only wait for each other
    try:
        return run_self_test(
            place,
            dtype,
            with_clip=with_clip,
            on_part=lambda part: logger.info("%s ...", part),
        )
    finally:
        torch.set_num_threads(threads)


def self_test_device(name: str) -> torch.device:
    """The device by name, as `devices.choose_device`; "dml" is DirectML's first.

    Raises:
        SettingsError: If there is no such device here.
        MissingDependencyError: If DirectML is asked for and is not installed.
    """
    if name != "dml":
        return choose_device(name)
    try:
        import torch_directml
    except ImportError as error:
        raise MissingDependencyError(
            "--device dml needs torch-directml: pip install torch-directml (Windows only)."
        ) from error
    return torch_directml.device()
