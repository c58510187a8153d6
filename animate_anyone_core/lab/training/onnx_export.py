"""Write a network as a small ONNX file: weights in half precision, computed in single precision."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...errors import MissingDependencyError
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
    try:
        import onnx
    except ImportError as error:
        raise MissingDependencyError(
            "Writing pose networks needs the package onnx: pip install onnx"
        ) from error
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
