"""Shrinking: the convolution of stride 2, also where its result is a single column."""

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from animate_anyone_core.models.downsampling import downsample
from animate_anyone_core.models.parameter_trees import spatial_tree


@pytest.fixture
def module(randomise, tiny_config):
    return randomise(spatial_tree(tiny_config)).get_submodule("down_blocks.0.downsamplers.0")


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("height", [1, 2, 3, 16])
def test_it_is_the_convolution(normal, module, height, width):
    x = normal(2, module.conv.in_channels, height, width)
    module, x = module.double(), x.double()
    expected = F.conv2d(x, module.conv.weight, module.conv.bias, stride=2, padding=1)
    assert_close(downsample(module, x), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [32, 96, 320])
def test_in_bfloat16_it_is_near_the_exact_one(normal, width, channels):
    """A kernel for AMX is off by the size of the result itself where that is one column."""
    conv = torch.nn.Conv2d(channels, channels, 3, stride=2, padding=1).bfloat16()
    x = normal(6, channels, 16, width).bfloat16()
    weights = [part.detach().float() for part in (conv.weight, conv.bias)]
    expected = F.conv2d(x.float(), *weights, stride=2, padding=1)
    with torch.no_grad():
        error = downsample(conv, x).float() - expected
    assert error.norm() < 0.01 * expected.norm()
