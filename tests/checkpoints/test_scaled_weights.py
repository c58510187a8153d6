"""Scaled fp8: read with the scales, against the numbers before they were scaled."""

import pytest
import torch
from safetensors.torch import save_file

from animate_anyone_core.checkpoints.scaled_weights import scaled as scale_all
from animate_anyone_core.checkpoints.scaled_weights import with_scales
from animate_anyone_core.checkpoints.weight_files import read_weights
from animate_anyone_core.errors import CheckpointError

FP8 = torch.float8_e4m3fn


def scaled(weight, scale, ending="scale_weight"):
    return {
        "layer.weight": (weight / scale.reshape(-1, *[1] * (weight.ndim - 1))).to(FP8),
        f"layer.{ending}": scale,
    }


@pytest.mark.parametrize("ending", ["scale_weight", "weight_scale"])
@pytest.mark.parametrize("shape", [(), (1,), (6,), (6, 1)])
def test_weights_come_back_to_the_precision_of_fp8(tmp_path, normal, ending, shape):
    weight = normal(6, 5) * 0.002  # far below fp8's smallest number
    scale = torch.full(shape, 1e-5) * (
        1 + torch.arange(max(sum(shape[:1]), 1)).reshape(shape or ())
    )
    extra = {
        "scaled_fp8": torch.zeros(2, dtype=FP8),
        "layer.scale_input": torch.ones(1),
        "norm.bias": torch.ones(3),
    }
    save_file(scaled(weight, scale, ending) | extra, tmp_path / "a.safetensors")
    read = read_weights(tmp_path / "a.safetensors")
    assert set(read) == {"layer.weight", "norm.bias"}
    assert read["layer.weight"].dtype == torch.float16
    # three bits behind the point, and float16's smallest steps
    torch.testing.assert_close(read["layer.weight"].float(), weight, rtol=2**-4, atol=1e-6)


def test_convolutions_are_scaled_by_output():
    weight = torch.arange(1.0, 33).reshape(2, 4, 2, 2)
    read = with_scales(scaled(weight, torch.tensor([0.5, 2.0])), "a")
    torch.testing.assert_close(read["layer.weight"].float(), weight, rtol=2**-4, atol=0)


def test_what_is_written_scaled_is_read_scaled(tmp_path, normal):
    """Within fp8's three bits of each output's own size; zeros and tables as they are."""
    weights = {
        "a.weight": normal(6, 5) * torch.logspace(-4, 2, 6)[:, None],
        "b.weight": normal(4, 3, 3, 3),
        "empty.weight": torch.zeros(2, 3),
        "a.bias": normal(6),
        "norm.weight": normal(6),
        "table.pe": normal(1, 24, 8),
        "large.bias": torch.full((2,), 1e6),
    }
    save_file(written := scale_all(weights), tmp_path / "a.safetensors")
    assert written["a.weight"].dtype == FP8
    read = read_weights(tmp_path / "a.safetensors")
    assert read.keys() == weights.keys()
    for name, weight in weights.items():
        close = 0.0 if name in ("table.pe", "empty.weight", "large.bias") else 2**-4
        least = weight.abs().amax() * 2**-10 if name.endswith("bias") else 1e-6
        torch.testing.assert_close(
            read[name].float(), weight, rtol=close, atol=float(least) if close else 0.0
        )
    assert torch.equal(read["table.pe"], weights["table.pe"])


def test_what_should_stay_in_halves_does(normal):
    weights = {
        "up.0.weight": normal(4, 3),
        "up.1.weight": normal(4, 3),
        "down.weight": normal(2, 2),
    }
    written = scale_all(weights, half=["up.1.", "down"])
    kinds = {name: written[name].dtype for name in weights}
    assert kinds == {"up.0.weight": FP8, "up.1.weight": torch.half, "down.weight": torch.half}
    assert "up.0.scale_weight" in written
    assert "up.1.scale_weight" not in written
    assert torch.equal(written["up.1.weight"], weights["up.1.weight"].half())


def test_numbers_too_large_for_halves_stay_whole():
    read = with_scales(scaled(torch.full((2, 2), 1e6), torch.tensor(1e5)), "a")
    assert read["layer.weight"].dtype == torch.float32


def test_plain_fp8_is_left_as_it_is():
    weights = {"a.weight": torch.ones(2, 2).to(FP8), "scaled_fp8": torch.zeros(0)}
    read = with_scales(weights, "a")
    assert set(read) == {"a.weight"}
    assert read["a.weight"].dtype == FP8


def test_a_layer_that_is_called_scale_is_no_scale():
    weights = {"a.weight": torch.ones(2, 2), "a.scale_weight": torch.ones(1)}
    assert with_scales(weights, "a") == weights


def test_it_is_said(caplog):
    caplog.set_level("INFO")
    with_scales(scaled(torch.ones(2, 2), torch.tensor(1.0)), "a.safetensors")
    assert caplog.messages == [
        "a.safetensors: 1 weights in scaled fp8 are multiplied by their scales."
    ]


def test_scales_for_blocks_are_refused():
    weights = scaled(torch.ones(4, 4), torch.tensor(1.0))
    weights["layer.scale_weight"] = torch.ones(2, 2, 1)[:, :1].repeat(1, 3, 1)
    with pytest.raises(CheckpointError) as error:
        with_scales(weights, "a.safetensors")
    assert str(error.value) == (
        "a.safetensors: layer.scale_weight has the shape (2, 3, 1) for a weight of (4, 4): scales for "
        "blocks are not read. Get the file in fp16 or bf16."
    )


def test_a_scale_without_its_weight_is_refused():
    weights = scaled(torch.ones(4, 4), torch.tensor(1.0)) | {"b.scale_weight": torch.ones(1)}
    with pytest.raises(CheckpointError, match=r"a scale b\.scale_weight but no b\.weight"):
        with_scales(weights, "a.safetensors")
