"""Kinds of networks we know, told apart by the shapes of what goes in and comes out.

Symbols: H W the network's input.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ..errors import CheckpointError, UnknownCheckpointError

Size = tuple[int, int]
Shapes = list[tuple[int, ...]]
Kind = TypeVar("Kind", bound="NetworkKind")

#: Divided by, for networks that were trained on pictures in [0, 1].
ZERO_TO_ONE = (255.0, 255.0, 255.0)


@dataclass(frozen=True, kw_only=True)
class NetworkKind:
    """How one kind of network is told and fed.

    Attributes:
        kind: Short name, for reports and for choosing it by hand.
        looks_like: The signature in words, for messages.
        matches: Whether output shapes, for an input of (H, W), are this kind's.
        channel_order: "bgr" or "rgb", what the network was trained with.
        mean: Subtracted from values 0 to 255, in the network's channel order.
        std: Divided by, likewise.
        min_score: People with lower scores are dropped.
    """

    kind: str
    looks_like: str
    matches: Callable[[Shapes, Size], bool]
    channel_order: str = "rgb"
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    min_score: float = 0.3


def is_single(shapes: Shapes) -> bool:
    """Whether there is one output, a list of candidates for one picture."""
    return len(shapes) == 1 and len(shapes[0]) == 3 and shapes[0][0] == 1


def tell_kind(
    kinds: Sequence[Kind], name: str, shapes: Shapes, size: Size, unknown: str, known: str
) -> Kind:
    """Tell the kind of a network by its signature.

    Args:
        kinds: Those that there are.
        name: File name, for messages.
        shapes: Shapes of the outputs.
        size: (H, W) of the input.
        unknown: What to call a network that is none of them.
        known: What to call them.

    Raises:
        UnknownCheckpointError: If no kind has that signature.
    """
    for kind in kinds:
        if kind.matches(shapes, size):
            return kind
    raise UnknownCheckpointError(
        f"{name} is {unknown}: for a {size[1]}x{size[0]} picture it returns "
        f"{', '.join(map(str, shapes)) or 'nothing'}. {known}: "
        f"{'; '.join(kind.looks_like for kind in kinds)}."
    )


def check_outputs(
    kind: NetworkKind, name: str, shapes: Shapes, size: Size, batch: int | None = None
) -> None:
    """Raise CheckpointError if a network hands over other shapes than its kind does.

    Args:
        kind: The network's.
        name: File name, for messages.
        shapes: Shapes of the outputs.
        size: (H, W) of the input.
        batch: How many pictures it was given, where that shows in the shapes.
    """
    is_batch = batch is None or all(shape[0] == batch for shape in shapes)
    if not kind.matches(shapes, size) or not is_batch:
        raise CheckpointError(
            f"{name} hands over {', '.join(map(str, shapes)) or 'nothing'} for "
            f"{'a picture' if batch is None else f'{batch} pictures'}, expected "
            f"{kind.looks_like}. Choose another file."
        )
