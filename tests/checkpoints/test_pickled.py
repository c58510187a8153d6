"""Pickles as people have them: the tensors are found, the rest is named and left aside."""

import pytest
import torch

from animate_anyone_core.checkpoints.pickled import named_tensors
from animate_anyone_core.checkpoints.weight_files import read_weights
from animate_anyone_core.errors import CheckpointError

ONE, TWO = torch.ones(1), torch.full((1,), 2.0)


@pytest.mark.parametrize(
    "content",
    [
        {"a": ONE},
        {"a": ONE, "animatediff_config": {"motion": 1}, "epoch": 3, 5: TWO},
        {"state_dict": {"a": ONE}},
        {"model": {"a": ONE}, "optimizer": {"state": {0: TWO}}},
        {"module": {"a": ONE}},
        {"ema": {"a": ONE}, "model": {"a": TWO}},
        {"state_dict": {"module": {"a": ONE, "step": 7}}},
        {"ema": {"decay": 0.99}, "state_dict": {"a": ONE}},
        {"ema": {"model": {"a": ONE}}, "model": {"a": TWO}},
    ],
)
def test_the_networks_tensors_are_found(content, tmp_path):
    torch.save(content, tmp_path / "a.pth")
    weights = read_weights(tmp_path / "a.pth")
    assert set(weights) == {"a"}
    assert weights["a"].item() == 1


def test_what_is_left_aside_is_named(caplog):
    caplog.set_level("INFO")
    named_tensors({"ema": {"a": ONE, "decay": 0.9}, "model": {"a": TWO}, "step": 3}, "x.ckpt")
    assert caplog.messages == [
        "x.ckpt: the tensors are taken from its entry ema.",
        "x.ckpt holds more than tensors; left aside: 'model', 'step', 'ema.decay'.",
    ]


def test_a_plain_file_says_nothing(caplog):
    caplog.set_level("INFO")
    assert named_tensors({"a": ONE}, "x.pth") == {"a": ONE}
    assert caplog.messages == []


def test_many_things_are_counted(caplog):
    caplog.set_level("INFO")
    named_tensors({"a": ONE} | {f"entry{i}": i for i in range(9)}, "x.pth")
    assert caplog.messages[0].endswith("'entry4', 'entry5' and 3 more.")


def test_tensors_buried_deeper_than_anybody_does_are_not_searched():
    content = {"a": ONE}
    for _ in range(5):
        content = {"model": content}
    with pytest.raises(CheckpointError, match="holds no named tensors but 'model'"):
        named_tensors(content, "x.pth")


def test_a_wrapper_that_holds_itself_ends():
    content = {}
    content["model"] = content
    with pytest.raises(CheckpointError, match="holds no named tensors"):
        named_tensors(content, "x.pth")
