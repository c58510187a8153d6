"""What memory a piece of work takes on a device, as far as anybody tells."""

from types import TracebackType

import torch

from .process_memory import forget_peak, read_process_memory


class MemoryMeter:
    """A context that measures the peak above what there was before.

    CUDA counts its own; for the CPU Linux counts the process, which includes libraries loaded
    meanwhile. Elsewhere nobody tells, and `peak` stays None.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._before: int | None = None
        self.peak: int | None = None

    def __enter__(self) -> "MemoryMeter":
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
            torch.cuda.reset_peak_memory_stats(self._device)
            self._before = torch.cuda.memory_allocated(self._device)
        elif self._device.type == "cpu":
            forget_peak()
            memory = read_process_memory()
            self._before = None if memory is None else memory.total
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None or self._before is None:
            return
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
            peak = torch.cuda.max_memory_allocated(self._device)
        else:
            memory = read_process_memory()
            peak = self._before if memory is None else memory.peak
        self.peak = max(0, peak - self._before)
