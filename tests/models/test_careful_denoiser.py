"""The UNet where memory is short or numbers overflow: the same prediction, or a sentence that helps."""

import copy
import re
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from animate_anyone_core.errors import NotFiniteError, SettingsError
from animate_anyone_core.models import careful_denoiser, memory
from animate_anyone_core.models.autoencoder import decode_frames
from animate_anyone_core.models.careful_denoiser import CarefulDenoiser
from animate_anyone_core.models.denoising_unet import DenoisingUNet
from animate_anyone_core.models.memory import activation_bytes
from animate_anyone_core.models.references import Reference, RegionalReference
from tests.random_weights import randomise

HALVES = "Out of memory: going on with one half of guidance at a time."
PIECES = "Out of memory: going on with attention in pieces."


@pytest.fixture
def call(unet, reference_net, normal):
    """Call a denoiser with both halves of guidance for a window of 3 frames of 64x48 pixels."""
    width = unet.config.cross_attention_dim
    with torch.no_grad():
        features = reference_net(normal(1, 4, 6, 8), normal(1, 1, width))
    appearance = torch.cat([torch.zeros(1, 1, width), normal(1, 1, width)])
    reference = Reference(appearance, features)
    sample = normal(1, 4, 3, 6, 8).expand(2, -1, -1, -1, -1)
    pose = normal(1, unet.config.block_out_channels[0], 3, 6, 8)

    @torch.no_grad()
    def predict(denoiser, dtype=torch.float32, **changes):
        given = {"sample": sample, "reference": reference, "pose": pose} | changes
        given = careful_denoiser._in_type(given, dtype)
        return denoiser(
            given["sample"],
            torch.tensor(500),
            given["reference"],
            strengths=(0.0, 1.0),
            pose=given["pose"],
        )

    predict.feature_shapes = {path: tokens.shape[1:] for path, tokens in features.items()}
    return predict


@pytest.fixture
def kernel(monkeypatch):
    """Patch the kernel: it may look at every call before it works; counts them."""
    real = F.scaled_dot_product_attention

    def patch(before):
        calls = []

        def patched(q, *rest, **named):
            calls.append(len(q))
            before(len(calls), q)
            return real(q, *rest, **named)

        monkeypatch.setattr(F, "scaled_dot_product_attention", patched)
        return calls

    return patch


def full(*_):
    raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def full_at(*numbers):
    return lambda number, q: full() if number in numbers else None


def test_where_there_is_memory_it_is_the_unet(unet, call, caplog):
    assert torch.equal(call(CarefulDenoiser(unet)), call(unet))
    assert not caplog.messages


@pytest.mark.parametrize("number", [1, 2, 5])
def test_the_halves_of_guidance_one_after_the_other(unet, call, kernel, caplog, number):
    expected = call(unet)
    denoiser = CarefulDenoiser(unet)
    kernel(full_at(number))
    assert_close(call(denoiser), expected, rtol=1e-5, atol=1e-5)
    assert caplog.messages == [HALVES]
    call(denoiser)  # what did not fit is not tried again
    assert caplog.messages == [HALVES]


def test_several_characters_one_half_after_the_other(unet, call, kernel, caplog, normal):
    """Each further character's tokens have a row for each half, too."""
    width = unet.config.cross_attention_dim

    def seen():
        return torch.cat([torch.zeros(1, 1, width), normal(1, 1, width)])

    with_features = {p: normal(1, n, d) for p, (n, d) in call.feature_shapes.items()}
    where = torch.zeros(3, 6, 8)
    where[:, :, 4:] = 1
    other = RegionalReference(Reference(seen(), with_features), where)
    reference = Reference(seen(), with_features, others=(other,))
    expected = call(unet, reference=reference)
    kernel(full_at(1))
    out = call(CarefulDenoiser(unet), reference=reference)
    assert_close(out, expected, rtol=1e-5, atol=1e-5)
    assert caplog.messages == [HALVES]


def test_then_attention_in_pieces(unet, call, kernel, caplog):
    expected = call(unet)
    before = kernel(full_at(2, 4))
    assert_close(call(CarefulDenoiser(unet)), expected, rtol=1e-5, atol=1e-5)
    assert caplog.messages == [HALVES, PIECES]
    assert max(before[4:]) < max(before[:4])


@pytest.mark.parametrize("extra", [4, 5])
@pytest.mark.parametrize(("short", "told"), [((1,), [HALVES]), ((2, 4), [HALVES, PIECES])])
def test_a_video_around_the_character_where_memory_is_short(
    unet, call, kernel, caplog, normal, extra, short, told
):
    """Input channels behind the noisy latents, MIMO's and AnyCharV's, go with every half and piece."""
    config = replace(unet.config, in_channels=unet.config.out_channels + extra)
    wide = randomise(DenoisingUNet(config, unet.temporal), 5)
    sample = normal(1, config.in_channels, 3, 6, 8).expand(2, -1, -1, -1, -1)
    expected = call(wide, sample=sample)
    blank = torch.cat([sample[:, :4], torch.zeros_like(sample[:, 4:])], dim=1)
    assert not torch.allclose(call(wide, sample=blank), expected, atol=1e-3)
    kernel(full_at(*short))
    assert_close(call(CarefulDenoiser(wide), sample=sample), expected, rtol=1e-5, atol=1e-5)
    assert caplog.messages == told


def test_then_a_sentence_with_a_window_that_would_fit(unet, call, kernel, monkeypatch):
    kernel(full)
    free = int(activation_bytes(unet.config, 1, 6, 8, 4)) + 1
    monkeypatch.setattr(memory, "free_memory", lambda: free)
    with pytest.raises(SettingsError) as error:
        call(CarefulDenoiser(unet))
    assert str(error.value) == (
        "There is not enough memory for a window of 3 frames of 64x48 pixels, even with one half of "
        "guidance at a time and attention in pieces: 0.0 GB are free. A window of 1 frames would "
        "fit: give --window 1."
    )


def test_or_with_a_size_that_would(unet, call, kernel, monkeypatch):
    kernel(full)
    one = activation_bytes(unet.config, 1, 6, 8, 4)
    monkeypatch.setattr(memory, "free_memory", lambda: int(one / 4) + 1)
    with pytest.raises(SettingsError) as error:
        call(CarefulDenoiser(unet))
    width, height = map(int, re.search(r"(\d+)x(\d+) pixels would fit", str(error.value)).groups())
    assert (width, height) == (32, 24)
    assert activation_bytes(unet.config, 1, height // 8, width // 8, 4) <= 1.02 * one / 4


def test_other_errors_are_left(unet, call, kernel):
    def broken(*_):
        raise RuntimeError("no kernel image")

    kernel(broken)
    with pytest.raises(RuntimeError, match="no kernel image"):
        call(CarefulDenoiser(unet))


class TestNumbers:
    def test_nan_is_told_with_its_layer(self, unet, call):
        layer = unet.up_blocks[0].resnets[0].conv1
        handle = layer.register_forward_hook(lambda *_: torch.full_like(_[2], torch.nan))
        try:
            with pytest.raises(NotFiniteError) as error:
                call(CarefulDenoiser(unet))
        finally:
            handle.remove()
        assert str(error.value) == (
            "NaN or infinite numbers came up in the layer up_blocks.0.resnets.0.conv1. Check the "
            "weights with `inspect`, or compute in another precision: --dtype float32."
        )
        assert not any(m._forward_hooks for m in unet.modules())  # the watch is over

    @pytest.mark.parametrize(("name", "words"), [("sample", "the latents"), ("pose", "the poses")])
    def test_nan_that_came_in_is_told(self, unet, call, normal, name, words):
        shape = (
            (2, 4, 3, 6, 8) if name == "sample" else (1, unet.config.block_out_channels[0], 3, 6, 8)
        )
        with pytest.raises(NotFiniteError, match=f"^NaN or infinite numbers came up in {words}"):
            call(CarefulDenoiser(unet), **{name: torch.full(shape, torch.nan)})

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_overflow_in_half_precision_is_computed_in_a_wider_type(
        self, unet, call, caplog, dtype
    ):
        """A layer whose numbers are beyond the type's largest, for lack of a model that has one."""
        expected = call(unet)
        unet = copy.deepcopy(unet)
        layer = unet.mid_block.resnets[0].conv1
        layer.register_forward_hook(
            lambda *_: _[2] if _[2].dtype == torch.float32 else _[2] * torch.inf
        )
        denoiser = CarefulDenoiser(unet.to(dtype))
        out, again = call(denoiser, dtype), call(denoiser, dtype)
        assert out.dtype == dtype
        assert_close(out.float(), expected, rtol=0.05, atol=0.1)
        assert torch.equal(out, again)
        assert caplog.messages == [
            "Half precision overflows in the layer mid_block.resnets.0.conv1: going on in float32."
        ]


class TestDecoding:
    @pytest.fixture
    def latents(self, normal):
        return normal(1, 4, 7, 4, 5)

    @pytest.mark.parametrize(("most", "said"), [(3, [2]), (1, [2, 1])])
    def test_fewer_frames_at_a_time(self, vae, latents, monkeypatch, caplog, most, said):
        expected = torch.cat(list(decode_frames(vae, latents)))
        decode = type(vae).decode
        monkeypatch.setattr(
            type(vae), "decode", lambda self, z: full() if len(z) > most else decode(self, z)
        )
        assert_close(torch.cat(list(decode_frames(vae, latents))), expected, rtol=1e-4, atol=1e-5)
        assert caplog.messages == [f"Out of memory: decoding {n} frames at a time." for n in said]

    def test_a_single_frame_that_does_not_fit(self, vae, latents, monkeypatch):
        monkeypatch.setattr(type(vae), "decode", full)
        with pytest.raises(SettingsError) as error:
            list(decode_frames(vae, latents))
        assert str(error.value) == (
            "There is not enough memory to decode a single frame of 40x32 pixels. Half of the sides "
            "needs a quarter: --width 16 --height 16."
        )

    def test_no_frame_is_no_frame(self, vae, latents):
        assert list(decode_frames(vae, latents[:, :, :0])) == []
