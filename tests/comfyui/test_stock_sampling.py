"""ComfyUI's own samplers, guiders, masks and model nodes on our MODEL, and what stays loaded after."""

import pytest
import torch
from comfyui_harness.small_clip import SETUP, once

SAME = 1e-6  # relative L2: the same sums
CLOSE = 1e-4  # the same sums in another order, over four steps


@pytest.fixture
def results(checkout, in_comfyui):
    """What all of this gave, run once on each ComfyUI."""
    return once(checkout, STOCK, in_comfyui)


STOCK = """
result = {}
CUSTOM = "comfy_extras.nodes_custom_sampler"
model = make_model()
plain = sample(model)
positive, negative = conds(model)
latent = {"samples": empty}

# custom sampling and its guiders
noise, = node((CUSTOM, "RandomNoise"), noise_seed=5)
euler, = node((CUSTOM, "KSamplerSelect"), sampler_name="euler")
sigmas, = node((CUSTOM, "BasicScheduler"), model=model, scheduler="simple", steps=4, denoise=1.0)

def guided(name, **inputs):
    guider, = node((CUSTOM, name), model=model, **inputs)
    made = node((CUSTOM, "SamplerCustomAdvanced"), noise=noise, guider=guider, sampler=euler,
                sigmas=sigmas, latent_image=latent)
    return made[0]["samples"]

def dual(cond1, cond2, cfg1, cfg2, style):
    return guided("DualCFGGuider", cond1=cond1, cond2=cond2, negative=negative, cfg_conds=cfg1,
                  cfg_cond2_negative=cfg2, style=style)

result["CFGGuider"] = off(
    guided("CFGGuider", positive=positive, negative=negative, cfg=2.0), plain)
result["BasicGuider"] = off(guided("BasicGuider", conditioning=positive), sample(model, cfg=1.0))
result["DualCFGGuider"] = {
    "one twice": off(dual(positive, positive, 7.0, 2.0, "regular"), plain),
    "negative between": off(dual(positive, negative, 2.0, 7.0, "regular"), plain),
    "nested": off(dual(positive, negative, 2.0, 1.0, "nested"), plain),
}
# a second reference between: guidance from poses to it, and from it to the first
other = conds(model, make_reference(31))[0]
mixed = dual(positive, other, 1.5, 2.5, "regular")
by_hand = make_model()
def three(args):
    # the same in one formula, by a sampler patch: negative, other, positive
    found = comfy.samplers.calc_cond_batch(
        args["model"], by_hand.encoded, args["input"], args["sigma"], args["model_options"])
    return found[0] + 2.5 * (found[1] - found[0]) + 1.5 * (found[2] - found[1])

class Keep(comfy.samplers.CFGGuider):
    def predict_noise(self, x, timestep, model_options={}, seed=None):
        by_hand.encoded = [self.conds[k] for k in ("negative", "middle", "positive")]
        return three({"model": self.inner_model, "input": x, "sigma": timestep,
                      "model_options": model_options})

guider = Keep(by_hand)
guider.inner_set_conds({"positive": positive, "middle": other, "negative": negative})
made = node((CUSTOM, "SamplerCustomAdvanced"), noise=noise, guider=guider, sampler=euler,
            sigmas=sigmas, latent_image=latent)[0]["samples"]
result["three conditions"] = [off(mixed, made), off(mixed, plain)]

# video to video: half the denoise is the second half of twice the steps
clip = {"samples": normal(17, FRAMES, 4, HEIGHT, WIDTH) * 4}
half = stock.common_ksampler(model, 5, 2, 2.0, "euler", "simple", positive, negative, clip,
                             denoise=0.5)[0]["samples"]
late = stock.common_ksampler(model, 5, 4, 2.0, "euler", "simple", positive, negative, clip,
                             start_step=2, last_step=4)[0]["samples"]
result["video to video"] = [off(half, late), off(half, clip["samples"]), off(half, plain),
                            off(sample(model, latent=clip, steps=2, denoise=0.5), half)]
still = stock.common_ksampler(model, 5, 2, 2.0, "euler", "simple", positive, negative, clip,
                              denoise=0.0)[0]["samples"]
result["no denoise"] = off(still, clip["samples"])

# noise masks, one for all frames and one a frame, also where the steps decide (soft masks)
mask = torch.zeros(1, HEIGHT, WIDTH)
mask[:, 4:8, 2:6] = 1
result["masks"] = {}
for name, m in {"one": mask, "each": mask.repeat(FRAMES, 1, 1)}.items():
    masked, = node(("nodes", "SetLatentNoiseMask"), samples=clip, mask=m)
    for patch in ("plain", "differential"):
        patched = model
        if patch == "differential":
            kind = ("comfy_extras.nodes_differential_diffusion", "DifferentialDiffusion")
            patched, = node(kind, model=model)
        made = stock.common_ksampler(patched, 5, 4, 2.0, "euler", "simple", positive, negative,
                                     masked)[0]["samples"]
        inside = mask.bool().expand(FRAMES, 4, -1, -1)
        result["masks"][f"{name} {patch}"] = [off(made[~inside], clip["samples"][~inside]),
                                              off(made[inside], clip["samples"][inside])]

# nodes that patch sampling
ADVANCED = "comfy_extras.nodes_model_advanced"
as_it_is, = node((ADVANCED, "ModelSamplingDiscrete"), model=model, sampling="v_prediction", zsnr=True)
result["ModelSamplingDiscrete"] = off(sample(as_it_is), plain)
lcm, = node((ADVANCED, "ModelSamplingDiscrete"), model=model, sampling="lcm", zsnr=False)
result["lcm"] = [bool(torch.isfinite(sample(lcm, name="lcm")).all()), off(sample(lcm), plain)]
rescaled = {m: sample(node((ADVANCED, "RescaleCFG"), model=model, multiplier=m)[0])
            for m in (0.0, 0.7)}
result["RescaleCFG"] = [off(rescaled[0.0], plain), off(rescaled[0.7], plain)]
zero, = node(("comfy_extras.nodes_cfg", "CFGZeroStar"), model=model)
result["CFGZeroStar"] = [off(sample(zero, cfg=1.0), sample(model, cfg=1.0)),
                         off(sample(zero), plain)]
result["afterwards"] = bool(torch.equal(sample(model), plain))

# all samplers of this ComfyUI give numbers, in windows, from a clip
windowed = of_ours("context_windows", "ContextWindows", model=model, context_frames=3,
                   context_overlap=1, schedule="open", blending="pyramid")
broken = []
for name in ("euler", "heun", "dpm_2", "lms", "dpmpp_2s_ancestral", "dpmpp_sde", "dpmpp_2m_sde",
             "ddpm", "lcm", "ipndm", "deis", "res_multistep", "uni_pc", "ddim"):
    made = sample(windowed, latent=clip, denoise=0.5, steps=2, name=name)
    if not torch.isfinite(made).all() or made.shape != empty.shape:
        broken.append(name)
result["broken samplers"] = broken

# memory
import gc, weakref
handle = ours("patchers").manage(reference_net, "default",
    core("checkpoints.load").load_reference_net(FOLDER / "reference_unet.safetensors")[1])
mm.load_models_gpu([handle.patcher])
loaded = [entry.model for entry in mm.current_loaded_models]
ours_loaded = [any(e is p or e.is_clone(p) for e in loaded) for p in (model, handle.patcher)]
mm.unload_all_models()
result["loaded, then none"] = [ours_loaded, len(mm.current_loaded_models)]
lean = make_model()
sample(lean, steps=1)
stock_model = comfy.model_patcher.ModelPatcher(
    torch.nn.Linear(8, 8), load_device=mm.get_torch_device(), offload_device=torch.device("cpu"))
mm.free_memory(1e30, mm.get_torch_device())
mm.load_models_gpu([stock_model])
result["the next model alone"] = [e.model is stock_model for e in mm.current_loaded_models]
alive = weakref.ref(lean.model)
del lean, loaded
gc.collect()
mm.cleanup_models_gc() if hasattr(mm, "cleanup_models_gc") else None
result["nothing keeps the weights"] = alive() is None
"""


def test_custom_sampling_and_its_guiders_are_ksampler(results):
    assert results["CFGGuider"] < SAME
    assert results["BasicGuider"] < SAME


@pytest.mark.parametrize("case", ["one twice", "negative between", "nested"])
def test_dual_guidance_is_plain_guidance_where_two_of_its_conditions_are_one(results, case):
    assert results["DualCFGGuider"][case] < CLOSE


def test_three_conditions_with_two_references_share_a_call(results):
    difference, effect = results["three conditions"]
    assert difference < CLOSE
    assert effect > 100 * CLOSE


def test_video_to_video_is_the_end_of_a_longer_run(results):
    as_late_steps, from_clip, from_nothing, ours = results["video to video"]
    assert as_late_steps < SAME
    assert ours < SAME
    assert min(from_clip, from_nothing) > 0.01
    assert results["no denoise"] < SAME


@pytest.mark.parametrize("mask", ["one", "each"])
@pytest.mark.parametrize("patch", ["plain", "differential"])
def test_masks_keep_what_they_cover(results, mask, patch):
    outside, inside = results["masks"][f"{mask} {patch}"]
    assert outside < SAME
    assert inside > 0.01


def test_sampling_nodes_act_and_leave_the_model_alone(results):
    assert results["ModelSamplingDiscrete"] < SAME
    finite, changed = results["lcm"]
    assert finite
    assert changed > 0.01
    off, on = results["RescaleCFG"]
    assert off < 10 * CLOSE
    assert on > 0.01
    off, on = results["CFGZeroStar"]
    assert off < CLOSE
    assert on > 0.01
    assert results["afterwards"]


def test_every_kind_of_sampler_runs_in_windows_from_a_clip(results):
    assert results["broken samplers"] == []


def test_unloading_leaves_nothing_and_the_next_model_has_the_device(results):
    assert results["loaded, then none"] == [[True, True], 0]
    assert results["the next model alone"] == [True]
    assert results["nothing keeps the weights"]


FLAGS = """
model = make_model("default")
combined = of_ours("combine_references", "CombineReferences", reference_a=reference,
                   reference_b=reference, share=0.4)
result = [str(model.model.get_dtype()), sample(model, steps=2).flatten().tolist(),
          sample(model, conds(model, combined), steps=2).flatten().tolist()]
"""


@pytest.mark.parametrize(
    ("flags", "dtype", "limit"),
    [
        (("--use-pytorch-cross-attention",), "torch.float32", 1e-3),
        (("--use-split-cross-attention",), "torch.float32", 1e-3),
        (("--bf16-unet",), "torch.bfloat16", 0.3),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_flags_of_the_command_line_change_the_way_not_the_result(
    checkout, in_comfyui, flags, dtype, limit
):
    _, expected, _ = once(checkout, FLAGS, in_comfyui)
    kind, plain, combined = in_comfyui(SETUP + FLAGS, timeout=300, flags=flags)
    assert kind == dtype
    expected = torch.tensor(expected)
    for made in (plain, combined):
        assert float((torch.tensor(made) - expected).norm() / expected.norm()) < limit
