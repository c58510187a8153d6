"""The whole self-test, and its report for people."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from ..models.attention import AttentionKernel
from .clip import ClipResult, check_clip
from .core_calls import DEFAULT_KERNEL, Networks, build_networks
from .kernels import KernelResult, check_kernels
from .precision import PRECISIONS, Precision, without_tf32
from .reference_numbers import ReferenceNumbers, shipped_families
from .stages import STAGES, Stage, StageResult, advice_for, run_stage

OnPart = Callable[[str], None]


@dataclass(frozen=True)
class SelfTest:
    """What came of it.

    Attributes:
        device: Where it ran.
        precision: In what.
        kernels: One an attention kernel.
        stages: One a stage and family, in order.
        clip: The built-in clip; None if it was left out.
    """

    device: str
    precision: str
    kernels: tuple[KernelResult, ...] = ()
    stages: tuple[StageResult, ...] = ()
    clip: ClipResult | None = field(default=None)

    @property
    def passes(self) -> bool:
        """Whether this machine computes what was published."""
        return (
            all(kernel.passes for kernel in self.kernels)
            and all(stage.passes for stage in self.stages)
            and bool(self.stages)
            and (self.clip is None or self.clip.passes)
        )

    def verdict(self) -> str:
        """One paragraph: that all is well, or which stage differs first and what to do."""
        where = f"{self.device} in {self.precision}"
        if self.passes:
            return f"All stages on {where} are within their limits."
        wrong = [result for result in self.kernels if not result.passes]
        if wrong:
            return _wrong_kernel(wrong[0], where)
        stage = next((result for result in self.stages if not result.passes), None)
        if stage is not None:
            what = stage.problem or f"differs ({stage.worst})"
            return f"{stage.stage} on {where} {what}. {advice_for(stage)}"
        assert self.clip is not None
        what = (
            self.clip.problem
            or f"has {self.clip.psnr:.1f} dB, at least {self.clip.bar:.0f} are right"
        )
        return (
            f"The built-in clip on {where} {what}, though every stage above is right: the VAE, the "
            "image encoder or the reading of pictures differs. Update Pillow, diffusers and "
            "transformers."
        )

    def to_text(self) -> str:
        """The report: kernels, stages, clip, verdict."""
        rows = [["attention kernel", "", "difference", "of limit", "seconds", "MB", ""]]
        for kernel in self.kernels:
            rows.append(_kernel_row(kernel))
        rows.append(["stage", "numbers of", "difference", "of limit", "seconds", "MB", ""])
        for stage in self.stages:
            rows.append(_stage_row(stage))
        if self.clip is not None:
            rows.append(_clip_row(self.clip))
        widths = [max(len(row[i]) for row in rows) for i in range(6)]
        lines = [f"Self-test on {self.device} in {self.precision}, PyTorch {torch.__version__}", ""]
        for row in rows:
            cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
            lines.append("  ".join([*cells, row[6]]).rstrip())
            if row is rows[len(self.kernels)]:
                lines.append("")
        return "\n".join([*lines, "", self.verdict()])


def run_self_test(
    device: torch.device,
    precision: Precision | str = "fp32",
    *,
    attention: AttentionKernel = DEFAULT_KERNEL,
    families: Iterable[Path] | None = None,
    stages: Iterable[Stage] = STAGES,
    with_clip: bool = True,
    build: Callable[..., Networks] = build_networks,
    on_part: OnPart = lambda part: None,
) -> SelfTest:
    """Run the self-test.

    Args:
        device: Where.
        precision: One of `PRECISIONS`, or its name.
        attention: The kernel that the networks use.
        families: Folders of numbers; None takes all that ship.
        stages: Which stages.
        with_clip: Whether to animate the built-in clip as well.
        build: Builds the networks, see `build_networks`.
        on_part: Told before every part.

    Raises:
        CheckpointError: If files of the package are missing.
    """
    if isinstance(precision, str):
        precision = PRECISIONS[precision]
    results: list[StageResult] = []
    clip = None
    with without_tf32(device, precision):
        on_part("attention kernels")
        kernels = check_kernels(device, precision, attention)
        for folder in shipped_families() if families is None else families:
            numbers = ReferenceNumbers(folder)
            networks = build(numbers, device, precision, attention)
            exact = _with_rounded_weights(numbers, precision)
            for stage in stages:
                on_part(f"{stage.name}, {numbers.family}")
                results.append(run_stage(stage, networks, numbers, precision.name, exact))
        if with_clip:
            on_part("built-in clip")
            clip = check_clip(device, precision)
    return SelfTest(str(device), precision.name, tuple(kernels), tuple(results), clip)


def _with_rounded_weights(numbers: ReferenceNumbers, precision: Precision) -> Networks | None:
    """What weights stored in fp8 are compared with: the same weights, computed in float32."""
    if precision.stored is None:
        return None
    exact = Precision(f"{precision.name} weights", torch.float32, precision.stored)
    return build_networks(numbers, "cpu", exact)


def _wrong_kernel(kernel: KernelResult, where: str) -> str:
    if kernel.worst is None:
        return f"The attention kernel on {where} cannot run: {kernel.unavailable}."
    text = f"The attention kernel ({kernel.kernel}) on {where} is wrong in the case {kernel.worst}."
    if kernel.worst.name == "masked":
        text += " It drops or mistakes the mask, by which several reference pictures are weighed."
    if not kernel.is_used:
        return f"{text} The networks do not ask for it by themselves; do not choose it."
    return (
        f"{text} Use another kernel (in ComfyUI --use-split-cross-attention or "
        "--use-pytorch-cross-attention), or another version of PyTorch and of the driver."
    )


def _kernel_row(result: KernelResult) -> list[str]:
    worst = result.worst
    if worst is None:
        mark = "not here" if result.passes else f"FAILS: {result.unavailable}"
        return [result.kernel, "", "", "", "", "", mark]
    numbers = [_number(worst.max_over_rms), _share(worst.of_limit), f"{result.seconds:.2f}", ""]
    return [result.kernel, "", *numbers, "" if result.passes else f"DIFFERS: {worst}"]


def _stage_row(result: StageResult) -> list[str]:
    worst = result.worst
    if worst is None:
        return [result.stage, result.family, "", "", "", "", f"FAILS: {result.problem}"]
    numbers = [_number(worst.max_over_rms), _share(worst.of_limit)]
    cost = [f"{result.seconds:.2f}", _megabytes(result.memory)]
    mark = "" if result.passes else f"DIFFERS: {worst}"
    return [result.stage, result.family, *numbers, *cost, mark]


def _clip_row(clip: ClipResult) -> list[str]:
    name = ["built-in clip", "stored frames"]
    if clip.problem is not None:
        return [*name, "", "", "", "", f"FAILS: {clip.problem}"]
    bar = f"(at least {clip.bar:.0f})" if clip.passes else f"DIFFERS: at least {clip.bar:.0f} dB"
    cost = [f"{clip.seconds:.2f}", _megabytes(clip.memory)]
    return [*name, f"{clip.psnr:.1f} dB", "", *cost, bar]


def _number(value: float) -> str:
    return f"{value:.1e}" if math.isfinite(value) else "not finite"


def _share(value: float) -> str:
    return f"{value:.2f}" if value < 100 else ("over 100" if math.isfinite(value) else "-")


def _megabytes(count: int | None) -> str:
    return "" if count is None else f"{count / 1e6:.0f}"
