"""What a solver remembers between steps, as tensors and JSON: so that sampling can stop and go on."""

import json
from typing import Any

import torch
from torch import Tensor

_TENSOR = "tensor"


def solver_state(solver: Any, fresh: Any = None) -> tuple[dict[str, Tensor], str]:
    """What stepping has changed in a diffusers scheduler.

    Args:
        solver: It.
        fresh: One like it that took no step; made here if None.

    Returns:
        Tensors by name, and a JSON text that says where they belong.
    """
    fresh = fresh_solver(solver) if fresh is None else fresh
    tensors: dict[str, Tensor] = {}
    values = {
        name: _taken_apart(value, name, tensors)
        for name, value in vars(solver).items()
        if name not in vars(fresh) or not _is_same(value, vars(fresh)[name])
    }
    return tensors, json.dumps(values)


def fresh_solver(solver: Any) -> Any:
    """A scheduler like this one that took no step."""
    fresh = type(solver).from_config(solver.config)
    fresh.set_timesteps(solver.num_inference_steps, device=solver.timesteps.device)
    return fresh


def restore_solver(solver: Any, tensors: dict[str, Tensor], text: str) -> None:
    """Put a solver, its steps already set, where `solver_state` found it."""
    for name, value in json.loads(text).items():
        setattr(solver, name, _put_together(value, tensors))


def _is_same(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return torch.equal(a, b)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(_is_same(x, y) for x, y in zip(a, b, strict=True))
    return type(a) is type(b) and bool(a == b)


def _taken_apart(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        tensors[name] = value
        return {_TENSOR: name}
    if isinstance(value, list):
        return [_taken_apart(item, f"{name}.{i}", tensors) for i, item in enumerate(value)]
    return value


def _put_together(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, dict):
        return tensors[value[_TENSOR]]
    if isinstance(value, list):
        return [_put_together(item, tensors) for item in value]
    return value
