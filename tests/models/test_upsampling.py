"""Enlarging: four small convolutions equal one on the enlarged map, and stand aside where they must."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from animate_anyone_core.models.parameter_trees import spatial_tree
from animate_anyone_core.models.upsampling import doubled_convolution, upsample


class OtherConv(nn.Conv2d):
    """As a host's layers are."""


@pytest.fixture
def module(randomise, tiny_config):
    return randomise(spatial_tree(tiny_config)).get_submodule("up_blocks.0.upsamplers.0")


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 5), (7, 2)])
def test_it_is_nearest_neighbors_and_a_convolution(normal, height, width, bias):
    x, weight = normal(2, 3, height, width).double(), normal(4, 3, 3, 3).double()
    bias = normal(4).double() if bias else None
    enlarged = F.interpolate(x, scale_factor=2, mode="nearest")
    expected = F.conv2d(enlarged, weight, bias, padding=1)
    assert_close(doubled_convolution(x, weight, bias), expected, rtol=1e-12, atol=1e-12)


def test_gradients_reach_map_and_weights(normal):
    given = [normal(1, 2, 3, 4), normal(3, 2, 3, 3), normal(3)]
    given = [x.double().requires_grad_() for x in given]
    assert torch.autograd.gradcheck(doubled_convolution, given)


@pytest.mark.parametrize(
    ("size", "to", "layer", "is_short"),
    [
        ((20, 24), (40, 48), nn.Conv2d, True),
        ((20, 24), (39, 47), nn.Conv2d, False),  # the map below was rounded up
        ((20, 24), (40, 48), OtherConv, False),  # a host's layer may keep its weights elsewhere
        ((5, 4), (10, 8), nn.Conv2d, False),  # so small that adding up the taps costs more
    ],
)
def test_the_short_way_is_taken_where_it_may_and_pays(module, normal, size, to, layer, is_short):
    x, calls = normal(1, 64, *size), []
    module.conv.__class__ = layer
    hook = module.register_forward_hook(lambda *a: calls.append(a))
    out = upsample(module, x, *to)
    hook.remove()
    assert (not calls) == is_short
    assert_close(out, module(x, output_size=to), rtol=1e-5, atol=1e-5)
