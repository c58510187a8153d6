"""Starting from published layouts: Stable Diffusion's UNet, AnimateDiff's motion module, our own."""

import pytest
import torch
from diffusers import ControlNetModel, UNet2DConditionModel

from animate_anyone_core.checkpoints.key_map import is_temporal, to_published_key
from animate_anyone_core.checkpoints.model_folder import load_models
from animate_anyone_core.checkpoints.weight_files import write_weights
from animate_anyone_core.errors import (
    CheckpointError,
    MissingWeightsError,
    SettingsError,
    UnknownCheckpointError,
)
from animate_anyone_core.lab.training.config import InitConfig, TrainConfig
from animate_anyone_core.lab.training.config_files import make_config, merge
from animate_anyone_core.lab.training.initial_weights import load_frozen_encoders, make_networks
from animate_anyone_core.lab.training.networks import TrainedNetworks
from animate_anyone_core.lab.training.published_files import profile_of, write_model
from animate_anyone_core.lab.training.recipes import recipe_settings
from animate_anyone_core.lab.training.train import train
from animate_anyone_core.models.denoising_unet import DenoisingUNet
from animate_anyone_core.models.references import Reference


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


def networks_of(config: TrainConfig) -> TrainedNetworks:
    return make_networks(config.init, config.network, config.stage, config.seed)


def from_files(settings, **init):
    return make_config(TrainConfig, merge(settings, {"init": {"kind": "files", **init}}))


def test_both_unets_start_from_stable_diffusion(settings, stable_diffusion):
    folder, weights = stable_diffusion
    networks = networks_of(from_files(settings, unet=str(folder)))
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
    own = networks_of(config).denoising_unet.state_dict()
    taken = {to_published_key(key): value for key, value in own.items() if is_temporal(key)}
    assert taken.keys() == {key for key in motion if not key.endswith(".pe")}
    assert all(torch.equal(value, motion[key]) for key, value in taken.items())


def test_new_temporal_layers_change_nothing_at_first(settings, stable_diffusion):
    settings = merge(settings, {"stage": 2, "init": {"kind": "files", "unet": "x"}})
    config = from_files(settings, unet=str(stable_diffusion[0]))
    networks = networks_of(config)
    picture_model = DenoisingUNet(config.network.unet, None)
    picture_model.load_state_dict(stable_diffusion[1])
    sample, appearance = torch.randn(1, 4, 3, 8, 8), torch.randn(1, 1, 8)
    with torch.no_grad():
        clip = networks.denoising_unet(sample, torch.tensor(7), Reference(appearance, {}))
        pictures = picture_model(sample, torch.tensor(7), Reference(appearance, {}))
    assert torch.allclose(clip, pictures, atol=1e-5)


def second_stage(settings, folder, **init):
    below = merge(settings, {"stage": 2, "init": {"kind": "files", "unet": "x"}})
    return from_files(below, unet=str(folder), **init)


def temporal_of(unet) -> dict[str, torch.Tensor]:
    return {to_published_key(k): v for k, v in unet.state_dict().items() if is_temporal(k)}


def test_a_layer_that_animate_diff_lacks_starts_as_identity(
    settings, stable_diffusion, animate_diff, tmp_path, caplog
):
    """AnimateDiff's first and third motion module have no layer in the mid block."""
    motion = {k: v for k, v in animate_diff[1].items() if not k.startswith("mid_block.")}
    torch.save({"state_dict": motion}, tmp_path / "v3_sd15_mm.ckpt")
    caplog.set_level("INFO")
    config = second_stage(settings, stable_diffusion[0], motion=str(tmp_path / "v3_sd15_mm.ckpt"))
    own = temporal_of(networks_of(config).denoising_unet)
    middle = "mid_block.motion_modules.0.temporal_transformer.proj_out"
    assert own[f"{middle}.weight"].abs().max() == own[f"{middle}.bias"].abs().max() == 0
    assert all(torch.equal(own[key], motion[key]) for key in motion if not key.endswith(".pe"))
    assert (
        "1 of 7 temporal layers are in no file and start as identity: mid_block.motion_modules.0."
    ) in caplog.messages


def test_a_motion_module_that_lacks_a_part_is_refused(
    settings, stable_diffusion, animate_diff, tmp_path
):
    gone = "mid_block.motion_modules.0.temporal_transformer.proj_out.weight"
    motion = {k: v for k, v in animate_diff[1].items() if k != gone}
    torch.save(motion, tmp_path / "motion_module.pth")
    with pytest.raises(MissingWeightsError, match=r"lacks mid_block.motion_modules.0.proj_out"):
        networks_of(second_stage(settings, stable_diffusion[0], motion=str(tmp_path)))


@pytest.mark.parametrize("name", ["norm_num_groups", "num_attention_heads"])
def test_temporal_layers_that_do_not_fit_the_widths_are_refused(settings, stable_diffusion, name):
    settings = merge(settings, {"network": {"temporal": {name: 32}}})
    with pytest.raises(SettingsError, match=rf"{name} must divide .* \(16, 16\), got 32"):
        networks_of(second_stage(settings, stable_diffusion[0]))


def test_a_file_without_temporal_layers_is_no_motion_module(settings, stable_diffusion):
    folder = str(stable_diffusion[0])
    with pytest.raises(UnknownCheckpointError, match=r"temporal layers: expected temporal layers"):
        networks_of(second_stage(settings, folder, motion=folder))


def test_stage_2_goes_on_from_the_motion_module_in_the_folder(settings, stable_diffusion, tmp_path):
    """A trained folder keeps its temporal layers, and its header their heads and frames."""
    temporal = {"max_frames": 5, "num_attention_heads": 4, "norm_num_groups": 8}
    config = second_stage(merge(settings, {"network": {"temporal": temporal}}), stable_diffusion[0])
    first = networks_of(config)
    with torch.no_grad():
        for parameter in first.denoising_unet.parameters():
            parameter.add_(0.5)
    parts = config.network, config.data, config.objective.noise, 2, 1.0
    write_model(tmp_path, first, profile_of(first.denoising_unet, *parts), stage=2)
    again = networks_of(second_stage(settings, tmp_path)).denoising_unet
    assert again.temporal == first.denoising_unet.temporal
    before = temporal_of(first.denoising_unet)
    assert all(torch.equal(value, before[key]) for key, value in temporal_of(again).items())


def test_the_pose_guider_starts_from_a_controlnet(settings, network, stable_diffusion, tmp_path):
    """As the published training: all of its encoder but the last convolution, which is zero."""
    shapes = {k: v for k, v in network.unet.to_diffusers().items() if k != "_class_name"}
    del shapes["up_block_types"], shapes["out_channels"]
    control = ControlNetModel(**shapes, conditioning_embedding_out_channels=(4, 4, 8, 8))
    torch.nn.init.ones_(control.controlnet_cond_embedding.conv_out.weight)
    control.save_pretrained(tmp_path)
    networks = networks_of(
        from_files(settings, unet=str(stable_diffusion[0]), pose_guider=str(tmp_path))
    )
    encoder = control.controlnet_cond_embedding.state_dict()
    for name, value in networks.pose_guider.state_dict().items():
        wanted = torch.zeros_like(value) if "conv_out" in name else encoder[name]
        assert torch.equal(value, wanted), name
        assert value.dtype == torch.float32


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"cross_attention_dim": 16},
            r"init\.image_encoder gives 8 numbers a picture, the UNet takes 16\.",
        ),
        (
            {"in_channels": 8, "out_channels": 8},
            r"init\.vae gives 4 latent channels, the UNet takes 8\.",
        ),
    ],
)
def test_encoders_of_another_model_are_refused(settings, tmp_path, changes, message):
    config = make_config(TrainConfig, merge(settings, {"network": {"unet": changes}}))
    with pytest.raises(SettingsError, match=message):
        train(config, tmp_path)


def test_the_same_seed_makes_the_same_networks(settings):
    one, two, other = (
        networks_of(make_config(TrainConfig, merge(settings, {"seed": seed}))).state_dict()
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
    message = (
        r"ReferenceNet: 1 .* \(conv_in\.weight: needs \(16, 4, 3, 3\), file has \(8, 4, 3, 3\)\)"
    )
    with pytest.raises(MissingWeightsError, match=message):
        networks_of(config)


def test_a_file_that_lacks_weights_is_refused(settings, stable_diffusion, tmp_path):
    weights = {
        k: v
        for k, v in stable_diffusion[1].items()
        if not k.startswith(("conv_out", "conv_norm_out"))
    }
    del weights["conv_in.bias"]
    write_weights(tmp_path / "reference_unet.safetensors", weights)
    config = from_files(settings, unet=str(stable_diffusion[0]), reference=str(tmp_path))
    with pytest.raises(MissingWeightsError, match=r"ReferenceNet: 1 of .* such as conv_in\.bias"):
        networks_of(config)


def test_a_folder_without_weights_names_what_was_looked_for(settings, tmp_path):
    with pytest.raises(CheckpointError, match=r"has none of denoising_unet\.safetensors"):
        networks_of(from_files(settings, unet=str(tmp_path)))


def test_a_missing_image_encoder_is_named(settings):
    init = InitConfig(vae=settings["init"]["vae"])
    with pytest.raises(SettingsError, match=r"init\.image_encoder is missing"):
        load_frozen_encoders(init, torch.device("cpu"))


def test_what_a_built_in_model_shares_is_found_beside_it():
    """As `animate --models` finds it: the model that replaces has no ReferenceNet of its own."""
    files = {"kind": "files", "motion": "built-in-replace"}
    files |= dict.fromkeys(("unet", "reference", "pose_guider"), "built-in-replace")
    recipe = recipe_settings("builtin-replace-stage2")
    config = make_config(TrainConfig, merge(*recipe, {"init": files}))
    networks = make_networks(config.init, config.network, stage=2, seed=0)
    models, _ = load_models("built-in-replace")
    for ours, theirs in (
        (networks.denoising_unet, models.denoising_unet),
        (networks.reference_net, models.reference_net),
        (networks.pose_guider, models.pose_guider),
    ):
        weights = theirs.state_dict()
        assert all(torch.equal(weights[key], weight) for key, weight in ours.state_dict().items())
