"""A start for snippets that sample a small clip with the fixture's model beside ComfyUI.

`once(checkout, snippet, in_comfyui)` runs a snippet on top of it, which fills `result` and finds
`make_model()`, `reference`, `pose`, `conds(...)`, `sample(...)`, `node(name)` and `off(a, b)`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from comfyui_harness import first_light as line

FRAMES, HEIGHT, WIDTH = 5, 12, 8  # latent cells

SETUP = f"""
import importlib, sys
from dataclasses import replace
from pathlib import Path
import torch
import comfy.model_management as mm
import comfy.sample, comfy.samplers
import nodes as stock

FOLDER = Path({str(line.MODEL)!r})
FRAMES, HEIGHT, WIDTH = {FRAMES}, {HEIGHT}, {WIDTH}

def core(name):
    return importlib.import_module(pack.__name__ + ".animate_anyone_core." + name)

def ours(name):
    return importlib.import_module(pack.__name__ + ".nodes." + name)

def make_model(dtype="fp32", disable_dynamic=True):
    files = FOLDER / "denoising_unet.safetensors", FOLDER / "motion_module.safetensors"
    return ours("load_unet3d").load_patcher(
        *files, "auto", dtype, disable_dynamic=disable_dynamic)[0]

def normal(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))

reference_net = core("checkpoints.load").load_reference_net(
    FOLDER / "reference_unet.safetensors", dtype=torch.float32)[0]

def make_reference(seed):
    latents = normal(seed, 1, 4, HEIGHT, WIDTH)
    appearance = normal(seed + 1, 1, 1, reference_net.config.cross_attention_dim)
    with torch.no_grad():
        features = reference_net(latents, appearance)
    return ours("sockets").EncodedReference(
        core("models.references").Reference(appearance, features),
        latents / 0.18215, 8 * WIDTH, 8 * HEIGHT)

reference = make_reference(1)
features = normal(3, FRAMES, reference_net.config.block_out_channels[0], HEIGHT, WIDTH)
pose = ours("sockets").EncodedPose(
    features.transpose(0, 1)[None], range(FRAMES), 8 * WIDTH, 8 * HEIGHT)
empty = torch.zeros(FRAMES, 4, HEIGHT, WIDTH)

def node(name, **inputs):
    module, kind = name
    result = getattr(importlib.import_module(module), kind)
    if hasattr(result, "define_schema"):
        return result.execute(**inputs).args
    result = result()
    return getattr(result, result.FUNCTION)(**inputs)

def of_ours(module, kind, **inputs):
    return getattr(ours(module), kind).execute(**inputs).args[0]

def conds(model, reference=reference, pose=pose):
    return ours("conditioning").condition(model, reference, pose)

def sample(model, given=None, latent=None, steps=4, cfg=2.0, name="euler", denoise=1.0, seed=5):
    given = given or conds(model)
    latent = latent or {{"samples": empty}}
    return ours("sampler").sample(
        model, given, latent, None, seed=seed, steps=steps, cfg=cfg, sampler_name=name,
        scheduler="simple", denoise=denoise)

def off(a, b):
    return float((a - b).norm() / b.norm())
"""

_outcomes: dict[tuple[str, str], Any] = {}


def once(checkout: Any, snippet: str, in_comfyui: Callable[..., Any]) -> Any:
    """What a snippet found on this ComfyUI; many tests look at it, but it runs, or fails, once."""
    key = checkout.version, snippet
    if key not in _outcomes:
        _outcomes[key] = None
        _outcomes[key] = in_comfyui(SETUP + snippet, timeout=600)
    if _outcomes[key] is None:
        pytest.fail("the snippet failed, see the first test that ran it")
    return _outcomes[key]
