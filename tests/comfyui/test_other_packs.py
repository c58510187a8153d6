"""Nodes of others that mean nothing on our MODEL: a sentence, never a clip without the character."""

import pytest
from comfyui_harness.small_clip import once

SNIPPET = """
import inspect

model = make_model()
result = {}

def said(name, call):
    try:
        call()
        result[name] = "nothing"
    except Exception as error:
        result[name] = f"{type(error).__name__}: {error}"

def ksampler(model, positive, negative):
    return stock.common_ksampler(model, 5, 2, 2.0, "euler", "simple", positive, negative,
                                 {"samples": empty})

positive, negative = conds(model)
width = positive[0][0].shape[-1]
text = [[normal(3, 1, 77, width), {"pooled_output": normal(4, 1, width)}]]
said("text", lambda: ksampler(model, text, text))
said("text as negative", lambda: ksampler(model, positive, text))
said("text as positive", lambda: ksampler(model, text, negative))
said("text beside ours", lambda: ksampler(model, positive + text, negative))
said("text of another width", lambda: ksampler(model, [[normal(3, 1, 77, 7), {}]], negative))
said("ours", lambda: ksampler(model, positive, negative))

def others(model):
    kind = importlib.import_module("comfy_extras.nodes_context_windows").ContextWindowsManualNode
    inputs = dict(context_length=3, context_overlap=1, context_schedule="standard_static",
                  context_stride=1, closed_loop=False, fuse_method="pyramid", dim=0)
    more = dict(freenoise=False, cond_retain_index_list="", split_conds_to_windows=False,
                latent_retain_index_list="", causal_window_fix=False)
    known = inspect.signature(kind.execute).parameters  # of this version
    inputs |= {k: v for k, v in more.items() if k in known}
    return kind.execute(model, **inputs).args[0]

small = dict(context_frames=3, context_overlap=1, schedule="open", blending="pyramid")

def windows(model):
    return of_ours("context_windows", "ContextWindows", model=model, **small)

said("windows on others", lambda: windows(others(model)))
said("sampler on others", lambda: of_ours(
    "sampler", "Sampler", model=others(model), reference=reference, pose=pose, seed=1, steps=1,
    cfg=2.0, sampler_name="euler", scheduler="simple", denoise=1.0, **small))
said("windows twice", lambda: windows(windows(model)))
said("others alone", lambda: ksampler(others(model), positive, negative))

def cut(executor, model, conds, x_in, timestep, model_options):
    # as packs do that cut latents by themselves, and know nothing of our poses
    half = x_in[: len(x_in) // 2]
    out = executor(model, conds, half, timestep[: len(half)], model_options)
    return [torch.cat([o, o, x_in[2 * len(half):]]) for o in out]

patched = windows(model)
patched.add_wrapper_with_key(
    comfy.patcher_extension.WrappersMP.CALC_COND_BATCH, "another pack", cut)
said("cut by another pack", lambda: ksampler(patched, positive, negative))
"""


@pytest.fixture
def said(checkout, in_comfyui):
    """What each of them ended in, run once on each ComfyUI."""
    return once(checkout, SNIPPET, in_comfyui)


@pytest.mark.parametrize(
    "case", ["text", "text as negative", "text as positive", "text beside ours"]
)
def test_a_text_prompt_is_refused(said, case):
    assert said[case].startswith(
        "ShapeError: This conditioning, such as a text prompt, shows the model"
    )


def test_a_text_prompt_of_another_width_is_refused(said):
    assert said["text of another width"].startswith("ShapeError: ")


@pytest.mark.parametrize("case", ["windows on others", "sampler on others"])
def test_windows_of_two_nodes_are_refused(said, case):
    assert said[case].startswith(
        "SettingsError: The model comes with the context windows of another"
    )


def test_latents_that_another_pack_cuts_are_refused(said):
    """ComfyUI would cut the poses to the first frames, in every window."""
    message = said["cut by another pack"]
    assert message.startswith(
        "ShapeError: Another node cut the clip to 1 frames, but not the 3 poses."
    )


@pytest.mark.parametrize("case", ["ours", "windows twice", "others alone"])
def test_what_has_a_meaning_runs(said, case):
    assert said[case] == "nothing"
