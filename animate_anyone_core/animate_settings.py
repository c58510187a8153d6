"""How to animate: size, steps, windows; what nobody gives is what the weights were made for."""

import math
from dataclasses import dataclass, replace
from typing import Any

from .checkpoints.model_folder import Models
from .errors import SettingsError
from .images import check_video_size
from .sampling.speed import Speed
from .sampling.windows import WindowSettings


@dataclass(frozen=True, kw_only=True)
class AnimateSettings:
    """How to animate.

    Attributes:
        width: Video width, a multiple of 8.
        height: Video height, a multiple of 8.
        num_inference_steps: Solver steps.
        guidance_scale: Classifier-free guidance.
        seed: Seed of the noise.
        windows: Windows and their blending.
        solver: Name of the solver.
        fit: How the reference picture comes to the video's size, see `images.fit`.
        guided_from: Share of the steps that are taken without guidance, at the start.
        full_every: Every so many steps all is computed; between, deep features are used again.
        keep_surroundings: Whether what lies around a replaced person stays the video's own, in the
            latents at every step and in the pixels at the end, for weights that see it; published
            pipelines leave all to the network.
        shared_noise: Whether all frames start from the noise of the first, so that what is left of it
            stands still; for weights that learned so.
    """

    width: int
    height: int
    num_inference_steps: int
    guidance_scale: float
    seed: int = 0
    windows: WindowSettings
    solver: str = "ddim"
    fit: str = "stretch"
    guided_from: float = 0.0
    full_every: int = 1
    keep_surroundings: bool = False
    shared_noise: bool = False

    def __post_init__(self) -> None:
        check_video_size(self.width, self.height)
        if self.num_inference_steps < 1:
            raise SettingsError(f"Sampling needs at least 1 step, got {self.num_inference_steps}.")
        if not math.isfinite(self.guidance_scale):
            raise SettingsError(
                f"The guidance scale must be a finite number, got {self.guidance_scale}. "
                "3.5 is usual; 1 turns guidance off."
            )
        if not 0 <= self.seed < 2**64:
            raise SettingsError(f"The seed must be from 0 to {2**64 - 1}, got {self.seed}.")
        if not 0.0 <= self.guided_from <= 1.0:
            raise SettingsError(f"guided_from is a share from 0 to 1, got {self.guided_from:g}.")
        if self.full_every < 1:
            raise SettingsError(f"full_every must be at least 1, got {self.full_every}.")

    @classmethod
    def for_model(cls, models: Models, **given: Any) -> "AnimateSettings":
        """Take what the weights were made for wherever nothing, or None, is given."""
        profile = models.profile
        made_for: dict[str, Any] = {
            "width": profile.width,
            "height": profile.height,
            "num_inference_steps": profile.num_inference_steps,
            "guidance_scale": profile.guidance_scale,
            "windows": profile.windows(models.denoising_unet.temporal),
            "keep_surroundings": profile.keeps_surroundings,
            "shared_noise": profile.shared_noise,
        }
        return cls(**made_for | {name: v for name, v in given.items() if v is not None})

    @classmethod
    def check_given(
        cls, context_frames: int | None = None, context_overlap: int | None = None, **given: Any
    ) -> None:
        """Check what does not depend on weights, before they are loaded; None is not given.

        Raises:
            SettingsError: As the settings themselves.
        """
        overlap = context_overlap or 0
        window = max(overlap, 0) + 1 if context_frames is None else context_frames
        windows = WindowSettings(context_frames=window, context_overlap=overlap)
        wanted = {name: value for name, value in given.items() if value is not None}
        if not {"width", "height"} <= wanted.keys():  # the weights' own side may be the other one
            wanted |= {"width": 64, "height": 64}
        others: dict[str, Any] = {"num_inference_steps": 1, "guidance_scale": 1.0}
        cls(**others | wanted, windows=windows)

    def at_speed(self, speed: Speed, solver: str | None = None) -> "AnimateSettings":
        """The same with what a speed leaves out; a solver that is given stays."""
        return replace(
            self,
            num_inference_steps=speed.steps(self.num_inference_steps),
            solver=solver or speed.solver or self.solver,
            guided_from=speed.guided_from,
            full_every=speed.full_every,
        )

    def count_windows(self, num_frames: int) -> int:
        """How many windows are predicted for a clip: how often `on_step` is called."""
        return self.num_inference_steps * len(self.windows.windows(num_frames))
