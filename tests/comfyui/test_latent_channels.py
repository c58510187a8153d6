"""A model whose codec has 16 latent channels, in a real ComfyUI, with stock nodes around it."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from comfyui_harness import first_light as line
from comfyui_harness.server import PromptFailedError
from diffusers import AutoencoderTiny
from safetensors.torch import load
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from animate_anyone_core.checkpoints.convert import published_weights, with_position_tables
from animate_anyone_core.checkpoints.key_map import is_temporal
from animate_anyone_core.checkpoints.latent_colors import LatentColors, write_latent_colors
from animate_anyone_core.checkpoints.model_folder import load_models
from animate_anyone_core.checkpoints.weight_files import write_weights
from animate_anyone_core.models.denoising_unet import DenoisingUNet
from animate_anyone_core.models.reference_net import ReferenceNet

CHANNELS = 16


@pytest.fixture(scope="session")
def sixteen(
    tmp_path_factory, tiny_config, tiny_temporal, randomise, published_files, image_encoder
):
    """A whole tiny model of random weights with 16 latent channels, in a folder as published."""
    config = replace(tiny_config, in_channels=CHANNELS, out_channels=CHANNELS)
    unet = randomise(DenoisingUNet(config, tiny_temporal), 11)
    weights = published_weights(unet.state_dict())
    files = {
        **published_files,
        "denoising_unet": {k: v for k, v in weights.items() if not is_temporal(k)},
        "motion_module": with_position_tables(
            {k: v for k, v in weights.items() if is_temporal(k)}, tiny_temporal.max_frames
        ),
        "reference_unet": randomise(ReferenceNet(config), 12).state_dict(),
    }
    folder = tmp_path_factory.mktemp("models") / "sixteen"
    folder.mkdir()
    for name, tensors in files.items():
        write_weights(folder / f"{name}.safetensors", tensors)
    vae = AutoencoderTiny(
        latent_channels=CHANNELS,
        encoder_block_out_channels=(8,) * 4,
        decoder_block_out_channels=(8,) * 4,
        scaling_factor=1.25,
    )
    randomise(vae, 13).save_pretrained(folder / "vae")
    colors = LatentColors(((0.1, 0.0, -0.1),) * CHANNELS, (0.0, 0.1, 0.2))
    write_latent_colors(folder / "vae", colors)
    changes = {"num_hidden_layers": 2, "image_size": 224, "patch_size": 56}
    clip = CLIPVisionConfig.from_dict(image_encoder.config.to_dict() | changes)
    randomise(CLIPVisionModelWithProjection(clip), 14).save_pretrained(folder / "image_encoder")
    return folder


@pytest.fixture(scope="session")
def names(server, sixteen):
    target = server.base / "models" / "animate_anyone" / "sixteen"
    if not target.exists():
        shutil.copytree(sixteen, target)
    return line.install(server)


def of_sixteen(graph):
    """The same graph on the other model."""
    return json.loads(json.dumps(graph).replace("moore/", "sixteen/"))


def clip_of_the_picture(width=line.WIDTH, height=line.HEIGHT):
    """Stock nodes: the fitted picture, small or large, encoded and repeated."""
    return {
        "scaled": line.node(
            "ImageScale",
            image=["reference", 1],
            upscale_method="area",
            width=width,
            height=height,
            crop="disabled",
        ),
        "encoded": line.node("VAEEncode", pixels=["scaled", 0], vae=["vae", 0]),
        "repeated": line.node("RepeatLatentBatch", samples=["encoded", 0], amount=line.FRAMES),
    }


def latents_of(server, graph):
    entry = server.run(graph, timeout=300)
    file = entry["outputs"]["save_latent"]["latents"][0]
    return load(server.fetch(file))["latent_tensor"]


def message_of(server, graph):
    with pytest.raises(PromptFailedError) as failed:
        server.run(graph, timeout=300)
    return failed.value.details["exception_message"].strip()


def test_the_sampler_computes_what_the_core_computes(server, names, sixteen):
    expected, _ = line.core_result(load_models(sixteen)[0], 1)
    got = latents_of(server, of_sixteen(line.sampler_graph(names, steps=1)))
    got = got * 0.18215 / 1.25  # scaled as ComfyUI does it; unscaled as the codec is
    assert got.shape == (line.FRAMES, CHANNELS, line.HEIGHT // 8, line.WIDTH // 8)
    assert float((got - expected).norm() / expected.norm()) < 1e-4


def test_an_empty_latent_of_the_stock_node_is_taken(server, names):
    own = of_sixteen(line.stock_graph(names, steps=1))
    stock = of_sixteen(line.stock_graph(names, steps=1))
    stock["sampler"]["inputs"]["latent_image"] = ["empty", 0]
    stock["empty"] = line.node(
        "EmptyLatentImage", width=line.WIDTH, height=line.HEIGHT, batch_size=line.FRAMES
    )
    assert torch.equal(latents_of(server, own), latents_of(server, stock))


@pytest.mark.parametrize("method", ["nearest-exact", "bilinear"])
def test_video_to_video_from_an_encoded_and_enlarged_clip(server, names, method):
    """VAE Encode, Upscale Latent, KSampler at half denoise: as our sampler from the same clip."""
    stock = of_sixteen(line.stock_graph(names, steps=2, denoise=0.5))
    stock["sampler"]["inputs"]["latent_image"] = ["larger", 0]
    mine = of_sixteen(line.sampler_graph(names, steps=2, denoise=0.5, sampler_name="euler"))
    mine["sampler"]["inputs"]["latent"] = ["larger", 0]
    larger = line.node(
        "LatentUpscale",
        samples=["repeated", 0],
        upscale_method=method,
        width=line.WIDTH,
        height=line.HEIGHT,
        crop="disabled",
    )
    for graph in (stock, mine):
        graph |= clip_of_the_picture(line.WIDTH // 2, line.HEIGHT // 2)
        graph["larger"] = larger
    expected, got = latents_of(server, stock), latents_of(server, mine)
    assert got.shape == (line.FRAMES, CHANNELS, line.HEIGHT // 8, line.WIDTH // 8)
    assert float((got - expected).norm() / expected.norm()) < 1e-6
    from_nothing = latents_of(server, of_sixteen(line.stock_graph(names, steps=2)))
    assert float((got - from_nothing).norm() / from_nothing.norm()) > 0.1


def test_previews_are_shown_in_the_codecs_own_colors(server, names):
    graph = of_sixteen(line.sampler_graph(names, seed=31))
    with server.listen() as events:
        server.run(graph, timeout=300, client_id=events.client_id)
        events.wait_for(lambda: events.of_type("execution_success"))
        assert len(events.previews) >= 2


@pytest.mark.parametrize(
    "sampler", [line.sampler_graph, line.stock_graph], ids=["ours", "KSampler"]
)
def test_latents_of_another_codec_are_refused(server, names, sampler):
    wired = "latent" if sampler is line.sampler_graph else "latent_image"
    graph = of_sixteen(sampler(names, denoise=0.5))
    graph["sampler"]["inputs"][wired] = ["repeated", 0]
    graph |= clip_of_the_picture()
    graph["encoded"]["inputs"]["vae"] = ["other_vae", 0]
    graph["other_vae"] = line.ours("LoadVAE", vae="moore/vae")
    message = message_of(server, graph)
    assert message.startswith(
        "This model takes latents of the shape (frames, 16, height/8, width/8), got (12, 4, 22, 16)."
    )
    assert "VAE that belongs to the model" in message


def test_another_codec_is_refused_at_both_ends(server, names):
    graph = of_sixteen(line.sampler_graph(names, steps=1))
    graph["vae"]["inputs"]["vae"] = "moore/vae"
    message = message_of(server, graph)
    assert message.startswith("ReferenceNet needs latents (1, 16, 22, 16), but this VAE makes")
    graph = of_sixteen(line.sampler_graph(names, steps=1))
    graph["decode"]["inputs"]["vae"] = ["other_vae", 0]
    graph["other_vae"] = line.ours("LoadVAE", vae="moore/vae")
    assert message_of(server, graph).startswith("This VAE takes latents of the shape (frames, 4,")
