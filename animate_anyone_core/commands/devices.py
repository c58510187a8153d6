"""The device and the precision that a command computes with."""

import os

import torch

from ..errors import SettingsError

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def choose_device(name: str) -> torch.device:
    """The device by name; "auto" takes CUDA, then MPS, then the CPU.

    Raises:
        SettingsError: If there is no such device here.
    """
    if name == "auto":
        if torch.cuda.is_available():
            place = os.environ.get("LOCAL_RANK", "")  # of several processes, each has its own
            count = torch.cuda.device_count()
            return torch.device("cuda", int(place) % count if place.isdecimal() else 0)
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device).item()  # also refuses what holds no numbers
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise SettingsError(f"--device {name} cannot be used here: {reason}") from error
    return device


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """The precision by name; "auto" is float32 on the CPU, where half is slow, else float16."""
    if name != "auto":
        return DTYPES[name]
    return torch.float32 if device.type == "cpu" else torch.float16
