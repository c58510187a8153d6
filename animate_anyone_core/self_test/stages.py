"""The stages of the method, in order: what each computes, and what it must compute."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ..models.landmark_guider import LandmarkGuider
from .core_calls import (
    Networks,
    landmark_maps,
    noise_solver,
    person_cells,
    pose_features,
    predictions,
    published_windows_of,
    reference_features,
    sampled_latents,
    temporal_output,
)
from .differences import EQUAL, Difference, Limit, difference
from .limits import limit_for
from .memory_meter import MemoryMeter
from .reference_numbers import ReferenceNumbers

Results = Mapping[str, Tensor]


@dataclass(frozen=True)
class Stage:
    """One stage of the method.

    Attributes:
        name: What users read.
        compute: What the networks give, by the names of the stored numbers.
        advice: What to do where it differs.
    """

    name: str
    compute: Callable[[Networks, ReferenceNumbers], Results]
    advice: str


@dataclass(frozen=True)
class StageResult:
    """What came of a stage.

    Attributes:
        stage: Its name.
        family: Whose numbers.
        differences: One for every stored tensor.
        seconds: How long it took.
        memory: Bytes it took beyond what there was before; None where nobody tells.
        problem: Why it did not run; None if it did.
    """

    stage: str
    family: str
    differences: tuple[Difference, ...] = ()
    seconds: float = 0.0
    memory: int | None = None
    problem: str | None = None

    @property
    def worst(self) -> Difference | None:
        """The tensor that is nearest to its limit, or furthest beyond."""
        return max(self.differences, key=lambda d: d.of_limit, default=None)

    @property
    def passes(self) -> bool:
        """Whether all is within its limit."""
        return self.problem is None and self.worst is not None and self.worst.of_limit <= 1.0


def _recipe(networks: Networks, numbers: ReferenceNumbers) -> Results:
    return {"recipe/wrong": torch.tensor([float(len(numbers.wrong_checksums()))])}


def _schedule(networks: Networks, numbers: ReferenceNumbers) -> Results:
    return {"scheduler/alphas_cumprod": noise_solver(numbers).alphas_cumprod}


def _windows(networks: Networks, numbers: ReferenceNumbers) -> Results:
    num_frames = numbers.settings["sampling"]["num_frames"]
    return {"windows/all": torch.tensor(published_windows_of(numbers).windows(num_frames))}


def _guider(networks: Networks, numbers: ReferenceNumbers) -> Results:
    frames = numbers.settings["stored_frames"]
    if isinstance(networks.pose_guider, LandmarkGuider):
        first = numbers.windows[0]
        return {
            f"guider/{name}/fea_{i}": part[:, :, :frames]
            for name, is_published in _RANGES.items()
            for i, part in enumerate(
                landmark_maps(networks, numbers, published_range=is_published).of(first)
            )
        }
    return {"pose_guider/out": pose_features(networks, numbers, frames)}


def _reference(networks: Networks, numbers: ReferenceNumbers) -> Results:
    features = reference_features(networks, numbers)
    return {f"reference/{path}": features[path] for path in numbers.settings["reference_blocks"]}


def _temporal(networks: Networks, numbers: ReferenceNumbers) -> Results:
    return {
        f"motion/{name}_out": temporal_output(networks, path, numbers.inputs[f"motion/{name}_in"])
        for name, path in numbers.settings["motion_cases"].items()
    }


def _unet(networks: Networks, numbers: ReferenceNumbers) -> Results:
    return {
        "unet/conditional": predictions(networks, numbers, with_unconditional=False),
        "unet/cfg": predictions(networks, numbers, with_unconditional=True),
    }


def _sampling(networks: Networks, numbers: ReferenceNumbers) -> Results:
    run = sampled_latents(networks, numbers)
    results = {
        "sampling/timesteps": run.timesteps,
        "sampling/guided_pred_step0": run.guided,
        "sampling/final_latents": run.final,
    }
    if numbers.extra_channels() is not None:
        results["sampling/model_input_step0_window0"] = run.given
    if "person_mask_u8" in numbers.inputs:
        boxes, cells = person_cells(numbers)
        results |= {"conditioning/boxes_xyxy": boxes, "conditioning/mask_latent": cells}
    if isinstance(networks.pose_guider, LandmarkGuider):
        run = sampled_latents(networks, numbers, published_range=False)
        results["sampling_training_range/guided_pred_step0"] = run.guided
        results["sampling_training_range/final_latents"] = run.final
    return results


#: AniPortrait's two ranges of the guider's input, as the stored numbers call them.
_RANGES = {"published_range": True, "training_range": False}

_KERNELS = (
    "Look at the attention kernels above. Another version of PyTorch or of the driver may cure it; "
    "in ComfyUI start with --use-split-cross-attention to see whether its kernel is at fault."
)
_CONVOLUTIONS = (
    "This stage is convolutions alone: a convolution kernel of this device is at fault. Update "
    "PyTorch and the driver, or run in fp32."
)
_ARITHMETIC = (
    "This is computed on the CPU in few lines: NumPy, PyTorch or diffusers is damaged or of an "
    "unknown version. Install them again."
)

STAGES: tuple[Stage, ...] = (
    Stage("recipe", _recipe, _ARITHMETIC),
    Stage("noise schedule", _schedule, _ARITHMETIC),
    Stage("windows", _windows, _ARITHMETIC),
    Stage("Pose Guider", _guider, _CONVOLUTIONS),
    Stage("ReferenceNet", _reference, _KERNELS),
    Stage("temporal layers", _temporal, _KERNELS),
    Stage("denoising UNet", _unet, _KERNELS),
    Stage("guidance and sampling", _sampling, _KERNELS),
)


def stage_named(name: str) -> Stage:
    """A stage by its name."""
    return next(stage for stage in STAGES if stage.name == name)


def expected_result(name: str, numbers: ReferenceNumbers) -> Tensor:
    """What a stage must give under this name."""
    if name == "recipe/wrong":
        return torch.zeros(1)
    if name.startswith("windows/"):
        return torch.tensor(numbers.windows)
    return numbers.expected[name]


def run_stage(
    stage: Stage,
    networks: Networks,
    numbers: ReferenceNumbers,
    precision: str,
    exact: Networks | None = None,
) -> StageResult:
    """Run one stage and compare it with the stored numbers.

    An operation that the device does not have is a problem of the stage, not an error.

    Args:
        stage: The stage.
        networks: The family's networks.
        numbers: What they must give.
        precision: Name of what they compute in.
        exact: Networks that say what to expect in place of the stored numbers: where weights were
            rounded, the stored numbers are those of other weights.
    """
    meter = MemoryMeter(networks.denoising_unet.conv_in.weight.device)
    started = time.perf_counter()
    try:
        with meter:
            results = {n: r.cpu() for n, r in stage.compute(networks, numbers).items()}
    except (RuntimeError, NotImplementedError, TypeError) as error:  # what devices raise
        lines = str(error).strip().splitlines() or [type(error).__name__]
        return StageResult(stage.name, numbers.family, problem=f"could not run: {lines[0]}")
    seconds = time.perf_counter() - started
    exact_results = stage.compute(exact, numbers) if exact else {}
    differences = tuple(
        difference(
            name,
            result,
            exact_results.get(name, expected_result(name, numbers)),
            _limit(name, numbers, precision),
        )
        for name, result in results.items()
    )
    return StageResult(stage.name, numbers.family, differences, seconds, meter.peak)


def _limit(name: str, numbers: ReferenceNumbers, precision: str) -> Limit:
    if name not in numbers.limits:
        return EQUAL
    return limit_for(name, precision, Limit(**numbers.limits[name]))


def advice_for(result: StageResult) -> str:
    """What to do about a stage that does not pass."""
    if result.worst is not None and not result.worst.is_finite:
        return (
            "Numbers became infinite or undefined: float16 reaches only to 65504. Run in bf16, or "
            "in fp32 (ComfyUI: --force-fp32, or bf16 in the loader)."
        )
    return stage_named(result.stage).advice
