"""Rows of one sample: the same as that many samples, with the common part computed once."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from animate_anyone_core.models.config import TemporalConfig
from animate_anyone_core.models.denoising_unet import DenoisingUNet
from animate_anyone_core.models.interventions import Interventions
from animate_anyone_core.models.reference_net import ReferenceNet
from animate_anyone_core.models.references import Reference
from animate_anyone_core.models.resnets import resnet
from animate_anyone_core.models.shared_rows import add_to_each_row, each_row

T = torch.tensor([480])


class Active(Interventions):
    is_active = True


def rows_seen(unet, work):
    """How many rows of frames enter the first convolution and the first and last resnet."""
    seen = {}

    def note(path, x):
        seen.setdefault(path, len(x))

    paths = ("conv_in", "down_blocks.0.resnets.0.conv1", "conv_out")
    hooks = [
        unet.get_submodule(path).register_forward_pre_hook(lambda m, i, p=path: note(p, i[0]))
        for path in paths
    ]
    out = work()
    for hook in hooks:
        hook.remove()
    return out, [seen[path] for path in paths]


@pytest.mark.parametrize("strengths", [(0.0, 1.0), (1.0, 0.0, 0.5, 1.0), (0.0, 0.0), (1.0, 1.0)])
@pytest.mark.parametrize(
    ("changes", "num_tokens"),
    [
        ({}, 1),
        ({}, 3),
        ({"attention_levels": (False, True)}, 1),
        ({"attention_levels": (True, True), "use_linear_projection": True}, 1),
        ({"block_out_channels": (48, 64), "norm_num_groups": 16}, 1),  # groups hold both's channels
    ],
)
def test_one_sample_for_all_rows_equals_one_for_each(
    randomise, normal, tiny_config, strengths, changes, num_tokens
):
    config = replace(tiny_config, **changes)
    unet = randomise(DenoisingUNet(config, TemporalConfig(norm_num_groups=16)))
    net = randomise(ReferenceNet(config))
    features = net(normal(1, 4, 6, 4), normal(1, 1, 24))
    rows = len(strengths)
    reference = Reference(normal(rows, num_tokens, 24), features)
    sample, pose = normal(1, 4, 3, 6, 4), normal(1, config.block_out_channels[0], 3, 6, 4)
    given = {"strengths": strengths, "pose": pose}
    each = sample.repeat(rows, 1, 1, 1, 1)
    expected, apart = rows_seen(unet, lambda: unet(each, T, reference, **given))
    shared, together = rows_seen(unet, lambda: unet(sample, T, reference, **given))
    assert_close(shared, expected, rtol=1e-4, atol=1e-5)
    assert apart == [3 * rows] * 3
    assert together == [3, 3, 3 * rows]


@pytest.mark.parametrize("what", ["times", "poses", "references", "host"])
def test_rows_that_differ_from_the_start_are_computed_apart(unet, reference_net, normal, what):
    rows = 2
    count = {name: rows if name == what else 1 for name in ("poses", "references")}
    appearance = normal(rows, 1, 24)
    features = reference_net(
        normal(count["references"], 4, 6, 4), appearance[: count["references"]]
    )
    reference = Reference(appearance, features)
    given = {"pose": normal(count["poses"], 32, 3, 6, 4), "strengths": (1.0, 1.0)}
    if what == "host":
        given["interventions"] = Active()
    times = torch.tensor([100, 700]) if what == "times" else T
    sample = normal(1, 4, 3, 6, 4)
    out, seen = rows_seen(unet, lambda: unet(sample, times, reference, **given))
    assert seen == [6, 6, 6]
    assert_close(out, unet(sample.repeat(2, 1, 1, 1, 1), times, reference, **given))


def test_a_shared_skip_is_convolved_once(unet, normal):
    module = unet.up_blocks[-1].resnets[-1]
    h, skip, emb = normal(6, 32, 5, 4), normal(3, 32, 5, 4), normal(1, 128).repeat(6, 1)
    joined = torch.cat([h, skip.repeat(2, 1, 1, 1)], dim=1)
    assert_close(resnet(module, h, emb, skip), module(joined, emb), rtol=1e-5, atol=1e-5)


def test_rows_come_one_after_the_other(normal):
    x, change = normal(3, 2), normal(6, 2)
    assert torch.equal(each_row(x, 6), torch.cat([x, x]))
    assert torch.equal(add_to_each_row(x, change), torch.cat([x + change[:3], x + change[3:]]))
    assert torch.equal(add_to_each_row(change, change), change + change)
