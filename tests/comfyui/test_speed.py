"""The sampler's speeds, and ComfyUI's own EasyCache and LazyCache, on our MODEL."""

import pytest
from comfyui_harness.small_clip import once

CLOSE = 1e-4  # relative L2: the same sums in another order


@pytest.fixture
def results(checkout, in_comfyui):
    """What all of this gave, run once on each ComfyUI."""
    return once(checkout, SPEEDS, in_comfyui)


SPEEDS = """
result = {}
Speed = core("sampling.speed").Speed
model = make_model()
network = model.model.diffusion_model

def counted(work):
    # rows of frames that entered each call, and how often the middle of the network ran
    rows, middle = [], []
    hooks = [
        network.conv_in.register_forward_pre_hook(lambda m, i: rows.append(len(i[0]) // FRAMES) or None),
        network.mid_block.resnets[0].register_forward_pre_hook(lambda m, i: middle.append(1) or None),
    ]
    made = work()
    for hook in hooks:
        hook.remove()
    return made, rows, len(middle)

def at(speed, steps=8, **more):
    return counted(lambda: ours("sampler").sample(
        model, conds(model), {"samples": empty}, None, seed=5, steps=steps, cfg=2.0,
        sampler_name="euler", scheduler="simple", denoise=1.0, speed=speed, **more))

exact, rows, middle = at(Speed())
result["exact"] = [off(exact, sample(model, steps=8)), rows, middle]
late, rows, middle = at(Speed(guided_from=0.5))
result["late"] = [off(late, exact), rows, middle]
none, rows, middle = at(Speed(guided_from=1.0))
result["none"] = [off(none, sample(model, steps=8, cfg=1.0)), rows, middle]
deep, rows, middle = at(Speed(full_every=2))
result["deep"] = [off(deep, exact), rows, middle]
fast, rows, middle = at(core("sampling.speed").SPEEDS["fast"], steps=20)
result["fast"] = [bool(torch.isfinite(fast).all()), rows, middle]
result["afterwards"] = bool(torch.equal(sample(model, steps=8), exact))

# the node: without a word of speed as ever, and with the published sampler's stand-in
def by_node(**more):
    return of_ours("sampler", "Sampler", model=model, reference=reference, pose=pose, seed=5, steps=5,
                   cfg=2.0, sampler_name="published ddim", scheduler="simple", denoise=1.0,
                   context_frames=3, context_overlap=1, schedule="open", blending="flat",
                   **more)["samples"]
plain = by_node()
result["node"] = [bool(torch.equal(by_node(speed="exact"), plain)), off(by_node(speed="fast"), plain),
                  bool(torch.isfinite(by_node(speed="balanced")).all())]

# ComfyUI's own caches skip calls of our network, and leave it as it was
for kind in ("EasyCacheNode", "LazyCacheNode"):
    settings = dict(reuse_threshold=0.5, start_percent=0.15, end_percent=0.95, verbose=False)
    cached, = node(("comfy_extras.nodes_easycache", kind), model=model, **settings)
    made, rows, _ = counted(lambda: sample(cached, steps=8))
    result[kind] = [bool(torch.isfinite(made).all()), len(rows), off(made, exact)]
result["at the end"] = bool(torch.equal(sample(model, steps=8), exact))
"""


def test_exact_is_what_it_was(results):
    difference, rows, middle = results["exact"]
    assert difference == 0.0
    assert (rows, middle) == ([2] * 8, 8)
    assert results["node"][0]


def test_guidance_is_left_out_at_the_start(results):
    difference, rows, _ = results["late"]
    assert rows == [1] * 4 + [2] * 4
    assert difference > CLOSE
    difference, rows, _ = results["none"]
    assert rows == [1] * 8
    assert difference < CLOSE


def test_deep_features_are_used_again_in_every_second_step(results):
    difference, rows, middle = results["deep"]
    assert (rows, middle) == ([2] * 8, 4)
    assert CLOSE < difference < 0.5


def test_fast_takes_nine_of_twenty_steps_without_guidance(results):
    is_finite, rows, middle = results["fast"]
    assert is_finite
    assert rows == [1] * 9
    assert middle == 9


def test_speeds_work_in_windows(results):
    _, difference, is_finite = results["node"]
    assert difference > CLOSE
    assert is_finite


@pytest.mark.parametrize("kind", ["EasyCacheNode", "LazyCacheNode"])
def test_comfyuis_own_caches_act(results, kind):
    is_finite, calls, difference = results[kind]
    assert is_finite
    assert 2 <= calls < 8
    assert difference > CLOSE


def test_a_run_leaves_nothing_behind(results):
    assert results["afterwards"]
    assert results["at the end"]
