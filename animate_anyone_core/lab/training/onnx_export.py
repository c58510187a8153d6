"""A network as a small ONNX file, and back: weights in half precision, computed in single precision."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...errors import CheckpointError, MissingDependencyError
from ...files import whole_file

_OPSET = 17
_SMALLEST_HALVED = 64  # numbers; smaller tensors stay as they are


def export_onnx(
    network: nn.Module,
    example: Tensor,
    path: Path,
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    *,
    any_batch: bool = False,
) -> None:
    """Export a network that takes one tensor, such as the example.

    With `any_batch` the file takes any number of pictures, or else as many as the example.

    Raises:
        MissingDependencyError: If `onnx` is not installed.
    """
    onnx = _import_onnx()
    axes = {name: {0: "batch"} for name in (*inputs, *outputs)} if any_batch else None
    network.eval().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    with whole_file(path) as part:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter's own deprecations
            torch.onnx.export(
                network,
                (example,),
                str(part),
                input_names=list(inputs),
                output_names=list(outputs),
                dynamic_axes=axes,
                opset_version=_OPSET,
                dynamo=False,
            )
        model = onnx.load(str(part))
        halve_weights(model)
        onnx.checker.check_model(model)
        onnx.save(model, str(part))


def halve_weights(model: Any) -> None:
    """Store large float32 weights as float16 and let the file turn them back when it is opened."""
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for weight in model.graph.initializer:
        values = numpy_helper.to_array(weight)
        if values.dtype != np.float32 or values.size < _SMALLEST_HALVED:
            continue
        name = weight.name
        weight.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
        casts.append(helper.make_node("Cast", [f"{name}_half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def read_onnx_weights(network: nn.Module, path: Path) -> None:
    """Take a network's weights back from a file that `export_onnx` wrote.

    The file has norms folded into the convolutions before them: those norms do nothing afterwards.
    What one has beyond the other, in the order of computation, stays as it is or is left aside.

    Raises:
        MissingDependencyError: If `onnx` is not installed.
        CheckpointError: If the file's weights are not this network's.
    """
    onnx = _import_onnx()
    model = onnx.load(str(path))
    values = {
        weight.name.removesuffix("_half"): torch.from_numpy(
            onnx.numpy_helper.to_array(weight).astype(np.float32)
        )
        for weight in model.graph.initializer
    }
    folded = sorted((name for name in values if "::" in name), key=_number)
    pairs = zip(_convolutions_with_norms(network), folded[::2], folded[1::2], strict=False)
    try:
        with torch.no_grad():
            for (convolution, norm), weight, bias in pairs:
                convolution.weight.copy_(values[weight])
                norm.reset_running_stats()
                assert norm.running_var is not None
                norm.running_var.fill_(1.0 - norm.eps)
                norm.weight.fill_(1.0)
                norm.bias.copy_(values[bias])
            for name, parameter in network.named_parameters():
                if name in values:
                    parameter.copy_(values[name])
    except RuntimeError as error:
        raise CheckpointError(
            f"{path.name} does not hold the weights of this network: {error}"
        ) from error


def _number(name: str) -> int:
    """The number that the exporter gave a folded weight; they count up as the network computes."""
    return int(name.rpartition("_")[2])


def _convolutions_with_norms(network: nn.Module) -> Iterator[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    convolution = None
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            convolution = module
        elif isinstance(module, nn.BatchNorm2d) and convolution is not None:
            yield convolution, module


def _import_onnx() -> ModuleType:
    try:
        import onnx
    except ImportError as error:
        raise MissingDependencyError(
            "Pose networks need the package onnx to be written or trained on: pip install onnx"
        ) from error
    return onnx
