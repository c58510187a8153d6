"""Our networks under ComfyUI's memory manager: partly loaded, or stored smaller than computed."""

import pytest
from comfyui_harness import first_light as line

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
