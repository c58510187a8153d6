"""The stored numbers of the published code: one folder a family, `fixture.json` and `numbers.npz`."""

import json
import zlib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import CheckpointError
from . import hashed_numbers

FOLDER = Path(__file__).parent / "numbers"
NETWORKS = ("reference_unet", "denoising_unet", "pose_guider")
#: Entries of published files that are not numbers of the recipe.
_NOT_WEIGHTS = ("pos_encoder.pe", "num_batches_tracked")


def shipped_families() -> list[Path]:
    """Folders of all families whose numbers ship with the package."""
    return sorted(path.parent for path in FOLDER.glob("*/fixture.json"))


def numbers_of(family: str) -> Path:
    """The folder of one family's numbers that ship with the package."""
    return FOLDER / family


class ReferenceNumbers:
    """Inputs and results of one family's published code, for networks of small widths.

    Args:
        folder: Holds `fixture.json` and `numbers.npz`.

    Raises:
        CheckpointError: If a file is missing or damaged.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self.settings: dict[str, Any] = json.loads((folder / "fixture.json").read_text("utf-8"))
            with np.load(folder / "numbers.npz", allow_pickle=False) as file:
                self._arrays = {name: file[name] for name in file.files}
        except (OSError, ValueError, KeyError) as error:
            raise CheckpointError(
                f"The reference numbers of {folder.name} cannot be read ({error}). Install the "
                "package again."
            ) from error
        self.family: str = self.settings["family"]

    @cached_property
    def expected(self) -> dict[str, Tensor]:
        """What the published code gave, by name."""
        return self._tensors("expected/")

    @cached_property
    def inputs(self) -> dict[str, Tensor]:
        """What it was given, by name: drawn pictures as stored, random numbers as hashed."""
        random = self.settings["random_inputs"].items()
        hashed = {
            name: torch.from_numpy(hashed_numbers.normal(name, **how)) for name, how in random
        }
        return self._tensors("inputs/") | hashed

    @property
    def limits(self) -> dict[str, dict[str, float]]:
        """Limits in float32 by name of the tensor: `max_over_rms` and `relative_l2`."""
        return self.settings["limits"]

    @property
    def windows(self) -> list[list[int]]:
        """The windows of every step."""
        return self.settings["windows"]

    @property
    def pose_pictures(self) -> Tensor:
        """The pose pictures (F, 3, H, W) in [0, 1]."""
        return self.inputs["pose_frames_u8"].float().div(255).permute(0, 3, 1, 2)

    @property
    def embeddings(self) -> Tensor:
        """Appearance tokens (2, 1, D): none, and the picture's."""
        embedding = self.inputs["clip_image_embeds"][:, None]
        return torch.cat([torch.zeros_like(embedding), embedding])

    def extra_channels(self) -> Tensor | None:
        """What is joined to the noisy latents (1, C, F, h, w); None for families without."""
        names = [n for n in self.settings.get("channels", {}).values() if n != "noisy latents"]
        tensors = self.expected | self.inputs
        return torch.cat([tensors[name] for name in names], dim=1) if names else None

    def weights(self, network: str) -> dict[str, Tensor]:
        """One network's weights under their published names, in float16."""
        return {key: torch.from_numpy(value) for key, value in self._weights(network)}

    def wrong_checksums(self) -> list[str]:
        """Names of networks and inputs that did not come out as they must: none, normally."""
        checksums = {
            f"input/{name}": zlib.crc32(tensor.numpy().tobytes())
            for name, tensor in self.inputs.items()
        }
        for network in NETWORKS:
            checksum = 0
            for _, value in self._weights(network):
                checksum = zlib.crc32(value.astype("<f2").tobytes(), checksum)
            checksums[network] = checksum
        recorded = self.settings["recipe"]["crc32"]
        return [name for name, checksum in recorded.items() if checksums.get(name) != checksum]

    def _tensors(self, prefix: str) -> dict[str, Tensor]:
        arrays = self._arrays.items()
        return {k.removeprefix(prefix): torch.from_numpy(v) for k, v in arrays if prefix in k}

    def _weights(self, network: str) -> Iterator[tuple[str, np.ndarray]]:
        constants = self.settings["recipe"]["constants"].get(network, {})
        for entry in self._arrays[f"keys/{network}"].tolist():
            key, _, sizes = entry.partition(" ")
            if not key.endswith(_NOT_WEIGHTS):
                shape = [int(size) for size in sizes.split(",") if size]
                yield key, hashed_numbers.weight(network, key, shape, constants.get(key))
