"""Our context windows on any sampler."""

from typing import Any

import comfy.context_windows
import torch
from comfy_api.latest import io

from ..animate_anyone_core.errors import SettingsError
from ..animate_anyone_core.sampling.blending import BLENDINGS, window_weights
from ..animate_anyone_core.sampling.windows import SCHEDULES, Window, WindowSettings
from .schema import schema
from .sockets import ADVANCED, output


def window_inputs() -> list[Any]:
    """The inputs by which windows are set, for every node that has them."""
    return [
        io.Int.Input("context_frames", default=0, min=0, max=1024, extra_dict=ADVANCED),
        io.Int.Input("context_overlap", default=4, min=0, max=512, extra_dict=ADVANCED),
        io.Combo.Input("schedule", options=list(SCHEDULES), default="open", extra_dict=ADVANCED),
        io.Combo.Input("blending", options=list(BLENDINGS), default="pyramid", extra_dict=ADVANCED),
    ]


def check_window_inputs(context_frames: int | None, context_overlap: int | None) -> bool:
    """For `validate_inputs` of every node with `window_inputs`: the overlap fits into the window.

    A window of 0 frames is what the weights were made for, known when they are loaded.

    Raises:
        SettingsError: If it does not.
    """
    if context_frames is not None and context_overlap is not None:
        length = context_frames or max(1, context_overlap + 1)
        WindowSettings(context_frames=length, context_overlap=context_overlap)
    return True


class ContextWindows(io.ComfyNode):
    """MODEL -> MODEL with windows."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "AnimateAnyone_ContextWindows",
            aliases=("context options", "sliding window", "long video", "animatediff"),
            inputs=[
                io.Model.Input("model"),
                *window_inputs(),
            ],
            outputs=[output(io.Model, "model_out")],
        )

    @classmethod
    def validate_inputs(cls, context_frames: int | None, context_overlap: int | None) -> bool:
        return check_window_inputs(context_frames, context_overlap)

    @classmethod
    def execute(cls, model: Any, **windows: Any) -> io.NodeOutput:
        return io.NodeOutput(with_windows(model, settings_for(model, **windows)))


def settings_for(
    model: Any, context_frames: int, context_overlap: int, schedule: str, blending: str
) -> WindowSettings:
    """The windows asked for, checked against what the weights can see.

    Raises:
        SettingsError: If a window is longer than the weights' position table.
    """
    profile = getattr(model.model, "profile", None)
    if profile is None:
        raise SettingsError(
            "Animate Anyone's windows need a model of this pack, got another one. Use "
            '"Load UNet3D (Animate Anyone)".'
        )
    network = model.model.diffusion_model
    windows = profile.windows(
        network.temporal,
        context_frames or None,
        context_overlap,
        schedule=schedule,
        blending=blending,
    )
    network.check_window(windows.context_frames)
    return windows


def with_windows(model: Any, settings: WindowSettings, plan: list[Window] | None = None) -> Any:
    """A clone of the model that is sampled in windows: those of the settings, or those of a plan.

    Raises:
        SettingsError: If another node has set windows of its own.
    """
    model = model.clone()
    before = model.model_options.get("context_handler")
    if before is not None and not isinstance(before, OurWindows):
        raise SettingsError(
            "The model comes with the context windows of another node, and a clip is cut only once. "
            "Take that node out: this one sets the windows."
        )
    model.model_options["context_handler"] = OurWindows(settings, plan)
    comfy.context_windows.create_prepare_sampling_wrapper(model)
    return model


class OurWindows(comfy.context_windows.IndexListContextHandler):
    """ComfyUI's handler of index lists, fed with our schedule and our weights."""

    _model = None  # whom a newer ComfyUI asks how to cut conditions; ours is cut by the shapes

    def __init__(self, settings: WindowSettings, plan: list[Window] | None) -> None:
        def schedule(num_frames: int, handler: Any, model_options: Any) -> list[Window]:
            return plan or settings.windows(num_frames)

        def weights(length: int, **kwargs: Any) -> list[float]:
            return self.weights(length).tolist()

        self._settings = settings

        super().__init__(
            context_schedule=comfy.context_windows.ContextSchedule("animate_anyone", schedule),
            fuse_method=comfy.context_windows.ContextFuseMethod(settings.blending, weights),
            context_length=settings.context_frames,
            context_overlap=settings.context_overlap,
            dim=0,
        )
        self.causal_window_fix = False  # would add a frame to every window, past the table

    def weights(self, length: int) -> torch.Tensor:
        """How much each frame of a window counts (f,)."""
        blending, overlap = self._settings.blending, self._settings.context_overlap
        return window_weights(length, blending, overlap)

    def set_step(self, timestep: Any, model_options: Any) -> None:
        """Our windows do not move with the step; the search for it fails between steps."""
