"""Spatial attention against its formula, and what must not depend on what."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from animate_anyone_core.models.attention import (
    attention_to_one,
    cross_attention,
    reference_attention,
    scaled_dot_product,
    self_attention,
)
from animate_anyone_core.models.interventions import Interventions
from animate_anyone_core.models.parameter_trees import spatial_tree
from animate_anyone_core.models.reference_mixing import SpatialContext
from animate_anyone_core.models.references import Reference
from animate_anyone_core.models.spatial_transformer import (
    spatial_transformer,
    tokens_in,
    tokens_out,
)

PATH = "down_blocks.0.attentions.0"
BLOCK = f"{PATH}.transformer_blocks.0"


class Active(Interventions):
    """Changes nothing, but forbids shortcuts."""

    is_active = True


def softmax_attention(q, k, v, num_heads):
    """softmax(q kᵀ/√d) v, head by head, in float64."""
    outputs = []
    for head in torch.arange(q.shape[-1]).chunk(num_heads):
        scores = q[..., head].double() @ k[..., head].double().mT / len(head) ** 0.5
        outputs.append(scores.softmax(-1) @ v[..., head].double())
    return torch.cat(outputs, -1).to(q.dtype)


@pytest.fixture(scope="module")
def module(unet):
    return unet.get_submodule(PATH)


def run(
    module, x, *, appearance, features=None, strengths=(1.0,), kernel=scaled_dot_product, host=None
):
    """One transformer; without features no row has anything to read."""
    reference = Reference(appearance, {} if features is None else {BLOCK: features})
    strengths = strengths if reference.features else (0.0,)
    context = SpatialContext(reference, strengths, kernel, host or Interventions())
    return spatial_transformer(module, x, PATH, context)


def test_the_kernel_is_softmax_attention(normal):
    q, k, v = normal(3, 5, 16), normal(3, 7, 16), normal(3, 7, 16)
    assert_close(scaled_dot_product(q, k, v, 4), softmax_attention(q, k, v, 4))


@pytest.mark.parametrize("head", [8, 16, 20])
def test_many_queries_are_laid_out_and_nothing_else(normal, head):
    """Heads that are filled up with zeros, and such that are not; with and without a bias."""
    q, k, v = (normal(2, count, 3 * head) for count in (600, 700, 700))
    assert_close(scaled_dot_product(q, k, v, 3), softmax_attention(q, k, v, 3))
    bias = torch.where(torch.arange(700) < 300, 0.0, -torch.inf)[None]
    seen = softmax_attention(q, k[:, :300], v[:, :300], 3)
    assert_close(scaled_dot_product(q, k, v, 3, bias=bias), seen)


def test_of_a_single_token_every_query_gets_its_value(module, normal):
    attn = module.transformer_blocks[0].attn2
    x, token = normal(2, 6, 32), normal(2, 1, 24)
    made = attention_to_one(attn, token).expand(-1, 6, -1)
    assert_close(made, cross_attention(attn, x, token, scaled_dot_product))


def test_the_reference_is_further_keys_and_values(normal):
    """The paper's equation, softmax(Q [K; K_ref]ᵀ/√d) [V; V_ref], in float64."""
    q, k, v = normal(3, 5, 16), normal(3, 5, 16), normal(3, 5, 16)
    k_ref, v_ref = normal(3, 7, 16), normal(3, 7, 16)
    keys, values = torch.cat([k, k_ref], 1), torch.cat([v, v_ref], 1)
    out = reference_attention(q, k, v, k_ref, v_ref, 4, scaled_dot_product)
    assert_close(out, softmax_attention(q, keys, values, 4))
    shared = reference_attention(q, k, v, k_ref[:1], v_ref[:1], 4, scaled_dot_product)
    each = [x[:1].repeat(3, 1, 1) for x in (k_ref, v_ref)]
    assert_close(shared, reference_attention(q, k, v, *each, 4, scaled_dot_product))


def test_self_and_cross_attention_project_attend_and_project(module, normal):
    attn = module.transformer_blocks[0].attn2
    x, y = normal(2, 6, 32), normal(2, 3, 24)
    expected = attn.to_out[0](
        softmax_attention(attn.to_q(x), attn.to_k(y), attn.to_v(y), attn.heads)
    )
    assert_close(cross_attention(attn, x, y, scaled_dot_product), expected)
    attn = module.transformer_blocks[0].attn1
    expected = attn.to_out[0](
        softmax_attention(attn.to_q(x), attn.to_k(x), attn.to_v(x), attn.heads)
    )
    assert_close(self_attention(attn, x, scaled_dot_product), expected)


def test_tokens_are_cells_row_by_row(module, normal):
    x = normal(2, 32, 3, 5)
    expected = module.proj_in(module.norm(x))[:, :, 1, 2]
    assert_close(tokens_in(module, x)[:, 1 * 5 + 2], expected)
    tokens = normal(2, 15, 32)
    expected = module.proj_out(tokens.mT.reshape(2, 32, 3, 5)) + x
    assert_close(tokens_out(module, tokens, x), expected)


def by_the_formula(module, x, appearance, references):
    """One frame a row: the frame's queries over its own keys and its row's reference, if any."""
    block = module.transformer_blocks[0]
    tokens = tokens_in(module, x)
    rows = []
    for row, reference in zip(tokens.split(1), references, strict=True):
        own = block.norm1(row)
        seen = own if reference is None else torch.cat([own, reference], 1)
        q, k, v = block.attn1.to_q(own), block.attn1.to_k(seen), block.attn1.to_v(seen)
        rows.append(row + block.attn1.to_out[0](softmax_attention(q, k, v, block.attn1.heads)))
    tokens = torch.cat(rows)
    tokens = tokens + cross_attention(
        block.attn2, block.norm2(tokens), appearance, softmax_attention
    )
    tokens = tokens + block.ff(block.norm3(tokens))
    return tokens_out(module, tokens, x)


@pytest.mark.parametrize(
    "rows",
    [(True, True, True), (False, True, False), (True, False, True), (False, False, False)],
)
def test_reading_rows_see_their_own_reference_and_the_others_none(module, normal, rows):
    x, appearance, features = normal(3, 32, 4, 3), normal(3, 1, 24), normal(3, 12, 32)
    out = run(module, x, appearance=appearance, features=features, strengths=rows)
    seen = [f if flag else None for f, flag in zip(features.split(1), rows, strict=True)]
    assert_close(out, by_the_formula(module, x, appearance, seen), rtol=1e-4, atol=1e-5)


def test_without_a_reference_attention_is_plain(module, normal):
    x, appearance = normal(2, 32, 4, 3), normal(2, 1, 24)
    out = run(module, x, appearance=appearance)
    expected = by_the_formula(module, x, appearance, [None, None])
    assert_close(out, expected, rtol=1e-4, atol=1e-5)


def test_only_the_frames_own_query_rows_exist(module, normal):
    """Attending from own and reference tokens together and cutting gives the same rows."""
    block = module.transformer_blocks[0]
    own, reference = normal(1, 6, 32), normal(1, 4, 32)
    both = torch.cat([own, reference], 1)
    q, k, v = block.attn1.to_q(both), block.attn1.to_k(both), block.attn1.to_v(both)
    cut = scaled_dot_product(q, k, v, 8)[:, :6]
    assert_close(scaled_dot_product(q[:, :6], k, v, 8), cut)
    seen = []

    def kernel(q, k, v, heads):
        seen.append((q.shape[1], k.shape[1]))
        return scaled_dot_product(q, k, v, heads)

    x = normal(1, 32, 2, 3)
    run(module, x, appearance=normal(1, 1, 24), features=reference, kernel=kernel)
    assert seen == [(6, 10)]


def test_every_frame_of_a_row_reads_its_rows_reference(module, normal):
    """Two rows of three frames equal each row alone."""
    x, features = normal(6, 32, 4, 3), normal(2, 12, 32)
    appearance = normal(6, 1, 24)
    out = run(module, x, appearance=appearance, features=features, strengths=(1.0, 1.0))
    for row in range(2):
        part = slice(3 * row, 3 * row + 3)
        alone = features[row : row + 1]
        expected = run(module, x[part], appearance=appearance[part], features=alone)
        assert_close(out[part], expected, rtol=1e-5, atol=1e-5)


def test_a_shared_reference_equals_one_for_each_row(module, normal):
    x, features, appearance = normal(4, 32, 4, 3), normal(1, 12, 32), normal(4, 1, 24)
    settings = {"appearance": appearance, "strengths": (1.0, 1.0)}
    shared = run(module, x, features=features, **settings)
    each = run(module, x, features=features.repeat(2, 1, 1), **settings)
    assert_close(shared, each)


def test_the_order_of_the_references_tokens_does_not_matter(module, normal):
    x, features, appearance = normal(1, 32, 4, 3), normal(1, 12, 32), normal(1, 1, 24)
    order = torch.arange(12).roll(5)
    one = run(module, x, appearance=appearance, features=features)
    other = run(module, x, appearance=appearance, features=features[:, order])
    assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_attention_to_a_single_appearance_token_is_exact(module, normal):
    """The shortcut equals the full computation, which an active host forces."""
    x, appearance = normal(2, 32, 4, 3), normal(2, 1, 24)
    shortcut = run(module, x, appearance=appearance)
    full = run(module, x, appearance=appearance, host=Active())
    assert_close(shortcut, full, rtol=1e-5, atol=1e-5)


def test_several_appearance_tokens_are_attended_to(module, normal):
    x, appearance = normal(2, 32, 4, 3), normal(2, 5, 24)
    out = run(module, x, appearance=appearance)
    expected = by_the_formula(module, x, appearance, [None, None])
    assert_close(out, expected, rtol=1e-4, atol=1e-5)


def test_linear_projections_compute_the_same_as_convolutions(randomise, normal, tiny_config):
    """A UNet with `use_linear_projection` holds the same numbers in another shape."""
    conv = randomise(spatial_tree(tiny_config)).get_submodule(PATH)
    linear = spatial_tree(replace(tiny_config, use_linear_projection=True)).get_submodule(PATH)
    weights = {
        k: v.flatten(1) if "proj_" in k and v.ndim == 4 else v for k, v in conv.state_dict().items()
    }
    linear.load_state_dict(weights)
    x, appearance = normal(2, 32, 4, 3), normal(2, 1, 24)
    with torch.no_grad():
        a = run(conv, x, appearance=appearance)
        b = run(linear, x, appearance=appearance)
    assert_close(a, b, rtol=1e-5, atol=1e-5)
