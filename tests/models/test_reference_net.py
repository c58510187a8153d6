"""ReferenceNet against diffusers' UNet, whose layers it runs."""

import pytest
import torch
from diffusers import UNet2DConditionModel
from torch.testing import assert_close

from animate_anyone_core.errors import ShapeError
from animate_anyone_core.models.config import UNetConfig
from animate_anyone_core.models.parameter_trees import spatial_tree
from animate_anyone_core.models.reference_net import ReferenceNet


def stock_features(net, latents, appearance):
    """What enters every spatial self-attention of diffusers' own UNet with these weights."""
    settings = {k: v for k, v in net.config.to_diffusers().items() if k != "_class_name"}
    stock = UNet2DConditionModel(**settings).eval()
    missing, unexpected = stock.load_state_dict(net.state_dict(), strict=False)
    assert not unexpected
    assert {key.split(".")[0] for key in missing} == {"conv_norm_out", "conv_out"}
    features = {}
    for path, module in stock.named_modules():
        if path.endswith(".norm1") and ".transformer_blocks." in path:
            name = path.removesuffix(".norm1")
            module.register_forward_hook(lambda m, i, out, name=name: features.update({name: out}))
    with torch.no_grad():
        stock(latents, torch.zeros(len(latents), dtype=torch.long), appearance)
    return features


def test_features_are_what_diffusers_unet_computes(reference_net, normal):
    latents, appearance = normal(2, 4, 6, 5), normal(2, 1, 24)
    expected = stock_features(reference_net, latents, appearance)
    features = reference_net(latents, appearance)
    assert list(features) == reference_net.feature_paths()
    assert set(features) == set(expected)
    for path, tokens in features.items():
        assert_close(tokens, expected[path], rtol=1e-4, atol=1e-5)


def test_all_sixteen_blocks_of_the_published_size_are_read():
    with torch.device("meta"):
        paths = ReferenceNet(UNetConfig()).feature_paths()
    down = [f"down_blocks.{i}.attentions.{j}" for i in range(3) for j in range(2)]
    up = [f"up_blocks.{i}.attentions.{j}" for i in range(1, 4) for j in range(3)]
    assert paths == [f"{p}.transformer_blocks.0" for p in (*down, "mid_block.attentions.0", *up)]


def test_every_row_is_computed_by_itself(reference_net, normal):
    latents, appearance = normal(2, 4, 6, 5), normal(2, 1, 24)
    together = reference_net(latents, appearance)
    for row in range(2):
        part = slice(row, row + 1)
        for path, tokens in reference_net(latents[part], appearance[part]).items():
            assert_close(together[path][part], tokens, rtol=1e-4, atol=1e-5)


def test_the_appearance_acts_behind_the_first_block(reference_net, normal):
    latents = normal(1, 4, 6, 5)
    one, other = (reference_net(latents, normal(1, 1, 24)) for _ in range(2))
    first, *later = reference_net.feature_paths()
    assert torch.equal(one[first], other[first])
    assert all(not torch.allclose(one[path], other[path]) for path in later)


def test_nothing_is_computed_behind_the_last_feature(reference_net, normal):
    """Its last block's attention, the output convolution: not read, so not run or not there."""
    latents, appearance = normal(1, 4, 6, 5), normal(1, 1, 24)
    last = reference_net.feature_paths()[-1]
    block = reference_net.get_submodule(last)
    called = []
    hooks = [m.register_forward_hook(lambda *_: called.append(1)) for m in (block.attn1, block.ff)]
    hooks += [block.attn1.to_q.register_forward_hook(lambda *_: called.append(1))]
    reference_net(latents, appearance)
    for hook in hooks:
        hook.remove()
    assert not called
    names = set(dict(reference_net.named_parameters()))
    tree = set(dict(spatial_tree(reference_net.config).named_parameters()))
    assert tree - names == {
        "conv_norm_out.weight",
        "conv_norm_out.bias",
        "conv_out.weight",
        "conv_out.bias",
    }


def test_a_picture_too_small_for_the_norms_is_refused(reference_net, normal):
    with pytest.raises(ShapeError) as error:
        reference_net(normal(1, 4, 2, 2), normal(1, 1, 24))
    assert str(error.value) == (
        "16x16 pixels are too few for these networks. One side must be longer than 16 pixels."
    )
    reference_net(normal(1, 4, 2, 3), normal(1, 1, 24))
