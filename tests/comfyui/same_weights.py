"""A script for ComfyUI: our MODEL, and ComfyUI's own UNet with the same weights, to compare patches.

One frame, no temporal layers, no reference: then both networks are Stable Diffusion's UNet.
"""

from . import first_light as line

AGREES = 1e-4  # relative L2

SETUP = f"""
import importlib, sys, tempfile
from pathlib import Path
import torch
import comfy.model_base, comfy.model_management as mm, comfy.model_patcher, comfy.ops
import comfy.sample, comfy.samplers, comfy.utils
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel

folder = Path(tempfile.mkdtemp())

def core(name):
    return sys.modules[pack.__name__ + ".animate_anyone_core." + name]

def ours(name):
    return sys.modules[pack.__name__ + ".nodes." + name]

files = core("checkpoints.load").read_denoising_unet(
    {str(line.MODEL / "denoising_unet.safetensors")!r}, image_only=True
)
shape = files.config
first = shape.block_out_channels[0]
levels = len(shape.block_out_channels)
layers = shape.layers_per_block
stock = dict(
    image_size=32,
    in_channels=4,
    out_channels=4,
    model_channels=first,
    num_res_blocks=[layers] * levels,
    channel_mult=tuple(width // first for width in shape.block_out_channels),
    num_heads=shape.num_attention_heads,
    num_head_channels=-1,
    use_spatial_transformer=True,
    context_dim=shape.cross_attention_dim,
    transformer_depth=[int(a) for a in shape.attention_levels for _ in range(layers)],
    transformer_depth_middle=1,
    transformer_depth_output=[
        int(a) for a in shape.attention_levels for _ in range(layers + 1)
    ],
    use_linear_in_transformer=False,
    adm_in_channels=None,
    legacy=False,
    use_temporal_attention=False,
)

def patcher(model):
    cpu = torch.device("cpu")
    return comfy.model_patcher.ModelPatcher(model, load_device=cpu, offload_device=cpu)

def make_ours():
    config = ours("denoising_model").AnimateAnyoneConfig(files)
    config.set_inference_dtype(torch.float32, None)
    model = ours("denoising_model").AnimateAnyoneModel(config)
    weights = {{k: v.float() for k, v in files.weights.items()}}
    model.diffusion_model.load_state_dict(weights, assign=True)
    return patcher(model)

def make_theirs():
    config = ours("denoising_model").AnimateAnyoneConfig(files)
    config.unet_config = dict(stock)
    config.set_inference_dtype(torch.float32, None)
    model = comfy.model_base.BaseModel(config, config.prediction, unet_model=UNetModel)
    names = comfy.utils.unet_to_diffusers(stock)
    weights = {{names[k]: v.float() for k, v in files.weights.items() if k in names}}
    assert len(weights) == len(files.weights), (len(weights), len(files.weights))
    missing, unexpected = model.diffusion_model.load_state_dict(weights, strict=False)
    assert not missing and not unexpected, (missing, unexpected)
    return patcher(model)

def apply(module, name, model, **inputs):
    node = getattr(importlib.import_module(module), name)
    if hasattr(node, "define_schema"):
        result = node.execute(model=model, **inputs)
        return getattr(result, "args", result)[0]
    return getattr(node(), node.FUNCTION)(model=model, **inputs)[0]

def conds(scale=1.0):
    torch.manual_seed(3)
    tokens = torch.randn(2, 1, 1, shape.cross_attention_dim) * scale
    return [[tokens[0], {{}}]], [[tokens[1], {{}}]]

def sample(model, steps=2, height=16, width=24, positive=None, negative=None, cfg=3.5):
    noise = torch.randn(1, 4, height, width, generator=torch.Generator().manual_seed(5))
    given = conds()
    positive, negative = positive or given[0], negative or given[1]
    return comfy.sample.sample(
        model, noise, steps, cfg, "euler", "simple", positive, negative,
        torch.zeros_like(noise), disable_pbar=True, seed=5,
    )

def off(a, b):
    return float((a - b).norm() / b.norm())
"""
