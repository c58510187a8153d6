"""A tiny model and folders of tiny frozen encoders for training tests."""

from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderTiny
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

TINY_NETWORK = {
    "unet": {
        "block_out_channels": [16, 16],
        "attention_levels": [True, True],
        "layers_per_block": 1,
        "num_attention_heads": 2,
        "cross_attention_dim": 8,
        "norm_num_groups": 4,
    },
    "temporal": {"max_frames": 8, "num_attention_heads": 2, "norm_num_groups": 4},
    "guider_widths": [4, 4, 8, 8],
    "profile": "tiny",
}


def write_frozen_encoders(folder: Path) -> None:
    torch.manual_seed(0)
    AutoencoderTiny(
        encoder_block_out_channels=(8, 8, 8, 8),
        decoder_block_out_channels=(8, 8, 8, 8),
        num_encoder_blocks=(1, 1, 1, 1),
        num_decoder_blocks=(1, 1, 1, 1),
    ).save_pretrained(folder / "vae")
    settings = CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=16,
        projection_dim=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=32,
        patch_size=16,
    )
    CLIPVisionModelWithProjection(settings).save_pretrained(folder / "image_encoder")


@pytest.fixture(scope="session")
def encoders_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("encoders")
    write_frozen_encoders(folder)
    return folder


@pytest.fixture(scope="session")
def settings(encoders_folder) -> dict:
    """Settings of a tiny stage 1 run."""
    return {
        "stage": 1,
        "steps": 4,
        "batch_size": 4,
        "seed": 3,
        "data": {"width": 64, "height": 64, "num_frames": 2},
        "network": TINY_NETWORK,
        "init": {
            "vae": str(encoders_folder / "vae"),
            "image_encoder": str(encoders_folder / "image_encoder"),
        },
        "optimizer": {"lr": 1e-3, "ema_decay": 0.9, "trained_reference": "all"},
        "run": {"checkpoint_every": 2, "sample_every": 0, "log_every": 1},
    }
