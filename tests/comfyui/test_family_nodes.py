"""AnyCharV, MIMO and AniPortrait in their published layouts in a real ComfyUI, against the core."""

import io
import json

import numpy as np
import pytest
import torch
from comfyui_harness import first_light as line
from comfyui_harness.server import PromptFailedError
from PIL import Image
from safetensors.torch import load

from animate_anyone_core.animate import animate
from animate_anyone_core.animate_settings import AnimateSettings
from animate_anyone_core.checkpoints.model_folder import load_models
from animate_anyone_core.images import read_picture
from animate_anyone_core.replacement.figure import cut_figure, square_character
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


def kept(graph, input_name="latent"):
    """The same with the video's latents kept around the person."""
    graph = json.loads(json.dumps(graph))
    graph["sampler"]["inputs"][input_name] = ["scene", 1]
    return graph


def with_box(graph):
    """Somebody in the middle of the picture, in a box of whole cells, as masks of other packs come:
    one a frame, of another size."""
    graph = {**graph, "nobody": line.node("SolidMask", value=0.0, width=64, height=88)}
    graph["person"] = line.node("SolidMask", value=1.0, width=32, height=44)
    graph["mask"] = line.node(
        "MaskComposite",
        destination=["nobody", 0],
        source=["person", 0],
        x=16,
        y=20,
        operation="add",
    )
    return graph


def test_latents_around_the_person_are_kept_in_every_sampler(server, names, folders):
    """By the noise mask that every sampler of ComfyUI knows; in windows, and as the core does it."""
    ours = with_box(
        kept(of_family(line.sampler_graph(names, sampler_name="euler", steps=2), "anycharv"))
    )
    stock = with_box(kept(of_family(line.stock_graph(names, steps=2), "anycharv"), "latent_image"))
    made = latents_of(server, ours)
    assert relative_l2(made, latents_of(server, stock)) < 1e-6
    masks = np.zeros((line.FRAMES, 88, 64), np.uint8)
    masks[:, 20:64, 16:48] = 255
    scene = Scene(target=read_video(line.SKELETONS, line.FRAMES).frames, masks=masks)
    models = load_models(folders["anycharv"])[0]
    expected, _ = line.core_result(models, 1, scene, is_kept=True)
    published = with_box(kept(of_family(line.sampler_graph(names, steps=1), "anycharv")))
    one = latents_of(server, published)
    assert relative_l2(one, expected) < STEP_AGREES["anycharv"]
    outside = torch.ones(one.shape[-2:], dtype=torch.bool)
    outside[5:16, 4:12] = False  # the box covers cells 5 to 15 and 4 to 11
    ours["sampler"]["inputs"]["seed"] = 99
    other = latents_of(server, ours)
    assert relative_l2(other[..., outside], made[..., outside]) < 1e-4  # the video's own
    assert relative_l2(other[..., 6:14, 5:10], made[..., 6:14, 5:10]) > 0.1


@pytest.mark.parametrize("family", ["anycharv", "mimo"])
def test_cancel_arrives_inside_a_step(server, names, folders, family):
    graph = of_family(line.stock_graph(names, steps=400, seed=12), family)
    with server.listen() as events:
        prompt_id = server.queue(graph, client_id=events.client_id)
        events.wait_for(lambda: [d for d in events.of_type("executing") if d["node"] == "sampler"])
        server.interrupt()
        entry = server.wait(prompt_id, timeout=60)
    assert "execution_interrupted" in dict(entry["status"]["messages"])
    assert all(step.value <= 2 for step in events.progress if step.node == "sampler")


def test_a_figure_is_cut_made_and_pasted_as_in_the_core(server, names, folders):
    """MIMO's: bodies that walk, in pieces that are made in one run, over a background."""
    bodies = np.zeros((6, 88, 120, 3), np.uint8)
    for index, frame in enumerate(bodies):
        frame[30:62, 8 + 18 * index : 22 + 18 * index] = (200, 120, 60)
    yy, xx = np.mgrid[:88, :120]
    behind = np.repeat(np.stack([2 * xx, 2 * yy, xx + yy], -1).astype(np.uint8)[None], 6, axis=0)
    uploads = {}
    for name, clip in (("bodies", bodies), ("behind", behind)):
        first, *others = (Image.fromarray(frame) for frame in clip)
        first.save(server.base / f"{name}.png", save_all=True, append_images=others)
        uploads[name] = server.upload(f"{name}.png", server.base / f"{name}.png")
    graph = of_family(line.sampler_graph(names, steps=1), "mimo")
    graph["reference"]["inputs"] |= {"width": 64, "height": 64, "image": ["cut", 2]}
    graph |= {
        "bodies": line.node("LoadImage", image=uploads["bodies"]),
        "behind": line.node("LoadImage", image=uploads["behind"]),
        "cut": line.ours(
            "FigureCrop",
            bodies=["bodies", 0],
            background=["behind", 0],
            character=["picture", 0],
            width=64,
            height=64,
            crop=True,
        ),
        "paste": line.ours(
            "FigurePaste", images=["decode", 0], background=["behind", 0], figure=["cut", 3]
        ),
    }
    graph["pose"]["inputs"]["images"] = ["cut", 0]
    graph["scene"]["inputs"]["background"] = ["cut", 1]
    graph["save"]["inputs"]["images"] = ["paste", 0]
    entry = server.run(graph, timeout=300)
    files = [server.fetch(file) for file in server.files(entry, "save")]
    result = np.stack([np.asarray(Image.open(io.BytesIO(f)).convert("RGB")) for f in files])
    cut = cut_figure(bodies, in_pieces=True)
    assert len(cut.pieces) > 1
    models = load_models(folders["mimo"])[0]
    settings = AnimateSettings(
        width=64,
        height=64,
        num_inference_steps=1,
        guidance_scale=line.CFG,
        seed=line.SEED,
        windows=line.WINDOWS,
    )
    picture = np.asarray(read_picture(line.PICTURE))
    character = square_character(picture, np.full(picture.shape[:2], 255, np.uint8))
    scene = Scene(background=cut.background(behind, 64, 64))
    made = animate(models, character, cut.poses(bodies, 64, 64), settings, scene=scene)
    expected = cut.paste(np.stack(list(made)), behind)
    assert result.shape == expected.shape == behind.shape
    assert np.abs(result.astype(int) - expected).mean() < 1
    assert np.abs(result.astype(int) - behind).mean() > 4


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
