"""Work in smaller pieces where memory runs out: the same numbers, and each change is said."""

import pytest
import torch
from torch.testing import assert_close

from animate_anyone_core.models.attention import scaled_dot_product
from animate_anyone_core.models.less_memory import (
    Way,
    first_that_fits,
    in_pieces,
    is_out_of_memory,
)


def full(message="CUDA out of memory. Tried to allocate 2.00 GiB."):
    raise torch.cuda.OutOfMemoryError(message)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (torch.cuda.OutOfMemoryError("CUDA out of memory."), True),
        (MemoryError(), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 bytes"), True),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_what_says_that_memory_ran_out(error, told):
    assert is_out_of_memory(error) is told


def test_the_first_way_that_fits_is_taken_and_each_change_is_said(caplog):
    one = torch.ones(1)
    ways = [Way("a", full), Way("b in pieces", full), Way("c in crumbs", lambda: one)]
    assert first_that_fits(ways) == (one, 2)
    assert caplog.messages == [
        "Out of memory: going on with b in pieces.",
        "Out of memory: going on with c in crumbs.",
    ]
    assert first_that_fits(ways, 2) == (one, 2)


def test_what_the_last_way_raises_and_other_errors_are_left():
    with pytest.raises(torch.cuda.OutOfMemoryError):
        first_that_fits([Way("a", full), Way("b", full)])

    def broken():
        raise KeyError("other")

    with pytest.raises(KeyError):
        first_that_fits([Way("a", broken), Way("b", full)])


@pytest.mark.parametrize("rows", [1, 2, 9, 40])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("with_bias", [False, True])
def test_attention_in_pieces_is_attention(normal, rows, shared, with_bias):
    q = normal(rows, 21, 8)
    k, v = normal(1 if shared else rows, 13, 8), normal(1 if shared else rows, 13, 8)
    if shared:
        k, v = k.expand(rows, -1, -1), v.expand(rows, -1, -1)
    named = {"bias": normal(1 if shared else rows, 13)} if with_bias else {}
    calls = []

    def kernel(*parts, **more):
        calls.append(parts[0].shape)
        return scaled_dot_product(*parts, **more)

    expected = scaled_dot_product(q, k, v, 2, **named)
    assert_close(in_pieces(kernel)(q, k, v, 2, **named), expected)
    assert max(shape[0] * shape[1] for shape in calls) <= max(-(-rows // 8) * 21, 3)
