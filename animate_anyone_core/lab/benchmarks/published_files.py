"""Files of the published shapes with random numbers, and what loading them takes this process."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...checkpoints.convert import published_weights, with_position_tables
from ...checkpoints.load import (
    expected_shapes,
    load_denoising_unet,
    load_pose_guider,
    load_reference_net,
    read_denoising_unet,
)
from ...checkpoints.weight_files import write_weights
from ...errors import SettingsError
from ...models.config import TemporalConfig, UNetConfig
from ...models.denoising_unet import DenoisingUNet
from ...models.pose_guider import PublishedPoseGuider
from ...models.reference_net import ReferenceNet
from ...self_test.process_memory import forget_peak, read_process_memory

DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}


def published_shapes(width: int) -> dict[str, dict[str, torch.Size]]:
    """Keys and shapes of the four published files, by file name without ending.

    Args:
        width: Width of the finest level; 320 as published.

    Raises:
        SettingsError: If there is no such UNet.
    """
    config = _config(width)
    temporal = TemporalConfig()
    whole = expected_shapes(lambda: DenoisingUNet(config, temporal))
    spatial = expected_shapes(lambda: DenoisingUNet(config, None))
    meta = {key: torch.empty(s, device="meta") for key, s in whole.items() if key not in spatial}
    motion = with_position_tables(published_weights(meta), temporal.max_frames)
    return {
        "denoising_unet": spatial,
        "reference_unet": expected_shapes(lambda: ReferenceNet(config)),
        "motion_module": {key: tensor.shape for key, tensor in motion.items()},
        "pose_guider": expected_shapes(lambda: PublishedPoseGuider(out_channels=width)),
    }


def write_random_files(
    folder: Path,
    shapes: Mapping[str, Mapping[str, torch.Size]],
    dtype: torch.dtype,
    suffix: str = ".safetensors",
) -> None:
    """Write files of these shapes, full of small random numbers."""
    numbers = torch.randn(1 << 20, generator=torch.Generator().manual_seed(0)).mul(0.02).to(dtype)
    for name, entries in shapes.items():
        weights: dict[str, Tensor] = {}
        for key, shape in entries.items():
            count = shape.numel()
            weights[key] = numbers.repeat(-(-count // len(numbers)))[:count].view(shape).clone()
        if suffix == ".safetensors":
            write_weights(folder / f"{name}{suffix}", weights)
        else:
            torch.save(weights, folder / f"{name}{suffix}")


def measure_loading(folder: Path) -> dict[str, Any]:
    """Load the four files, keep their type, and tell what it took.

    Returns:
        Seconds, also of processor time; resident bytes before, at the peak, and how much of what
        was added is private or mapped; numbers initialised; whether the random state stayed; types
        of the weights.
    """
    suffix = next(folder.iterdir()).suffix
    files = {path.stem: path for path in folder.glob(f"*{suffix}")}
    expected_shapes(lambda: DenoisingUNet(_config(32), TemporalConfig()))  # libraries import late
    random_state = torch.get_rng_state()
    initialised = _count_initialised()
    forget_peak()
    before = read_process_memory()
    start, cpu_start = time.perf_counter(), time.process_time()
    unet = load_denoising_unet(read_denoising_unet(files["denoising_unet"], files["motion_module"]))
    reference, _ = load_reference_net(files["reference_unet"])
    guider, _ = load_pose_guider(files["pose_guider"])
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    after = read_process_memory()
    networks: list[nn.Module] = [unet, reference, guider]
    result: dict[str, Any] = {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "dtypes": sorted({str(p.dtype) for network in networks for p in network.parameters()}),
        "parameters": sum(p.numel() for network in networks for p in network.parameters()),
        "initialised": initialised(),
        "random_state_kept": torch.equal(random_state, torch.get_rng_state()),
    }
    if before and after:
        result |= {
            "total_before": before.total,
            "peak": after.peak,
            "private_added": after.private - before.private,
            "mapped_added": after.mapped - before.mapped,
        }
    return result


def _config(width: int) -> UNetConfig:
    if width < 32 or width % 32:
        raise SettingsError(f"--width must be a multiple of 32, got {width}.")
    return UNetConfig(block_out_channels=(width, 2 * width, 4 * width, 4 * width))


def _count_initialised() -> Callable[[], int]:
    """Start counting the numbers in memory that `torch.nn.init` fills; returns the count so far."""
    count = 0

    def counted(fill: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def wrapper(tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            nonlocal count
            if not tensor.is_meta:
                count += tensor.numel()
            return fill(tensor, *args, **kwargs)

        return wrapper

    for name in dir(nn.init):
        if name.endswith("_") and not name.startswith("_"):
            setattr(nn.init, name, counted(getattr(nn.init, name)))
    return lambda: count
