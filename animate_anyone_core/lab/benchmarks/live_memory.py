"""How many bytes of tensors live at the most while something is computed."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from ...self_test.memory_meter import MemoryMeter


def peak_bytes(work: Callable[[], object], device: torch.device) -> int:
    """The most bytes allocated and not yet freed while `work` ran, above what there was before."""
    if device.type == "cuda":
        with MemoryMeter(device) as meter:
            work()
        return meter.peak or 0
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        work()
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text(encoding="utf-8"))["traceEvents"]
    live = most = 0
    for event in sorted((e for e in events if e["name"] == "[memory]"), key=lambda e: e["ts"]):
        live += event["args"]["Bytes"]
        most = max(most, live)
    return most
