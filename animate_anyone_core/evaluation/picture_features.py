"""A network that says what a picture shows, from a folder or file of the user's.

Symbols: F frames, H W pixels, D features.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..borders.json_text import read_json_file
from ..borders.values import shown
from ..checkpoints.model_folder import load_image_encoder
from ..errors import CheckpointError
from ..models.image_encoder import CLIP_MEAN, CLIP_STD
from ..pixels import pixels_01
from .pretrained import load_pretrained

#: Features (F, D) of frames (F, H, W, 3) uint8 RGB.
PictureFeatures = Callable[[np.ndarray], np.ndarray]

_CLIP = ("clip", "clip_vision_model")
#: transformers' models of pictures whose token for the whole picture stands first.
_FIRST_TOKEN = ("dinov2", "dinov2_with_registers", "dinov3_vit", "ijepa", "vit")
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_SIDE = 224
_CHUNK_FRAMES = 16


def load_picture_features(
    path: Path | str, device: torch.device | str = "cpu", allow_torchscript: bool = False
) -> PictureFeatures:
    """Load a network of pictures.

    Args:
        path: A folder in transformers' layout with CLIP, DINOv2, DINOv3 or ViT; or a TorchScript
            file that takes (F, 3, 224, 224) with ImageNet's mean and deviation and gives (F, D).
        device: Where it runs.
        allow_torchscript: Run a TorchScript file, which is a program.

    Returns:
        Gives features as the network has them, not normalised. Whole frames are resized to the
        network's side, bilinear with antialiasing; their aspect ratio is not kept.

    Raises:
        CheckpointError: If there is no such network, or a program may not be run.
    """
    path = Path(path)
    if path.is_dir():
        return _from_folder(path, device)
    from ..pose.runtime import check_torchscript

    if not path.is_file():
        raise CheckpointError(
            f"There is no network {path}. Give a folder in transformers' layout (CLIP, DINOv2) or a "
            "TorchScript file."
        )
    check_torchscript(path, allow_torchscript)
    network = load_torchscript(path, device)
    return _Network(path.name, network, _SIDE, IMAGENET_MEAN, IMAGENET_STD, device)


def _from_folder(folder: Path, device: torch.device | str) -> PictureFeatures:
    config = read_json_file(folder / "config.json", CheckpointError)
    kind = config.get("model_type") if isinstance(config, dict) else None
    if kind in _CLIP:
        encoder = load_image_encoder(folder).to(device)
        side = encoder.config.image_size

        def embed(pixels: Tensor) -> Tensor:
            return encoder(pixels).image_embeds

        return _Network(folder.name, embed, side, CLIP_MEAN, CLIP_STD, device)
    if kind not in _FIRST_TOKEN:
        kinds = ", ".join((*_CLIP, *_FIRST_TOKEN))
        raise CheckpointError(
            f"{folder} holds a network of type {shown(kind)}; pictures are described by one of: "
            f"{kinds}."
        )
    from transformers import AutoModel

    network = load_pretrained(AutoModel, folder, kind).to(device)

    def first_token(pixels: Tensor) -> Tensor:
        return network(pixel_values=pixels).last_hidden_state[:, 0]

    mean, std = _normalisation(folder)
    side = int(getattr(network.config, "image_size", _SIDE))
    # DINOv2 was trained at 518 and is used at 224, as its own evaluation does
    side = min(side, _SIDE)
    return _Network(folder.name, first_token, side, mean, std, device)


def load_torchscript(path: Path, device: torch.device | str, advice: str = "") -> Any:
    """Load a TorchScript file, which is a program; raises CheckpointError if it is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # such networks exist only as this
            return torch.jit.load(str(path), map_location=device).eval()
    except (RuntimeError, ValueError) as error:
        raise CheckpointError(f"{path.name} is no TorchScript network.{advice}") from error


def _normalisation(folder: Path) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation that the folder's own preprocessing takes; ImageNet's without one."""
    path = folder / "preprocessor_config.json"
    settings: Any = read_json_file(path, CheckpointError) if path.is_file() else {}
    both = []
    for name, default in (("image_mean", IMAGENET_MEAN), ("image_std", IMAGENET_STD)):
        values = settings.get(name, default) if isinstance(settings, dict) else default
        if not (
            isinstance(values, (list, tuple))
            and len(values) == 3
            and all(isinstance(v, (int, float)) and 0 < v < 10 for v in values)
        ):
            raise CheckpointError(f"{path}: {name} must be three numbers above 0, got {values!r}.")
        both.append(tuple(float(value) for value in values))
    return both[0], both[1]


class _Network:
    """Frames in, features out, a chunk at a time."""

    def __init__(
        self,
        name: str,
        network: Callable[[Tensor], Tensor],
        side: int,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        device: torch.device | str,
    ) -> None:
        self._name, self._network, self._side, self._device = name, network, side, device
        self._mean, self._std = (torch.tensor(v)[:, None, None] for v in (mean, std))

    def __call__(self, frames: np.ndarray) -> np.ndarray:
        rows = [
            self._features(frames[start : start + _CHUNK_FRAMES])
            for start in range(0, len(frames), _CHUNK_FRAMES)
        ]
        return np.concatenate(rows)

    @torch.no_grad()
    def _features(self, frames: np.ndarray) -> np.ndarray:
        pixels = torch.nn.functional.interpolate(
            pixels_01(frames), (self._side, self._side), mode="bilinear", antialias=True
        )
        pixels = ((pixels - self._mean) / self._std).to(self._device)
        try:
            features = self._network(pixels)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise CheckpointError(
                f"{self._name} cannot be run on pictures {tuple(pixels.shape)}: {reason}"
            ) from error
        if (
            not isinstance(features, Tensor)
            or features.ndim != 2
            or len(features) != len(frames)
            or not torch.isfinite(features).all()
        ):
            what = (
                tuple(features.shape) if isinstance(features, Tensor) else type(features).__name__
            )
            raise CheckpointError(
                f"{self._name} must give finite features ({len(frames)}, D) for pictures "
                f"{tuple(pixels.shape)}, got {what}."
            )
        return features.cpu().double().numpy()
