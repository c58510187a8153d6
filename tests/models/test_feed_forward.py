"""The feed-forward in slices of tokens: the same bits, small hidden layers, gradients as ever."""

import pytest
from torch import nn
from torch.testing import assert_close

from animate_anyone_core.models.feed_forward import feed_forward
from animate_anyone_core.models.parameter_trees import spatial_tree


@pytest.fixture
def module(randomise, tiny_config):
    tree = randomise(spatial_tree(tiny_config))
    return tree.get_submodule("down_blocks.0.attentions.0.transformer_blocks.0.ff")


def largest_call(module, tokens):
    """The most tokens that enter the module at once, and what came of them."""
    sizes = []

    def note(module, inputs):
        sizes.append(inputs[0].numel() // inputs[0].shape[-1])

    hook = module.register_forward_pre_hook(note)
    out = feed_forward(module, tokens)
    hook.remove()
    return max(sizes), out


@pytest.mark.parametrize("shape", [(3, 700, 32), (2100, 1, 32), (1, 1024, 32), (2, 3, 32)])
def test_slices_give_what_the_whole_gives(module, normal, shape):
    tokens = normal(*shape)
    most, out = largest_call(module, tokens)
    assert most <= 1024
    assert_close(out, module(tokens), rtol=1e-6, atol=1e-6)


def test_tokens_need_not_lie_in_order(module, normal):
    tokens = normal(1500, 2, 32).transpose(0, 1)
    assert_close(feed_forward(module, tokens), module(tokens), rtol=1e-6, atol=1e-6)


def test_a_hosts_layers_are_called_once(module, normal):
    class Moving(nn.Linear):
        """Fetches its weights whenever it is called."""

    module.net[-1].__class__ = Moving
    most, _ = largest_call(module, normal(3, 700, 32))
    assert most == 2100


def test_gradients_pass(module, normal):
    tokens = normal(2, 700, 32).requires_grad_()
    feed_forward(module, tokens).sum().backward()
    assert tokens.grad is not None
    assert tokens.grad.any()
