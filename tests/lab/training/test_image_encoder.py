"""The image encoder's recipe at toy size."""

import numpy as np
import pytest
import torch
from PIL import Image

from animate_anyone_core.checkpoints.model_folder import load_image_encoder
from animate_anyone_core.lab.synthetic.characters import character_from_seed
from animate_anyone_core.lab.training.dancer_pictures import render_pictures
from animate_anyone_core.lab.training.image_encoder import (
    COLORS,
    ImageEncoderConfig,
    described_colors,
    measure_image_encoder,
    stretched,
    train_image_encoder,
)
from animate_anyone_core.models.image_encoder import (
    clip_pixels,
    encode_appearance,
    normalised_pixels,
)

TINY = ImageEncoderConfig(
    hidden=16, layers=1, projection=8, num_characters=6, per_character=2, batch_size=4, num_steps=8
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("image_encoder")
    train_image_encoder(TINY, folder)
    return folder


@pytest.fixture(scope="module")
def pictures():
    return render_pictures("train", 3, 2, 64, 64)


def test_the_written_folder_gives_appearance_tokens_of_about_unit_deviation(folder, pictures):
    encoder = load_image_encoder(folder)
    token = encode_appearance(encoder, Image.fromarray(pictures.frames[0]))
    assert token.shape == (1, 1, 8)
    assert 0.3 < measure_image_encoder(encoder, pictures)["token_std"] < 3
    assert (folder / "preprocessor_config.json").is_file()


def test_the_same_seed_gives_the_same_weights(folder, tmp_path):
    again = train_image_encoder(TINY, tmp_path).state_dict()
    for name, weight in load_image_encoder(folder).state_dict().items():
        assert torch.equal(weight, again[name].half().float()), name


def test_training_sees_pictures_as_inference_does(pictures):
    ours = normalised_pixels(stretched(pictures.frames[:1]))
    assert torch.allclose(ours, clip_pixels(Image.fromarray(pictures.frames[0])), atol=1e-5)


def test_described_colors_are_the_characters_and_the_background(pictures):
    colors = described_colors(pictures).unflatten(1, (len(COLORS), 3))
    skin = np.array(character_from_seed(int(pictures.characters[0])).skin) / 255
    assert np.allclose(colors[0, 0], skin, atol=1e-6)
    behind = pictures.frames[0][pictures.masks[0] == 0].mean(axis=0) / 255
    assert np.allclose(colors[0, -1], behind, atol=1e-6)
