"""What `train` writes is what the nodes read: trained for a step, loaded by name, run once."""

import json

import pytest

from animate_anyone_core.__main__ import main
from animate_anyone_core.checkpoints.builtin import BUILT_IN_FOLDER

CHANNELS = json.loads((BUILT_IN_FOLDER / "vae" / "config.json").read_text())["latent_channels"]
SMALL = {
    "network.unet.block_out_channels": [16, 16],
    "network.unet.in_channels": CHANNELS,
    "network.unet.out_channels": CHANNELS,
    "network.profile": "just-trained",
    "data.width": 64,
    "data.height": 64,
    "data.cache_scenes": 0,
    "steps": 1,
    "batch_size": 1,
    "run.sample_every": 0,
    "run.mixed_precision": "no",
}

SNIPPET = """
import sys
import torch

def ours(name):
    return sys.modules[pack.__name__ + ".nodes." + name]

unet = ours("load_unet3d").LoadUNet3D.execute(
    "trained/denoising_unet.safetensors", "trained/motion_module.safetensors", "auto", "default"
)
reference = ours("load_reference_net").LoadReferenceNet.execute(
    "trained/reference_unet.safetensors", "default"
)
guider = ours("load_pose_guider").LoadPoseGuider.execute("trained/pose_guider.safetensors")
reports = [node.args[-1] for node in (unet, reference, guider)]

network = unet.args[0].model.diffusion_model
rows, frames = 2, 3
with torch.no_grad():
    out = network(
        torch.randn(rows * frames, CHANNELS, 8, 8),
        torch.full((rows * frames,), 499.0),
        torch.randn(rows * frames, 1, network.config.cross_attention_dim),
        transformer_options={"cond_or_uncond": [1, 0]},
    )
result = [reports, list(out.shape), bool(torch.isfinite(out).all())]
"""


def train(recipe, output, **more):
    settings = {**SMALL, **more}
    changes = [f"--set={name}={json.dumps(value)}" for name, value in settings.items()]
    assert main(["train", "--recipe", recipe, "--output", str(output), *changes]) == 0
    return output / "model"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    first = train("builtin-stage1", folder / "stage1")
    init = dict.fromkeys(("init.unet", "init.reference", "init.pose_guider"), str(first))
    return train("builtin-stage2", folder / "stage2", **init, **{"data.num_frames": 3})


def test_the_loaders_take_a_trained_model_with_complete_reports(in_comfyui, trained, tmp_path):
    place = tmp_path / "base" / "models" / "animate_anyone" / "trained"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(trained, target_is_directory=True)
    reports, shape, is_finite = in_comfyui(SNIPPET.replace("CHANNELS", str(CHANNELS)))
    assert len(reports) == 3
    for report in reports:
        assert "missing" not in report.lower() or "0 missing" in report.lower(), report
        assert "unexpected" not in report.lower() or "0 unexpected" in report.lower(), report
    assert "just-trained" in reports[0], "the header's own profile"
    assert shape == [6, CHANNELS, 8, 8]
    assert is_finite
