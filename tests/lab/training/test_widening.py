"""Wider networks of narrower ones: they fit, compute nearly the same, parts of one level exactly."""

import logging
from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from animate_anyone_core.checkpoints.key_map import to_published_key
from animate_anyone_core.errors import SettingsError
from animate_anyone_core.lab.training.config import InitConfig, TrainConfig
from animate_anyone_core.lab.training.config_files import make_config, merge
from animate_anyone_core.lab.training.initial_weights import make_networks, shapes_from_files
from animate_anyone_core.lab.training.recipes import recipe_settings
from animate_anyone_core.lab.training.widening import Widening, widths_of
from animate_anyone_core.models.config import TemporalConfig, UNetConfig
from animate_anyone_core.models.denoising_unet import DenoisingUNet
from animate_anyone_core.models.reference_net import ReferenceNet
from animate_anyone_core.models.references import Reference

SMALL = UNetConfig(
    block_out_channels=(16, 24),
    attention_levels=(True, True),
    layers_per_block=1,
    num_attention_heads=2,
    cross_attention_dim=12,
    norm_num_groups=4,
)
DEEP = replace(
    SMALL,
    block_out_channels=(16, 24, 32),
    attention_levels=(True, True, False),
    layers_per_block=2,
    use_linear_projection=True,
)
TEMPORAL = TemporalConfig(max_frames=8, num_attention_heads=2, norm_num_groups=4)


def networks(shapes, temporal=TEMPORAL):
    torch.manual_seed(0)
    return DenoisingUNet(shapes, temporal).eval(), ReferenceNet(shapes).eval()


def widening(old, new):
    return Widening(old, new, SMALL.norm_num_groups, SMALL.num_attention_heads, 2)


def prediction(unet, net, frames=3):
    g = torch.Generator().manual_seed(1)
    appearance = torch.randn(1, 1, 12, generator=g)
    features = net(torch.randn(1, 4, 8, 8, generator=g), appearance)
    sample, pose = (torch.randn(1, n, frames, 8, 8, generator=g) for n in (4, 16))
    return unet(sample, torch.tensor([700]), Reference(appearance, features), pose=pose)


@pytest.mark.parametrize(
    ("shapes", "widths"), [(SMALL, (16, 40)), (SMALL, (16, 48)), (DEEP, (16, 40, 64))]
)
@torch.no_grad()
def test_wider_networks_predict_nearly_the_same(shapes, widths):
    narrow = networks(shapes)
    grown = networks(replace(shapes, block_out_channels=widths))
    others = prediction(*grown)
    tool = widening(shapes.block_out_channels, widths)
    for before, after in zip(narrow, grown, strict=True):
        after.load_state_dict(tool.widened(before.state_dict()))  # every weight, no other
    wanted, made = prediction(*narrow), prediction(*grown)
    off = (made - wanted).norm() / (wanted - wanted.mean()).norm()
    assert off < 0.2 < 0.5 < (others - wanted).norm() / (wanted - wanted.mean()).norm()


@torch.no_grad()
def test_of_one_level_doubled_it_is_exact():
    """A resnet and a transformer of the mid block, whose every norm sees all channels twice."""
    tool = widening((16, 24), (16, 48))
    narrow, wide = (networks(replace(SMALL, block_out_channels=w))[0] for w in ((16, 24), (16, 48)))
    wide.load_state_dict(tool.widened(narrow.state_dict()))
    marked = tool.widened({"mid_block.resnets.0.norm2.bias": torch.arange(24.0)})
    copies = marked["mid_block.resnets.0.norm2.bias"].long()
    assert sorted(copies.tolist()) == sorted([*range(24)] * 2)
    g = torch.Generator().manual_seed(2)
    x, time = torch.randn(2, 24, 4, 4, generator=g), torch.randn(2, 64, generator=g)
    tokens = torch.randn(2, 1, 12, generator=g)
    for part, given in (("resnets", (time,)), ("attentions", (tokens,))):
        small, large = (getattr(unet.mid_block, part)[0] for unet in (narrow, wide))
        made, wanted = large(x[:, copies], *given), small(x, *given)
        made, wanted = (y if torch.is_tensor(y) else y[0] for y in (made, wanted))
        assert_close(made, wanted[:, copies], rtol=1e-4, atol=1e-5)


def test_copies_part():
    """Copies that read alike and are read alike would learn alike for ever."""
    wide = widening((16, 24), (16, 48)).widened(
        {"mid_block.resnets.0.conv2.weight": torch.ones(24, 24, 3, 3)}
    )
    weight = wide["mid_block.resnets.0.conv2.weight"]
    assert_close(weight.sum(1), torch.full((48, 3, 3), 24.0))
    assert weight.std(dim=1).min() > 0.05
    assert weight.std(dim=0).min() > 0.05


def test_files_are_widened_where_the_settings_say(caplog):
    """A student's recipe widens its teacher's files; temporal layers still narrow join wide ones."""
    start = dict.fromkeys(("unet", "reference", "pose_guider", "motion"), "built-in")
    init = InitConfig(kind="files", **start, widths=(48, 96))
    network = make_config(TrainConfig, merge(*recipe_settings("builtin-stage1"))).network
    with caplog.at_level(logging.INFO, "animate_anyone"):
        made = make_networks(init, network, 2, seed=0)
    assert made.denoising_unet.config.block_out_channels == (48, 96)
    assert made.reference_net.config.block_out_channels == (48, 96)
    assert caplog.text.count("Widened from [48, 80] to [48, 96] channels.") == 3
    assert shapes_from_files(init, network)[0].block_out_channels == (48, 96)
    temporal = {
        k: v.shape[0] for k, v in made.denoising_unet.state_dict().items() if "proj_out.bias" in k
    }
    assert temporal["mid_block.motion_modules.0.proj_out.bias"] == 96


def test_a_files_own_widths_are_seen():
    unet, net = networks(DEEP)
    published = {to_published_key(key): weight for key, weight in unet.state_dict().items()}
    motion = {key: weight for key, weight in published.items() if "motion_modules" in key}
    for weights in (unet.state_dict(), net.state_dict(), published, motion):
        assert widths_of(weights, (16, 40, 64)) == (16, 24, 32)


@pytest.mark.parametrize("widths", [(16, 20), (32, 24), (16, 24, 24)])
def test_what_cannot_be_widened_is_refused(widths):
    with pytest.raises(SettingsError) as caught:
        widening((16, 24), widths)
    assert str(caught.value) == (
        "init.widths widens networks of [16, 24] channels: as many levels, none narrower, and the first "
        f"as it is, by which times are embedded; got {list(widths)}."
    )


def test_widths_that_groups_do_not_divide_are_refused():
    with pytest.raises(SettingsError) as caught:
        widening((16, 24), (16, 30))
    assert str(caught.value) == (
        "init.widths must be multiples of the networks' groups and heads (4, 2, 2), got [16, 30]."
    )


@pytest.mark.parametrize("widths", [(48,), (48, 72), (48, 90)])
def test_what_files_cannot_become_is_told_by_the_settings_name(widths):
    """Not by a network's own words, which speak of its config.json."""
    network = make_config(TrainConfig, merge(*recipe_settings("builtin-stage1"))).network
    init = InitConfig(kind="files", unet="built-in", widths=widths)
    for build in (
        lambda: make_networks(init, network, 1, seed=0),
        lambda: shapes_from_files(init, network),
    ):
        with pytest.raises(SettingsError, match=r"^init\.widths "):
            build()


def test_widths_without_files_are_refused():
    network = make_config(TrainConfig, merge(*recipe_settings("builtin-stage1"))).network
    with pytest.raises(SettingsError) as caught:
        make_networks(InitConfig(widths=(48, 96)), network, 1, seed=0)
    assert str(caught.value) == (
        "init.widths widens what files hold: set init.kind to files, or network.unet.block_out_channels "
        "for networks from scratch."
    )
