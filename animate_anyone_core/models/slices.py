"""Layers in slices along what they do not mix: frames in space, cells in time. The result is the same.

What a layer needs beside its input and output then depends on the slice, not on the window.

Symbols: B rows (1 while they share what they have), F frames, S frames of a slice, L cells.
"""

from collections.abc import Callable, Iterator

from torch import Tensor, nn

#: Rows times frames times cells at once on a CPU, which its caches decide.
CPU_CELLS = 4096
#: Elsewhere, numbers of a map at once: enough to fill a GPU, whatever the channels.
MOST_NUMBERS = 16384 * 320


def cells_at_once(x: Tensor, layer: nn.Module) -> int:
    """How many cells a layer should see at once: all, where slices would do harm.

    A host's own layers may move their weights at every call; gradients need all that there was.
    """
    is_plain = type(layer) in (nn.Conv2d, nn.Linear, nn.GroupNorm)
    if x.requires_grad or not is_plain:
        return x.shape[0] * x[0, 0].numel()
    return CPU_CELLS if x.device.type == "cpu" else MOST_NUMBERS // x.shape[1]


def parts_of(length: int, at_once: int) -> Iterator[slice]:
    """Slices of at most so many, and at least one."""
    step = max(1, at_once)
    for start in range(0, length, step):
        yield slice(start, min(start + step, length))


def frames_of(x: Tensor, num_frames: int, part: slice) -> Tensor:
    """Some frames of all rows: (B·F, ...) -> (B·S, ...)."""
    return x.unflatten(0, (-1, num_frames))[:, part].flatten(0, 1)


def by_frames(work: Callable[[slice], Tensor], num_frames: int, at_once: int) -> Tensor:
    """Put together what `work` gives for slices of frames, (B·S, ...) each: (B·F, ...)."""
    out: Tensor | None = None
    for part in parts_of(num_frames, at_once):
        made = work(part)
        length = part.stop - part.start
        if length == num_frames:
            return made
        made = made.unflatten(0, (-1, length))
        if out is None:
            out = made.new_empty(made.shape[0], num_frames, *made.shape[2:])
        out[:, part] = made
    assert out is not None
    return out.flatten(0, 1)
