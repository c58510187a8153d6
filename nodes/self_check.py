"""The quick part of the self-test, with ComfyUI's own device and attention."""

from typing import Any

import comfy.model_management as mm
import torch

from ..animate_anyone_core.preflight.planned_run import Finding
from ..animate_anyone_core.self_test.reference_numbers import numbers_of
from ..animate_anyone_core.self_test.run import SelfTest, run_self_test
from ..animate_anyone_core.self_test.stages import STAGES
from .comfy_patches import comfy_attention

_NAMES = {torch.float32: "fp32", torch.float16: "fp16", torch.bfloat16: "bf16"}


def self_check(model: Any | None) -> SelfTest:
    """Test the device and precision of a MODEL: every stage but the sampling, one family.

    Args:
        model: A MODEL of ours; None tests float32 on ComfyUI's device.
    """
    device, precision = mm.get_torch_device(), "fp32"
    if model is not None:
        device = model.load_device
        stored = model.model.get_dtype()
        computed = model.model.manual_cast_dtype or stored
        is_fp8 = stored is torch.float8_e4m3fn and computed is torch.bfloat16
        precision = "fp8" if is_fp8 else _NAMES.get(computed, "fp32")
    return run_self_test(
        device,
        precision,
        attention=comfy_attention,
        families=[numbers_of("moore")],
        stages=[stage for stage in STAGES if stage.name != "guidance and sampling"],
        with_clip=False,
    )


def finding_of(test: SelfTest) -> tuple[Finding, ...]:
    """A finding if this machine computes something else than the published code."""
    return () if test.passes else (Finding("self-test", test.verdict(), fails=True),)
