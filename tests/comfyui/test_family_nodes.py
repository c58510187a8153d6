"""AnyCharV, MIMO and AniPortrait in their published layouts in a real ComfyUI, against the core."""

import json

import numpy as np
import pytest
from comfyui_harness import first_light as line
from comfyui_harness.server import PromptFailedError
from safetensors.torch import load

from animate_anyone_core.checkpoints.model_folder import load_models
from animate_anyone_core.replacement.scene import NO_SCENE, Scene
from animate_anyone_core.video import read_video

FAMILIES = ("anycharv", "mimo", "aniportrait")
ENDING = {"anycharv": "/diffusion_pytorch_model.safetensors", "mimo": ".pth", "aniportrait": ".pth"}
# Relative L2. ComfyUI's VAE gets pictures channels-last, where norms on a CPU are less exact.
STEP_AGREES = {"anycharv": 1e-3, "mimo": 1e-3, "aniportrait": 1e-4}


@pytest.fixture(scope="session")
def folders(server, tmp_path_factory):
    """The models, where the server finds them."""
    line.install(server)
    return {family: line.install_family(server, family) for family in FAMILIES}


@pytest.fixture(scope="session")
def names(server, folders):
    return line.install(server)


def scene_of(family):
    video = read_video(line.SKELETONS, line.FRAMES).frames
    return {
        "anycharv": Scene(target=video, masks=video[..., 0]),
        "mimo": Scene(background=video),
        "aniportrait": NO_SCENE,
    }[family]


def of_family(graph, family, with_scene=True):
    """The same graph on a family's files, with the video around the character."""
    text = json.dumps(graph)
    for network in ("reference_unet", "denoising_unet", "motion_module", "pose_guider"):
        text = text.replace(f"moore/{network}.safetensors", f"{family}/{network}{ENDING[family]}")
    graph = json.loads(text.replace("moore/", f"{family}/"))
    if family == "anycharv":
        graph["unet"]["inputs"]["motion_module"] = "in the same file"
    video = ["skeletons", 0]
    scene = {
        "anycharv": line.ours(
            "ReplaceInputs", vae=["vae", 0], pose=["pose", 0], target=video, mask=["mask", 0]
        ),
        "mimo": line.ours("BackgroundInputs", vae=["vae", 0], pose=["pose", 0], background=video),
    }.get(family)
    if scene is None or not with_scene:
        return graph
    for entry in graph.values():
        if entry["inputs"].get("pose") == ["pose", 0]:
            entry["inputs"]["pose"] = ["scene", 0]
    graph["mask"] = line.node("ImageToMask", image=video, channel="red")
    return graph | {"scene": scene}


def latents_of(server, graph):
    entry = server.run(graph, timeout=300)
    file = entry["outputs"]["save_latent"]["latents"][0]
    return load(server.fetch(file))["latent_tensor"]


def relative_l2(actual, expected):
    assert actual.shape == expected.shape
    return ((actual - expected).norm() / expected.norm()).item()


@pytest.mark.parametrize("family", FAMILIES)
def test_the_sampler_computes_what_the_core_computes(server, names, folders, family):
    """One step over two windows, from files as they are published."""
    models = load_models(folders[family])[0]
    expected, _ = line.core_result(models, 1, scene_of(family))
    made = latents_of(server, of_family(line.sampler_graph(names, steps=1), family))
    assert relative_l2(made, expected) < STEP_AGREES[family]


@pytest.mark.parametrize("family", FAMILIES)
def test_ksampler_with_windows_is_our_sampler(server, names, family):
    ours = of_family(line.sampler_graph(names, sampler_name="euler", steps=2), family)
    stock = of_family(line.stock_graph(names, steps=2), family)
    assert relative_l2(latents_of(server, ours), latents_of(server, stock)) < 1e-6


def test_without_its_video_a_network_is_refused_by_name(server, names):
    graph = of_family(line.sampler_graph(names, steps=1), "anycharv", with_scene=False)
    with pytest.raises(PromptFailedError, match=r"AnyCharV's weights see a video .*Replace Inputs"):
        server.run(graph, timeout=300)


def test_a_guider_of_another_family_is_refused_by_name(server, names):
    graph = of_family(line.sampler_graph(names, steps=1), "mimo")
    graph["guider"]["inputs"]["pose_guider"] = "aniportrait/pose_guider.pth"
    with pytest.raises(PromptFailedError, match=r"the UNet is MIMO's, the Pose Guider is AniPort"):
        server.run(graph, timeout=300)


def test_a_person_is_cut_out_and_pasted_back(server, names):
    """What was not near the person is the video's own; here the picture itself is put back."""
    graph = {
        "video": line.node("LoadImage", image=names["skeletons"]),
        "mask": line.node("ImageToMask", image=["video", 0], channel="red"),
        "crop": line.ours("ReplaceCrop", target=["video", 0], mask=["mask", 0], crop=True),
        "black": line.node("ImageInvert", image=["crop", 0]),
        "paste": line.ours(
            "ReplacePaste",
            images=["black", 0],
            target=["video", 0],
            region=["crop", 3],
            feather=0.05,
        ),
        "save": line.node("SaveImage", images=["paste", 0], filename_prefix="pasted"),
    }
    entry = server.run(graph, timeout=300)
    assert len(server.files(entry, "save")) == line.FRAMES
    video = read_video(line.SKELETONS, line.FRAMES).frames
    assert np.ndim(video) == 4


def two_characters(graph, names):
    """The first picture everywhere but in a mask, where another one is read."""
    changed = json.loads(json.dumps(graph).replace('["reference", 0]', '["both", 0]'))
    changed["pose"]["inputs"]["reference"] = ["reference", 0]
    turned = line.node("ImageInvert", image=["picture", 0])
    other = json.loads(json.dumps(changed["reference"]).replace('"picture"', '"turned"'))
    mask = line.node("ImageToMask", image=["skeletons", 0], channel="red")
    both = line.ours(
        "CombineReferences",
        reference_a=["reference", 0],
        reference_b=["other", 0],
        share=0.5,
        mask=["mask", 0],
    )
    return changed | {"turned": turned, "other": other, "mask": mask, "both": both}


def test_two_characters_in_places_with_every_sampler(server, names):
    """Places follow the windows of stock KSampler as of our sampler, and they change the clip."""
    ours = line.sampler_graph(names, sampler_name="euler", steps=2)
    one = latents_of(server, ours)
    two = latents_of(server, two_characters(ours, names))
    stock = latents_of(server, two_characters(line.stock_graph(names, steps=2), names))
    assert relative_l2(two, stock) < 1e-6
    assert relative_l2(two, one) > 1e-2
