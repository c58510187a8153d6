"""Who does the jobs of a list: this process, one for each device, several, or a Ray cluster."""

import argparse
import logging
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ..errors import SettingsError
from ..sampling.ranks import launched
from ..workers.processes import Processes
from ..workers.ray_cluster import RayCluster
from ..workers.tasks import OneProcess, Workers
from .devices import choose_device

logger = logging.getLogger("animate_anyone")

#: Opens what the jobs of a worker share; it is given the worker's device, None for that of each job.
OpenAt = Callable[[str | None], Any]
_WAYS = ("devices", "processes", "ray")


def add_worker_options(parser: argparse.ArgumentParser) -> None:
    """Define the options that say who does the jobs."""
    add = parser.add_argument
    text = "with --jobs: a process for each of these, such as cuda:0,cuda:1, or all GPUs of the machine"
    add("--devices", metavar="LIST", help=text)
    text = "with --jobs: so many processes, which share the processor's cores"
    add("--processes", type=int, metavar="N", help=text)
    text = "with --jobs: work on the Ray cluster whose head is there, such as 10.0.0.1:6379, or auto: a "
    text += "GPU for each job where it has any, else a core; its machines see the same files under "
    add("--ray", metavar="ADDRESS", help=f"{text}the same names")


def check_no_workers(args: argparse.Namespace) -> None:
    """Raise SettingsError if workers are asked for without a list."""
    given = [name for name in _WAYS if getattr(args, name) is not None]
    if given:
        raise SettingsError(f"--{given[0]} is for lists of jobs: give one with --jobs.")


def choose_workers(args: argparse.Namespace, open_at: OpenAt) -> Workers:
    """Who does the jobs, as the options say; a worker opens networks once.

    Raises:
        SettingsError: If options contradict each other, or name what is not there.
        MissingDependencyError: If Ray is asked for and not installed.
    """
    given = [f"--{name}" for name in _WAYS if getattr(args, name) is not None]
    if len(given) > 1:
        raise SettingsError(f"{' and '.join(given)} are two ways to work. Leave one out.")
    if given and launched().count > 1:
        raise SettingsError(
            f"{given[0]} starts processes of its own. Leave it out under torchrun or `accelerate "
            "launch`, whose processes share the list already."
        )
    if args.ray is not None:
        num_gpus = None if args.device == "auto" or args.device.startswith("cuda") else 0.0
        return RayCluster(args.ray, partial(open_at, None), num_gpus, _begin(1))
    if not given:
        return OneProcess(open_at(None))
    devices = _devices(args)
    logger.info("%d processes do the jobs.", len(devices))
    threads = max(1, torch.get_num_threads() // len(devices))
    return Processes([partial(open_at, device) for device in devices], _begin(threads))


def _devices(args: argparse.Namespace) -> list[str | None]:
    """The device of each process; None takes that of the job."""
    if args.processes is not None:
        if args.processes < 1:
            raise SettingsError(f"--processes must be at least 1, got {args.processes}.")
        return [None] * args.processes
    count = torch.cuda.device_count()
    if args.devices == "all" and not count:
        raise SettingsError(
            "--devices all: there is no CUDA GPU here. Several processes on the processor are "
            "--processes N."
        )
    names = [f"cuda:{number}" for number in range(count)]
    if args.devices != "all":
        names = [name.strip() for name in args.devices.split(",")]
    for name in names:
        kind, _, number = name.partition(":")
        if kind != "cuda":
            choose_device(name)
        elif not count or (number and not (number.isdecimal() and int(number) < count)):
            raise SettingsError(f"--devices {name}: there are {count} CUDA GPUs here.")
    return [*names]


def _begin(threads: int) -> Callable[[], None]:
    return partial(_settle, Path.cwd(), threads)


def _settle(folder: Path, threads: int) -> None:
    """Have names of files mean what they mean to the one that sends the jobs; share the cores."""
    if folder.is_dir():
        os.chdir(folder)
    os.environ["OMP_NUM_THREADS"] = str(threads)
    torch.set_num_threads(threads)
