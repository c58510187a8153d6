"""Where memory runs out in ComfyUI, our MODEL goes on in smaller pieces, or ends in its error."""

import pytest
from comfyui_harness import first_light as line

SETUP = f"""
import logging
import sys
import torch
import comfy.model_management as mm

heard = []
class Ear(logging.Handler):
    def emit(self, record):
        heard.append(record.getMessage())
logging.getLogger("animate_anyone").addHandler(Ear())

module = sys.modules[pack.__name__ + ".nodes.load_unet3d"]
patcher, _ = module.load_patcher(
    {str(line.MODEL / "denoising_unet.safetensors")!r},
    {str(line.MODEL / "motion_module.safetensors")!r},
    "auto",
    "fp32",
    disable_dynamic=True,
)
network = patcher.model.diffusion_model
torch.manual_seed(0)
x, context = torch.randn(6, 4, 8, 6), torch.randn(6, 1, network.config.cross_attention_dim)

def call(**options):
    with torch.no_grad():
        times = torch.full((6,), 499.0)
        facts = {{"cond_or_uncond": [1, 0], **options}}
        return network(x, times, context, transformer_options=facts)

patches = sys.modules[pack.__name__ + ".nodes.comfy_patches"]
real, rows, full_at = patches.optimized_attention, [], set()

def patched(q, *rest, **named):
    rows.append(len(q))
    if len(rows) in full_at or "always" in full_at:
        raise mm.OOM_EXCEPTION("CUDA out of memory. Tried to allocate 2.00 GiB.")
    return real(q, *rest, **named)

expected = call()
patches.optimized_attention = patched
"""


@pytest.mark.parametrize(
    ("full_at", "options", "said"),
    [
        ([], "", []),
        ([3], "", ["one half of guidance at a time"]),
        ([3, 9], "", ["one half of guidance at a time", "attention in pieces"]),
        ([3], "patches={'middle_patch': [lambda x, extra: x]}", ["attention in pieces"]),
    ],
)
def test_smaller_pieces_give_the_same(in_comfyui, full_at, options, said):
    heard, gap, tried_again = in_comfyui(
        SETUP
        + f"""
full_at |= set({full_at})
out = call({options})
count = len(heard)
call({options})  # what did not fit is not tried again
result = [heard[:count], (out - expected).abs().max().item(), len(heard) - count]
"""
    )
    assert heard == [f"Out of memory: going on with {way}." for way in said]
    assert gap < 1e-4
    assert tried_again == 0


def test_what_fits_in_no_way_is_comfyuis_own_error(in_comfyui):
    """It frees its models and tells the user, as for any model."""
    is_own, said = in_comfyui(
        SETUP
        + """
full_at.add("always")
try:
    call()
except mm.OOM_EXCEPTION as error:
    result = [True, heard]
"""
    )
    assert is_own
    assert said[-1] == "Out of memory: going on with attention in pieces."


def test_nothing_is_kept_of_a_fallback(in_comfyui):
    """Neither tensors of the call that did not fit, nor the weights when ComfyUI frees its models."""
    grown, alive, loaded = in_comfyui(
        SETUP
        + """
import gc
import weakref

def tensors():
    gc.collect()
    return sum(isinstance(thing, torch.Tensor) for thing in gc.get_objects())

call()
before = tensors()
for at in (len(rows) + 3, len(rows) + 60):
    full_at |= {at}
    call()
grown = tensors() - before
mm.load_models_gpu([patcher])
mm.unload_all_models()
loaded = len(mm.current_loaded_models)
alive = weakref.ref(patcher.model)
del patcher, network
gc.collect()
result = [grown, alive() is not None, loaded]
"""
    )
    assert grown == 0
    assert not alive
    assert loaded == 0
