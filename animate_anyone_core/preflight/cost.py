"""What a run will take."""

from collections.abc import Iterator

from .planned_run import Finding, PlannedRun, by


def check_memory(run: PlannedRun) -> Iterator[Finding]:
    """Whether a window fits into memory."""
    needed, free = run.memory_needed, run.memory_free
    if needed is not None and free is not None and needed > free:
        yield Finding(
            "memory",
            f"A window needs about {_gigabytes(needed)} beside the weights, {_gigabytes(free)} "
            "are free. Make context_frames or the picture smaller.",
        )


def _gigabytes(count: float) -> str:
    return f"{count / 1024**3:.1f} GB"


def estimates(run: PlannedRun) -> Iterator[str]:
    """Sentences about frames, windows, evaluations and memory."""
    counts = (run.num_frames, run.num_poses, run.driver and run.driver.num_frames)
    frames = next((count for count in counts if count), None)
    if frames:
        size = run.reference_size or run.pose_size
        yield f"{frames} frames" + (f" of {by(size)}." if size else ".")
    if frames and run.windows is not None:
        windows = run.windows.windows(frames)
        length = len(windows[0])
        shared = f", sharing {run.windows.context_overlap} or more" if len(windows) > 1 else ""
        plural = "s" if len(windows) > 1 else ""
        yield f"{len(windows)} window{plural} of {length} frames{shared}."
        if run.steps and run.guidance_scale is not None:
            rows = 2 if run.guidance_scale > 1 else 1
            calls = run.steps * len(windows)
            halves = ", half of them for guidance" if rows == 2 else ""
            yield (
                f"{calls} window evaluations ({run.steps} steps), {rows * calls * length} frames "
                f"through the UNet{halves}."
            )
    if run.memory_needed is not None:
        free = "" if run.memory_free is None else f"; {_gigabytes(run.memory_free)} are free"
        yield f"About {_gigabytes(run.memory_needed)} for a window beside the weights{free}."
