"""Trained networks to files in the published layout, which every tool and node reads."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import torch

from ...checkpoints.families import FamilyProfile
from ...checkpoints.key_map import is_temporal, to_published_key
from ...checkpoints.load import METADATA_KEY
from ...checkpoints.weight_files import write_weights
from ...files import write_json
from ...models.denoising_unet import DenoisingUNet
from ...sampling.schedule import NoiseSchedule
from .config import DataConfig, NetworkConfig
from .distillation_config import DistillationConfig
from .lora_layers import lora_weights, merged_weights
from .networks import TrainedNetworks
from .sharding import whole


def profile_of(
    unet: DenoisingUNet,
    network: NetworkConfig,
    data: DataConfig,
    noise: NoiseSchedule,
    stage: int,
    guidance: float,
) -> FamilyProfile:
    """The settings that the trained weights expect; written into every file's header.

    A UNet without temporal layers takes their length from the network's settings.
    """
    longest = (unet.temporal or network.temporal).max_frames
    frames = min(longest, data.num_frames) if stage == 2 else longest
    return FamilyProfile(
        name=network.profile,
        noise=noise,
        extra_inputs=network.extra_inputs,
        keeps_surroundings="target" in network.extra_inputs,
        max_frames=longest,
        context_frames=frames,
        context_overlap=max(0, min(4, frames // 3)),
        drawing=data.drawing,
        width=data.width,
        height=data.height,
        num_inference_steps=20,
        guidance_scale=guidance,
    )


def student_profile(teacher: FamilyProfile, config: DistillationConfig) -> FamilyProfile:
    """The settings that a student expects: its teacher's, but for few steps and no guidance."""
    steps, overlap = config.default_steps or config.student_steps, config.overlap
    return replace(
        teacher,
        num_inference_steps=steps,
        guidance_scale=1.0,
        distilled_steps=steps,
        context_overlap=teacher.context_overlap if overlap is None else overlap,
    )


def write_lora(
    folder: Path,
    networks: TrainedNetworks,
    profile: FamilyProfile,
    *,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write the LoRA of a student, `lora.safetensors`, with what it expects in the header.

    Raises:
        MediaError: If the disk is full or read-only.
    """
    tensors = lora_weights(networks.denoising_unet)
    cast = {k: v.to("cpu", dtype).contiguous() for k, v in tensors.items()}
    metadata = {METADATA_KEY: json.dumps({"profile": profile.to_json(), "stage": 3})}
    write_weights(folder / "lora.safetensors", cast, metadata)


def write_model(
    folder: Path,
    networks: TrainedNetworks,
    profile: FamilyProfile,
    *,
    stage: int,
    dtype: torch.dtype = torch.float32,
    is_writer: bool = True,
) -> None:
    """Write the four files and `config.json`; LoRA's layers by themselves, too, in `lora/`.

    A stage 1 model has no temporal layers yet and no `motion_module`: it is what stage 2 starts
    from. Processes that share networks out all come here, and one of them writes.

    Raises:
        MediaError: If the disk is full or read-only.
    """
    unet = networks.denoising_unet
    settings = {
        "unet": unet.config.to_diffusers(),
        "profile": profile.to_json(),
        "stage": stage,
    }
    if unet.temporal is not None:
        settings["temporal"] = asdict(unet.temporal)
    metadata = {METADATA_KEY: json.dumps(settings)}
    weights, reference = merged_weights(unet), merged_weights(networks.reference_net)
    files = {
        "denoising_unet": {k: v for k, v in weights.items() if not is_temporal(k)},
        "reference_unet": reference,
        "pose_guider": networks.pose_guider.state_dict(),
    }
    if unet.temporal is not None:
        temporal = {to_published_key(k): v for k, v in weights.items() if is_temporal(k)}
        files["motion_module"] = temporal
    for name, network in (("denoising_unet", unet), ("reference_unet", networks.reference_net)):
        if learned := lora_weights(network):
            files[f"lora/{name}_lora"] = learned
    for name, tensors in files.items():
        cast = {k: whole(v.detach()).to("cpu", dtype).contiguous() for k, v in tensors.items()}
        if is_writer:
            write_weights(folder / f"{name}.safetensors", cast, metadata)
    if is_writer:
        write_json(unet.config.to_diffusers(), folder / "config.json")
