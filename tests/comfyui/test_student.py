"""A student's LoRA of a model in Moore-AnimateAnyone's layout, in every place that takes one."""

import json

import pytest
from comfyui_harness import first_light as line

from animate_anyone_core.__main__ import main
from animate_anyone_core.checkpoints.lora import with_lora
from animate_anyone_core.checkpoints.model_folder import load_models

SMALL = {
    "data.width": 96,
    "data.height": 64,
    "data.num_frames": 3,
    "data.cache_scenes": 0,
    "steps": 1,
    "batch_size": 1,
    "lora.rank": 4,
    "optimizer.lr": 0.01,
    "optimizer.lr_warmup_steps": 0,
    "optimizer.ema_decay": 0,
    "init.vae": str(line.MODEL / "vae"),
    "init.image_encoder": str(line.MODEL / "image_encoder"),
    "run.sample_every": 0,
    "run.mixed_precision": "no",
}

SNIPPET = f"""
import sys
from pathlib import Path
import torch
import comfy.sample, comfy.sd, comfy.utils

def ours(name):
    return sys.modules[pack.__name__ + ".nodes." + name]

folder = Path({str(line.MODEL)!r})
model = ours("load_unet3d").load_patcher(
    folder / "denoising_unet.safetensors", folder / "motion_module.safetensors", "auto", "fp32",
    disable_dynamic=True)[0]
width = model.model.diffusion_model.config.cross_attention_dim

def clip(patched):
    noise = torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(5))
    tokens = torch.randn(1, 1, width, generator=torch.Generator().manual_seed(6))
    conds = [[[tokens, {{}}]], [[tokens * 0, {{}}]]]
    return comfy.sample.sample(patched, noise, 1, 1.0, "euler", "simple", *conds,
                               torch.zeros_like(noise), disable_pbar=True, seed=5)

def off(a, b):
    return float((a - b).norm() / b.norm())

before = clip(model)
node, report = ours("load_lora").add_lora(model, Path(LORA), 1.0)
stock = comfy.sd.load_lora_for_models(model, None, comfy.utils.load_torch_file(LORA), 1.0, 0)[0]
made_for = [ours("students").profile_of(m).distilled_steps for m in (model, node, node.clone())]
steps = ours("sampler").steps_of(node, 0, 3.5)
after = clip(node)
wrong = ours("preflight").Preflight.execute(
    20, 3.5, "report", 0, 4, "open", "pyramid", model=node).args[0]
result = {{
    "report": report,
    "patches": len(node.patches),
    "effect": off(after, before),
    "stock": off(clip(stock), after),
    "restored": bool(torch.equal(before, clip(model))),
    "made for": made_for,
    "steps": steps,
    "preflight": wrong,
}}
"""


@pytest.fixture(scope="module")
def lora(small_material, tmp_path_factory):
    pytest.importorskip("peft", reason="needs peft (the extra `scale`)")
    output = tmp_path_factory.mktemp("student")
    settings = [f"--set={name}={json.dumps(value)}" for name, value in SMALL.items()]
    start = ["--init-from", str(line.MODEL)]
    assert main(["train", "--recipe", "distill", "--output", str(output), *start, *settings]) == 0
    return output / "model" / "lora.safetensors"


def test_node_stock_loader_and_command_take_a_students_lora(in_comfyui, lora):
    found = in_comfyui(SNIPPET.replace("LORA", repr(str(lora))))
    models = load_models(line.MODEL)[0]
    changed, report = with_lora(models, lora)
    layers = int(report.split(" changes ")[1].split()[0])
    assert f"changes {layers} layers at strength 1." in found["report"]
    assert "The model is now a student: 4 steps without guidance" in found["report"]
    assert found["patches"] == layers
    assert found["effect"] > 1e-3
    assert found["stock"] < 1e-6
    assert found["restored"], "without the LoRA the model is as before"
    assert found["made for"] == [0, 4, 4]
    assert found["steps"] == {"steps": 4, "cfg": 1.0}
    assert "These weights are a student of 4 steps" in found["preflight"]
    assert changed.profile.distilled_steps == 4
    assert models.profile.distilled_steps == 0
