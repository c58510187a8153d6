"""AdamW with states in 8 bits (torchao's), and masters in float32 for weights in bfloat16."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import MissingDependencyError
from .memory import PIECE_BYTES


def adamw_8bit(
    weights: Iterable[nn.Parameter], options: Mapping[str, Any]
) -> torch.optim.Optimizer:
    """Torchao's AdamW: two bytes of states a weight. Weights in bfloat16 are rounded by chance.

    Raises:
        MissingDependencyError: If torchao is not installed.
    """
    try:
        from torchao.optim import AdamW8bit
    except ImportError as error:
        raise MissingDependencyError(
            "run.memory keeps AdamW's states in 8 bits, which needs torchao: "
            "pip install 'animate-anyone[scale]'."
        ) from error

    class Eager(AdamW8bit):
        """Without compiling a kernel for every shape of weights."""

        def step(self, closure: Callable[[], float] | None = None) -> float | None:
            with torch.compiler.set_stance("force_eager"):
                return super().step(closure)

    return Eager(list(weights), **options, bf16_stochastic_round=True)


class MasterWeights(torch.optim.Optimizer):
    """Moves a float32 copy of the weights, and hands it on rounded.

    A step of bfloat16 is 1/256 of a weight: smaller moves would be lost without the copy.

    Args:
        weights: In bfloat16.
        make: (weights, options) -> the optimizer of the copy.
        options: Of that optimizer, with its `lr`.
    """

    def __init__(
        self,
        weights: Sequence[nn.Parameter],
        make: Callable[[Iterable[nn.Parameter], Mapping[str, Any]], torch.optim.Optimizer],
        options: Mapping[str, Any],
    ) -> None:
        self.masters = [nn.Parameter(weight.detach().float()) for weight in weights]
        self.inner = make(self.masters, options)
        super().__init__(list(weights), {"lr": options["lr"]})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Move the masters by the weights' gradients, piece by piece, and round them."""
        assert closure is None
        (group,), (inner,) = self.param_groups, self.inner.param_groups
        if isinstance(inner["lr"], Tensor):
            inner["lr"].fill_(float(group["lr"]))
        else:
            inner["lr"] = group["lr"]
        pairs = [pair for pair in zip(group["params"], self.masters, strict=True) if has_grad(pair)]
        for piece in pieces(pairs):
            for weight, master in piece:
                assert weight.grad is not None
                master.grad = weight.grad.float()
            self.inner.step()
            for weight, master in piece:
                weight.copy_(master)
                master.grad = None
        return None

    def state_dict(self) -> dict[str, Any]:
        """The masters and their optimizer's state."""
        state = {"inner": self.inner.state_dict(), "masters": [m.detach() for m in self.masters]}
        return {"param_groups": super().state_dict()["param_groups"], "state": state}

    @torch.no_grad()
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take what `state_dict` gave."""
        super().load_state_dict({"param_groups": state_dict["param_groups"], "state": {}})
        self.inner.load_state_dict(state_dict["state"]["inner"])
        for master, saved in zip(self.masters, state_dict["state"]["masters"], strict=True):
            master.copy_(saved)


def has_grad(pair: tuple[nn.Parameter, nn.Parameter]) -> bool:
    """Whether the first of a pair has a gradient."""
    return pair[0].grad is not None


def pieces(
    pairs: Sequence[tuple[nn.Parameter, nn.Parameter]],
) -> Iterator[list[tuple[nn.Parameter, nn.Parameter]]]:
    """Cut pairs into runs whose second parts are about `PIECE_BYTES` large."""
    piece: list[tuple[nn.Parameter, nn.Parameter]] = []
    size = 0
    for pair in pairs:
        piece.append(pair)
        size += pair[1].nbytes
        if size >= PIECE_BYTES:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece
