"""Attention is judged by where it looks in the reference, and learns to look there."""

import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from animate_anyone_core.errors import SettingsError
from animate_anyone_core.lab.training.config import TrainConfig
from animate_anyone_core.lab.training.config_files import make_config, merge
from animate_anyone_core.lab.training.frozen_encoders import Batch
from animate_anyone_core.lab.training.initial_weights import make_networks
from animate_anyone_core.lab.training.networks import matmul_attention, near_skeleton
from animate_anyone_core.lab.training.objective import Objective
from animate_anyone_core.lab.training.pointing import Pointing, unguessed

SIZE = (4, 4)
CELLS = 16


def at(x, y):
    """Every cell of one picture is told the same place."""
    return torch.tensor([x, y]).expand(1, CELLS, 2).clone()


def test_attention_that_is_alike_everywhere_misses_by_the_logarithm_of_the_tokens():
    pointing = Pointing(matmul_attention, at(2.0, 1.0), SIZE)
    q, k = torch.zeros(1, CELLS, 8), torch.zeros(1, 2 * CELLS, 8)
    v = torch.randn(1, 2 * CELLS, 8)
    assert torch.allclose(pointing(q, k, v, 2), matmul_attention(q, k, v, 2))
    assert pointing.missed() == pytest.approx(math.log(2 * CELLS), abs=1e-3)


@pytest.mark.parametrize(("token", "misses"), [(CELLS + 6, 0.0), (6, 13.8), (CELLS + 7, 13.8)])
def test_only_the_right_token_of_the_reference_is_right(token, misses):
    """Place (2, 1) of 4x4 cells is token 6 of the reference: not of the frame, not the next one."""
    pointing = Pointing(matmul_attention, at(2.0, 1.0), SIZE)
    q, k = torch.ones(1, CELLS, 8), torch.zeros(1, 2 * CELLS, 8)
    k[:, token, :4] = 50.0  # of the first head; the second is free to look anywhere
    pointing(q, k, k, 2)
    assert pointing.missed() == pytest.approx(misses, abs=0.1)


def test_between_cells_the_four_around_share():
    """At (1.25, 2) three quarters belong to (1, 2) and a quarter to (2, 2): the least is the entropy."""
    pointing = Pointing(matmul_attention, at(1.25, 2.0), SIZE)
    q, k = torch.ones(1, CELLS, 8), torch.full((1, 2 * CELLS, 8), -50.0)
    scale = 4**0.5 / 4  # of one head's scores
    k[:, CELLS + 9, :4], k[:, CELLS + 10, :4] = scale * math.log(3), 0.0
    pointing(q, k, k, 2)
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert pointing.missed() == pytest.approx(entropy, abs=1e-3)


def test_cells_of_which_nobody_can_tell_do_not_count():
    places = at(2.0, 1.0)
    places[:, 1:] = torch.nan
    pointing = Pointing(matmul_attention, places, SIZE)
    q, k = torch.zeros(1, CELLS, 8), torch.zeros(1, 2 * CELLS, 8)
    q[:, 0], k[:, CELLS + 6, :4] = 1.0, 50.0  # only the first looks there
    pointing(q, k, k, 2)
    assert pointing.missed() == pytest.approx(0.0, abs=1e-3)


def test_coarser_layers_are_told_the_mean_of_their_cells():
    """2x2 tokens of 4x4 cells; the picture shows itself, so each token points at its own."""
    y, x = torch.arange(CELLS) // 4, torch.arange(CELLS) % 4
    pointing = Pointing(matmul_attention, torch.stack([x, y], -1).float()[None], SIZE)
    q = torch.eye(4).repeat(1, 2)[None]
    k = torch.cat([torch.zeros_like(q), 100 * q], dim=1)
    pointing(q, k, k, 2)
    assert pointing.missed() == pytest.approx(0.0, abs=1e-3)


def test_other_attention_is_not_judged():
    pointing = Pointing(matmul_attention, at(2.0, 1.0), SIZE)
    for rows, keys in ((1, CELLS), (1, 1), (3, 2 * CELLS)):
        q, k = torch.zeros(rows, CELLS, 8), torch.zeros(rows, keys, 8)
        pointing(q, k, k, 2)
    assert pointing.missed() == 0.0


def test_what_can_be_guessed_of_values_is_what_a_straight_line_explains():
    """A value that is a sum of features and as much noise of its own: half stays unexplained."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(4, 5000, 3, generator=generator)
    own = torch.randn(4, 5000, 2, generator=generator)
    sums = features @ torch.tensor([[0.6, 0.0], [0.8, 1.0], [0.0, 0.0]])  # of variance 1 each
    assert float(unguessed(features, sums + 3.0)) == pytest.approx(0.0, abs=1e-3)
    assert float(unguessed(features, sums + own)) == pytest.approx(0.5, abs=0.02)
    assert float(unguessed(features, own)) == pytest.approx(1.0, abs=0.01)


def test_its_slope_is_that_of_fitting_anew():
    """The weights are constants for autograd; moving a feature and fitting again says the same."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(1, 40, 3, generator=generator).requires_grad_()
    values = torch.randn(1, 40, 2, generator=generator)
    unguessed(features, values).backward()
    step = torch.zeros(1, 40, 3)
    step[0, 7, 1] = 0.01
    with torch.no_grad():
        moved = [unguessed(features + sign * step, values) for sign in (1, -1)]
    assert float(features.grad[0, 7, 1]) == pytest.approx(
        float(moved[0] - moved[1]) / 0.02, rel=0.02
    )


def same_place():
    y, x = torch.arange(CELLS) // 4, torch.arange(CELLS) % 4
    return torch.stack([x, y], -1).float()[None]


@pytest.mark.parametrize("count", [CELLS, 4])
def test_only_what_comes_from_the_reference_through_the_first_head_is_carried(count):
    """Each token looks at its own place in the reference; there the values are the latents, or noise."""
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(8, 1, 4, 4, generator=generator)
    tokens = latents.flatten(2) if count == CELLS else F.pixel_unshuffle(latents, 2).flatten(2)
    right = F.pad(tokens.transpose(1, 2), (0, 16 - tokens.shape[1]))  # a head of 16 features
    noise = torch.randn(right.shape, generator=generator)[..., :4].repeat(1, 1, 4)
    q = torch.eye(count, 16).repeat(1, 2).expand(8, -1, -1)
    k = torch.cat([torch.zeros_like(q), 1000 * q], dim=1)
    lost = []
    for own, first, second in ((noise, right, noise), (right, noise, right)):
        pointing = Pointing(matmul_attention, same_place().expand(8, -1, -1), SIZE, latents)
        v = torch.cat([own.repeat(1, 1, 2), torch.cat([first, second], dim=-1)], dim=1)
        pointing(q, k, v, 2)
        lost.append(float(pointing.lost()))
    assert lost[0] == pytest.approx(0.0, abs=1e-3)
    assert lost[1] > 0.6


def test_nothing_is_said_of_carrying_that_nobody_asked_for():
    pointing = Pointing(matmul_attention, at(2.0, 1.0), SIZE)
    q, k = torch.zeros(1, CELLS, 8), torch.zeros(1, 2 * CELLS, 8)
    pointing(q, k, k, 2)
    assert pointing.lost() == 0.0


def batch_with(places, settings):
    generator = torch.Generator().manual_seed(0)

    def draw(*size):
        return torch.randn(size, generator=generator)

    return Batch(
        reference=draw(2, 4, 8, 8),
        appearance=draw(2, 1, 8),
        latents=draw(2, 4, 2, 8, 8),
        skeletons=draw(2, 3, 2, 64, 64).clamp(0, 1),
        noise=draw(2, 4, 2, 8, 8),
        t=torch.tensor([[5, 600], [300, 999]]),
        is_conditional=torch.tensor([[True, False], [True, True]]),
        places=places,
    )


def test_errors_next_to_the_skeleton_count_more():
    """A pixel of it in cell (1, 2) of 8x8: the nine cells around."""
    skeletons = torch.zeros(1, 3, 2, 64, 64)
    skeletons[0, 1, 0, 20, 12] = 0.3
    weights = near_skeleton(skeletons, 3.0)
    expected = torch.ones(1, 1, 2, 8, 8)
    expected[0, 0, 0, 1:4, 0:3] = 3.0
    assert torch.equal(weights, expected)


def test_a_skeleton_everywhere_or_nowhere_changes_no_loss(settings):
    """Weights are 1 in the mean of a row; where only some cells have more, their errors have."""
    config = make_config(TrainConfig, merge(settings, {"objective": {"body": 4.0}}))
    networks = make_networks(config.init, config.network, 1, 3)
    plain = Objective(make_config(TrainConfig, settings).objective)
    told, batch = Objective(config.objective), batch_with(None, settings)
    same = []
    for shown in (0.0, 1.0, "half"):
        skeletons = torch.zeros_like(batch.skeletons)
        skeletons[..., : 32 if shown == "half" else 64] = float(shown != 0.0)
        seen = replace(batch, skeletons=skeletons)
        with torch.no_grad():
            same.append(torch.allclose(networks(seen, told), networks(seen, plain), rtol=1e-5))
    assert same == [True, True, False]


def told_besides(settings, kind):
    """What 25 steps say beside the plain loss, where the settings count one kind fully."""
    config = make_config(TrainConfig, merge(settings, {"objective": {kind: 1.0}}))
    networks = make_networks(config.init, config.network, 1, 3)
    places = torch.rand(2, 2, 64, 2, generator=torch.Generator().manual_seed(1)) * 7
    batch = batch_with(places, settings)
    plain = Objective(make_config(TrainConfig, settings).objective)
    told = Objective(config.objective)
    optimizer = torch.optim.AdamW(networks.parameters(), 3e-3)
    said = []
    for _ in range(25):
        with torch.no_grad():
            without = networks(batch, plain)
        losses = networks(batch, told)
        apart = losses.detach() - without
        assert torch.allclose(apart, apart[:1].expand(4), atol=1e-5), "rows share what is said"
        said.append(float(apart[0]))
        optimizer.zero_grad()
        losses.mean().backward()
        optimizer.step()
    return said


def test_networks_learn_to_look_where_they_are_told(settings):
    """With rows that see no reference among them; the loss is what it was, and what is missed."""
    missed = told_besides(settings, "pointing")
    assert missed[0] == pytest.approx(math.log(128), rel=0.5)
    assert missed[-1] < 0.9 * missed[0]


def test_networks_learn_to_carry(settings):
    """The latents of a row are what its own cells show, though one of the rows sees no reference."""
    lost = told_besides(settings, "carrying")
    assert 0.3 < lost[0] <= 1.0
    assert lost[-1] < lost[0] - 0.05


def test_without_known_bodies_it_says_what_to_do(settings):
    config = make_config(TrainConfig, merge(settings, {"objective": {"pointing": 0.5}}))
    networks = make_networks(config.init, config.network, 1, 3)
    with pytest.raises(SettingsError, match=r"where bodies are: data\.kind dancers"):
        networks(batch_with(None, settings), Objective(config.objective))


@pytest.mark.parametrize("kind", ["pointing", "carrying"])
@pytest.mark.parametrize(
    "changes",
    [
        {"stage": 3, "init": {"kind": "files", "unet": "built-in"}},
        {"run": {"gradient_checkpointing": True}},
        {"run": {"memory": "12gb"}, "optimizer": {"ema_decay": 0.0}},
    ],
)
def test_what_it_does_not_go_with_is_told(settings, changes, kind):
    told = merge(settings, {"objective": {kind: 0.5}})
    with pytest.raises(SettingsError, match=r"objective\.pointing and carrying"):
        make_config(TrainConfig, merge(told, changes))
