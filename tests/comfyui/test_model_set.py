"""Load Model Set hands out what the five loaders hand out, and the family's settings."""

import shutil

import pytest
from comfyui_harness import first_light as line
from comfyui_harness.server import PromptFailedError
from safetensors.torch import load

from animate_anyone_core.checkpoints.builtin import BUILT_IN_FOLDER
from animate_anyone_core.checkpoints.load import read_denoising_unet
from animate_anyone_core.checkpoints.model_folder import find_weights

SETTINGS = ("width", "height", "steps", "cfg", "context_frames", "context_overlap", "style")
FIRST = 5  # outputs before the settings


@pytest.fixture(scope="session")
def names(server):
    return line.install(server)


def from_set(graph, model_set):
    """The same graph with one loader in place of five."""
    places = {"unet": 0, "reference_net": 1, "guider": 2, "vae": 3, "clip": 4}
    for node in graph.values():
        for name, value in node["inputs"].items():
            if isinstance(value, list) and value[0] in places and value[1] == 0:
                node["inputs"][name] = ["set", places[value[0]]]
    kept = {key: node for key, node in graph.items() if key not in places}
    loader = line.ours("LoadModelSet", model_set=model_set, family="auto", dtype="default")
    return {**kept, "set": loader}


def latents_of(server, graph):
    entry = server.run(graph, timeout=300)
    return load(server.fetch(entry["outputs"]["save_latent"]["latents"][0]))["latent_tensor"]


def test_one_loader_is_the_five_loaders(server, names):
    graph = line.sampler_graph(names, steps=1)
    together = from_set(line.sampler_graph(names, steps=1), "moore")
    assert latents_of(server, together).equal(latents_of(server, graph))


def test_sets_are_the_built_in_model_and_the_folders_with_a_denoising_unet(server, names):
    kind, options = server.node_info("AnimateAnyone_LoadModelSet")["input"]["required"]["model_set"]
    choices = kind if isinstance(kind, list) else options["options"]
    assert choices[0] == "built-in"
    assert "moore" in choices


def test_the_settings_are_those_the_weights_were_made_for(server):
    """Of the built-in model, whose file says them."""
    if not (BUILT_IN_FOLDER / "denoising_unet.safetensors").is_file():
        pytest.skip("the built-in model is not in this checkout")
    profile = read_denoising_unet(
        find_weights(BUILT_IN_FOLDER, "denoising_unet"),
        find_weights(BUILT_IN_FOLDER, "motion_module"),
    ).profile
    graph = {"set": line.ours("LoadModelSet", model_set="built-in", family="auto", dtype="default")}
    for index, name in enumerate(SETTINGS, FIRST):
        graph[name] = line.node("PreviewAny", source=["set", index])

    outputs = server.run(graph)["outputs"]

    told = {name: outputs[name]["text"][0] for name in SETTINGS}
    assert told == {
        "width": str(profile.width),
        "height": str(profile.height),
        "steps": str(profile.num_inference_steps),
        "cfg": str(profile.guidance_scale),
        "context_frames": str(profile.context_frames),
        "context_overlap": str(profile.context_overlap),
        "style": profile.drawing,
    }


def reference_graph(names, loader, **size):
    """Encode a reference with a ReferenceNet from a set or from its own loader; show its size."""
    graph = {k: v for k, v in line.encoding_graph(names).items() if k not in ("pose", "skeletons")}
    graph["reference"]["inputs"].update(size)
    graph["save"] = line.node("SaveImage", images=["reference", 1], filename_prefix="fitted")
    if loader == "set":
        for key in ("unet", "guider"):
            graph.pop(key)
        graph = from_set(graph, "built-in")
    return graph


def test_a_size_of_0_is_the_size_of_the_set(server, names):
    entry = server.run(reference_graph(names, "set", width=0, height=96))
    (file,) = server.files(entry, "save")
    picture = line.Image.open(server.path_of(file))
    assert picture.size == (128, 96)  # the built-in model's width


def test_a_size_of_0_without_a_set_says_what_to_do(server, names):
    with pytest.raises(PromptFailedError, match='0 only behind "Load Model Set"'):
        server.run(reference_graph(names, "alone", width=0, height=0))


def test_a_set_without_a_vae_says_where_it_may_lie(server, names):
    folder = server.base / "models" / "animate_anyone" / "halves" / "no_vae"
    shutil.copytree(line.MODEL, folder, ignore=shutil.ignore_patterns("vae"))
    try:
        graph = from_set(line.sampler_graph(names, steps=1), "halves/no_vae")
        with pytest.raises(PromptFailedError, match=r"has no vae\. Put it into .*models/vae"):
            server.run(graph)
        file = server.base / "models" / "vae" / "sd-vae-ft-mse"
        shutil.copytree(line.MODEL / "vae", file)
        together = from_set(line.sampler_graph(names, steps=1), "halves/no_vae")
        assert latents_of(server, together).shape[0] == line.FRAMES
    finally:
        shutil.rmtree(folder)
        shutil.rmtree(server.base / "models" / "vae" / "sd-vae-ft-mse", ignore_errors=True)


def test_a_decoded_clip_is_also_a_video_of_the_frame_rate_asked_for(server, names):
    graph = line.sampler_graph(names, steps=1)
    graph["decode"]["inputs"]["fps"] = 12.0
    graph["parts"] = line.node("GetVideoComponents", video=["decode", 1])
    graph["fps"] = line.node("PreviewAny", source=["parts", 2])
    graph["frames"] = line.node("SaveImage", images=["parts", 0], filename_prefix="in_video")
    entry = server.run(graph, timeout=300)
    assert float(entry["outputs"]["fps"]["text"][0]) == 12.0
    assert len(server.files(entry, "frames")) == line.FRAMES
