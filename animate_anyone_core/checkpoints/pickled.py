"""What people's pickles hold besides the tensors of one network: wrappers, counters, settings."""

import logging
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ..errors import CheckpointError

logger = logging.getLogger("animate_anyone")

#: Entries that hold a network's tensors, best first: averaged weights are meant for use.
_WRAPPERS = ("ema", "state_dict", "model", "module")
_DEEPEST = 4
_MOST_NAMED = 6


def named_tensors(content: object, name: str) -> dict[str, Tensor]:
    """Take the tensors of a network out of what a pickle holds; say what is left aside.

    Args:
        content: What was unpickled: tensors by name, with other things beside them, or within the
            entries `ema`, `state_dict`, `model` or `module`, one in another.
        name: File name, for messages.

    Raises:
        CheckpointError: If there are no tensors with names.
    """
    if not isinstance(content, Mapping):
        raise CheckpointError(
            f"{name} holds no named tensors but one {type(content).__name__}. Save the network's "
            "state_dict instead."
        )
    held: Mapping[Any, Any] = content
    path: list[str] = []
    aside: list[str] = []
    for _ in range(_DEEPEST):
        if _has_tensors(held):
            break
        inner = [key for key in _WRAPPERS if _may_hold(held.get(key))]
        if not inner:
            break
        aside += [_shown(path, key) for key in held if key != inner[0]]
        path.append(inner[0])
        held = held[inner[0]]
    tensors = {k: v for k, v in held.items() if isinstance(k, str) and isinstance(v, Tensor)}
    if held and not tensors:
        raise CheckpointError(
            f"{name} holds no named tensors but {_listed([_shown(path, k) for k in held])}. "
            "Extract the network's state_dict and save that."
        )
    aside += [_shown(path, key) for key in held if key not in tensors]
    if path:
        logger.info("%s: the tensors are taken from its entry %s.", name, ".".join(path))
    if aside:
        logger.info("%s holds more than tensors; left aside: %s.", name, _listed(aside))
    return tensors


def _has_tensors(content: Mapping[Any, Any]) -> bool:
    return any(isinstance(value, Tensor) for value in content.values())


def _may_hold(value: object, depth: int = _DEEPEST) -> bool:
    """Whether a value holds tensors by name, in itself or in a wrapper within."""
    if not isinstance(value, Mapping) or depth == 0:
        return False
    return _has_tensors(value) or any(_may_hold(value.get(key), depth - 1) for key in _WRAPPERS)


def _shown(path: list[str], key: object) -> str:
    return repr(".".join([*path, str(key)])[:60])


def _listed(names: list[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
