"""A line of stages that clips go through, simulated clip by clip: rates in, bottleneck out.

Every stage has workers that take one clip at a time, and a queue of limited length behind it: where it
is full, the stage waits (back-pressure). Disk and network are stages of one worker that all clips share.
Times are seconds; clips differ in length, and what a stage takes is proportional to it.
"""

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

#: Clips that may wait before a stage, for each of its workers.
QUEUE = 4
#: Longer rows of clips are simulated up to here, and the rest goes at the pace of the last half.
_MOST_SIMULATED = 2000


@dataclass(frozen=True)
class Stage:
    """What one kind of worker does to a clip.

    Attributes:
        name: What it is called.
        seconds: Of one worker, for a clip of mean length.
        workers: How many there are.
    """

    name: str
    seconds: float
    workers: int = 1

    @property
    def rate(self) -> float:
        """Clips a second, of all workers, if nothing else held them up."""
        return self.workers / self.seconds if self.seconds else float("inf")


@dataclass(frozen=True)
class Outcome:
    """What a simulation says.

    Attributes:
        seconds: From the first clip in to the last clip out.
        busy: Stage -> share of the time that its workers work, 0 to 1.
    """

    seconds: float
    busy: dict[str, float]

    @property
    def bottleneck(self) -> str:
        """The stage that is busiest."""
        return max(self.busy, key=lambda name: self.busy[name])


def simulate(stages: Sequence[Stage], clips: int, spread: float = 0.3, seed: int = 0) -> Outcome:
    """Send clips through stages.

    Args:
        stages: In order.
        clips: How many.
        spread: Standard deviation of the clips' lengths, as a share of the mean; log-normal.
        seed: Of the lengths.
    """
    count = min(clips, _MOST_SIMULATED)
    sigma = np.sqrt(np.log1p(spread**2))
    lengths = np.random.default_rng(seed).lognormal(-(sigma**2) / 2, sigma, count)
    out = _times_out(stages, [float(length) for length in lengths])
    seconds, work = out[-1], float(lengths.sum())
    if clips > count:
        half = out[count // 2 :]
        seconds += (clips - count) * (half[-1] - half[0]) / (len(half) - 1)
        work *= clips / count
    busy = {s.name: min(1.0, s.seconds * work / (s.workers * seconds)) for s in stages}
    return Outcome(seconds, busy)


def _times_out(stages: Sequence[Stage], lengths: Sequence[float]) -> list[float]:
    """When clips leave the last stage, rising: an event each time that a worker is done."""
    waiting = [deque(range(len(lengths))), *(deque[int]() for _ in stages[1:])]
    done = [deque[int]() for _ in stages]  # by workers that hold them until there is room
    free = [stage.workers for stage in stages]
    events: list[tuple[float, int, int]] = []
    out: list[float] = []

    def hand_on(index: int, now: float) -> bool:
        moved = False
        last = index + 1 == len(stages)
        while done[index] and (last or len(waiting[index + 1]) < QUEUE * stages[index + 1].workers):
            clip, moved = done[index].popleft(), True
            free[index] += 1
            if last:
                out.append(now)
            else:
                waiting[index + 1].append(clip)
        while free[index] and waiting[index]:
            clip, moved = waiting[index].popleft(), True
            free[index] -= 1
            heapq.heappush(events, (now + stages[index].seconds * lengths[clip], index, clip))
        return moved

    now = 0.0
    while len(out) < len(lengths):
        while sum(hand_on(index, now) for index in reversed(range(len(stages)))):
            pass  # room behind a stage may let the ones before it hand on, too
        if events:
            now, index, clip = heapq.heappop(events)
            done[index].append(clip)
    return out
