"""Pictures to latents and back."""

import pytest
import torch
from diffusers import AutoencoderTiny
from torch.testing import assert_close

from animate_anyone_core.models.autoencoder import decode_frames, encode_picture


@pytest.fixture(scope="module")
def tiny_vae(randomise):
    return randomise(
        AutoencoderTiny(
            encoder_block_out_channels=(8, 8, 8, 8), decoder_block_out_channels=(8, 8, 8, 8)
        )
    )


def test_latents_are_the_scaled_mean_and_no_sample(vae, normal):
    pixels = normal(2, 3, 24, 40).clamp(-1, 1)
    latents = encode_picture(vae, pixels)
    assert latents.shape == (2, 4, 3, 5)
    moments = vae.quant_conv(vae.encoder(pixels))
    assert_close(latents, moments[:, :4] * vae.config.scaling_factor)
    assert torch.equal(latents, encode_picture(vae, pixels))


def test_the_size_of_a_chunk_changes_nothing(vae, normal):
    latents = normal(1, 4, 5, 3, 2)
    whole = torch.cat(list(decode_frames(vae, latents, 5)))
    assert whole.shape == (5, 3, 24, 16)
    assert 0 <= whole.min() < whole.max() <= 1
    for chunk_frames in (1, 2):
        chunks = list(decode_frames(vae, latents, chunk_frames))
        assert max(map(len, chunks)) == chunk_frames
        assert_close(torch.cat(chunks), whole, rtol=0, atol=1e-5)


def test_frames_keep_their_order(vae, normal):
    latents = normal(1, 4, 3, 3, 2)
    forward = torch.cat(list(decode_frames(vae, latents)))
    backward = torch.cat(list(decode_frames(vae, latents.flip(2))))
    assert_close(forward.flip(0), backward, rtol=0, atol=1e-5)


def test_frames_are_decoded_only_when_asked_for(vae, normal):
    frames = decode_frames(vae, normal(1, 4, 3, 3, 2), 1)
    assert next(frames).shape == (1, 3, 24, 16)


def test_a_tiny_autoencoder_works_alike(tiny_vae, normal):
    latents = encode_picture(tiny_vae, normal(1, 3, 16, 24).clamp(-1, 1))
    assert latents.shape == (1, 4, 2, 3)
    frames = torch.cat(list(decode_frames(tiny_vae, latents[:, :, None])))
    assert frames.shape == (1, 3, 16, 24)
    assert 0 <= frames.min() <= frames.max() <= 1
