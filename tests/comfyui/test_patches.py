"""ComfyUI's patch nodes on our MODEL, against ComfyUI's own UNet with the same weights.

One frame, no temporal layers, no reference: then both networks are Stable Diffusion's UNet, and every
patch must do to ours what it does to ComfyUI's.
"""

import pytest
from comfyui_harness import first_light as line
from comfyui_harness.same_weights import AGREES, SETUP

STOCK_NODES = {
    "nothing": None,
    "FreeU": ("comfy_extras.nodes_freelunch", "FreeU", "b1=1.1, b2=1.2, s1=0.9, s2=0.2"),
    "FreeU_V2": ("comfy_extras.nodes_freelunch", "FreeU_V2", "b1=1.3, b2=1.4, s1=0.9, s2=0.2"),
    "SAG": ("comfy_extras.nodes_sag", "SelfAttentionGuidance", "scale=0.5, blur_sigma=2.0"),
    "PAG": ("comfy_extras.nodes_pag", "PerturbedAttentionGuidance", "scale=3.0"),
    "HyperTile": (
        "comfy_extras.nodes_hypertile",
        "HyperTile",
        "tile_size=64, swap_size=1, max_depth=1, scale_depth=False",
    ),
    "ToMe": ("comfy_extras.nodes_tomesd", "TomePatchModel", "ratio=0.3"),
    "RescaleCFG": ("comfy_extras.nodes_model_advanced", "RescaleCFG", "multiplier=0.7"),
    "Deep Shrink": (
        "comfy_extras.nodes_model_downscale",
        "PatchModelAddDownscale",
        "block_number=3, downscale_factor=2.0, start_percent=0.0, end_percent=0.35, "
        "downscale_after_skip=True, downscale_method='bicubic', upscale_method='bicubic'",
    ),
}


_results: dict[str, dict[str, list[float]]] = {}


@pytest.fixture
def stock_results(checkout, in_comfyui):
    """For every stock node: how far from ComfyUI's own UNet, and how far from nothing; run once."""
    if checkout.version not in _results:
        _results[checkout.version] = in_comfyui(
            SETUP
            + f"""
result = {{}}
plain = sample(make_ours())
for name, node in {STOCK_NODES!r}.items():
    def patched(model):
        if node is None:
            return model
        return apply(node[0], node[1], model, **eval(f"dict({{node[2]}})"))
    torch.manual_seed(11)
    mine = sample(patched(make_ours()))
    torch.manual_seed(11)
    theirs = sample(patched(make_theirs()))
    result[name] = [off(mine, theirs), off(mine, plain)]
""",
            timeout=500,
        )
    return _results[checkout.version]


@pytest.mark.parametrize("name", STOCK_NODES)
def test_stock_node_acts_as_on_comfyuis_own_unet(stock_results, name):
    difference, effect = stock_results[name]
    assert difference < AGREES
    if name != "nothing":
        assert effect > 10 * AGREES


def test_a_controlnet_acts_as_on_comfyuis_own_unet(in_comfyui):
    """A tiny random ControlNet: residuals at every skip and in the middle."""
    difference, effect = in_comfyui(
        SETUP
        + """
import comfy.controlnet
from comfy.cldm.cldm import ControlNet as Network
import nodes

settings = {k: v for k, v in stock.items() if k not in (
    "out_channels", "transformer_depth_output", "legacy", "use_temporal_attention")}
network = Network(hint_channels=3, dtype=torch.float32, device="cpu",
                  operations=comfy.ops.manual_cast, legacy=False, **settings)
torch.manual_seed(0)
with torch.no_grad():
    for parameter in network.parameters():
        fan = max(1, parameter[0].numel())
        spread = 1 / fan**0.5 if parameter.ndim > 1 else 0.1
        parameter.copy_(torch.randn_like(parameter) * spread + (parameter.ndim == 1) * 0.5)
control = comfy.controlnet.ControlNet(network, load_device=torch.device("cpu"))
hint = torch.rand(1, 128, 192, 3)
positive, negative = conds()
with_control = nodes.ControlNetApplyAdvanced().apply_controlnet(
    positive, negative, control, hint, 0.5, 0.0, 1.0)
a = sample(make_ours(), positive=with_control[0], negative=with_control[1])
b = sample(make_theirs(), positive=with_control[0], negative=with_control[1])
result = [off(a, b), off(a, sample(make_ours()))]
"""
    )
    assert difference < AGREES
    assert effect > 10 * AGREES


def test_a_kohya_lora_acts_and_can_be_taken_off(in_comfyui):
    difference, effect, restored = in_comfyui(
        SETUP
        + """
import comfy.sd
path = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
torch.manual_seed(0)
width = shape.block_out_channels[1]
up, down = torch.randn(width, 4), torch.randn(4, width) * 0.3

def with_lora(model, name):
    lora = {
        f"{name}.lora_up.weight": up,
        f"{name}.lora_down.weight": down,
        f"{name}.alpha": torch.tensor(4.0),
    }
    return comfy.sd.load_lora_for_models(model, None, lora, 0.8, 0)[0]

kohya = "lora_unet_" + path.replace(".", "_")
base = make_ours()
before = sample(base)
mine = sample(with_lora(base, kohya))
theirs = sample(with_lora(make_theirs(), kohya))
after = sample(base)
result = [off(mine, theirs), off(mine, before), bool(torch.equal(before, after))]
"""
    )
    assert difference < AGREES
    assert effect > 10 * AGREES
    assert restored


def test_diffusers_and_peft_loras_act_as_the_same_lora_in_kohyas_names(in_comfyui):
    differences, restored = in_comfyui(
        SETUP
        + """
import comfy.sd
from safetensors.torch import save_file
path = "up_blocks.1.attentions.0.transformer_blocks.0.attn2.to_out.0"
torch.manual_seed(0)
width = shape.block_out_channels[2]
up, down = torch.randn(width, 4), torch.randn(4, width) * 0.3
old = "unet." + path.replace("to_out.0", "processor.to_out_lora")
files_by_name = {
    "diffusers": {f"{old}.up.weight": up, f"{old}.down.weight": down},
    "peft": {f"unet.{path}.lora_B.weight": up, f"unet.{path}.lora_A.weight": down},
    "kohya": {
        "lora_unet_" + path.replace(".", "_") + ".lora_up.weight": up,
        "lora_unet_" + path.replace(".", "_") + ".lora_down.weight": down,
    },
}
theirs = sample(comfy.sd.load_lora_for_models(make_theirs(), None, files_by_name["kohya"], 1, 0)[0])
base = make_ours()
before = sample(base)
differences = {}
for name, weights in files_by_name.items():
    save_file(weights, folder / f"{name}.safetensors")
    model, report = ours("load_lora").add_lora(base, folder / f"{name}.safetensors", 1.0)
    assert "changes 1 layers" in report, report
    differences[name] = off(sample(model), theirs)
result = [differences, bool(torch.equal(before, sample(base)))]
"""
    )
    assert max(differences.values()) < AGREES
    assert restored


def test_a_motion_lora_changes_the_temporal_layers_alone(in_comfyui):
    changed, effect, restored = in_comfyui(
        SETUP
        + f"""
from safetensors.torch import save_file
model = ours("load_unet3d").load_patcher(
    Path({str(line.MODEL / "denoising_unet.safetensors")!r}),
    Path({str(line.MODEL / "motion_module.safetensors")!r}), "auto", "fp32", disable_dynamic=True)[0]
place = "down_blocks.0.motion_modules.0.temporal_transformer.transformer_blocks.0"
layer = place + ".attention_blocks.0.processor.to_q_lora"
torch.manual_seed(0)
save_file({{
    layer + ".up.weight": torch.randn(first, 4),
    layer + ".down.weight": torch.randn(4, first),
}}, folder / "motion.safetensors")
moved, report = ours("load_lora").add_lora(model, folder / "motion.safetensors", 1.0)

def clip(patched):
    noise = torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(5))
    positive, negative = conds()
    return comfy.sample.sample(patched, noise, 1, 1.0, "euler", "simple", positive, negative,
                               torch.zeros_like(noise), disable_pbar=True, seed=5)

before = clip(model)
after = clip(moved)
keys = list(moved.patches)
result = [keys, off(after, before), bool(torch.equal(before, clip(model)))]
"""
    )
    assert changed == [
        "diffusion_model.down_blocks.0.motion_modules.0.transformer_blocks.0.attn1.to_q.weight"
    ]
    assert effect > 10 * AGREES
    assert restored
