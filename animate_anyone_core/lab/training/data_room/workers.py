"""The data room's workers: one core each, in which pose networks are opened once.

Which worker does a task changes nothing: networks have one thread in a worker.
"""

import os
from collections.abc import Callable

from ....pose.detection import PoseDetector
from ....pose.opencv import import_cv2
from ....workers.processes import Processes
from ....workers.ray_cluster import RayCluster

OpenDetector = Callable[[], PoseDetector]


def in_processes(size: int, open_detector: OpenDetector) -> Processes:
    """So many processes of this machine."""
    return Processes([open_detector] * size, keep_to_one_core)


def on_cluster(address: str, open_detector: OpenDetector, num_gpus: float = 0.0) -> RayCluster:
    """The cores of a Ray cluster; see `RayCluster`."""
    return RayCluster(address, open_detector, num_gpus, keep_to_one_core)


def keep_to_one_core() -> None:
    """Let libraries of this process use one thread: as many processes as cores fill them."""
    os.environ["OMP_NUM_THREADS"] = "1"
    import_cv2().setNumThreads(1)
