"""The places where a host may act: which there are, in which order, and that they act."""

import copy

import pytest
import torch
from torch.testing import assert_close

from animate_anyone_core.models.interventions import Interventions
from animate_anyone_core.models.references import Reference

T = torch.tensor([480])

#: What a spatial transformer calls, in order.
TRANSFORMER = [
    "enter_transformer",
    "enter_transformer_block 0",
    "attention_inputs attn1",
    "attend attn1",
    "attention_output attn1",
    "between_attentions",
    "attention_inputs attn2",
    "attend attn2",
    "attention_output attn2",
    "leave_transformer",
]


class Recorder(Interventions):
    """Writes down every place, and hands everything back as it came."""

    is_active = True

    def __init__(self):
        self.calls = []
        self.shapes = {}

    def _note(self, name, *tensors):
        self.calls.append(name)
        self.shapes.setdefault(name, [tuple(t.shape) for t in tensors])

    def time_embedding(self, emb):
        self._note("time_embedding", emb)
        return emb

    def enter_block(self, kind, number):
        self._note(f"enter_block {kind} {number}")

    def after_input_block(self, h):
        self._note("after_input_block", h)
        return h

    def after_skip(self, h):
        self._note("after_skip", h)
        return h

    def after_middle_block(self, h):
        self._note("after_middle_block", h)
        return h

    def before_output_block(self, h, skip):
        self._note("before_output_block", h, skip)
        return h, skip

    def enter_transformer(self, h):
        self._note("enter_transformer", h)

    def leave_transformer(self):
        self._note("leave_transformer")

    def enter_transformer_block(self, index, attn):
        assert attn.heads == 8
        self._note(f"enter_transformer_block {index}")

    def attention_inputs(self, which, q_in, k_in, v_in):
        self._note(f"attention_inputs {which}", q_in, k_in, v_in)
        return q_in, k_in, v_in

    def attend(self, which, q, k, v, num_heads, attention, *, rows):
        self._note(f"attend {which}", q, k, v)
        return attention(q, k, v, num_heads)

    def attention_output(self, which, n):
        self._note(f"attention_output {which}", n)
        return n

    def between_attentions(self, x):
        self._note("between_attentions", x)
        return x


@pytest.fixture
def given(normal, reference_net):
    appearance = normal(1, 1, 24)
    return {
        "sample": normal(1, 4, 3, 6, 4),
        "appearance": appearance,
        "features": reference_net(normal(1, 4, 6, 4), appearance),
    }


def run(unet, given, host, rows=None):
    sample, appearance = given["sample"], given["appearance"]
    if rows:
        sample, appearance = sample.repeat(2, 1, 1, 1, 1), appearance.repeat(2, 1, 1)
    reference = Reference(appearance, given["features"])
    return unet(sample, T, reference, strengths=rows, interventions=host)


def test_every_place_is_passed_in_the_documented_order(unet, given):
    """Two levels of one layer: inputs 0 (first convolution), 1 (with attention), 2 (downsampler),
    3 (without attention); four outputs, of which the last two have attention."""
    recorder = Recorder()
    run(unet, given, recorder)
    after_input = ["after_input_block", "after_skip"]
    assert recorder.calls == [
        "time_embedding",
        *["enter_block input 0", *after_input],
        *["enter_block input 1", *TRANSFORMER, *after_input],
        *["enter_block input 2", *after_input],
        *["enter_block input 3", *after_input],
        *["enter_block middle 0", *TRANSFORMER, "after_middle_block"],
        *["enter_block output 0", "before_output_block"],
        *["enter_block output 1", "before_output_block"],
        *["enter_block output 2", "before_output_block", *TRANSFORMER],
        *["enter_block output 3", "before_output_block", *TRANSFORMER],
    ]


def test_places_get_what_they_document(unet, given):
    """Frames folded into rows; keys of the self-attention hold the reference's tokens as well."""
    recorder = Recorder()
    run(unet, given, recorder)
    assert recorder.shapes["time_embedding"] == [(3, 128)]
    assert recorder.shapes["after_input_block"] == [(3, 32, 6, 4)]
    assert recorder.shapes["after_middle_block"] == [(3, 64, 3, 2)]
    assert recorder.shapes["before_output_block"] == [(3, 64, 3, 2), (3, 64, 3, 2)]
    assert recorder.shapes["attention_inputs attn1"] == [(3, 24, 32)] * 3
    assert recorder.shapes["attend attn1"] == [(3, 24, 32), (3, 48, 32), (3, 48, 32)]
    assert recorder.shapes["attention_inputs attn2"] == [(3, 24, 32), (3, 1, 24), (3, 1, 24)]
    assert recorder.shapes["attend attn2"] == [(3, 24, 32), (3, 1, 32), (3, 1, 32)]


def test_rows_that_read_the_reference_are_attended_apart(unet, given):
    seen = []

    class Watcher(Interventions):
        is_active = True

        def attend(self, which, q, k, v, num_heads, attention, *, rows):
            seen.append((which, rows, len(q), k.shape[1] > q.shape[1]))
            return attention(q, k, v, num_heads)

    run(unet, given, Watcher(), rows=(False, True))
    assert seen[:3] == [
        ("attn1", [1], 3, True),
        ("attn1", [0], 3, False),
        ("attn2", None, 6, False),
    ]


@pytest.mark.parametrize("rows", [None, (False, True)])
def test_an_active_host_that_changes_nothing_changes_nothing(unet, given, rows):
    """In float64, so that only the shortcuts it forbids could make a difference."""
    unet = copy.deepcopy(unet).double()
    given = {
        "sample": given["sample"].double(),
        "appearance": given["appearance"].double(),
        "features": {path: tokens.double() for path, tokens in given["features"].items()},
    }
    expected = run(unet, given, Interventions(), rows)
    assert_close(run(unet, given, Recorder(), rows), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "place",
    [
        "time_embedding",
        "after_input_block",
        "after_skip",
        "after_middle_block",
        "between_attentions",
    ],
)
def test_what_a_place_returns_is_used(unet, given, place):
    host = Interventions()
    setattr(host, place, lambda x: x * 0.5)
    host.is_active = True
    plain = run(unet, given, Interventions())
    assert not torch.allclose(run(unet, given, host), plain, atol=1e-3)


@pytest.mark.parametrize("which", ["attn1", "attn2"])
def test_what_the_attention_places_return_is_used(unet, given, which):
    plain = run(unet, given, Interventions())

    class Inputs(Interventions):
        is_active = True

        def attention_inputs(self, name, q_in, k_in, v_in):
            return q_in, k_in, v_in * 0.5 if name == which else v_in

    class Attend(Interventions):
        is_active = True

        def attend(self, name, q, k, v, num_heads, attention, *, rows):
            return q if name == which else attention(q, k, v, num_heads)

    class Output(Interventions):
        is_active = True

        def attention_output(self, name, n):
            return n * 0.5 if name == which else n

    for host in (Inputs(), Attend(), Output()):
        assert not torch.allclose(run(unet, given, host), plain, atol=1e-3), host


def test_a_host_may_replace_h_and_the_skip(unet, given):
    class Swap(Interventions):
        is_active = True

        def before_output_block(self, h, skip):
            return h * 0.5, skip * 2

    plain = run(unet, given, Interventions())
    assert not torch.allclose(run(unet, given, Swap()), plain, atol=1e-3)


def test_queries_may_be_split_into_tiles(unet, given):
    """As HyperTile does: each tile attends to the keys of its own tile and the reference."""

    class Tiles(Interventions):
        is_active = True

        def attention_inputs(self, which, q_in, k_in, v_in):
            if which == "attn1" and q_in.shape[1] % 2 == 0:
                q_in = q_in.reshape(q_in.shape[0] * 2, -1, q_in.shape[2])
            return q_in, k_in, v_in

        def attention_output(self, which, n):
            return n.reshape(3, -1, n.shape[2]) if which == "attn1" else n

    out = run(unet, given, Tiles())
    assert out.shape == given["sample"].shape
    assert out.isfinite().all()
