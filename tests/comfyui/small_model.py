"""A whole model of random weights in Moore-AnimateAnyone's layout, and skeletons, made on the spot.

Its four levels, attention and temporal layers are where the published ones are; only their widths are
small. The VAE has Stable Diffusion's four latent channels.
"""

from __future__ import annotations

from pathlib import Path

from diffusers import AutoencoderKL
from torch import nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from animate_anyone_core.checkpoints.builtin import built_in_samples
from animate_anyone_core.checkpoints.convert import published_weights, with_position_tables
from animate_anyone_core.checkpoints.key_map import is_temporal
from animate_anyone_core.checkpoints.weight_files import write_weights
from animate_anyone_core.models.config import TemporalConfig, UNetConfig
from animate_anyone_core.models.denoising_unet import DenoisingUNet
from animate_anyone_core.models.pose_guider import PublishedPoseGuider
from animate_anyone_core.models.reference_net import ReferenceNet
from animate_anyone_core.pose.drawing import draw_poses
from animate_anyone_core.pose.openpose_json import load_poses
from animate_anyone_core.video import write_video
from tests.random_weights import randomise

WIDTHS, MAX_FRAMES, APPEARANCE = (32, 32, 32, 64), 32, 48
SKELETON_SIZE = 256, 352  # width, height
SKELETONS = 16


def weighted(network: nn.Module, seed: int) -> nn.Module:
    """Random weights in float16, as published ones are stored."""
    return randomise(network, seed).half()


def write_model(folder: Path) -> None:
    """Write all files of the model, named as published, below a folder."""
    config = UNetConfig(block_out_channels=WIDTHS, cross_attention_dim=APPEARANCE)
    unet = weighted(DenoisingUNet(config, TemporalConfig(max_frames=MAX_FRAMES)), 1)
    weights = published_weights(unet.state_dict())
    temporal = {key: value for key, value in weights.items() if is_temporal(key)}
    files = {
        "denoising_unet": {k: value for k, value in weights.items() if not is_temporal(k)},
        "motion_module": with_position_tables(temporal, MAX_FRAMES),
        "reference_unet": weighted(ReferenceNet(config), 2).state_dict(),
        "pose_guider": weighted(PublishedPoseGuider((16, 32, 96, 256), WIDTHS[0]), 3).state_dict(),
    }
    for name, tensors in files.items():
        write_weights(folder / f"{name}.safetensors", tensors)
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=WIDTHS,
        norm_num_groups=16,
        latent_channels=4,
    )
    weighted(vae, 4).float().save_pretrained(folder / "vae")
    clip = CLIPVisionConfig(
        hidden_size=64,
        intermediate_size=128,
        projection_dim=APPEARANCE,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=224,
        patch_size=32,
    )
    encoder = weighted(CLIPVisionModelWithProjection(clip), 5).float()
    encoder.save_pretrained(folder / "image_encoder")


def write_skeletons(path: Path) -> None:
    """Draw the shipped dance as a skeleton video of another size than the model is asked for."""
    poses = load_poses(built_in_samples().poses)
    write_video(path, draw_poses(poses, "moore", SKELETON_SIZE)[:SKELETONS], 12)
