"""What a network makes: numbers, or a sentence that says which one made none."""

import logging

import pytest
import torch
from diffusers import AutoencoderTiny

from animate_anyone_core.errors import NotFiniteError
from animate_anyone_core.models.autoencoder import decode_frames, encode_picture
from animate_anyone_core.models.finite import check_finite_output


def test_numbers_pass():
    check_finite_output("the VAE", torch.ones(3), torch.full((2,), float("nan")), "Help.")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_made_them_is_named(value):
    spoilt = torch.tensor([0.0, value])
    with pytest.raises(NotFiniteError, match=r"numbers came out of the VAE\. Help\.$"):
        check_finite_output("the VAE", spoilt, torch.ones(2), "Help.")
    with pytest.raises(NotFiniteError, match="went into the VAE: what comes before it made them"):
        check_finite_output("the VAE", spoilt, spoilt, "Help.")


@pytest.fixture
def vae():
    torch.manual_seed(0)
    channels = {"encoder_block_out_channels": (8,) * 4, "decoder_block_out_channels": (8,) * 4}
    blocks = {"num_encoder_blocks": (1,) * 4, "num_decoder_blocks": (1,) * 4}
    return AutoencoderTiny(**channels, **blocks).eval()


def test_a_vae_that_makes_nan_is_named(vae):
    with torch.no_grad():
        vae.decoder.layers[0].bias[0] = float("nan")
        vae.encoder.layers[0].bias[0] = float("nan")
    with pytest.raises(NotFiniteError, match="came out of the VAE"):
        list(decode_frames(vae, torch.zeros(1, 4, 2, 3, 2)))
    with pytest.raises(NotFiniteError, match="came out of the VAE"):
        encode_picture(vae, torch.zeros(1, 3, 24, 16))


def test_latents_that_are_nan_are_no_fault_of_the_vae(vae):
    latents = torch.zeros(1, 4, 2, 3, 2)
    latents[0, 0, 1] = float("nan")
    made = decode_frames(vae, latents, chunk_frames=1)
    assert next(made).shape == (1, 3, 24, 16)  # the first frame is there
    with pytest.raises(NotFiniteError, match="went into the VAE"):
        next(made)


def test_where_half_precision_overflows_a_clip_is_decoded_in_float32(vae, monkeypatch, caplog):
    """A network that computes NaN in every type but float32."""
    plain = vae.decode

    def overflowing(latents):
        made = plain(latents)
        return made if vae.dtype == torch.float32 else type(made)(sample=made.sample * float("nan"))

    expected = torch.cat(list(decode_frames(vae, latents := torch.ones(1, 4, 3, 3, 2))))
    monkeypatch.setattr(vae, "decode", overflowing)
    with caplog.at_level(logging.WARNING):
        made = torch.cat(list(decode_frames(vae.to(torch.bfloat16), latents.to(torch.bfloat16), 2)))
    assert [r.message for r in caplog.records if "Half" in r.message] == [
        "Half precision overflows in the VAE: decoding in float32."
    ]
    assert (made - expected).abs().max() < 0.05  # its weights were rounded once
