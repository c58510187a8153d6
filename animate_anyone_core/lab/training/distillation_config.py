"""Settings of stage 3, in which a student of few steps learns of a teacher."""

from dataclasses import dataclass

from ...errors import SettingsError
from .settings import check_limits, setting


@dataclass(frozen=True, kw_only=True)
class DistillationConfig:
    """Stage 3: what a student of few steps learns of its teacher.

    Attributes:
        student_steps: Steps of the student, which takes no guidance.
        teacher_steps: Steps of the teacher that these stand for, a multiple of them.
        guidance: The teacher's guidance; None takes what its weights were made for.
        method: "trajectory": the target of a step is where the teacher's own steps lead;
            "consistency": the teacher takes one, the rest of the way is the student's average (EMA);
            "data": the student's own steps, all of them at once, should lead from pure noise to the
            data, whatever the teacher would do.
        start: Where a step starts: "data", noised latents; or "own", where the student's own steps
            lead from pure noise (latents are then not looked at).
        huber: Errors well above this count by their size, not by their square; 0 squares all.
        adversarial: What a small critic of the latents at the end of a step counts beside the error,
            against softness; 0 trains none.
        steadiness: What it counts beside the error that the student's frames change otherwise than
            the data's; against trembling of what stands still.
        texture: What it counts beside the error that the student's frames vary less or more around a
            place, and change so from frame to frame, than the data's; against softness.
        along: Method "data": what counts beside the last step's error that of the clean latents which
            the earlier ones mean.
        alone: Method "data": share of the batches in which the first step alone should lead to the data;
            so a student can do with fewer steps than it has.
        detail: Method "data": what counts that pictures decoded of the last step's latents have more or
            less detail around a place than the data's.
        pixels: Method "data": what counts the squared error of these pictures, in pixels of [-1, 1].
        overlap: Frames that the student's windows share by default; None keeps the teacher's. Fewer
            need fewer windows.
        reach: Whole weights are written so many times as far from the teacher's as they have learned to
            lie: above 1, what they learned is laid on thicker.
        default_steps: Steps that the student's files ask for; None for all that it has.
        origin: What `reach` is measured from: a model's folder; None for the weights to start from. A
            student that goes on learning is laid on thicker from its first teacher.
    """

    student_steps: int = setting(4, least=1)
    teacher_steps: int = setting(20, least=1)
    guidance: float | None = None
    method: str = setting("trajectory", choices=("trajectory", "consistency", "data"))
    start: str = setting("data", choices=("data", "own"))
    huber: float = setting(0.0, least=0)
    adversarial: float = setting(0.0, least=0)
    steadiness: float = setting(0.0, least=0)
    texture: float = setting(0.0, least=0)
    along: float = setting(0.25, least=0)
    alone: float = setting(0.0, least=0)
    detail: float = setting(0.0, least=0)
    pixels: float = setting(0.0, least=0)
    overlap: int | None = setting(None, least=0)
    reach: float = setting(1.0, is_free=True, least=0)
    origin: str | None = setting(None, is_free=True)
    default_steps: int | None = setting(None, is_free=True, least=1)

    def __post_init__(self) -> None:
        check_limits(self, "distillation.")
        if self.teacher_steps % self.student_steps:
            raise SettingsError(
                f"distillation.teacher_steps ({self.teacher_steps}) must be a multiple of "
                f"distillation.student_steps ({self.student_steps}): a step of the student stands "
                "for whole steps of the teacher's."
            )
        if self.default_steps and self.student_steps % self.default_steps:
            raise SettingsError(
                f"distillation.default_steps ({self.default_steps}) must divide "
                f"distillation.student_steps ({self.student_steps}): fewer steps take some of its times."
            )
        for name in ("detail", "pixels", "alone"):
            if getattr(self, name) and self.method != "data":
                raise SettingsError(
                    f"distillation.{name} looks at where all steps of a student lead, which method "
                    f"{self.method} does not see: set distillation.method to data, or {name} to 0."
                )

    @property
    def of_pictures(self) -> tuple[float, float]:
        """What is looked at in decoded pictures: `detail` and `pixels`."""
        return self.detail, self.pixels
