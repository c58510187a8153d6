"""What the VAE and CLIP receive, against what they received in the reference implementation."""

import pytest
import torch
from PIL import Image

from animate_anyone_core.images import stretch, vae_pixels
from animate_anyone_core.models.image_encoder import clip_pixels


def picture(parity):
    if "preprocess/ref_image_u8" not in parity.inputs:
        pytest.skip("this fixture has no picture")
    return Image.fromarray(parity.inputs["preprocess/ref_image_u8"].numpy())


def test_vae_input(parity):
    expected = parity.expected["preprocess/vae_input"]
    height, width = expected.shape[-2:]
    pixels = vae_pixels(stretch(picture(parity), width, height))
    torch.testing.assert_close(pixels, expected, rtol=0, atol=1e-6)


def test_clip_input(parity):
    expected = parity.expected["preprocess/clip_pixel_values_strided4"]
    pixels = clip_pixels(picture(parity))[:, :, ::4, ::4]
    torch.testing.assert_close(pixels, expected, rtol=0, atol=1e-6)
