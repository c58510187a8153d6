"""Room for what is as long as a clip: memory, or a file where it would be much memory.

The pages of a mapped file can be given back at any time: what they hold is in the file. So the latents
of a long clip take no more memory than those of the window that is at work.
"""

import mmap
import sys
import tempfile
from collections.abc import Callable

import torch
from torch import Tensor

if sys.platform == "linux":
    import os

#: Clips of fewer bytes stay in memory.
MOST_IN_MEMORY = 8 << 20
#: Frames that are filled at once; the last time up to twice as many, but one. PyTorch draws normal
#: numbers by sixteens, so that parts of this length are the numbers of the whole.
_AT_ONCE = 16


class ClipRoom:
    """Makes tensors of whole clips, and gives back the memory of those that are in files.

    Args:
        most_in_memory: Bytes of a tensor that stays in memory.
    """

    def __init__(self, most_in_memory: int = MOST_IN_MEMORY) -> None:
        self._most, self._files = most_in_memory, list[mmap.mmap]()

    def frames(self, num_frames: int, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Uninitialised frames (F, *shape), of the type and on the device of a tensor."""
        size = num_frames * torch.Size(shape).numel()
        if like.device.type == "cpu" and size * like.itemsize > self._most:
            file = _mapped_file(size * like.itemsize)
            if file is not None:
                self._files.append(file)
                return torch.frombuffer(file, dtype=like.dtype).view(num_frames, *shape)
        return like.new_empty(num_frames, *shape)

    def filled(self, num_frames: int, of_frames: Callable[[slice], Tensor]) -> Tensor:
        """Frames (F, ...), a few at a time from a function that is asked for them in order."""
        made: Tensor | None = None
        for part in parts_of(num_frames):
            some = of_frames(part)
            if made is None:
                made = self.frames(num_frames, tuple(some.shape[1:]), some)
            made[part] = some
            self.release()
        assert made is not None
        return made

    def release(self) -> None:
        """Give back the memory of what is in files; tensors stay as they are."""
        for file in self._files:
            file.madvise(mmap.MADV_DONTNEED)


def parts_of(num_frames: int) -> list[slice]:
    """The frames of a clip, a few at a time, in order."""
    starts = [_AT_ONCE * number for number in range(max(1, num_frames // _AT_ONCE))]
    return [slice(*ends) for ends in zip(starts, (*starts[1:], num_frames), strict=True)]


def _mapped_file(size: int) -> mmap.mmap | None:
    """A nameless file of so many bytes, which are certain to be there; None if there is no room."""
    if sys.platform != "linux":  # elsewhere pages cannot be given back in this way
        return None
    try:
        with tempfile.TemporaryFile() as file:
            os.posix_fallocate(file.fileno(), 0, size)  # a disk that is full tells now
            return mmap.mmap(file.fileno(), size)
    except OSError:
        return None
