"""Wrong files, wrong values and wrong wiring: a red node with one helpful sentence."""

import io
import re

import numpy as np
import pytest
from comfyui_harness import first_light as line
from comfyui_harness.server import PromptFailedError, PromptRejectedError
from PIL import Image
from safetensors.torch import load_file, save_file


@pytest.fixture(scope="session")
def names(server):
    names = line.install(server)
    folder = server.base / "models" / "animate_anyone" / "moore"
    good = (folder / "reference_unet.safetensors").read_bytes()
    (folder / "text.safetensors").write_text("these are not the weights you are looking for\n" * 9)
    (folder / "cut.safetensors").write_bytes(good[: len(good) // 2])
    (folder / "pointer.safetensors").write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3438000000\n"
    )
    weights = load_file(folder / "reference_unet.safetensors")
    weights["conv_in.weight"][0, 0] = float("nan")
    save_file(weights, folder / "nan.safetensors")
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((1, 1, 3), np.uint8)).save(buffer, "PNG")
    names["dot"] = server.upload("dot.png", buffer.getvalue())
    return names


def message_of(server, graph):
    with pytest.raises(PromptFailedError) as failed:
        server.run(graph, timeout=300)
    kind = failed.value.details["exception_type"]
    assert re.fullmatch(r"\w+Error", kind), "the dialog shows a path"
    return failed.value.details["exception_message"].strip()


def load_and_show(name):
    node = line.ours("LoadReferenceNet", reference_net=f"moore/{name}", dtype="default")
    return {"load": node, "show": line.node("PreviewAny", source=["load", 1])}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("text.safetensors", r"text\.safetensors is not a safetensors file"),
        ("cut.safetensors", r"cut\.safetensors is cut short: \d+ bytes expected, \d+ there"),
        ("pointer.safetensors", r"pointer\.safetensors is a git-lfs pointer"),
        ("nan.safetensors", r"conv_in\.weight in nan\.safetensors holds NaN"),
        ("motion_module.safetensors", r"motion_module\.safetensors is temporal layers"),
        ("pose_guider.safetensors", r"pose_guider\.safetensors is Pose Guider"),
    ],
)
def test_wrong_files(server, names, name, message):
    assert re.search(message, message_of(server, load_and_show(name)))


def test_windows_longer_than_the_weights_can_see(server, names):
    message = message_of(server, line.sampler_graph(names, context_frames=64))
    assert re.search(r"A window of 64 frames is longer .* at most 32 frames", message)


def test_a_picture_of_one_pixel(server, names):
    graph = line.sampler_graph({**names, "picture": names["dot"]})
    assert "is 1x1 pixels" in message_of(server, graph)


def test_poses_of_another_size(server, names):
    graph = line.sampler_graph(names)
    del graph["pose"]["inputs"]["reference"]
    message = message_of(server, graph)
    assert re.match(r"Reference and poses must have the same size: .*128x176.*256x352", message)


def test_latents_of_another_length(server, names):
    graph = line.stock_graph(names, steps=1)
    graph["sampler"]["inputs"]["latent_image"] = ["empty", 0]
    graph["empty"] = line.node("EmptyLatentImage", width=128, height=176, batch_size=5)
    message = message_of(server, graph)
    assert message.startswith("The latents have 5 frames, but 12 poses are wired in.")


def test_a_wrong_wire(server, names):
    graph = line.sampler_graph(names)
    graph["reference"]["inputs"]["vae"] = ["clip", 0]
    with pytest.raises(PromptRejectedError) as rejected:
        server.run(graph)
    (error,) = rejected.value.errors["reference"]["errors"]
    assert error["type"] == "return_type_mismatch"


def test_a_pose_guider_of_another_model(server, names):
    graph = line.sampler_graph(names)
    graph["guider"]["inputs"]["pose_guider"] = "built-in"
    message = message_of(server, graph)
    assert re.match(
        r"The parts belong to different models: the UNet expects poses of \d+ ", message
    )


def test_an_image_encoder_of_another_model(server, names):
    graph = line.sampler_graph(names)
    graph["clip"]["inputs"]["image_encoder"] = "built-in"
    message = message_of(server, graph)
    assert re.match(r"ReferenceNet needs an appearance of \d+ numbers, but this CLIP", message)


@pytest.mark.parametrize(
    ("node", "inputs", "message"),
    [
        ("encode_pose.EncodePose", "pose_guider=None, images=empty", "Poses must be pictures"),
        (
            "encode_reference.EncodeReference",
            "reference_net=None, vae=None, clip_vision=None, image=empty, width=64, height=64, "
            "fit='crop'",
            "The reference must be a picture",
        ),
        ("draw_pose.DrawPose", "pose_keypoint=[], **drawing", "The poses hold no frame"),
        ("decode_video.DecodeVideo", "vae=vae, latent=clip, chunk_frames=4", "takes latents of"),
    ],
)
def test_an_empty_batch(in_comfyui, node, inputs, message):
    module, name = node.split(".")
    said = in_comfyui(
        f"""
import importlib, types, torch
empty = torch.zeros(0, 64, 64, 3)
vae = types.SimpleNamespace(latent_channels=4, first_stage_model=None)
clip = dict(samples=torch.zeros(0, 4, 8, 8))
drawing = dict(style="moore", width=0, height=0, fit="pad", body=True, hands=True,
               face="by style", feet=False, people="by style")
node = getattr(importlib.import_module(pack.__name__ + ".nodes.{module}"), {name!r})
try:
    node.execute({inputs})
    result = "nothing"
except Exception as error:
    result = type(error).__name__ + ": " + str(error)
"""
    )
    assert message in said
    assert said.startswith(("ShapeError", "SettingsError", "PoseError"))
