"""Whole models of the other families in their published layouts, tiny, with random weights."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from animate_anyone_core.checkpoints.convert import published_weights, with_position_tables
from animate_anyone_core.checkpoints.key_map import is_temporal
from animate_anyone_core.checkpoints.weight_files import write_weights
from animate_anyone_core.models.config import TemporalConfig, UNetConfig
from animate_anyone_core.models.denoising_unet import DenoisingUNet
from animate_anyone_core.models.landmark_guider import (
    BatchStatistics,
    LandmarkGuider,
    LandmarkGuiderShape,
)
from animate_anyone_core.models.pose_guider import PublishedPoseGuider
from animate_anyone_core.models.reference_net import ReferenceNet
from tests.random_weights import randomise

#: Four levels, as AniPortrait's guider needs; one layer each. 32 groups, so no config.json is needed.
CONFIG = UNetConfig(
    block_out_channels=(32, 32, 64, 64),
    attention_levels=(True, False, False, False),
    layers_per_block=1,
    cross_attention_dim=24,
)
EXTRA = {"anycharv": 5, "mimo": 4, "aniportrait": 0, "moore": 0}
MAX_FRAMES = 12


def tiny_landmark_guider() -> LandmarkGuider:
    shape = LandmarkGuiderShape(
        front=((3, 3), (4, 4), (4, 3), (6, 4), (6, 3), (8, 4), (8, 3), (8, 3)),
        first=32,
        stages=((32, 32), (32, 32), (32, 64), (64,)),
        inner=(32, 32, 48, 64),
    )
    return randomise(LandmarkGuider(shape), 6)


def published_landmark_guider(guider: LandmarkGuider) -> dict[str, Tensor]:
    """With the running statistics that the published file holds and nothing reads."""
    weights = dict(guider.state_dict())
    for name, module in guider.named_modules():
        if isinstance(module, BatchStatistics):
            weights[f"{name}.running_mean"] = torch.randn_like(module.weight)
            weights[f"{name}.running_var"] = torch.rand_like(module.weight) + 0.5
            weights[f"{name}.num_batches_tracked"] = torch.tensor(7)
    return weights


def tiny_unet(family: str, config: UNetConfig = CONFIG) -> DenoisingUNet:
    config = replace(config, in_channels=config.in_channels + EXTRA[family])
    return randomise(DenoisingUNet(config, TemporalConfig(max_frames=MAX_FRAMES)), 1)


def write_model(
    folder: Path,
    family: str,
    save_others: Callable[[Path], None],
    config: UNetConfig = CONFIG,
) -> Path:
    """Write a model as the family published it.

    Args:
        folder: Where; it is made.
        family: Its name.
        save_others: Writes VAE and image encoder into a folder.
        config: Shapes of the UNets, but for the extra channels.
    """
    guider: nn.Module = PublishedPoseGuider((4, 8, 8, 8), 32)
    is_landmarks = family == "aniportrait"
    guider = tiny_landmark_guider() if is_landmarks else randomise(guider, 3)
    unet = published_weights(tiny_unet(family, config).state_dict())
    files = {
        "reference_unet": randomise(ReferenceNet(config), 2).state_dict(),
        "pose_guider": published_landmark_guider(guider) if is_landmarks else guider.state_dict(),
    }
    folder.mkdir(parents=True)
    save_others(folder)
    if family == "anycharv":
        files["denoising_unet"] = with_position_tables(unet, MAX_FRAMES)
        write_folders(folder, files, config)
        return folder
    temporal = {key: tensor for key, tensor in unet.items() if is_temporal(key)}
    files["motion_module"] = with_position_tables(temporal, MAX_FRAMES)
    files["denoising_unet"] = {k: tensor for k, tensor in unet.items() if not is_temporal(k)}
    for name, weights in files.items():
        torch.save(dict(weights), folder / f"{name}.pth")
    return folder


def write_folders(folder: Path, files: dict[str, dict[str, Tensor]], config: UNetConfig) -> None:
    """AnyCharV's layout: a folder and a config.json for each network; 3-D names for the blocks."""
    plain = config.to_diffusers()
    wide = {
        key: [name.replace("2D", "3D") for name in value] if key.endswith("block_types") else value
        for key, value in plain.items()
    } | {
        "_class_name": "UNet3DConditionModel",
        "mid_block_type": "UNetMidBlock3DCrossAttn",
        "in_channels": config.in_channels + EXTRA["anycharv"],
        "use_motion_module": True,
        "use_inflated_groupnorm": True,
        "motion_module_mid_block": True,
        "motion_module_kwargs": {
            "num_attention_heads": 8,
            "temporal_position_encoding_max_len": MAX_FRAMES,
        },
    }
    configs = {
        "reference_unet": plain,
        "denoising_unet": wide,
        "pose_guider": {"block_out_channels": [4, 8, 8, 8]},
    }
    for name, weights in files.items():
        (folder / name).mkdir()
        write_weights(folder / name / "diffusion_pytorch_model.safetensors", weights)
        (folder / name / "config.json").write_text(json.dumps(configs[name]))
