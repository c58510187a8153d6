"""The codec's recipe at toy size."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from animate_anyone_core.checkpoints.latent_colors import read_latent_colors
from animate_anyone_core.checkpoints.model_folder import load_autoencoder
from animate_anyone_core.errors import SettingsError
from animate_anyone_core.lab.training.codec import (
    CodecConfig,
    PictureSet,
    make_codec,
    measure_codec,
    random_crops,
    to_pixels,
    train_codec,
)
from animate_anyone_core.lab.training.dancer_pictures import render_pictures
from animate_anyone_core.models.autoencoder import encode_picture

TINY = CodecConfig(
    latent_channels=4,
    width=8,
    encoder_blocks=(0, 0, 1, 1),
    decoder_blocks=(1, 1, 0, 0),
    pictures=(PictureSet(64, 3, 2),),
    crop=32,
    batch_size=4,
    num_steps=20,
    num_decoder_steps=60,
)


@pytest.fixture(scope="module")
def pictures():
    return render_pictures("train", 3, 2, 64, 64, seed=64)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("codec")
    seen = []
    codec = train_codec(TINY, folder, lambda done, total: seen.append((done, total)))
    return codec, folder, seen


@pytest.mark.slow
def test_training_lowers_the_error(trained, pictures):
    torch.manual_seed(0)
    before = measure_codec(make_codec(TINY), pictures)["psnr"]
    assert measure_codec(trained[0], pictures)["psnr"] > before + 2


@pytest.mark.slow
def test_steps_of_both_phases_are_reported(trained):
    assert trained[2] == [(step, 80) for step in range(1, 81)]


@pytest.mark.slow
def test_the_written_folder_loads_and_scales_latents_to_one(trained, pictures):
    codec = load_autoencoder(trained[1])
    scores = measure_codec(codec, pictures)
    assert scores["latent_std"] == pytest.approx(1.0, abs=0.05)
    assert codec.config.latent_channels == TINY.latent_channels
    assert scores["psnr"] == pytest.approx(measure_codec(trained[0], pictures)["psnr"], abs=0.1)


@pytest.mark.slow
def test_the_written_folder_knows_the_colors_of_its_latents(trained, pictures):
    colors = read_latent_colors(trained[1], TINY.latent_channels)
    pixels = to_pixels(pictures.frames)
    small = torch.nn.functional.interpolate(pixels, scale_factor=1 / 8, mode="area")
    shown = colors.apply(encode_picture(trained[0], pixels))
    assert (shown - small).square().mean() < 0.5 * (small - small.mean()).square().mean()


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights(trained, tmp_path):
    again = train_codec(TINY, tmp_path)
    for name, weight in again.state_dict().items():
        assert torch.equal(weight, trained[0].state_dict()[name]), name


@pytest.mark.slow
def test_the_second_phase_leaves_the_latents_alone(trained, tmp_path):
    train_codec(replace(TINY, num_decoder_steps=0), tmp_path)
    first, second = load_autoencoder(tmp_path), load_autoencoder(trained[1])
    for name, weight in second.encoder.state_dict().items():
        assert torch.equal(weight, first.encoder.state_dict()[name]), name
    assert second.config.scaling_factor == first.config.scaling_factor
    changed = [
        not torch.equal(weight, first.decoder.state_dict()[name])
        for name, weight in second.decoder.state_dict().items()
    ]
    assert all(changed)


def test_crops_are_in_the_vae_range_and_of_the_asked_size(pictures):
    crops = random_crops([pictures], 40, 3, np.random.default_rng(0))
    assert crops.shape == (3, 3, 40, 40)
    assert crops.min() >= -1
    assert crops.max() <= 1
    assert crops.std() > 0.1


def test_a_crop_that_is_no_multiple_of_8_is_refused():
    with pytest.raises(SettingsError, match=r"Crops must be multiples of 8, at least 16, got 60\."):
        CodecConfig(crop=60)


def test_training_without_steps_is_refused():
    with pytest.raises(SettingsError, match="at least 1 step and 1 crop a step, got 0 and 16"):
        CodecConfig(num_steps=0)
