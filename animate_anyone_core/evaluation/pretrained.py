"""Networks of transformers that measure, from a folder of the user's: whole, or refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from ..borders import limits
from ..borders.json_text import read_json_file
from ..borders.networks import MEASURING, check_divisible
from ..borders.values import check_values, shown
from ..checkpoints.model_folder import find_optional
from ..checkpoints.weight_files import check_numbers, read_weights
from ..errors import CheckpointError, SettingsError

#: Ends of names of weights that a published file may lack: what is not asked for.
_OPTIONAL = ("mask_token", "pooler.dense.weight", "pooler.dense.bias", "position_ids")


def load_pretrained(kind: Any, folder: Path, name: str) -> Any:
    """Load a network of transformers from a folder, in float32; nothing is downloaded or run.

    Args:
        kind: A class of transformers with `from_pretrained`.
        folder: Where config.json and the weights as safetensors are.
        name: What it should be, for the message.

    Raises:
        CheckpointError: If it cannot be loaded, or some of its weights are missing or no numbers.
        SettingsError: If a setting is beyond what such a network may have.
    """
    _check_settings(folder / "config.json")
    weights = find_optional(folder, "model")
    if weights is not None and weights.suffix == ".safetensors":
        check_numbers(name, weights.name, read_weights(weights))
    try:
        with torch.random.fork_rng(devices=[]):  # what is missing is drawn before it is reported
            network, report = kind.from_pretrained(
                folder,
                local_files_only=True,
                use_safetensors=True,
                output_loading_info=True,
            )
    except Exception as error:  # its classes raise what they like at settings they do not know
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise CheckpointError(f"{folder} cannot be loaded as {name}: {reason}") from error
    missing = sorted(key for key in report["missing_keys"] if not key.endswith(_OPTIONAL))
    if missing:
        raise CheckpointError(
            f"{folder} cannot be loaded as {name}: {len(missing)} of its weights are missing, such as "
            f"{missing[0]}. The file is another network's, or damaged."
        )
    return network.float().eval()  # the type's argument has another name in older releases


def _check_settings(path: Path) -> None:
    settings = read_json_file(path, CheckpointError)
    if not isinstance(settings, Mapping):
        raise SettingsError(f"{path} must hold named settings, got {shown(settings)}.")
    check_values(str(path), settings, MEASURING)
    if {"hidden_size", "num_attention_heads"} <= set(settings):
        check_divisible(str(path), settings)
    for name, number in _numbers(settings):
        if abs(number) > limits.SETTING:
            raise SettingsError(
                f"{path}: {name} must be at most {limits.SETTING}, got {shown(number)}."
            )


def _numbers(settings: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, float]]:
    """Every number of settings, however deep, with its name."""
    for key, value in settings.items():
        for entry in value if isinstance(value, list) else [value]:
            if isinstance(entry, Mapping):
                yield from _numbers(entry, f"{within}{key}.")
            elif isinstance(entry, int | float):
                yield f"{within}{key}", entry
