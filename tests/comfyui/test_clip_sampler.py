"""A long clip is stepped by windows: to what steps of the whole clip give."""

import pytest
from comfyui_harness.small_clip import once

SAME = 1e-5  # relative L2: sums in another order

SNIPPET = """
clip = ours("clip_sampler")
COUNT = 14
features = normal(8, 1, pose.channels, COUNT, HEIGHT, WIDTH)
long_pose = replace(pose, features=features, frames=range(COUNT))
empty = torch.zeros(COUNT, 4, HEIGHT, WIDTH)

def made(schedule="open", whole=False, cfg=2.0, latents=empty, denoise=1.0):
    model = of_ours("context_windows", "ContextWindows", model=make_model(), context_frames=6,
                    context_overlap=2, schedule=schedule, blending="pyramid")
    if whole:  # as with a node that looks at the guided prediction of all frames
        model.set_model_sampler_post_cfg_function(lambda args: args["denoised"])
    went.append(clip.goes_by_windows(model, COUNT))
    given = conds(model, pose=long_pose)
    return ours("sampler").sample(
        model, given, {"samples": latents}, None, seed=5, steps=2, cfg=cfg,
        sampler_name="published ddim", scheduler="simple", denoise=denoise)

went, result = [], {}
start = normal(6, COUNT, 4, HEIGHT, WIDTH)
for name, how in {
    "open": {}, "looped, not guided": {"schedule": "looped", "cfg": 1.0},
    "from latents": {"latents": start, "denoise": 0.6},
}.items():
    result[name] = off(made(**how), made(whole=True, **how))
    assert went[-2:] == [True, False], went
room = core("sampling.clip_room").ClipRoom(0)
result["noise"] = all(
    torch.equal(clip.clip_noise(torch.zeros(shape), 9, None, room),
                comfy.sample.prepare_noise(torch.zeros(shape), 9))
    for shape in [(1, 4, 5, 3), (15, 4, 1, 1), (37, 4, 7, 5), (64, 16, 2, 2)])
make_noise = core("sampling.denoise").make_noise
result["shared noise"] = all(
    torch.equal(
        clip.clip_noise(torch.zeros(count, 4, 5, 3), 9, numbers, room, shared=True),
        make_noise(count, 4, 5, 3, torch.Generator().manual_seed(9), shared=True)[0].transpose(0, 1),
    )
    for count, numbers in [(1, None), (37, None), (20, list(range(5, 25)))])
model = make_model()
result["short"] = [clip.goes_by_windows(model, 100), clip.goes_by_windows(
    of_ours("context_windows", "ContextWindows", model=model, context_frames=6,
            context_overlap=2, schedule="open", blending="pyramid"), 6)]
"""


@pytest.fixture
def result(checkout, in_comfyui):
    return once(checkout, SNIPPET, in_comfyui)


@pytest.mark.parametrize("how", ["open", "looped, not guided", "from latents"])
def test_is_what_steps_of_the_whole_clip_give(result, how):
    assert 0 <= result[how] < SAME


def test_the_noise_is_comfyuis(result):
    assert result["noise"]


def test_shared_noise_is_the_cores_whatever_the_frames_numbers(result):
    assert result["shared noise"]


def test_a_clip_of_one_window_goes_the_usual_way(result):
    assert result["short"] == [False, False]
