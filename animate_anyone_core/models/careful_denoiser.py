"""The denoising UNet on a machine that may be too small for it, in a type that may be.

Called as the UNet is. Where memory runs out, the halves of guidance are computed one after the other,
then attention in pieces; where half precision overflows, in a wider type. Each is said in one line, and
kept for the rest of the run.
"""

import logging
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ..borders.memory import gigabytes
from ..errors import NotFiniteError, SettingsError
from .attention import scaled_dot_product
from .denoising_unet import DenoisingUNet
from .less_memory import Way, first_that_fits, in_pieces, is_out_of_memory
from .memory import activation_bytes, fitting_frames, free_on
from .references import Reference

logger = logging.getLogger("animate_anyone")


class CarefulDenoiser:
    """A denoising UNet that looks for a way.

    Args:
        unet: The network. Where half precision overflows it is brought to a wider type.
    """

    def __init__(self, unet: DenoisingUNet) -> None:
        self._unet = unet
        self._way = 0

    def __call__(
        self,
        sample: Tensor,
        timestep: Tensor,
        reference: Reference,
        *,
        strengths: tuple[float, ...] | None = None,
        pose: Tensor | tuple[Tensor, ...] | None = None,
    ) -> Tensor:
        """Predict as `DenoisingUNet.forward` does.

        Raises:
            SettingsError: If there is no memory for it in any way; says what would fit.
            NotFiniteError: If NaN or infinite numbers come out; says where they came up.
        """
        wanted = sample.dtype
        for _ in range(3):  # float16, bfloat16, float32
            dtype = self._unet.conv_in.weight.dtype
            given = _in_type((sample, reference, pose), dtype)
            out = self._in_memory(given[0], timestep, given[1], strengths, given[2])
            if torch.isfinite(out).all():
                return out.to(wanted)
            call = partial(self._unet, given[0], timestep, given[1], strengths=strengths)
            place = first_not_finite(
                self._unet, given, partial(call, pose=given[2], attention=scaled_dot_product)
            )
            wider = _wider(dtype, out.device)
            if wider is None or not _are_finite((sample, reference, pose)):
                break
            name = str(wider).removeprefix("torch.")
            logger.warning("Half precision overflows in %s: going on in %s.", place, name)
            self._unet.to(wider)
        raise NotFiniteError(
            f"NaN or infinite numbers came up in {place}. Check the weights with `inspect`, or "
            "compute in another precision: --dtype float32."
        )

    def _in_memory(
        self,
        sample: Tensor,
        timestep: Tensor,
        reference: Reference,
        strengths: tuple[float, ...] | None,
        pose: Tensor | tuple[Tensor, ...] | None,
    ) -> Tensor:
        rows = len(strengths or sample)

        def whole() -> Tensor:
            return self._unet(sample, timestep, reference, strengths=strengths, pose=pose)

        def by_row(**how: Any) -> Tensor:
            parts = []
            for row in range(rows):
                one = slice(row, row + 1)
                own = reference.with_appearance(partial(_row, row=row, rows=rows))
                parts.append(
                    self._unet(
                        sample[one] if len(sample) > 1 else sample,
                        timestep[one] if timestep.numel() > 1 else timestep,
                        own,
                        strengths=None if strengths is None else strengths[one],
                        pose=pose[one] if isinstance(pose, Tensor) and len(pose) > 1 else pose,
                        **how,
                    )
                )
            return torch.cat(parts)

        ways = [
            Way("both halves of guidance at once", whole),
            Way("one half of guidance at a time", by_row),
            Way("attention in pieces", partial(by_row, attention=in_pieces(scaled_dot_product))),
        ]
        try:
            out, self._way = first_that_fits(ways, self._way)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            refusal = self._refusal(sample)
        else:
            return out
        raise SettingsError(refusal)

    def _refusal(self, sample: Tensor) -> str:
        """What does not fit, and what would."""
        *_, frames, height, width = sample.shape
        config, size = self._unet.config, sample.element_size()
        free = free_on(sample.device)
        refusal = (
            f"There is not enough memory for a window of {frames} frames of {width * 8}x{height * 8} "
            "pixels, even with one half of guidance at a time and attention in pieces"
        )
        refusal += "." if free is None else f": {gigabytes(free)} are free."
        fits = fitting_frames(config, frames, height, width, size, free)
        if fits:
            return f"{refusal} A window of {fits} frames would fit: give --window {fits}."
        needed = activation_bytes(config, 1, height, width, size)
        share = min((free or 0) / needed, 0.25) ** 0.5  # what is needed grows with the area
        smaller = [max(int(side * 8 * share) // 8 * 8, 16) for side in (width, height)]
        return f"{refusal} {smaller[0]}x{smaller[1]} pixels would fit: give --width and --height."


def _row(tokens: Tensor, row: int, rows: int) -> Tensor:
    """One row's tokens; those that all rows share stay."""
    return tokens[row : row + 1] if len(tokens) == rows else tokens


def _wider(dtype: torch.dtype, device: torch.device) -> torch.dtype | None:
    """The next type that reaches further; bfloat16 only where it is quick."""
    if dtype == torch.float16 and device.type == "cuda" and torch.cuda.is_bf16_supported():
        return torch.bfloat16
    return torch.float32 if dtype in (torch.float16, torch.bfloat16) else None


def _in_type(value: Any, dtype: torch.dtype) -> Any:
    """The same with all of its floating numbers in a type; what is in it already is not copied."""
    if isinstance(value, Tensor):
        return value.to(dtype) if value.is_floating_point() else value
    if isinstance(value, dict):
        return {name: _in_type(part, dtype) for name, part in value.items()}
    if isinstance(value, tuple):
        return tuple(_in_type(part, dtype) for part in value)
    if is_dataclass(value) and not isinstance(value, type):
        parts = {f.name: _in_type(getattr(value, f.name), dtype) for f in fields(value)}
        return replace(value, **parts)
    return value


def _are_finite(value: Any) -> bool:
    if isinstance(value, Tensor):
        return bool(torch.isfinite(value).all())
    if isinstance(value, dict):
        return all(_are_finite(part) for part in value.values())
    if isinstance(value, tuple):
        return all(_are_finite(part) for part in value)
    if is_dataclass(value):
        return all(_are_finite(getattr(value, f.name)) for f in fields(value))
    return True


def first_not_finite(
    unet: nn.Module, given: tuple[Any, Any, Any], call: Callable[[], object]
) -> str:
    """Where NaN or infinite numbers come up first: the forward once more, watched.

    Args:
        unet: Whose layers are watched.
        given: Latents, reference and poses.
        call: The forward.
    """
    for name, value in zip(("the latents", "the reference", "the poses"), given, strict=True):
        if not _are_finite(value):
            return name
    places: list[str] = []

    def watching(name: str) -> Any:
        def look(module: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and not torch.isfinite(output).all():
                places.append(name)

        return look

    layers = [(name, m) for name, m in unet.named_modules() if not list(m.children())]
    handles = [layer.register_forward_hook(watching(name)) for name, layer in layers]
    try:
        call()
    finally:
        for handle in handles:
            handle.remove()
    return f"the layer {places[0]}" if places else "a sum between layers"
