"""What the VAE and CLIP receive, against what they received in the reference implementation."""

import pytest
from PIL import Image

from animate_anyone_core.images import stretch, vae_pixels
from animate_anyone_core.models.image_encoder import clip_pixels


def picture(parity):
    if "preprocess/ref_image_u8" not in parity.inputs:
        pytest.skip("this fixture has no picture")
    return Image.fromarray(parity.inputs["preprocess/ref_image_u8"].numpy())


def test_vae_input(parity, compare):
    expected = parity.expected["preprocess/vae_input"]
    height, width = expected.shape[-2:]
    pixels = vae_pixels(stretch(picture(parity), width, height))
    compare("preprocess/vae_input", pixels, expected)


def test_clip_input(parity, compare):
    expected = parity.expected["preprocess/clip_pixel_values_strided4"]
    pixels = clip_pixels(picture(parity))[:, :, ::4, ::4]
    compare("preprocess/clip_pixel_values", pixels, expected)
