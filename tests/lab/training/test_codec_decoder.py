"""The decoder's further training at toy size."""

import json
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from animate_anyone_core.checkpoints.builtin import BUILT_IN_FOLDER
from animate_anyone_core.checkpoints.model_folder import load_autoencoder
from animate_anyone_core.errors import SettingsError
from animate_anyone_core.evaluation.metrics import psnr
from animate_anyone_core.lab.training.codec import CodecConfig, make_codec, to_pixels
from animate_anyone_core.lab.training.codec_decoder import (
    DecoderConfig,
    MadeClips,
    MakerConfig,
    batches,
    decoder_loss,
    make_clips,
    strength,
    texture,
    train_decoder,
    write_decoder,
)
from animate_anyone_core.lab.training.dancer_pictures import render_pictures
from animate_anyone_core.models.autoencoder import decode_pictures

VAE = BUILT_IN_FOLDER / "vae"
SCALING = 1.25
TINY = DecoderConfig(
    makers=(MakerConfig("built-in-student", 2, 1),),
    num_frames=4,
    clips=2,
    neighbors=2,
    crops=2,
    crop=32,
    num_steps=30,
    learning_rate=0.02,
    ema_decay=0.9,
    reach=1.0,
)


@pytest.fixture(scope="module")
def pictures():
    return render_pictures("train", 3, 2, 64, 64, seed=64)


@pytest.fixture(scope="module")
def clips(pictures):
    """Two clips of six frames; their latents are all alike within a frame."""
    frames = np.stack([pictures.frames, pictures.frames[::-1]])
    levels = np.arange(12, dtype=np.float16).reshape(2, 6, 1, 1, 1)
    return MadeClips(np.broadcast_to(levels, (2, 6, 4, 8, 8)).copy(), frames)


@pytest.fixture
def codec():
    torch.manual_seed(0)
    codec = make_codec(
        CodecConfig(
            latent_channels=4, width=8, encoder_blocks=(0, 0, 1, 1), decoder_blocks=(1, 1, 0, 0)
        )
    )
    codec.register_to_config(scaling_factor=SCALING)
    return codec


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "student"
    return make_clips(TINY.makers[0], TINY, folder), folder


@pytest.mark.slow
def test_made_latents_show_the_frames_that_should_have_come_out(made):
    latents, frames = made[0]
    assert latents.shape == (2, 4, 16, 16, 16)
    assert frames.shape == (2, 4, 128, 128, 3)
    for clip, truth, others in zip(latents, frames, frames[::-1], strict=True):
        scaled = torch.from_numpy(clip.astype(np.float32)).transpose(0, 1)[None]
        shown = np.stack(list(decode_pictures(load_autoencoder(VAE), scaled)))
        assert psnr(shown, truth) > max(18, 3 + psnr(shown, others))


@pytest.mark.slow
def test_what_was_made_once_is_not_made_again(made):
    seen = []
    again = make_clips(TINY.makers[0], TINY, made[1], lambda *done: seen.append(done))
    assert not seen
    assert np.array_equal(again.latents, made[0].latents)


def test_batches_are_neighbors_and_their_truth(clips, pictures):
    flow = batches([clips], [pictures], SCALING, TINY)
    for batch in (next(flow) for _ in range(10)):
        assert batch.latents.shape == (4, 4, 8, 8)
        assert batch.crops.shape == (2, 3, 32, 32)
        levels = (batch.latents[:, 0, 0, 0] * SCALING).round().int()
        assert torch.equal(levels[1::2] - levels[::2], torch.ones(2, dtype=torch.int32))
        shown = clips.frames.reshape(-1, 64, 64, 3)[levels.numpy()]
        assert torch.equal(batch.truth, to_pixels(shown))


def test_texture_counts_how_much_varies_and_not_which_way():
    torch.manual_seed(0)
    pixels = torch.rand(2, 3, 32, 32) - 0.5
    assert torch.allclose(texture(torch.ones(1, 3, 16, 16)), torch.tensor(0.01))
    assert torch.allclose(texture(-pixels), texture(pixels))
    assert torch.allclose(texture(2 * pixels), 2 * texture(pixels), rtol=0.01)
    assert texture(F.avg_pool2d(pixels, 3, stride=1)).mean() < 0.5 * texture(pixels).mean()


def test_strength_counts_how_much_changes_and_not_which_way():
    torch.manual_seed(0)
    changes = torch.rand(2, 2, 3, 16, 16) - 0.5
    assert strength(changes).shape[0] == 4
    assert torch.allclose(strength(-changes), strength(changes))
    assert torch.allclose(strength(2 * changes), 2 * strength(changes), rtol=0.01)


def test_every_term_of_the_loss_counts(codec, clips, pictures):
    batch = next(batches([clips], [pictures], SCALING, TINY))

    def loss(**change):
        torch.manual_seed(0)
        return decoder_loss(codec, batch, replace(TINY, **change)).item()

    names = [name for name in vars(TINY) if name.endswith("_weight")]
    assert len(names) == 5
    for name in names:
        assert loss(**{name: 0.0}) < loss(**{name: 0.5}) < loss(**{name: 1.0}), name


def test_the_decoder_learns_and_the_encoder_stays(codec, clips, pictures):
    before = {name: weight.clone() for name, weight in codec.state_dict().items()}
    batch = next(batches([clips], [pictures], SCALING, replace(TINY, seed=5, clips=8)))
    seen = []

    def loss():
        torch.manual_seed(0)
        return decoder_loss(codec, batch, TINY).item()

    worse = loss()
    train_decoder(codec, [clips], [pictures], TINY, lambda *done: seen.append(done))
    assert loss() < 0.8 * worse
    assert seen == [(step, 30) for step in range(1, 31)]
    for name, weight in codec.state_dict().items():
        assert torch.equal(weight, before[name]) == name.startswith("encoder."), name


def test_the_average_of_the_weights_is_kept(codec, clips, pictures):
    at_steps = []

    def keep(done, total):
        at_steps.append(codec.decoder.layers[0].weight.detach().clone())

    train_decoder(codec, [clips], [pictures], replace(TINY, num_steps=2, ema_decay=0.5), keep)
    # decays of 2/11 and 3/12 of the growing average are the smaller ones; the start counts a little
    kept = codec.decoder.layers[0].weight
    assert not torch.equal(kept, at_steps[-1])
    assert (kept - at_steps[-1]).norm() < 0.5 * (at_steps[1] - at_steps[0]).norm() + 1e-3


@pytest.mark.parametrize("reach", [0.0, 0.5])
def test_a_part_of_the_way_is_kept(codec, clips, pictures, reach):
    short, other = replace(TINY, num_steps=3), deepcopy(codec)
    first = {name: weight.clone() for name, weight in codec.state_dict().items()}
    train_decoder(other, [clips], [pictures], short)
    train_decoder(codec, [clips], [pictures], replace(short, reach=reach))
    for name, weight in codec.state_dict().items():
        expected = first[name] + reach * (other.state_dict()[name] - first[name])
        assert torch.allclose(weight, expected, atol=1e-6), name


def test_the_written_codec_is_the_old_one_but_for_its_decoder(tmp_path):
    codec = load_autoencoder(VAE)
    with torch.no_grad():
        codec.decoder.layers[-1].bias += 0.5
    write_decoder(codec, VAE, tmp_path, TINY)
    for name in ("config.json", "latent_colours.json"):
        assert json.loads((tmp_path / name).read_text()) == json.loads((VAE / name).read_text())
    told, before = (json.loads((f / "training.json").read_text()) for f in (tmp_path, VAE))
    assert told["recipe"] == "builtin-codec-decoder"
    assert told["before"] == before.get("before", before)
    assert told["before"]["recipe"] == "builtin-codec"
    written, old = load_autoencoder(tmp_path).state_dict(), load_autoencoder(VAE).state_dict()
    changed = [name for name in old if not torch.equal(written[name], old[name])]
    assert len(changed) == 1
    assert changed[0].startswith("decoder.")


def test_a_crop_that_is_no_multiple_of_8_is_refused():
    with pytest.raises(SettingsError, match=r"Crops must be multiples of 8, at least 16, got 60\."):
        DecoderConfig(crop=60)


@pytest.mark.parametrize("neighbors", [1, 13])
def test_too_few_or_too_many_neighbors_are_refused(neighbors):
    with pytest.raises(SettingsError, match=f"from 2 neighboring frames.* got {neighbors} of 12"):
        DecoderConfig(neighbors=neighbors)


def test_training_without_steps_is_refused():
    with pytest.raises(SettingsError, match=r"at least 1 step.* got 0, 1, 2 and 8\."):
        DecoderConfig(num_steps=0)
