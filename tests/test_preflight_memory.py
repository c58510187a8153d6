"""A run that cannot fit is refused before it starts, with a size that would."""

import re

import pytest

from animate_anyone_core.errors import SettingsError
from animate_anyone_core.preflight.memory import check_fits, needed_bytes

GIGABYTE = 1024**3


@pytest.fixture
def free(monkeypatch):
    """Set what is free."""
    return lambda count: monkeypatch.setattr(
        "animate_anyone_core.models.memory.free_memory", lambda: count
    )


def test_what_is_needed_grows_with_area_window_and_clip(unet):
    one = needed_bytes(unet, 64, 64, 8, 8)
    assert needed_bytes(unet, 128, 64, 8, 8) == pytest.approx(2 * one, rel=1e-3)
    assert needed_bytes(unet, 64, 64, 8, 16) > 1.5 * one
    assert needed_bytes(unet, 64, 64, 80, 8) > one


def test_a_size_that_fits_is_told_and_fits(unet, free):
    free(2 * GIGABYTE)
    with pytest.raises(SettingsError) as caught:
        check_fits(unet, (4096, 4096), 24, 12, 3.5)
    message = str(caught.value)
    assert message.startswith("24 frames of 4096x4096 pixels in windows of 12 need about ")
    assert "2.0 GB are free" in message
    width, height = map(int, re.search(r"(\d+)x(\d+) would fit", message).groups())
    assert width % 8 == height % 8 == 0
    assert needed_bytes(unet, width, height, 24, 24) <= 2 * GIGABYTE
    assert needed_bytes(unet, width + 64, height + 64, 24, 24) > 2 * GIGABYTE
    check_fits(unet, (width, height), 24, 12, 3.5)


def test_a_clip_whose_length_is_not_known_yet_is_taken_for_a_window(unet, free):
    free(GIGABYTE)
    with pytest.raises(SettingsError, match="12 frames of 4096x4096 pixels in windows of 12"):
        check_fits(unet, (4096, 4096), 0, 12, 3.5)


def test_the_clip_costs_its_latents_alone(unet):
    """Beyond what two windows keep: four sets of latents, 1/64 of the pixels each."""
    channels, element = unet.config.in_channels, unet.conv_in.weight.element_size()
    more = needed_bytes(unet, 64, 64, 1048, 8) - needed_bytes(unet, 64, 64, 48, 8)
    assert more == pytest.approx(1000 * 64 * channels * element * 4)


def test_without_a_measure_nothing_is_refused(unet, free):
    free(None)
    check_fits(unet, (4096, 4096), 10_000, 12, 3.5)
