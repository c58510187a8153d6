"""The running average of the weights (EMA), which samples better than the weights themselves."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn


class MovingAverage:
    """Average parameters over steps: a ← d·a + (1 - d)·p.

    The decay grows with the steps, d = min(decay, (1 + step) / (10 + step)), so that the random
    weights of the start are soon forgotten.

    Args:
        parameters: (name, parameter) pairs.
        decay: Limit of d; 0 keeps no averages, and no memory for them.
    """

    def __init__(self, parameters: Iterable[tuple[str, nn.Parameter]], decay: float) -> None:
        self._parameters = dict(parameters)
        self._decay = decay
        averaged = self._parameters.items() if decay else ()
        self.average = {name: p.detach().clone() for name, p in averaged}

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

    def state_dict(self) -> dict[str, Tensor]:
        """The averages by name."""
        return dict(self.average)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take averages that `state_dict` gave."""
        for name, average in self.average.items():
            average.copy_(state[name])
