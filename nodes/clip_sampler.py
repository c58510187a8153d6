"""The published solver for long clips: a frame takes its step when no later window of the step holds it.

ComfyUI's own samplers hold a dozen copies of a clip's latents. Here noise, noisy latents and what a step
has cleaned are in files whose pages are given back, as in the core's `denoise`; one copy is in memory,
the result.
"""

from typing import Any

import comfy.model_management as mm
import comfy.patcher_extension
import comfy.sample
import comfy.samplers
import torch
from tqdm.auto import trange

from ..animate_anyone_core.sampling.blending import Blend
from ..animate_anyone_core.sampling.clip_room import ClipRoom
from ..animate_anyone_core.sampling.clip_solver import finished_frames
from .context_windows import OurWindows
from .published_ddim import picture_and_noise

#: What other nodes do with the predictions of a whole clip.
_OF_WHOLE_CLIPS = (
    "sampler_cfg_function",
    "sampler_pre_cfg_function",
    "sampler_post_cfg_function",
    "denoise_mask_function",
)


def goes_by_windows(model: Any, num_frames: int) -> bool:
    """Whether a clip can be stepped by windows: it has several, and no other node wants it whole."""
    options = model.model_options
    windows = options.get("context_handler")
    if not isinstance(windows, OurWindows) or num_frames <= windows.context_length:
        return False
    kinds = comfy.patcher_extension.WrappersMP
    wrappers = [
        wrapper
        for kind in (kinds.PREDICT_NOISE, kinds.CALC_COND_BATCH)
        for wrapper in comfy.patcher_extension.get_all_wrappers(
            kind, options, is_model_options=True
        )
    ]
    return not wrappers and not any(options.get(name) for name in _OF_WHOLE_CLIPS)


def clip_noise(
    latents: torch.Tensor, seed: int, numbers: Any, room: ClipRoom, shared: bool = False
) -> torch.Tensor:
    """The noise of a clip (F, C, h, w), as ComfyUI draws it.

    Args:
        latents: For shape and type.
        seed: Of the generator.
        numbers: ComfyUI's `batch_index`; None draws the frames in order.
        room: Where it is kept.
        shared: All frames have that of frame 0, whatever their numbers.
    """
    if shared:
        first = comfy.sample.prepare_noise(latents[:1], seed)
        return room.filled(len(latents), lambda part: first.expand_as(latents[part]))
    if numbers is not None:
        return comfy.sample.prepare_noise(latents, seed, numbers)
    generator = torch.manual_seed(seed)  # ComfyUI's own, which nodes behind this one go on with

    def draw(part: slice) -> torch.Tensor:
        shape = latents[part].shape
        return torch.randn(shape, generator=generator, device="cpu").to(latents.dtype)

    return room.filled(len(latents), draw)


class ClipSampler(comfy.samplers.Sampler):
    """ComfyUI's protocol of a sampler.

    Args:
        terminal_sigma: As of `sample_published_ddim`.
        room: Where the latents are kept while they are sampled.
    """

    def __init__(self, terminal_sigma: float | None, room: ClipRoom) -> None:
        self._terminal, self._room = terminal_sigma, room

    def sample(
        self,
        model_wrap: Any,
        sigmas: torch.Tensor,
        extra_args: dict[str, Any],
        callback: Any,
        noise: torch.Tensor,
        latent_image: torch.Tensor | None = None,
        denoise_mask: torch.Tensor | None = None,
        disable_pbar: bool = False,
    ) -> torch.Tensor:
        """Walk the noise of a clip (F, C, h, w) down; the guider is `model_wrap`."""
        assert denoise_mask is None, "masks are of whole clips"
        model, room = model_wrap.inner_model, self._room
        sampling, at_most = model.model_sampling, self.max_denoise(model_wrap, sigmas)
        start = torch.zeros_like(noise) if latent_image is None else latent_image
        x = room.filled(
            len(noise),
            lambda part: sampling.noise_scaling(sigmas[0], noise[part], start[part], at_most),
        )
        clean = room.frames(len(x), tuple(x.shape[1:]), x)
        options = dict(extra_args["model_options"])
        handler: OurWindows = options.pop("context_handler")
        windows = handler.get_context_windows(model, x, options)
        groups = finished_frames([window.index_list for window in windows])
        for i in trange(len(sigmas) - 1, disable=disable_pbar):
            sigma, following = sigmas[i], sigmas[i + 1]
            blend = Blend(x[:1].transpose(0, 1)[None])
            for window, frames in zip(windows, groups, strict=True):
                mm.throw_exception_if_processing_interrupted()
                seen = window.get_tensor(x)
                options["transformer_options"]["context_window"] = window
                made = comfy.samplers.sampling_function(
                    model,
                    seen,
                    sigma * seen.new_ones(len(seen)),
                    handler.get_resized_cond(model_wrap.conds.get("negative"), x, window),
                    handler.get_resized_cond(model_wrap.conds.get("positive"), x, window),
                    model_wrap.cfg,
                    model_options=options,
                    seed=extra_args.get("seed"),
                )
                weights = handler.weights(len(seen))
                blend.add(made.transpose(0, 1)[None], window.index_list, weights)
                if frames:
                    mean = blend.take(frames)[0].transpose(0, 1)
                    clean[frames], eps = picture_and_noise(x[frames], mean, sigma, self._terminal)
                    x[frames] = clean[frames] + following * eps
                room.release()
            if callback is not None:
                callback(i, clean, x, len(sigmas) - 1)
                room.release()
        return sampling.inverse_noise_scaling(sigmas[-1], x)
