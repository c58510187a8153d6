"""The appearance token and the picture CLIP gets."""

import numpy as np
import torch
from PIL import Image
from torch.testing import assert_close

from animate_anyone_core.models.image_encoder import (
    CLIP_MEAN,
    CLIP_STD,
    clip_pixels,
    encode_appearance,
    stretch_for_clip,
)


def test_a_flat_picture_is_normalised_by_the_formula():
    pixels = clip_pixels(Image.new("RGB", (50, 30), (255, 0, 51)), 28)
    assert pixels.shape == (1, 3, 28, 28)
    for channel, value in enumerate((1.0, 0.0, 0.2)):
        expected = (value - CLIP_MEAN[channel]) / CLIP_STD[channel]
        assert_close(pixels[0, channel], torch.full((28, 28), expected), rtol=0, atol=1e-6)


def test_the_whole_picture_is_stretched_and_nothing_cut():
    """A wide picture: its left and right quarters keep their places, rows stay rows."""
    picture = np.zeros((40, 160, 3), np.uint8)
    picture[:, :40, 0] = 255
    picture[30:, :, 2] = 255
    stretched = np.asarray(stretch_for_clip(Image.fromarray(picture), 32))
    assert stretched.shape == (32, 32, 3)
    assert (stretched[2:22, :6, 0] > 240).all()
    assert (stretched[2:22, 10:, 0] < 15).all()
    assert (stretched[27:, :, 2] > 240).all()


def test_the_token_is_clips_projected_embedding_not_normalised(image_encoder):
    picture = Image.fromarray(
        np.arange(48 * 36 * 3, dtype=np.uint32).astype(np.uint8).reshape(48, 36, 3)
    )
    token = encode_appearance(image_encoder, picture)
    hidden = image_encoder.vision_model(clip_pixels(picture, 28)).pooler_output
    expected = image_encoder.visual_projection(hidden)[:, None]
    assert token.shape == (1, 1, 24)
    assert_close(token, expected, rtol=1e-5, atol=1e-6)
    assert abs(token.norm().item() - 1) > 1e-3
