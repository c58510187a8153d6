"""The five parts of a whole model in one folder: which folders there are, and where each part lies."""

from dataclasses import dataclass
from pathlib import Path

import folder_paths

from ..animate_anyone_core.checkpoints.builtin import BUILT_IN_MODELS
from ..animate_anyone_core.checkpoints.model_folder import (
    find_optional,
    find_weights,
    in_or_beside,
)
from ..animate_anyone_core.errors import CheckpointError
from .load_image_encoder import MARKERS
from .load_vae import MARKER
from .model_files import FOLDER, listed

#: Shown for files that lie in models/animate_anyone itself, where downloads put them.
TOP = "models/animate_anyone"
DENOISER = "denoising_unet"

#: Names under which the two shared parts are published or kept, in ComfyUI's own folders.
_VAE_NAMES = (
    "sd-vae-ft-mse",
    "sd-vae-ft-mse.safetensors",
    "diffusion_pytorch_model.safetensors",
    "vae-ft-mse-840000-ema-pruned.safetensors",
)
_ENCODER_NAMES = ("image_encoder", "sd-image-variations-diffusers", "pytorch_model.bin")


@dataclass(frozen=True, kw_only=True)
class ModelSet:
    """Where the parts of one model lie.

    Attributes:
        denoising_unet: File.
        motion_module: File; None if its layers are in the denoising UNet's.
        reference_unet: File.
        pose_guider: File.
        vae: Folder in diffusers' layout, or a file of ComfyUI's.
        image_encoder: Folder in transformers' layout, or a file of ComfyUI's.
    """

    denoising_unet: Path
    motion_module: Path | None
    reference_unet: Path
    pose_guider: Path
    vae: Path
    image_encoder: Path

    def files(self) -> list[Path]:
        """All files, those in folders included."""
        parts = [part for part in vars(self).values() if part is not None]
        return [f for p in parts for f in (sorted(p.iterdir()) if p.is_dir() else [p])]


def model_set_names() -> list[str]:
    """What can be chosen: the built-in models first, then every folder with a denoising UNet."""
    built_in = [name for name, folder in BUILT_IN_MODELS.items() if find_optional(folder, DENOISER)]
    return [*built_in, *_folders()]


def find_model_set(name: str) -> ModelSet:
    """Find the parts of a model that was chosen.

    Raises:
        FileNotFoundError: If the folder is gone.
        CheckpointError: If a part is missing; the message says where it is looked for.
    """
    folder = BUILT_IN_MODELS[name] if name in BUILT_IN_MODELS else _folder(name)
    return ModelSet(
        denoising_unet=find_weights(folder, DENOISER),
        motion_module=find_optional(folder, "motion_module"),
        reference_unet=find_weights(folder, "reference_unet"),
        pose_guider=find_weights(folder, "pose_guider"),
        vae=_shared(folder, "vae", "vae", (MARKER,), _VAE_NAMES),
        image_encoder=_shared(folder, "image_encoder", "clip_vision", MARKERS, _ENCODER_NAMES),
    )


def _folder(name: str) -> Path:
    folders = _folders()
    there = listed(name, folders)
    if there is None:
        raise FileNotFoundError(
            f"The model set {name} is gone. Refresh the node list (R), choose again."
        )
    return folders[there]


def _folders() -> dict[str, Path]:
    found: dict[str, Path] = {}
    for base in map(Path, folder_paths.get_folder_paths(FOLDER)):
        for folder in (base, *sorted(base.glob("*")), *sorted(base.glob("*/*"))):
            if find_optional(folder, DENOISER):
                name = TOP if folder == base else folder.relative_to(base).as_posix()
                found.setdefault(name, folder)
    return found


def _shared(
    folder: Path, part: str, model_folder: str, markers: tuple[str, ...], names: tuple[str, ...]
) -> Path:
    """A part that several models share: in the folder, beside it, or in ComfyUI's own folder."""
    near = in_or_beside(folder, part)
    if any(find_optional(near, marker) for marker in markers):
        return near
    for base in map(Path, folder_paths.get_folder_paths(model_folder)):
        for path in (base / name for name in names):
            if path.is_file() or any(find_optional(path, marker) for marker in markers):
                return path
    raise CheckpointError(
        f"The model set in {folder.name} has no {part}. Put it into {folder.name}/{part}, into "
        f"{part} beside it, or into models/{model_folder} under one of these names: "
        f"{', '.join(names)}."
    )
