"""Our networks under ComfyUI's memory manager: partly loaded, or stored smaller than computed."""

import shutil

import pytest
from comfyui_harness import first_light as line

from tests.other_families import CONFIG, EXTRA, write_model

SETUP = f"""
import sys
import torch
import comfy.model_patcher

def ours(name):
    return sys.modules[pack.__name__ + ".nodes." + name]

def load(dtype="fp32"):
    return ours("load_unet3d").load_patcher(
        {str(line.MODEL / "denoising_unet.safetensors")!r},
        {str(line.MODEL / "motion_module.safetensors")!r},
        "auto",
        dtype,
        disable_dynamic=True,
    )[0]

def stranded(network, device):
    # what holds weights of its own that are elsewhere and are not cast when they are used
    return [
        name
        for name, module in network.named_modules()
        for weight in [*module.parameters(recurse=False), *module.buffers(recurse=False)]
        if weight.device.type != device and not getattr(module, "comfy_cast_weights", False)
    ]

def call(network):
    torch.manual_seed(0)
    rows, frames = 2, 3
    x = torch.randn(rows * frames, 4, 8, 6)
    context = torch.randn(rows * frames, 1, network.config.cross_attention_dim)
    times = torch.full((rows * frames,), 499.0)
    with torch.no_grad():
        return network(x, times, context, transformer_options={{"cond_or_uncond": [1, 0]}})
"""


@pytest.mark.parametrize("budget", [0.4, 0.1])
def test_no_layer_is_stranded_when_partly_loaded(in_comfyui, budget):
    """The device "meta" stands for a GPU that holds only a part of the weights."""
    outcome = in_comfyui(
        SETUP
        + f"""
patcher = load()
patcher.load_device = torch.device("meta")
patcher.load(torch.device("meta"), lowvram_model_memory=int({budget} * patcher.model_size()))
network = patcher.model.diffusion_model
places = [weight.device.type for weight in network.parameters()]
result = [stranded(network, "meta"), places.count("meta"), places.count("cpu")]
"""
    )
    left, loaded, waiting = outcome
    assert left == []
    assert loaded > 0
    assert waiting > 0


@pytest.mark.parametrize("budget", [0.4, 0.1, 0.0])  # 0: every weight stays away, as --novram
def test_a_partly_loaded_model_computes_the_same(in_comfyui, budget):
    assert in_comfyui(
        SETUP
        + f"""
patcher = load()
patcher.load(patcher.load_device)
whole = call(patcher.model.diffusion_model)
patcher = load()
patcher.load(patcher.load_device, lowvram_model_memory=int({budget} * patcher.model_size()) or 0.1)
part = call(patcher.model.diffusion_model)
result = bool(torch.equal(whole, part))
"""
    )


@pytest.fixture(scope="session", params=["anycharv", "mimo"])
def wide_model(request, tmp_path_factory):
    """A family whose denoising UNet sees a video beside the noisy latents, and its files."""
    folder = tmp_path_factory.mktemp("wide") / request.param

    def save_others(where):
        for name in ("vae", "image_encoder"):
            shutil.copytree(line.MODEL / name, where / name)

    write_model(folder, request.param, save_others)
    if request.param == "anycharv":
        return (
            request.param,
            folder / "denoising_unet" / "diffusion_pytorch_model.safetensors",
            None,
        )
    return request.param, folder / "denoising_unet.pth", folder / "motion_module.pth"


def wide_setup(wide_model):
    """`SETUP` with that model, and a call with a scene and guidance."""
    family, unet, motion = wide_model
    channels = CONFIG.out_channels + EXTRA[family]
    given = None if motion is None else str(motion)
    moore = str(line.MODEL / "denoising_unet.safetensors")
    moores = str(line.MODEL / "motion_module.safetensors")
    return (
        SETUP.replace(repr(moore), repr(str(unet)))
        .replace(repr(moores), repr(given))
        .replace(
            "torch.randn(rows * frames, 4, 8, 6)", f"torch.randn(rows * frames, {channels}, 8, 8)"
        )
    )


@pytest.mark.parametrize("budget", [0.4, 0.0])
def test_a_partly_loaded_model_with_a_scene_computes_the_same(in_comfyui, wide_model, budget):
    """First convolutions of 9 and 8 channels stream like all others."""
    whole_equals_part, left, loaded, waiting = in_comfyui(
        wide_setup(wide_model)
        + f"""
patcher = load()
patcher.load(patcher.load_device)
whole = call(patcher.model.diffusion_model)
patcher = load()
patcher.load(patcher.load_device, lowvram_model_memory=int({budget} * patcher.model_size()) or 0.1)
part = call(patcher.model.diffusion_model)
patcher = load()
patcher.load_device = torch.device("meta")
patcher.load(torch.device("meta"), lowvram_model_memory=int(0.4 * patcher.model_size()))
places = [weight.device.type for weight in patcher.model.diffusion_model.parameters()]
left = stranded(patcher.model.diffusion_model, "meta")
result = [bool(torch.equal(whole, part)), left, places.count("meta"), places.count("cpu")]
"""
    )
    assert whole_equals_part
    assert left == []
    assert loaded > 0
    assert waiting > 0


def test_the_estimate_counts_the_scene(in_comfyui, wide_model):
    """Both halves of guidance carry its channels: at least these bytes more than without them."""
    needed, narrow = in_comfyui(
        wide_setup(wide_model)
        + """
from dataclasses import replace
model = load().model
rows, height, width = 2 * 24, 96, 64
needed = model.memory_required([rows, 4, height, width])
config = model.model_config.unet_config["config"]
model.model_config.unet_config["config"] = replace(config, in_channels=config.out_channels)
result = [needed, model.memory_required([rows, 4, height, width])]
"""
    )
    assert needed - narrow >= EXTRA[wide_model[0]] * 2 * 24 * 96 * 64 * 4


@pytest.mark.parametrize(
    ("dtype", "size", "limit"), [("fp16", 0.5, 0.0), ("bf16", 0.5, 0.3), ("fp8_e4m3fn", 0.25, 0.5)]
)
def test_weights_may_be_stored_smaller_than_computed(in_comfyui, dtype, size, limit):
    """Computed in float32 on the CPU: these weights are exact in fp16, and a little off in others."""
    error, stored = in_comfyui(
        SETUP
        + f"""
def run(dtype):
    patcher = load(dtype)
    patcher.load(patcher.load_device)
    return call(patcher.model.diffusion_model).float(), patcher.model_size()
exact, full = run("fp32")
small, stored = run({dtype!r})
result = [float((small - exact).norm() / exact.norm()), stored / full]
"""
    )
    assert error <= limit
    assert stored == pytest.approx(size, rel=0.01)


def test_loading_leaves_the_global_random_state_alone(in_comfyui):
    assert in_comfyui(
        SETUP
        + """
torch.manual_seed(1)
before = torch.get_rng_state()
load()
result = bool(torch.equal(before, torch.get_rng_state()))
"""
    )
