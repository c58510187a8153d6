"""NaN in ComfyUI: the network that made it is named, and no black clip is saved."""

import pytest
from comfyui_harness.small_clip import once

SNIPPET = """
nan = float("nan")
result = {}
def said(name, call):
    try:
        call()
        result[name] = "nothing"
    except Exception as error:
        result[name] = f"{type(error).__name__}: {error}"

def spoilt(model):
    with torch.no_grad():
        model.model.diffusion_model.conv_out.bias[0] = nan
    return model

said("whole", lambda: sample(make_model(), steps=1))
said("layer", lambda: sample(spoilt(make_model()), steps=1))
bad_pose = replace(pose, features=pose.features * nan)
model = make_model()
said("poses", lambda: sample(model, conds(model, pose=bad_pose), steps=1))

vae = ours("load_vae").LoadVAE.execute("built-in").result[0]
decode = ours("decode_video").decode
clip = torch.zeros(3, vae.latent_channels, 4, 6)
said("decoded", lambda: decode(vae, clip, 2))
late = clip.clone()
late[2] = nan
said("latents", lambda: decode(vae, late, 2))
stream = ours("stream_video").StreamVideo.execute(vae, {"samples": late}, 10.0, 2).result[0]
said("streamed", stream.get_components)
with torch.no_grad():
    for weight in list(vae.first_stage_model.parameters())[-2:]:
        weight.fill_(nan)
said("vae", lambda: decode(vae, clip, 2))
"""


@pytest.fixture
def said(checkout, in_comfyui):
    """What each of them ended in, run once on each ComfyUI."""
    return once(checkout, SNIPPET, in_comfyui)


@pytest.mark.parametrize("case", ["whole", "decoded"])
def test_numbers_pass(said, case):
    assert said[case] == "nothing"


def test_the_layer_of_the_model_is_named(said):
    assert said["layer"].startswith(
        "NotFiniteError: NaN or infinite numbers came up in the layer conv_out. Choose dtype fp32"
    )


def test_poses_are_named(said):
    assert said["poses"].startswith("NotFiniteError: NaN or infinite numbers came up in the poses.")


@pytest.mark.parametrize("case", ["latents", "streamed"])
def test_latents_are_named(said, case):
    assert said[case].startswith("NotFiniteError: NaN or infinite numbers went into the VAE")


def test_the_vae_is_named(said):
    assert said["vae"].startswith(
        "NotFiniteError: NaN or infinite numbers came out of the VAE. Start ComfyUI with --fp32-vae"
    )
