"""Check what is wired together before a long run."""

from dataclasses import replace
from typing import Any

import comfy.model_management as mm
import numpy as np
import torch
from comfy_api.latest import io, ui

from ..animate_anyone_core.errors import SettingsError
from ..animate_anyone_core.pose.skeleton import PoseSequence
from ..animate_anyone_core.preflight.check import check_run
from ..animate_anyone_core.preflight.planned_run import PlannedRun
from ..animate_anyone_core.sampling.windows import WindowSettings
from .context_windows import check_window_inputs, settings_for, window_inputs
from .pose_sockets import PoseKeypointSocket, image_frames, poses_from_socket
from .schema import schema
from .self_check import finding_of, self_check
from .sockets import EncodedPose, EncodedReference, PoseSocket, ReferenceSocket
from .students import profile_of

REPORT, STOP = "report", "stop"


class Preflight(io.ComfyNode):
    """Everything wired in -> a report, and the poses handed on."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "AnimateAnyone_Preflight",
            aliases=("check", "warnings", "memory estimate", "validate"),
            inputs=[*_parts(), *_settings()],
            outputs=[
                io.String.Output("report", display_name="report"),
                PoseSocket.Output("pose_out", display_name="pose"),
            ],
            is_output_node=True,
        )

    @classmethod
    def validate_inputs(cls, context_frames: int | None, context_overlap: int | None) -> bool:
        return check_window_inputs(context_frames, context_overlap)

    @classmethod
    def execute(
        cls,
        steps: int,
        cfg: float,
        on_problem: str,
        context_frames: int,
        context_overlap: int,
        schedule: str,
        blending: str,
        self_test: bool = False,
        model: Any = None,
        reference: EncodedReference | None = None,
        pose: EncodedPose | None = None,
        latent: dict[str, Any] | None = None,
        reference_image: torch.Tensor | None = None,
        skeletons: torch.Tensor | None = None,
        driver_pose: Any = None,
        reference_pose: Any = None,
    ) -> io.NodeOutput:
        windows = None
        if model is not None:
            windows = settings_for(model, context_frames, context_overlap, schedule, blending)
        needed, free = _memory(model, pose, windows, cfg)
        result = check_run(
            PlannedRun(
                driver=_poses(driver_pose),
                reference=_poses(reference_pose),
                skeletons=None if skeletons is None else np.stack(list(image_frames(skeletons))),
                picture_size=_size(reference_image),
                reference_size=None if reference is None else (reference.width, reference.height),
                pose_size=None if pose is None else (pose.width, pose.height),
                num_poses=None if pose is None else len(pose),
                num_frames=None if latent is None else len(latent["samples"]),
                profile=None if model is None else profile_of(model),
                windows=windows,
                steps=steps,
                guidance_scale=cfg,
                memory_needed=needed,
                memory_free=free,
            )
        )
        test = self_check(model) if self_test else None
        if test is not None:
            result = replace(result, findings=(*finding_of(test), *result.findings))
        report = result.to_text() + (f"\n\n{test.to_text()}" if test is not None else "")
        if on_problem == STOP and result.findings:
            raise SettingsError(f"Stopped by Preflight, as asked for. {report}")
        return io.NodeOutput(report, pose, ui=ui.PreviewText(report))


def _parts() -> list[Any]:
    """What can be wired in."""
    return [
        io.Model.Input("model", optional=True),
        ReferenceSocket.Input("reference", optional=True),
        PoseSocket.Input("pose", optional=True),
        io.Latent.Input("latent", optional=True),
        io.Image.Input("reference_image", optional=True),
        io.Image.Input("skeletons", optional=True),
        PoseKeypointSocket.Input("driver_pose", optional=True),
        PoseKeypointSocket.Input("reference_pose", optional=True),
    ]


def _settings() -> list[Any]:
    """What the sampler is set to."""
    return [
        io.Int.Input("steps", default=20, min=1, max=1000),
        io.Float.Input("cfg", default=3.5, min=0.0, max=30.0, step=0.1),
        io.Combo.Input("on_problem", options=[REPORT, STOP], default=REPORT),
        *window_inputs(),
        io.Boolean.Input("self_test", default=False, optional=True),
    ]


def _poses(value: Any) -> PoseSequence | None:
    return None if value is None else poses_from_socket(value)


def _size(image: torch.Tensor | None) -> tuple[int, int] | None:
    return None if image is None else (int(image.shape[2]), int(image.shape[1]))


def _memory(
    model: Any, pose: EncodedPose | None, windows: WindowSettings | None, cfg: float
) -> tuple[float | None, float | None]:
    """Bytes a window takes beside the weights, and bytes free where the model runs."""
    if model is None or pose is None or windows is None:
        return None, None
    rows = (2 if cfg > 1 else 1) * min(len(pose), windows.context_frames)
    channels = model.model.latent_format.latent_channels
    needed = model.memory_required([rows, channels, *pose.cells])
    return float(needed), float(mm.get_free_memory(model.load_device))
