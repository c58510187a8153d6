"""Strengths, several references, prior, anchor, plate and frame range, in any sampler."""

import pytest
from comfyui_harness.small_clip import once

ROUNDING = 1e-4  # relative L2 of a run of four steps
REORDERED = 1e-3  # the same where sums run over other tokens: the random network enlarges it


@pytest.fixture
def results(checkout, in_comfyui):
    """What all these nodes did, run once on each ComfyUI."""
    return once(checkout, CONTROLS, in_comfyui)


CONTROLS = """
from comfy_api.latest import io
model = make_model()
plain = sample(model)
result = {}

def strong(strength, start=0.0, end=1.0, given=reference):
    return of_ours("strength", "ReferenceStrength", reference=given,
                   strength=strength, start_percent=start, end_percent=end)

def posed(strength, start=0.0, end=1.0):
    return of_ours("strength", "PoseStrength", pose=pose,
                   strength=strength, start_percent=start, end_percent=end)

def run(reference=reference, pose=pose, **settings):
    return sample(model, conds(model, reference, pose), **settings)

def range_of(conditioning, start, end):
    return stock.ConditioningSetTimestepRange().set_range(conditioning, start, end)[0]

# strength of the reference
positive, negative = conds(model)
blind = sample(model, (negative, negative))
result["full reference"] = bool(torch.equal(run(strong(1.0)), plain))
result["no reference"] = off(run(strong(0.0)), blind)
result["half reference"] = [off(run(strong(0.5)), plain), off(run(strong(0.5)), blind)]
# 4 steps stand at 0, 25, 50 and 75 percent
windows = {}
for start, end in ((0.0, 0.4), (0.3, 1.0), (0.3, 0.6)):
    gated = run(strong(1.0, start, end))
    parts = range_of(positive, start, end)
    if start:
        parts = parts + range_of(negative, 0.0, start)
    if end < 1:
        parts = parts + range_of(negative, end, 1.0)
    windows[f"{start} to {end}"] = [
        off(gated, sample(model, (parts, negative))), off(gated, plain), off(gated, blind)]
result["reference windows"] = windows

# strength of the poses
def scaled_pose(share):
    return replace(pose, features=pose.features * share)

result["full pose"] = bool(torch.equal(run(pose=posed(1.0)), plain))
result["no pose"] = off(run(pose=posed(0.0)), run(pose=scaled_pose(0.0)))
result["half pose"] = off(run(pose=posed(0.5)), run(pose=scaled_pose(0.5)))
result["pose acts"] = off(run(pose=posed(0.0)), plain)
whole, none = conds(model), conds(model, pose=scaled_pose(0.0))
both = [range_of(a, 0.0, 0.4) + range_of(b, 0.4, 1.0) for a, b in zip(whole, none)]
result["pose window"] = off(run(pose=posed(1.0, 0.0, 0.4)), sample(model, both))

# several references
def together(a, b, share, *more, **places):
    wired = {f"reference_{i}": one for i, one in enumerate(more)}
    return of_ours("combine_references", "CombineReferences",
                   reference_a=a, reference_b=b, share=share, more=wired, **places)

other = make_reference(21)
result["same twice"] = off(run(together(reference, reference, 0.3)), plain)
result["one alone"] = bool(torch.equal(run(together(other, reference, 1.0)), plain))
ab, ba = run(together(reference, other, 0.3)), run(together(other, reference, 0.7))
result["either order"] = [off(ab, ba), off(ab, plain), off(ab, run(other))]
third = make_reference(33)
result["same three times"] = off(run(together(reference, reference, 0.3, reference)), plain)
three = run(together(reference, other, 0.6, third))
chained = run(together(reference, together(other, third, 0.5), 0.6))
result["three"] = [off(three, chained), off(three, run(together(reference, other, 0.6)))]
try:
    together(reference, other, 0.5, third, mask=torch.ones(1, 8, 8))
except Exception as error:
    result["three in places"] = [type(error).__name__, str(error)]
result["weak together"] = off(run(strong(0.5, given=together(reference, reference, 0.5))),
                              run(strong(0.5)))
try:
    together(strong(0.5), other, 0.5)
except ValueError as error:
    result["strength first"] = str(error)

# all of it in windows, as node and stock
def windowed(patched):
    return of_ours("context_windows", "ContextWindows", model=patched, context_frames=3,
                   context_overlap=1, schedule="open", blending="pyramid")

def stock_windowed(patched):
    inputs = dict(context_length=3, context_overlap=1, context_schedule="standard_static",
                  context_stride=1, closed_loop=False, fuse_method="pyramid", dim=0)
    kind = importlib.import_module("comfy_extras.nodes_context_windows").ContextWindowsManualNode
    import inspect
    more = dict(freenoise=False, cond_retain_index_list="", split_conds_to_windows=False,
                latent_retain_index_list="", causal_window_fix=False)
    known = inspect.signature(kind.execute).parameters
    inputs |= {k: v for k, v in more.items() if k in known}
    return kind.execute(model=patched, **inputs).args[0]

for name, wrap in (("our windows", windowed), ("stock windows", stock_windowed)):
    patched = wrap(model)
    everything = conds(patched, strong(0.5, 0.0, 0.6, together(reference, reference, 0.4)),
                       posed(0.5, 0.0, 0.6))
    alone = conds(patched, strong(0.5, 0.0, 0.6), posed(0.5, 0.0, 0.6))
    result[name] = [off(sample(patched, everything), sample(patched, alone)),
                    off(sample(patched, alone), sample(patched, conds(patched)))]

# the prior
seen = {}
def prior(patched, strength):
    return of_ours("reference_prior", "ReferencePrior", model=patched, reference=reference,
                   strength=strength)

def first_input(patched):
    patched = patched.clone()
    def spy(apply_model, args):
        seen.setdefault("x", args["input"][:FRAMES].clone())
        return apply_model(args["input"], args["timestep"], **args["c"])
    patched.set_model_unet_function_wrapper(spy)
    seen.clear()
    sample(patched, steps=1)
    sigma = float(model.get_model_object("model_sampling").sigma_max)
    return seen["x"] / (1 + sigma**2) ** 0.5

noise = comfy.sample.prepare_noise(empty, 5)
expected = (1 - 0.4**2) ** 0.5 * noise + 0.4 * reference.latents * 0.18215
result["prior"] = [off(first_input(model), noise),
                   off(first_input(prior(model, 0.4)), expected),
                   off(first_input(prior(prior(model, 0.9), 0.4)), expected)]
result["no prior"] = bool(torch.equal(sample(prior(model, 0.0)), plain))
ksampler = stock.KSamplerAdvanced()
given = conds(model)
def second_half(patched):
    return ksampler.sample(patched, "disable", 5, 4, 2.0, "euler", "simple", *given,
                           {"samples": plain}, 2, 4, "disable")[0]["samples"]
result["no noise, no prior"] = bool(torch.equal(second_half(prior(model, 0.4)), second_half(model)))

# the anchor
anchored = of_ours("color_anchor", "ColorAnchor", model=model, reference=reference, strength=1.0)
target = reference.latents.mean(dim=(-2, -1)).expand(FRAMES, -1)
for name in ("euler", "dpmpp_2m", "published ddim"):
    means = sample(anchored, name=name).mean(dim=(-2, -1))
    result["anchor " + name] = [off(means, target), off(plain.mean(dim=(-2, -1)), target)]
result["anchored before"] = bool(torch.equal(sample(model), plain))

# a range of frames
def choose(latent, start, end, soft):
    return of_ours("frame_range", "FrameRange", latent=latent, start_frame=start, end_frame=end,
                   soft_frames=soft)

result["range"] = {}
for name, wrap in (("euler", None), ("dpmpp_2m", None), ("published ddim", None),
                   ("euler", windowed)):
    patched = wrap(model) if wrap else model
    again = sample(patched, latent=choose({"samples": plain}, 1, 3, 1), name=name, seed=99)
    outside = off(again[[0, 4]], plain[[0, 4]])
    changed = [off(again[i : i + 1], plain[i : i + 1]) for i in (1, 2, 3)]
    result["range"][name + (" windows" if wrap else "")] = [outside, changed]
chosen = choose(choose({"samples": plain}, 1, 3, 0), 3, -1, 0)["noise_mask"]
result["two ranges"] = chosen.amax(dim=(1, 2, 3)).tolist()
again = stock.common_ksampler(model, 99, 4, 2.0, "euler", "simple", *conds(model),
                              choose({"samples": plain}, 1, 3, 1))[0]["samples"]
result["range in KSampler"] = off(again, sample(model, latent=choose({"samples": plain}, 1, 3, 1),
                                               seed=99))

# only the windows that the range needs
counted = model.clone()
calls = []
def count(apply_model, args):
    calls.append(args["input"].shape[0] // len(args["cond_or_uncond"]))
    return apply_model(args["input"], args["timestep"], **args["c"])
counted.set_model_unet_function_wrapper(count)
small = dict(context_frames=2, context_overlap=1, schedule="open", blending="pyramid")
result["needed windows"] = {}
for start, end in ((1, 1), (4, 4), (0, -1)):
    latent = choose({"samples": plain}, start, end, 0)
    calls.clear()
    mine = of_ours("sampler", "Sampler", model=counted, reference=reference, pose=pose, seed=9,
                   steps=2, cfg=2.0, sampler_name="euler", scheduler="simple", denoise=1.0,
                   latent=latent, **small)["samples"]
    mine_calls = len(calls)
    calls.clear()
    all_windows = of_ours("context_windows", "ContextWindows", model=counted, **small)
    full = stock.common_ksampler(all_windows, 9, 2, 2.0, "euler", "simple", *conds(model),
                                 latent)[0]["samples"]
    result["needed windows"][f"{start} to {end}"] = [off(mine, full), mine_calls, len(calls)]

# a plate
class Codec:
    latent_channels = 4
    def encode(self, pixels):
        cells = torch.nn.functional.adaptive_avg_pool2d(pixels.movedim(-1, 1), (HEIGHT, WIDTH))
        return torch.cat([cells, cells[:, :1]], dim=1)

picture = torch.rand(1, 8 * HEIGHT, 8 * WIDTH, 3, generator=torch.Generator().manual_seed(4))
mask = torch.zeros(FRAMES, 8 * HEIGHT, 8 * WIDTH)
mask[:, 24:40, 16:32] = 1
def plate(**inputs):
    return of_ours("background_plate", "BackgroundPlate", vae=Codec(), image=picture, pose=pose,
                   **{"grow": 0, "feather": 0, **inputs})

latent = plate(mask=mask)
still = sample(model, latent=latent)
open_cells = latent["noise_mask"].bool().expand_as(still)
result["plate"] = [off(still[~open_cells], latent["samples"][~open_cells]),
                   off(still[open_cells], latent["samples"][open_cells]),
                   int(latent["noise_mask"].sum()) / FRAMES]
skeletons = (mask[..., None] * 0.5).expand(-1, -1, -1, 3)
result["skeleton plate"] = bool(torch.equal(plate(skeletons=skeletons)["noise_mask"],
                                            latent["noise_mask"]))
# wider than the video by 16 pixels on either side: the mask is cut as the picture is
aside = torch.nn.functional.pad
wide = dict(image=aside(picture, (0, 0, 16, 16)), mask=aside(mask, (16, 16)))
cut = of_ours("background_plate", "BackgroundPlate", vae=Codec(), pose=pose, grow=0, feather=0,
              **wide)
result["wide plate"] = [off(cut["samples"], latent["samples"]),
                        bool(torch.equal(cut["noise_mask"], latent["noise_mask"]))]
errors = {}
for name, call in {
    "no mask": lambda: plate(),
    "masks": lambda: plate(mask=mask[:2]),
    "pictures": lambda: of_ours("background_plate", "BackgroundPlate", vae=Codec(),
                                image=picture.expand(3, -1, -1, -1), pose=pose, mask=mask,
                                grow=0, feather=0),
    "range": lambda: choose({"samples": plain}, 3, 9, 0),
    "held range": lambda: choose(choose({"samples": plain}, 0, 1, 0), 3, -1, 0),
    "no clip": lambda: choose({"samples": plain[None]}, 0, 1, 0),
    "strength": lambda: strong(1.0, 0.6, 0.5),
    "prior size": lambda: sample(of_ours(
        "reference_prior", "ReferencePrior", model=model, strength=0.1,
        reference=replace(reference, latents=reference.latents[..., :4]))),
}.items():
    try:
        call()
        errors[name] = "no error"
    except ValueError as error:
        errors[name] = str(error)
result["errors"] = errors
"""


def test_full_strength_is_bit_equal_to_before(results):
    assert results["full reference"]
    assert results["full pose"]


def test_no_strength_is_no_reference_and_no_pose(results):
    assert results["no reference"] < ROUNDING
    assert results["no pose"] < ROUNDING
    assert results["pose acts"] > 0.01


def test_half_strength_lies_between(results):
    from_full, from_none = results["half reference"]
    assert from_full > 0.01
    assert from_none > 0.01
    assert results["half pose"] < ROUNDING


@pytest.mark.parametrize("window", ["0.0 to 0.4", "0.3 to 1.0", "0.3 to 0.6"])
def test_a_window_gates_the_steps_that_comfyuis_own_ranges_gate(results, window):
    """The oracle is ConditioningSetTimestepRange, with the unconditional half for the rest."""
    from_stock, from_full, from_none = results["reference windows"][window]
    assert from_stock < ROUNDING
    assert min(from_full, from_none) > 10 * ROUNDING


def test_a_window_gates_the_poses_alike(results):
    assert results["pose window"] < ROUNDING


def test_the_same_picture_twice_is_that_picture(results):
    assert results["same twice"] < REORDERED
    assert results["one alone"]
    assert results["weak together"] < REORDERED


def test_two_pictures_in_either_order_are_the_same_and_unlike_one(results):
    swapped, from_first, from_second = results["either order"]
    assert swapped < REORDERED
    assert min(from_first, from_second) > 10 * REORDERED


@pytest.mark.parametrize("windows", ["our windows", "stock windows"])
def test_all_of_it_works_in_windows(results, windows):
    same, effect = results[windows]
    assert same < REORDERED
    assert effect > 10 * REORDERED


def test_the_prior_is_what_the_model_sees_first(results):
    assert max(results["prior"]) < 1e-5
    assert results["no prior"]


def test_a_sampler_without_noise_of_its_own_gets_no_prior(results):
    assert results["no noise, no prior"]


@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m", "published ddim"])
def test_anchored_frames_have_the_references_means(results, sampler):
    anchored, drifting = results[f"anchor {sampler}"]
    assert anchored < 1e-3
    assert drifting > 0.1
    assert results["anchored before"]


@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m", "published ddim", "euler windows"])
def test_frames_outside_a_range_stay_and_those_inside_change(results, sampler):
    outside, changed = results["range"][sampler]
    assert outside < 1e-6
    assert min(changed) > 0.01
    assert changed[1] > max(changed[0], changed[2])  # the fades keep some of the old


@pytest.mark.parametrize(("frames", "share"), [("1 to 1", 0.5), ("4 to 4", 0.25), ("0 to -1", 1)])
def test_our_sampler_computes_only_the_windows_of_a_range(results, frames, share):
    """Four windows of two frames; the result is that of all four."""
    difference, mine, all_of_them = results["needed windows"][frames]
    assert difference < 1e-5
    assert mine == share * all_of_them


def test_ranges_cut_each_other_and_work_in_ksampler(results):
    assert results["two ranges"] == [0, 0, 0, 1, 0]
    assert results["range in KSampler"] < 1e-6


def test_the_plate_stays_outside_the_mask(results):
    outside, inside, cells = results["plate"]
    assert outside < 1e-6
    assert inside > 0.1
    assert cells == 4
    assert results["skeleton plate"]
    difference, same_mask = results["wide plate"]
    assert difference < 0.01  # the cut picture is rounded to whole levels
    assert same_mask


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no mask", "must know where the character may be drawn"),
        ("masks", "give 1 or 5 masks, got 2"),
        ("pictures", "give 1 or 5 background pictures, got 3"),
        ("range", "must lie in the clip, 0 to 4"),
        ("held range", "a noise mask that holds every frame of this range"),
        ("no clip", "A clip's latents are"),
        ("strength", "the start before the end"),
        ("prior size", "The prior's reference has latents"),
    ],
)
def test_wrong_settings_say_what_to_do(results, name, message):
    assert message in results["errors"][name]


def test_more_than_two_pictures_share_what_is_not_the_first(results):
    assert results["same three times"] < REORDERED
    as_chained, without_third = results["three"]
    assert as_chained < ROUNDING
    assert without_third > 0.01
    kind, sentence = results["three in places"]
    assert kind == "SettingsError"
    assert sentence.startswith("A mask or poses place one second character, but 2 pictures are")


def test_a_reference_of_reduced_strength_is_not_combined(results):
    assert results["strength first"].startswith("A reference with a strength of its own cannot")
