"""Count the memory that a step allocates, tensor by tensor, by what it is for.

Every operation's results are seen as they are made, and forgotten when nothing holds them any more.
It counts fake tensors (sizes without contents) as well as real ones: so a step of any size is known
before the run, without its memory. What kernels take inside for themselves, and what an allocator
rounds up, is not seen.
"""

import weakref
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

WEIGHTS, GRADIENTS, STATES = "weights", "gradients", "optimizer states"
ACTIVATIONS, FROZEN = "activations", "frozen networks"
COMPONENTS = (WEIGHTS, GRADIENTS, STATES, ACTIVATIONS, FROZEN)


class MemoryTracker(TorchDispatchMode):
    """Follows storages while it is entered.

    Attributes:
        peak: Component -> bytes, at the moment when their sum was largest.
    """

    def __init__(self) -> None:
        super().__init__()
        self.peak: dict[str, int] = dict.fromkeys(COMPONENTS, 0)
        self._now: Counter[str] = Counter()
        self._known: dict[int, tuple[weakref.ref, str, int]] = {}  # of storages
        self._label = ACTIVATIONS

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and see what it made."""
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._see(leaf, self._label)
        return result

    def hold(self, tensors: Iterable[Tensor], component: str) -> None:
        """Count tensors that are there already, or count them as something else from now on."""
        for tensor in tensors:
            self.let_go([tensor])
            self._see(tensor, component)

    def let_go(self, tensors: Iterable[Tensor]) -> None:
        """Count tensors no more: they left the device."""
        for tensor in tensors:
            for storage in _storages(tensor):
                self._forget(id(storage))

    @contextmanager
    def making(self, component: str) -> Iterator[None]:
        """Count what is made meanwhile as this component."""
        before, self._label = self._label, component
        try:
            yield
        finally:
            self._label = before

    @contextmanager
    def beside(self, tensors: Iterable[Tensor], component: str) -> Iterator[None]:
        """Count tensors for a while: what comes to the device and leaves it again."""
        extra = sum(tensor.nbytes for tensor in tensors)
        self._add(component, extra)
        try:
            yield
        finally:
            self._add(component, -extra)

    def follow_gradients(self, parameters: Iterable[nn.Parameter]) -> list[Any]:
        """Count what ends in `grad` as gradients; returns the hooks, to be removed."""

        def hook(parameter: Tensor) -> None:
            if parameter.grad is not None:
                self.hold([parameter.grad], GRADIENTS)

        return [p.register_post_accumulate_grad_hook(hook) for p in parameters]

    def now(self) -> Mapping[str, int]:
        """Component -> bytes at this moment."""
        return {name: self._now[name] for name in COMPONENTS}

    def _see(self, tensor: Tensor, component: str) -> None:
        for storage in _storages(tensor):
            key = id(storage)
            if key in self._known or storage.nbytes() == 0:
                continue
            size = storage.nbytes()
            gone = weakref.ref(storage, partial(self._forget_dead, key))
            self._known[key] = gone, component, size
            self._add(component, size)

    def _forget_dead(self, key: int, _: weakref.ref) -> None:
        self._forget(key)

    def _forget(self, key: int) -> None:
        entry = self._known.pop(key, None)
        if entry is not None:
            self._add(entry[1], -entry[2])

    def _add(self, component: str, size: int) -> None:
        self._now[component] += size
        if size > 0 and self._now.total() > sum(self.peak.values()):
            self.peak = dict(self.now())


def _storages(tensor: Tensor) -> list[torch.UntypedStorage]:
    """The storages of a tensor; those inside one that is made of several."""
    if hasattr(tensor, "__tensor_flatten__"):
        names, _ = tensor.__tensor_flatten__()
        return [s for name in names for s in _storages(getattr(tensor, name))]
    return [tensor.untyped_storage()]
