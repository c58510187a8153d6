"""The map from latents to colors, for previews."""

import json
from dataclasses import asdict

import pytest
import torch
from diffusers import AutoencoderTiny
from torch.nn import functional as F
from torch.testing import assert_close

from animate_anyone_core.checkpoints.latent_colors import (
    FILE_NAME,
    LatentColors,
    film_strip,
    fit_latent_colors,
    latent_colors_of,
    read_latent_colors,
    write_latent_colors,
)
from animate_anyone_core.errors import SettingsError, ShapeError


@pytest.fixture
def colors():
    rows = torch.linspace(-0.5, 0.5, 48).reshape(16, 3)
    return LatentColors(
        tuple(tuple(round(v, 4) for v in row) for row in rows.tolist()), (0.1, 0, -0.2)
    )


def test_a_linear_codec_is_found_exactly(colors, normal):
    """Pictures that are the map's own: the least squares are zero, and the map comes back."""
    latents = normal(3, 16, 6, 10)
    pixels = F.interpolate(colors.apply(latents), scale_factor=8.0, mode="nearest")
    found = fit_latent_colors(latents, pixels)
    assert_close(torch.tensor(found.factors), torch.tensor(colors.factors), rtol=0, atol=1e-4)
    assert_close(torch.tensor(found.offset), torch.tensor(colors.offset), rtol=0, atol=1e-4)


def test_no_other_map_comes_nearer(normal, randomise):
    vae = randomise(
        AutoencoderTiny(
            latent_channels=16,
            encoder_block_out_channels=(8,) * 4,
            decoder_block_out_channels=(8,) * 4,
        )
    )
    pixels = F.interpolate(normal(6, 3, 6, 8), scale_factor=8.0, mode="bilinear").clamp(-1, 1)
    best = latent_colors_of(vae, pixels, chunk=4)
    latents = vae.encode(pixels).latents * vae.config.scaling_factor
    small = F.interpolate(pixels, latents.shape[-2:], mode="area")

    def error(colors):
        return float((colors.apply(latents) - small).square().mean())

    assert len(best.factors) == 16
    for channel in (0, 7, 15):
        rows = [list(row) for row in best.factors]
        rows[channel][1] += 0.05
        assert error(LatentColors(tuple(map(tuple, rows)), best.offset)) > error(best)
    assert error(best) < error(LatentColors(((0.0, 0.0, 0.0),) * 16, (0.0, 0.0, 0.0)))


def test_too_few_cells_are_refused(normal):
    with pytest.raises(ShapeError, match=r"need more than 16 cells, got 4\. Give more pictures"):
        fit_latent_colors(normal(1, 16, 2, 2), normal(1, 3, 16, 16))


def test_the_file_comes_back_as_it_was_written(tmp_path, colors):
    write_latent_colors(tmp_path, colors)
    assert read_latent_colors(tmp_path, 16) == colors


def test_a_folder_without_the_file_or_for_other_latents_has_none(tmp_path, colors):
    assert read_latent_colors(tmp_path, 16) is None
    write_latent_colors(tmp_path, colors)
    assert read_latent_colors(tmp_path, 4) is None


def test_a_damaged_file_says_what_belongs_there(tmp_path, colors):
    path = tmp_path / FILE_NAME
    path.write_text(json.dumps({**asdict(colors), "offset": [1, 2]}))
    with pytest.raises(ShapeError, match=r"as many rows as latent channels.*Delete the file"):
        read_latent_colors(tmp_path, 16)
    path.write_text("no JSON")
    with pytest.raises(SettingsError, match="is not JSON"):
        read_latent_colors(tmp_path, 16)


def test_a_film_strip_shows_frames_from_the_first_to_the_last(normal):
    tall = normal(9, 4, 6, 3)
    strip = film_strip(tall)
    assert strip.shape == (1, 4, 6, 12)
    for place, frame in enumerate((0, 3, 5, 8)):
        assert torch.equal(strip[0, :, :, 3 * place : 3 * place + 3], tall[frame])
    wide = normal(3, 4, 2, 5)
    strip = film_strip(wide)
    assert strip.shape == (1, 4, 4, 10)
    assert torch.equal(strip[0, :, :2, 5:], wide[1])
    assert torch.equal(strip[0, :, 2:, :5], wide[2])
    assert not strip[0, :, 2:, 5:].any()
    assert torch.equal(film_strip(tall[:1]), tall[:1])
