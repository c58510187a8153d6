"""Temporal layers: what ties frames together, and what must not."""

import math

import pytest
import torch
from diffusers import MotionAdapter
from torch.testing import assert_close

from animate_anyone_core.models import temporal
from animate_anyone_core.models.attention import scaled_dot_product, self_attention
from animate_anyone_core.models.denoising_unet import DenoisingUNet
from animate_anyone_core.models.temporal import sinusoidal_positions, temporal_layer

FRAMES = 5


@pytest.fixture(scope="module")
def layer(unet):
    return unet.get_submodule("down_blocks.0.motion_modules.0")


@pytest.fixture
def x(normal):
    return normal(FRAMES, 32, 3, 4)


def run(layer, x, frames=FRAMES):
    return temporal_layer(layer, x, frames, scaled_dot_product)


def added(layer, x, frames=FRAMES):
    """What the layer adds to its input."""
    return run(layer, x, frames) - x


def test_position_table_is_the_papers_formula():
    table = sinusoidal_positions(7, 6)
    for frame in range(7):
        for i in range(3):
            angle = frame / 10000 ** (2 * i / 6)
            assert table[frame, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-6)
            assert table[frame, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-6)


def test_a_shorter_table_is_the_start_of_a_longer_one():
    assert torch.equal(sinusoidal_positions(5, 32), sinusoidal_positions(32, 32)[:5])


@pytest.mark.parametrize("frames", [24, 32])
def test_the_table_is_the_one_of_diffusers_class(frames):
    """Its class reads the published files, which keep their tables."""
    adapter = MotionAdapter((32, 64), 1, 1, 2, 8, motion_max_seq_length=frames)
    tables = [value[0] for key, value in adapter.state_dict().items() if key.endswith(".pe")]
    assert {tuple(table.shape) for table in tables} == {(frames, 32), (frames, 64)}
    for table in tables:
        assert_close(table, sinusoidal_positions(*table.shape), rtol=0, atol=2e-6)


def test_a_layer_whose_output_starts_at_zero_changes_nothing(tiny_config, tiny_temporal, x):
    fresh = DenoisingUNet(tiny_config, tiny_temporal).get_submodule("mid_block.motion_modules.0")
    torch.nn.init.zeros_(fresh.proj_out.weight)
    torch.nn.init.zeros_(fresh.proj_out.bias)
    maps = x.repeat(1, 2, 1, 1)
    assert torch.equal(run(fresh, maps), maps)


def test_cells_do_not_see_each_other(layer, x):
    """Moving the cells about moves the result about: only frames are tied together."""
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    moved = x.flatten(2)[:, :, order].unflatten(2, (3, 4))
    expected = run(layer, x).flatten(2)[:, :, order].unflatten(2, (3, 4))
    assert_close(run(layer, moved), expected, rtol=1e-5, atol=1e-5)


def test_rows_do_not_see_each_other(layer, normal):
    rows = normal(2 * FRAMES, 32, 3, 4)
    expected = torch.cat([run(layer, rows[:FRAMES]), run(layer, rows[FRAMES:])])
    assert_close(run(layer, rows), expected, rtol=1e-5, atol=1e-5)


def test_the_norm_is_taken_frame_by_frame(layer, x):
    """A louder frame sounds the same after its norm, so what is added stays; with statistics over
    all frames (as diffusers takes them) everything would change."""
    louder = x.clone()
    louder[2] *= 10
    assert_close(added(layer, louder), added(layer, x), rtol=1e-3, atol=1e-4)


def test_a_single_frame_sees_itself_alone(layer, x, monkeypatch):
    """Attention over one frame is that frame's value: what the whole attention gives, too."""
    short = run(layer, x[:1], frames=1)

    def attend(attn, token):
        return self_attention(attn, token, scaled_dot_product)

    monkeypatch.setattr(temporal, "attention_to_one", attend)
    assert_close(short, run(layer, x[:1], frames=1))


def test_frames_are_tied_together(layer, x):
    changed = x.clone()
    changed[4] = -changed[4]
    difference = (added(layer, changed) - added(layer, x)).abs().amax(dim=(1, 2, 3))
    assert (difference > 1e-3).all()


def test_only_positions_tell_frames_apart(layer, x, monkeypatch):
    """Without them, frames in another order give the result in that order; with them they do not."""
    order = torch.tensor([3, 0, 4, 1, 2])
    assert not torch.allclose(run(layer, x[order]), run(layer, x)[order], atol=1e-2)
    monkeypatch.setattr(
        temporal, "sinusoidal_positions", lambda f, d, device="cpu": torch.zeros(f, d)
    )
    assert_close(run(layer, x[order]), run(layer, x)[order], rtol=1e-5, atol=1e-5)


def test_positions_count_from_the_start_of_the_window(layer, x):
    """The same frames one place later are not the same: the position, not the content, moved."""
    shifted = added(layer, x.roll(1, 0)).roll(-1, 0)
    assert not torch.allclose(shifted, added(layer, x), atol=1e-2)


def test_nothing_is_remembered_between_windows(layer, x, normal):
    first = run(layer, x)
    run(layer, normal(3, 32, 5, 5), 3)
    assert torch.equal(run(layer, x), first)
