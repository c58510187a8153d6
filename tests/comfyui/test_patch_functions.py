"""Patches that third-party nodes set by function (IPAdapter's attention replaces, block patches),
LoRAs scheduled by hooks, and compiling: on our MODEL as on ComfyUI's own UNet with the same weights.
"""

import pytest
from comfyui_harness.same_weights import AGREES, SETUP

# What each patch does to what it is given; blocks are named as ComfyUI names them.
PATCHES = {
    "attn1 patch": "m.set_model_attn1_patch(lambda q, k, v, o: (q, k * 1.1, v * 0.9))",
    "attn2 patch": "m.set_model_attn2_patch(lambda q, k, v, o: (q, k, v * 1.3))",
    "attn1 output patch": "m.set_model_attn1_output_patch(lambda n, o: n * 1.2)",
    "attn2 output patch": "m.set_model_attn2_output_patch(lambda n, o: n * 1.4)",
    "attn1 replace": "m.set_model_attn1_replace(plus(v_scale=0.8), 'middle', 0)",
    "attn2 replace": "[m.set_model_attn2_replace(plus(0.7, extra), *p) for p in places]",
    "input block patch": "m.set_model_input_block_patch(lambda h, o: h * by_block(o))",
    "input block patch after skip": (
        "m.set_model_input_block_patch_after_skip(lambda h, o: h * by_block(o))"
    ),
    "output block patch": (
        "m.set_model_output_block_patch(lambda h, s, o: (h * by_block(o), s * 0.9))"
    ),
}

TOOLS = """
from comfy.ldm.modules.attention import optimized_attention

def plus(v_scale, tokens=None):
    \"\"\"Attend, and (as IPAdapter does) to tokens of a picture as well.\"\"\"
    def attend(q, k, v, options):
        out = optimized_attention(q, k, v * v_scale, options["n_heads"])
        if tokens is not None:
            width, rows = q.shape[-1], q.shape[0]
            more = tokens[..., :width].expand(rows, -1, -1)
            out = out + 0.5 * optimized_attention(q, more, more.flip(1), options["n_heads"])
        return out
    return attend

torch.manual_seed(9)
extra = torch.randn(1, 4, max(shape.block_out_channels))
places = [("middle", 0), ("input", 1), ("output", 3)]

def by_block(options):
    kind, number = options["block"]
    return 1 + 0.02 * (number + 1) + (0.05 if kind == "output" else 0)
"""


_results: dict[str, dict[str, list[float]]] = {}


@pytest.fixture
def results(checkout, in_comfyui):
    """For every patch: how far from ComfyUI's own UNet, and how far from nothing; run once."""
    if checkout.version not in _results:
        _results[checkout.version] = in_comfyui(
            SETUP
            + TOOLS
            + f"""
result = {{}}
plain = sample(make_ours())
for name, line in {PATCHES!r}.items():
    made = []
    for model in (make_ours(), make_theirs()):
        m = model.clone()
        eval(line)
        made.append(sample(m))
    result[name] = [off(*made), off(made[0], plain)]
""",
            timeout=500,
        )
    return _results[checkout.version]


@pytest.mark.parametrize("name", PATCHES)
def test_a_patch_function_acts_as_on_comfyuis_own_unet(results, name):
    difference, effect = results[name]
    assert difference < AGREES
    assert effect > 10 * AGREES


def test_a_lora_scheduled_by_hooks_acts_as_on_comfyuis_own_unet(in_comfyui):
    """Strength 0 in the first step and 1 in the second; afterwards nothing of it is left."""
    difference, effect, by_schedule, restored = in_comfyui(
        SETUP
        + """
import comfy.hooks
torch.manual_seed(0)
width = shape.block_out_channels[1]
name = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q"
lora = {
    f"{name}.lora_up.weight": torch.randn(width, 4),
    f"{name}.lora_down.weight": torch.randn(4, width) * 0.3,
    f"{name}.alpha": torch.tensor(4.0),
}

def hooked(model, scheduled):
    hooks = comfy.hooks.create_hook_lora(lora, 0.8, 0.0)
    if scheduled:
        frames = comfy.hooks.HookKeyframeGroup()
        frames.add(comfy.hooks.HookKeyframe(strength=0.0, start_percent=0.0, guarantee_steps=1))
        frames.add(comfy.hooks.HookKeyframe(strength=1.0, start_percent=0.1, guarantee_steps=1))
        hooks.set_keyframes_on_hooks(frames)
    with_hooks = [comfy.hooks.set_hooks_for_conditioning(c, hooks) for c in conds()]
    return sample(model.clone(), positive=with_hooks[0], negative=with_hooks[1])

base = make_ours()
before = sample(base)
mine, always = hooked(base, True), hooked(base, False)
theirs = hooked(make_theirs(), True)
after = sample(base)
result = [off(mine, theirs), off(mine, before), off(mine, always),
          bool(torch.equal(before, after))]
"""
    )
    assert difference < AGREES
    assert effect > 10 * AGREES
    assert by_schedule > 10 * AGREES
    assert restored


def test_a_compiled_model_gives_the_same(in_comfyui):
    """By the wrapper that TorchCompileModel sets, with the backend that needs no compiler."""
    difference = in_comfyui(
        SETUP
        + """
from comfy_api.torch_helpers import set_torch_compile_wrapper
compiled = make_ours().clone()
set_torch_compile_wrapper(model=compiled, backend="eager")
result = off(sample(compiled), sample(make_ours()))
""",
        timeout=500,
    )
    assert difference < AGREES
