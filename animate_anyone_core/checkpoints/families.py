"""Families of published weights: what tells them apart, and the settings each was made for."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ..borders.networks import EXTRA_INPUTS, NOISE, PROFILE
from ..borders.values import check_known, check_values
from ..errors import SettingsError, UnknownCheckpointError
from ..models.config import TemporalConfig
from ..pose.drawing_profiles import PROFILES as DRAWINGS
from ..sampling.schedule import NoiseSchedule
from ..sampling.windows import WindowSettings


@dataclass(frozen=True, kw_only=True)
class FamilyProfile:
    """Settings that weights of one family expect.

    Attributes:
        name: The family's name.
        noise: Noise schedule at inference.
        extra_inputs: What the denoising UNet's input channels hold behind the noisy latents, in
            order: "target" and "background" are latents of a clip, "mask" is one channel.
        keeps_surroundings: Whether what lies around a replaced person is put back into the latents at
            every step, unless asked otherwise; published pipelines do not.
        guider: Which Pose Guider it is made for: "common" (Moore-AnimateAnyone's) or "aniportrait".
        max_frames: Length of the position table (the longest window).
        recomputes_table: Whether the published code ignores the file's position table.
        context_frames: Default window.
        context_overlap: Default overlap.
        drawing: Name of the skeleton drawing style the weights have seen.
        width: Default video width.
        height: Default video height.
        num_inference_steps: Default steps.
        guidance_scale: Default guidance.
        distilled_steps: Steps that a student was made for, which needs no guidance (training stage 3);
            0 for weights that were not distilled.
        shared_noise: Whether all frames of a clip start from the same noise, by default.
    """

    name: str
    noise: NoiseSchedule = field(default_factory=NoiseSchedule)
    extra_inputs: tuple[str, ...] = ()
    keeps_surroundings: bool = False
    guider: str = "common"
    max_frames: int = 32
    recomputes_table: bool = False
    context_frames: int = 24
    context_overlap: int = 4
    drawing: str = "moore"
    width: int = 512
    height: int = 784
    num_inference_steps: int = 30
    guidance_scale: float = 3.5
    distilled_steps: int = 0
    shared_noise: bool = False

    def __post_init__(self) -> None:
        check_values("The family's settings", vars(self), PROFILE)
        if self.width % 8 or self.height % 8:
            raise SettingsError(
                "The family's settings: width and height must be multiples of 8, got "
                f"{self.width}x{self.height}."
            )
        if self.context_overlap >= self.context_frames:
            raise SettingsError(
                "The family's settings: context_overlap must be smaller than context_frames "
                f"({self.context_frames}), got {self.context_overlap}."
            )
        if self.drawing not in DRAWINGS and self.drawing != MADE_ELSEWHERE:
            raise SettingsError(
                f"The family's settings: drawing must be one of {', '.join(DRAWINGS)}, got "
                f"{self.drawing!r}."
            )

    @property
    def title(self) -> str:
        """How people call the family."""
        return _TITLES.get(self.name, self.name)

    def extra_channels(self, latent_channels: int) -> int:
        """Input channels behind the noisy latents."""
        return sum(1 if name == "mask" else latent_channels for name in self.extra_inputs)

    def check_inputs(self, in_channels: int, out_channels: int) -> None:
        """Raise UnknownCheckpointError if a denoising UNet of these channels is another family's."""
        wanted = out_channels + self.extra_channels(out_channels)
        if in_channels == wanted:
            return
        others = [other.title for other in _of_channels(in_channels, out_channels)]
        seen = ", ".join(["noisy latents", *(EXTRA_INPUTS[name] for name in self.extra_inputs)])
        whose = f" as {' and '.join(others)} have" if others else ""
        raise UnknownCheckpointError(
            f"{self.title}'s denoising UNet takes {wanted} channels ({seen}), this file's takes "
            f"{in_channels},{whose or ' as no known family does'}. Choose the family "
            '"auto", or the file of the family you chose.'
        )

    def windows(
        self,
        temporal: TemporalConfig | None,
        context_frames: int | None = None,
        context_overlap: int | None = None,
        **how: str,
    ) -> WindowSettings:
        """Windows as the weights were made for, where None is given.

        Args:
            temporal: Holds the position table, which limits the family's window.
            context_frames: Frames of a window.
            context_overlap: Shared frames; the family's as far as they fit.
            how: `schedule` and `blending`, see `WindowSettings`.

        Raises:
            SettingsError: If a setting is outside its limits.
        """
        if context_frames is None:
            longest = self.context_frames if temporal is None else temporal.max_frames
            context_frames = min(self.context_frames, longest)
        if context_overlap is None:
            context_overlap = max(0, min(self.context_overlap, context_frames - 1))
        return WindowSettings(context_frames=context_frames, context_overlap=context_overlap, **how)

    def to_json(self) -> dict[str, Any]:
        """All settings as plain values, for a file's header."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "FamilyProfile":
        """The inverse of `to_json`.

        Raises:
            SettingsError: If a setting is unknown, or beyond what it may be.
        """
        settings = check_known("The file's header: the profile", values, PROFILE | {"noise": None})
        noise = check_known(
            "The file's header: the profile's noise", settings.get("noise", {}), NOISE
        )
        check_values("The file's header: the profile's noise", noise, NOISE)
        for name in ("name", "noise"):
            if name not in settings:
                raise SettingsError(f"The file's header: the profile must have a {name}.")
        schedule = NoiseSchedule(**noise)
        if schedule.beta_start >= schedule.beta_end:
            raise SettingsError(
                "The file's header: the profile's noise must grow from beta_start to beta_end, got "
                f"{schedule.beta_start} and {schedule.beta_end}."
            )
        extra = settings.get("extra_inputs", ())
        if isinstance(extra, list):  # as JSON has it
            settings["extra_inputs"] = tuple(extra)
        return cls(**{**settings, "noise": schedule})


#: The drawing of weights whose pose pictures come from outside.
MADE_ELSEWHERE = "made-elsewhere"
_TITLES = {
    "moore": "Moore-AnimateAnyone",
    "musepose": "MusePose",
    "anycharv": "AnyCharV",
    "mimo": "MIMO",
    "aniportrait": "AniPortrait",
}

MOORE = FamilyProfile(name="moore")
MUSEPOSE = FamilyProfile(
    name="musepose",
    noise=NoiseSchedule(beta_schedule="scaled_linear"),
    max_frames=128,
    recomputes_table=True,
    context_frames=48,
    drawing="musepose",
    width=768,
    height=768,
    num_inference_steps=20,
)
#: Puts a character in a person's place: sees the whole target video and the person's box.
ANYCHARV = FamilyProfile(
    name="anycharv",
    extra_inputs=("target", "mask"),
    context_overlap=6,
    width=576,
    height=1024,
    guidance_scale=3.0,
)
#: Draws a character before a background video; driven by pictures of a body model.
MIMO = FamilyProfile(
    name="mimo",
    noise=NoiseSchedule(beta_schedule="scaled_linear"),
    extra_inputs=("background",),
    drawing=MADE_ELSEWHERE,
    width=784,
    height=784,
    num_inference_steps=25,
)
#: Faces, driven by drawn landmarks.
ANIPORTRAIT = FamilyProfile(
    name="aniportrait",
    guider="aniportrait",
    context_frames=16,
    drawing="aniportrait",
    width=512,
    height=512,
    num_inference_steps=25,
)

FAMILIES: dict[str, FamilyProfile] = {
    profile.name: profile for profile in (MOORE, MUSEPOSE, ANYCHARV, MIMO, ANIPORTRAIT)
}


def choose_family(
    requested: str,
    table_length: int | None,
    channels: tuple[int, int] | None = None,
    guider: str | None = None,
) -> tuple[FamilyProfile, str]:
    """Choose the profile for a denoising UNet.

    Extra input channels tell AnyCharV and MIMO; the other families' networks have the same shapes,
    so only the length of the position table can tell them apart, and not always.

    Args:
        requested: A family's name, or "auto".
        table_length: Entries of the position table in the file; None if it has none.
        channels: Of the denoising UNet, in and out; None if its spatial part is not known.
        guider: Kind of the Pose Guider beside it; None if that is not known.

    Returns:
        The profile, and a sentence that says why it was taken.

    Raises:
        SettingsError: If the family is unknown.
        UnknownCheckpointError: If the UNet's channels are another family's, or nobody's.
    """
    if requested != "auto":
        if requested not in FAMILIES:
            raise SettingsError(f"Families are auto, {', '.join(FAMILIES)}, got {requested!r}.")
        if channels is not None:
            FAMILIES[requested].check_inputs(*channels)
        return FAMILIES[requested], "as asked for"
    if channels is not None and channels[0] != channels[1]:
        return _by_channels(*channels)
    if guider == ANIPORTRAIT.guider:
        return ANIPORTRAIT, "its Pose Guider is AniPortrait's"
    if table_length is not None and table_length > MOORE.max_frames:
        return MUSEPOSE, f"its position table has {table_length} entries"
    reason = (
        "nothing in the file tells the families apart"
        if table_length is None
        else f"its position table has {table_length} entries, as Moore-AnimateAnyone's"
    )
    return MOORE, f"{reason}; choose the family by hand if these are MusePose weights"


def _by_channels(in_channels: int, out_channels: int) -> tuple[FamilyProfile, str]:
    found = _of_channels(in_channels, out_channels)
    if not found:
        known = ", ".join(
            f"{out_channels + p.extra_channels(out_channels)} ({p.title})"
            for p in FAMILIES.values()
        )
        raise UnknownCheckpointError(
            f"The denoising UNet takes {in_channels} channels and hands over {out_channels}; known "
            f"families take {known}. It is a network of another kind, such as an inpainting model."
        )
    return found[0], f"its first convolution takes {in_channels} channels"


def _of_channels(in_channels: int, out_channels: int) -> list[FamilyProfile]:
    """Families whose denoising UNet has these channels."""
    extra = in_channels - out_channels
    return [p for p in FAMILIES.values() if p.extra_channels(out_channels) == extra]
