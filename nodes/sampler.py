"""Sample a clip: reference, poses and windows in one node."""

import logging
from typing import Any

import comfy.sample
import comfy.samplers
import latent_preview
import torch
from comfy_api.latest import io

from ..animate_anyone_core.checkpoints.student import misuse
from ..animate_anyone_core.sampling.clip_room import ClipRoom
from ..animate_anyone_core.sampling.speed import EXACT, SPEEDS, Speed
from ..animate_anyone_core.sampling.windows import Window, WindowSettings, windows_for_changes
from .clip_sampler import ClipSampler, clip_noise, goes_by_windows
from .conditioning import condition, empty_clip
from .context_windows import check_window_inputs, settings_for, window_inputs, with_windows
from .latent_format import check_clip, latent_channels
from .published_ddim import sample_published_ddim
from .schema import schema
from .share_input import share_input
from .sockets import EncodedPose, EncodedReference, PoseSocket, ReferenceSocket, output
from .speed import SAMPLERS, at_speed, speed_input
from .students import profile_of

logger = logging.getLogger("animate_anyone")

PUBLISHED = "published ddim"


class Sampler(io.ComfyNode):
    """MODEL, AA_REFERENCE, AA_POSE -> LATENT."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "AnimateAnyone_Sampler",
            aliases=(
                "ksampler",
                "animate character",
                "moore-animateanyone",
                "musepose",
                "image to video",
            ),
            inputs=[
                io.Model.Input("model"),
                ReferenceSocket.Input("reference"),
                PoseSocket.Input("pose"),
                io.Int.Input(
                    "seed", default=0, min=0, max=0xFFFFFFFFFFFFFFFF, control_after_generate=True
                ),
                io.Int.Input("steps", default=20, min=0, max=1000),
                io.Float.Input("cfg", default=3.5, min=0.0, max=30.0, step=0.1),
                io.Combo.Input(
                    "sampler_name",
                    options=[PUBLISHED, *comfy.samplers.KSampler.SAMPLERS],
                    default=PUBLISHED,
                ),
                io.Combo.Input(
                    "scheduler", options=comfy.samplers.KSampler.SCHEDULERS, default="simple"
                ),
                share_input("denoise", 1.0),
                *window_inputs(),
                io.Latent.Input("latent", optional=True),
                speed_input(),
            ],
            outputs=[output(io.Latent, "latent_out")],
        )

    @classmethod
    def validate_inputs(cls, context_frames: int | None, context_overlap: int | None) -> bool:
        return check_window_inputs(context_frames, context_overlap)

    @classmethod
    def execute(
        cls,
        model: Any,
        reference: EncodedReference,
        pose: EncodedPose,
        context_frames: int,
        context_overlap: int,
        schedule: str,
        blending: str,
        latent: dict[str, Any] | None = None,
        speed: str = "exact",
        **sampling: Any,
    ) -> io.NodeOutput:
        windows = settings_for(model, context_frames, context_overlap, schedule, blending)
        conds = condition(model, reference, pose)  # of the whole clip, to check it
        start = latent or {"samples": empty_clip(model, pose)}
        frames, plan = needed_frames(start, windows, len(pose))
        if frames is not None:
            kept = slice(frames.start, frames.stop)
            conds = condition(model, reference.at(frames), pose.at(kept))
        windowed = with_windows(model, windows, plan)
        sampling |= steps_of(model, sampling["steps"], sampling["cfg"])
        samples = sample(windowed, conds, start, frames, speed=speed_for(model, speed), **sampling)
        return io.NodeOutput({**start, "samples": samples})


def steps_of(model: Any, steps: int, cfg: float) -> dict[str, Any]:
    """Steps and guidance as given; as the weights were made for where steps are 0."""
    profile = profile_of(model)
    if not steps:
        steps, cfg = profile.num_inference_steps, profile.guidance_scale
        logger.info("Sampler: %d steps, cfg %g, as the weights were made for.", steps, cfg)
    wrong = misuse(profile, steps, cfg)
    if wrong is not None:
        logger.warning("Sampler: %s", wrong)
    return {"steps": steps, "cfg": cfg}


def speed_for(model: Any, name: str) -> Speed:
    """A speed by name; there is nothing to leave out of a student's few steps."""
    if profile_of(model).distilled_steps and SPEEDS[name] != EXACT:
        logger.warning("Sampler: speed %s leaves nothing out of a student's few steps.", name)
        return EXACT
    return SPEEDS[name]


def needed_frames(
    latent: dict[str, Any], windows: WindowSettings, num_poses: int
) -> tuple[range | None, list[Window] | None]:
    """Which frames and windows must be computed, if a noise mask lets only some frames change.

    Returns:
        The frames, and their windows counted from the first of them; None for both if it is all.
    """
    mask, count = latent.get("noise_mask"), latent["samples"].shape[0]
    if mask is None or count != num_poses or mask.reshape(-1, *mask.shape[-2:]).shape[0] != count:
        return None, None
    changed = (mask.reshape(count, -1) > 0).any(dim=1).tolist()
    if all(changed) or not any(changed):
        return None, None
    frames, plan = windows_for_changes(windows.windows(count), changed)
    return (frames, plan) if len(frames) < count else (None, None)


def sample(
    model: Any,
    conds: tuple[list[Any], list[Any]],
    latent: dict[str, Any],
    frames: range | None,
    *,
    seed: int,
    steps: int,
    cfg: float,
    sampler_name: str,
    scheduler: str,
    denoise: float,
    speed: Speed = EXACT,
) -> torch.Tensor:
    """Run ComfyUI's sampling, as its KSampler node does.

    With `frames`, only these are sampled, with the noise that they have in the whole clip, and the
    others stay as they are; the conditioning is that of these frames.

    Raises:
        ShapeError: If the clip to start from is no clip of this model's latents.
    """
    whole = comfy.sample.fix_empty_latent_channels(model, latent["samples"])
    check_clip(whole, latent_channels(model), "model")
    room = ClipRoom()
    shared = profile_of(model).shared_noise
    noise = clip_noise(whole, seed, latent.get("batch_index"), room, shared)
    mask, kept = latent.get("noise_mask"), slice(None)
    if frames is not None and mask is not None:
        kept = slice(frames.start, frames.stop)
        mask = mask[kept]
    steps = speed.steps(steps)
    if speed.solver and sampler_name == PUBLISHED:
        sampler_name = SAMPLERS[speed.solver]
    sigmas = noise_levels(model, sampler_name, scheduler, steps, denoise)
    model = at_speed(model, speed, sigmas)
    by_windows = sampler_name == PUBLISHED and mask is None and goes_by_windows(model, len(whole))
    by_name = solver(model, sampler_name)
    made = comfy.sample.sample_custom(
        model,
        noise[kept],
        cfg,
        ClipSampler(terminal_sigma(model), room) if by_windows else by_name,
        sigmas,
        *conds,
        whole[kept],
        noise_mask=mask,
        callback=latent_preview.prepare_callback(model, steps),
        seed=seed,
    )
    if frames is None:
        return made
    whole = whole.to(made, copy=True)
    whole[kept] = made
    return whole


def solver(model: Any, name: str) -> Any:
    """ComfyUI's sampler by name, or the published one."""
    if name != PUBLISHED:
        return comfy.samplers.sampler_object(name)
    return comfy.samplers.KSAMPLER(sample_published_ddim, {"terminal_sigma": terminal_sigma(model)})


def terminal_sigma(model: Any) -> float | None:
    """The noise level that stands for infinity; None if the weights know none."""
    is_infinite = model.model.profile.noise.rescale_betas_zero_snr
    return float(model.get_model_object("model_sampling").sigma_max) if is_infinite else None


def noise_levels(
    model: Any, sampler_name: str, scheduler: str, steps: int, denoise: float
) -> torch.Tensor:
    """The noise levels that KSampler would walk with these settings."""
    name = "euler" if sampler_name == PUBLISHED else sampler_name
    return comfy.samplers.KSampler(
        model,
        steps=steps,
        device=model.load_device,
        sampler=name,
        scheduler=scheduler,
        denoise=denoise,
        model_options=model.model_options,
    ).sigmas
