"""EMA: the running average of the weights, which samples better than the weights themselves."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class EMA:
    """Average parameters over steps: a ← d·a + (1 - d)·p.

    The decay grows with the steps, d = min(decay, (1 + step) / (10 + step)), so that the random
    weights of the start are soon forgotten.

    Args:
        parameters: Name -> parameter.
        decay: Limit of d; 0 keeps no averages, and no memory for them.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], decay: float) -> None:
        self._parameters = dict(parameters)
        self._decay = decay
        averaged = parameters if decay else {}
        self.average = {name: p.detach().clone() for name, p in averaged.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the parameters after step number `step`, counted from 1."""
        decay = min(self._decay, (1 + step) / (10 + step))
        for name, average in self.average.items():
            average.lerp_(self._parameters[name].detach().to(average.dtype), 1 - decay)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange parameters and averages; a second call exchanges them back."""
        for name, average in self.average.items():
            parameter = self._parameters[name]
            kept = parameter.detach().clone()
            parameter.copy_(average)
            average.copy_(kept)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Have the averages in the place of the parameters for a while."""
        self.swap()
        try:
            yield
        finally:
            self.swap()

    def state_dict(self) -> dict[str, Tensor]:
        """The averages by name."""
        return dict(self.average)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take averages that `state_dict` gave."""
        for name, average in self.average.items():
            average.copy_(state[name])
