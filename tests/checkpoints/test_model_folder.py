"""A whole model from a folder: complete, or a line that says what is missing or does not fit."""

import json
import random

import numpy as np
import pytest
import torch
from diffusers import AutoencoderTiny

from animate_anyone_core.checkpoints.model_folder import (
    load_models,
)
from animate_anyone_core.checkpoints.weight_files import read_weights, write_weights
from animate_anyone_core.errors import CheckpointError, MissingWeightsError, ShapeError
from animate_anyone_core.models.pose_guider import PublishedPoseGuider


def refusal(error_type, *args, **settings):
    with pytest.raises(error_type) as error:
        load_models(*args, **settings)
    assert "\n" not in str(error.value)
    return str(error.value)


def replace_file(path, content):
    path.unlink()
    path.write_bytes(content)


def test_a_folder_gives_all_networks_in_one_type(model_folder, unet, reference_net):
    models, reports = load_models(model_folder, dtype=torch.bfloat16)
    networks = (
        models.denoising_unet,
        models.reference_net,
        models.pose_guider,
        models.vae,
        models.image_encoder,
    )
    for network in networks:
        assert {p.dtype for p in network.parameters()} == {torch.bfloat16}
        assert not network.training
        assert not any(p.requires_grad for p in network.parameters())
    assert models.dtype == torch.bfloat16
    assert models.device == torch.device("cpu")
    assert models.profile.name == "moore"
    assert [report.network for report in reports] == ["DenoisingUNet", "ReferenceNet", "PoseGuider"]
    assert all(report.is_complete for report in reports)


def test_weights_are_those_of_the_files(model_folder, unet, reference_net, pose_guider, vae):
    models, _ = load_models(model_folder)
    for loaded, original in (
        (models.denoising_unet, unet),
        (models.reference_net, reference_net),
        (models.pose_guider, pose_guider),
        (models.vae, vae),
    ):
        for key, tensor in original.state_dict().items():
            assert torch.equal(loaded.state_dict()[key], tensor), key


def test_families_share_a_vae_and_an_encoder_beside_their_folders(own_model_folder, vae):
    family = own_model_folder / "moore"
    family.mkdir()
    for path in list(own_model_folder.glob("*.*")):
        path.rename(family / path.name)
    models, _ = load_models(family)
    for key, tensor in vae.state_dict().items():
        assert torch.equal(models.vae.state_dict()[key], tensor), key
    (family / "vae").mkdir()
    assert "There is no VAE in" in refusal(CheckpointError, family), "its own folder comes first"


def test_global_random_states_are_left_as_they_were(model_folder):
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    load_models(model_folder)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()
    assert random.getstate() == before[2]


def test_pickles_do_as_well_and_safetensors_come_first(own_model_folder):
    for name in ("denoising_unet", "motion_module", "reference_unet", "pose_guider"):
        path = own_model_folder / f"{name}.safetensors"
        torch.save(read_weights(path), path.with_suffix(".pth"))
        if name != "pose_guider":
            path.unlink()
    (own_model_folder / "pose_guider.pth").write_text("not looked at")
    models, _ = load_models(own_model_folder)
    assert models.denoising_unet.temporal.max_frames == 12


def test_one_file_needs_no_motion_module(own_model_folder, published_files):
    (own_model_folder / "motion_module.safetensors").unlink()
    path = own_model_folder / "denoising_unet.safetensors"
    path.unlink()
    write_weights(path, published_files["denoising_unet"] | published_files["motion_module"])
    load_models(own_model_folder)


def test_vae_and_image_encoder_may_lie_elsewhere(own_model_folder, tmp_path):
    (own_model_folder / "vae").rename(tmp_path / "my_vae")
    (own_model_folder / "image_encoder").rename(tmp_path / "my_clip")
    load_models(own_model_folder, vae=tmp_path / "my_vae", image_encoder=tmp_path / "my_clip")


def test_a_tiny_autoencoder_may_stand_in(own_model_folder, tmp_path):
    AutoencoderTiny(
        encoder_block_out_channels=(8, 8, 8, 8), decoder_block_out_channels=(8, 8, 8, 8)
    ).save_pretrained(tmp_path / "taesd")
    models, _ = load_models(own_model_folder, vae=tmp_path / "taesd")
    assert isinstance(models.vae, AutoencoderTiny)


class TestRefusals:
    def test_no_folder(self, tmp_path):
        path = tmp_path / "none"
        assert refusal(CheckpointError, path) == f"There is no folder {path}."

    @pytest.mark.parametrize("name", ["denoising_unet", "reference_unet", "pose_guider"])
    def test_a_missing_file(self, own_model_folder, name):
        (own_model_folder / f"{name}.safetensors").unlink()
        assert refusal(CheckpointError, own_model_folder) == (
            f"{own_model_folder} has no {name}.safetensors (or .pth). The folder must hold "
            "denoising_unet, reference_unet, motion_module and pose_guider under their published "
            "names."
        )

    def test_a_missing_motion_module(self, own_model_folder):
        (own_model_folder / "motion_module.safetensors").unlink()
        assert "has no temporal layers" in refusal(MissingWeightsError, own_model_folder)

    @pytest.mark.parametrize(
        ("name", "what", "layout"),
        [("vae", "VAE", "diffusers"), ("image_encoder", "image encoder", "transformers")],
    )
    def test_a_missing_part_folder(self, own_model_folder, name, what, layout):
        (own_model_folder / name / "config.json").unlink()
        assert refusal(CheckpointError, own_model_folder) == (
            f"There is no {what} in {own_model_folder / name}: config.json is missing. Give a "
            f"folder in {layout} layout."
        )

    def test_a_vae_of_another_kind(self, own_model_folder):
        path = own_model_folder / "vae" / "config.json"
        replace_file(path, json.dumps({"_class_name": "VQModel"}).encode())
        assert refusal(CheckpointError, own_model_folder) == (
            f"{own_model_folder / 'vae'}: a VAE's config.json names one of AutoencoderKL, "
            "AutoencoderTiny, got 'VQModel'."
        )

    def test_an_encoder_of_another_kind(self, own_model_folder):
        path = own_model_folder / "image_encoder" / "config.json"
        replace_file(path, json.dumps({"model_type": "dinov2"}).encode())
        assert refusal(CheckpointError, own_model_folder) == (
            f"{own_model_folder / 'image_encoder'}: an image encoder's config.json has model_type "
            "clip_vision_model, got 'dinov2'."
        )

    @pytest.mark.parametrize(
        "path", ["vae/diffusion_pytorch_model.safetensors", "image_encoder/model.safetensors"]
    )
    def test_a_part_with_damaged_or_no_weights(self, own_model_folder, path):
        path = own_model_folder / path
        content = path.read_bytes()
        replace_file(path, content[:-10])
        assert f"{path.name} is cut short" in refusal(CheckpointError, own_model_folder)
        path.unlink()
        assert refusal(CheckpointError, own_model_folder).startswith(
            f"{path.parent} has no weights"
        )

    @pytest.mark.parametrize(
        "path", ["vae/diffusion_pytorch_model.safetensors", "image_encoder/model.safetensors"]
    )
    def test_a_part_with_nan(self, own_model_folder, path):
        path = own_model_folder / path
        weights = read_weights(path)
        key = sorted(weights)[0]
        weights[key] = torch.full_like(weights[key], float("nan"))
        path.unlink()
        write_weights(path, weights)
        assert f"{key} in {path.name} holds NaN" in refusal(CheckpointError, own_model_folder)

    def test_a_config_json_of_another_unet(self, own_model_folder):
        (own_model_folder / "config.json").write_text("{}")  # Stable Diffusion 1.5
        assert "config.json to another UNet" in refusal(MissingWeightsError, own_model_folder)

    def test_a_guider_of_another_model(self, own_model_folder):
        path = own_model_folder / "pose_guider.safetensors"
        path.unlink()
        write_weights(path, PublishedPoseGuider((4, 8), 48).state_dict())
        assert refusal(ShapeError, own_model_folder) == (
            "The networks do not belong together: the denoising UNet expects 32, the Pose Guider "
            "hands over 48 channels. Use files of one model."
        )
