"""Starting from published layouts: Stable Diffusion's UNet, AnimateDiff's motion module, our own."""

import pytest
import torch
from diffusers import UNet2DConditionModel

from animate_anyone_core.checkpoints.key_map import is_temporal, to_published_key
from animate_anyone_core.checkpoints.weight_files import write_weights
from animate_anyone_core.errors import CheckpointError, MissingWeightsError, SettingsError
from animate_anyone_core.models.denoising_unet import DenoisingUNet
from animate_anyone_core.training.config import InitConfig, TrainConfig
from animate_anyone_core.training.config_files import make_config, merge
from animate_anyone_core.training.initial_weights import load_frozen_encoders, make_networks


@pytest.fixture(scope="module")
def network(settings):
    return make_config(TrainConfig, settings).network


@pytest.fixture(scope="module")
def stable_diffusion(network, tmp_path_factory):
    """A 2-D UNet in diffusers' layout, as Stable Diffusion 1.5's `unet` folder."""
    folder = tmp_path_factory.mktemp("sd") / "unet"
    shapes = {k: v for k, v in network.unet.to_diffusers().items() if k != "_class_name"}
    unet = UNet2DConditionModel(**shapes)
    unet.save_pretrained(folder)
    return folder, unet.state_dict()


@pytest.fixture(scope="module")
def animate_diff(network, tmp_path_factory):
    """A motion module as AnimateDiff publishes it: a pickle with position tables."""
    tree = DenoisingUNet(network.unet, network.temporal).state_dict()
    motion = {to_published_key(k): torch.randn_like(v) for k, v in tree.items() if is_temporal(k)}
    first = next(key for key in motion if key.endswith("attention_blocks.0.to_q.weight"))
    motion[first.replace("to_q.weight", "pos_encoder.pe")] = torch.zeros(1, 8, 16)
    path = tmp_path_factory.mktemp("motion") / "mm_sd_v15_v2.ckpt"
    torch.save(motion, path)
    return path, motion


def from_files(settings, **init):
    return make_config(TrainConfig, merge(settings, {"init": {"kind": "files", **init}}))


def test_both_unets_start_from_stable_diffusion(settings, stable_diffusion):
    folder, weights = stable_diffusion
    networks = make_networks(from_files(settings, unet=str(folder)))
    for name, value in networks.denoising_unet.state_dict().items():
        assert torch.equal(value, weights[name]), name
    for name, value in networks.reference_net.state_dict().items():
        assert torch.equal(value, weights[name]), name
    assert networks.pose_guider.conv_out.weight.abs().max() == 0


def test_temporal_layers_start_from_animate_diff(settings, stable_diffusion, animate_diff):
    path, motion = animate_diff
    config = from_files(
        merge(settings, {"stage": 2, "init": {"kind": "files", "unet": "x"}}),
        unet=str(stable_diffusion[0]),
        motion=str(path),
    )
    own = make_networks(config).denoising_unet.state_dict()
    taken = {to_published_key(key): value for key, value in own.items() if is_temporal(key)}
    assert taken.keys() == {key for key in motion if not key.endswith(".pe")}
    assert all(torch.equal(value, motion[key]) for key, value in taken.items())


def test_new_temporal_layers_change_nothing_at_first(settings, stable_diffusion):
    settings = merge(settings, {"stage": 2, "init": {"kind": "files", "unet": "x"}})
    config = from_files(settings, unet=str(stable_diffusion[0]))
    networks = make_networks(config)
    picture_model = DenoisingUNet(config.network.unet, None)
    picture_model.load_state_dict(stable_diffusion[1])
    sample, appearance = torch.randn(1, 4, 3, 8, 8), torch.randn(1, 1, 8)
    with torch.no_grad():
        clip = networks.denoising_unet(sample, torch.tensor(7), appearance)
        pictures = picture_model(sample, torch.tensor(7), appearance)
    assert torch.allclose(clip, pictures, atol=1e-5)


def test_the_same_seed_makes_the_same_networks(settings):
    one, two, other = (
        make_networks(make_config(TrainConfig, merge(settings, {"seed": seed}))).state_dict()
        for seed in (1, 1, 2)
    )
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(
        one["reference_net.conv_in.weight"], other["reference_net.conv_in.weight"]
    )


def test_weights_of_another_shape_are_refused(settings, stable_diffusion, tmp_path):
    _, weights = stable_diffusion
    smaller = {k: v for k, v in weights.items() if not k.startswith(("conv_out", "conv_norm_out"))}
    smaller["conv_in.weight"] = smaller["conv_in.weight"][:8]
    write_weights(tmp_path / "reference_unet.safetensors", smaller)
    config = from_files(settings, unet=str(stable_diffusion[0]), reference=str(tmp_path))
    with pytest.raises(MissingWeightsError, match=r"conv_in\.weight has the shape \(8, 4, 3, 3\)"):
        make_networks(config)


def test_a_folder_without_weights_names_what_was_looked_for(settings, tmp_path):
    with pytest.raises(CheckpointError, match=r"has none of denoising_unet\.safetensors"):
        make_networks(from_files(settings, unet=str(tmp_path)))


def test_a_missing_image_encoder_is_named(settings):
    init = InitConfig(vae=settings["init"]["vae"])
    with pytest.raises(SettingsError, match=r"init\.image_encoder is missing"):
        load_frozen_encoders(init, torch.device("cpu"))
