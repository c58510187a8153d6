"""ComfyUI's patch protocol at the core's named places.

What a patch receives, and when, is what ComfyUI's own Stable Diffusion UNet gives it, so that
FreeU, SAG, PAG, HyperTile, ControlNet and others act on our MODEL as on any other.
"""

import logging
from collections.abc import Callable
from typing import Any

import torch
from comfy.ldm.modules.attention import optimized_attention
from torch import Tensor

from ..animate_anyone_core.models.config import UNetConfig
from ..animate_anyone_core.models.interventions import Interventions

logger = logging.getLogger("animate_anyone")


def comfy_attention(
    q: Tensor, k: Tensor, v: Tensor, num_heads: int, bias: Tensor | None = None, **options: Any
) -> Tensor:
    """ComfyUI's attention as the core's kernel; `options` go to it."""
    mask = None if bias is None else bias[:, None].to(q.dtype)
    return optimized_attention(q, k, v, num_heads, mask=mask, **options)


class ComfyPatches(Interventions):
    """The patches of one call.

    Args:
        transformer_options: ComfyUI's options of this call; a copy is kept and filled.
        control: ControlNet residuals by place, lists that are consumed from the end.
        shape: Shape of the latents that entered.
        config: The network's shapes.
    """

    def __init__(
        self,
        transformer_options: dict[str, Any],
        control: dict[str, list] | None,
        shape: torch.Size,
        config: UNetConfig,
    ) -> None:
        self._options = dict(transformer_options)
        self._options["original_shape"] = list(shape)
        self._options["transformer_index"] = 0
        self._patches = self._options.get("patches", {})
        self._replacements = self._options.get("patches_replace", {})
        self._control = control or {}
        self._model_channels = config.block_out_channels[0]
        self._dim_head = 0
        self._heads = config.num_attention_heads
        self.is_active = bool(self._patches or self._replacements)

    # Places in the UNet

    def time_embedding(self, emb: Tensor) -> Tensor:
        for patch in self._patches.get("emb_patch", ()):
            emb = patch(emb, self._model_channels, self._options)
        return emb

    def enter_block(self, kind: str, number: int) -> None:
        self._options["block"] = (kind, number)

    def after_input_block(self, h: Tensor) -> Tensor:
        h = self._add_control(h, "input")
        for patch in self._patches.get("input_block_patch", ()):
            h = patch(h, self._options)
        return h

    def after_skip(self, h: Tensor) -> Tensor:
        for patch in self._patches.get("input_block_patch_after_skip", ()):
            h = patch(h, self._options)
        return h

    def after_middle_block(self, h: Tensor) -> Tensor:
        h = self._add_control(h, "middle")
        for patch in self._patches.get("middle_block_after_patch", ()):
            h = patch({"h": h, "transformer_options": self._options})["h"]
        return h

    def before_output_block(self, h: Tensor, skip: Tensor) -> tuple[Tensor, Tensor]:
        skip = self._add_control(skip, "output")
        for patch in self._patches.get("output_block_patch", ()):
            h, skip = patch(h, skip, self._options)
        return h, skip

    def _add_control(self, h: Tensor, place: str) -> Tensor:
        residuals = self._control.get(place)
        residual = residuals.pop() if residuals else None
        if residual is None:
            return h
        if residual.shape[-2:] != h.shape[-2:]:
            logger.warning(
                "A control residual of %s does not fit %s and is left out: give the ControlNet "
                "hints of the video's size.",
                tuple(residual.shape),
                tuple(h.shape),
            )
            return h
        return h + residual.to(h)

    # Places in a spatial transformer

    def enter_transformer(self, h: Tensor) -> None:
        self._options["activations_shape"] = list(h.shape)

    def leave_transformer(self) -> None:
        self._options["transformer_index"] += 1

    def enter_transformer_block(self, index: int, attn: Any) -> None:
        self._options["block_index"] = index
        self._dim_head = attn.inner_dim // attn.heads

    def attention_inputs(
        self, which: str, q_in: Tensor, k_in: Tensor, v_in: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        patches = self._patches.get(f"{which}_patch", ())
        if patches:
            extra = self._extra()
            for patch in patches:
                q_in, k_in, v_in = patch(q_in, k_in, v_in, extra)
        return q_in, k_in, v_in

    def attend(
        self,
        which: str,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        num_heads: int,
        attention: Callable[[Tensor, Tensor, Tensor, int], Tensor],
        *,
        rows: list[int] | None,
    ) -> Tensor:
        replacement = self._replacement(which)
        if replacement is None:
            return attention(q, k, v, num_heads)
        extra = self._extra()
        if rows is not None and "cond_or_uncond" in extra:
            # reference and no reference have different key counts: two calls, each told its rows
            extra["cond_or_uncond"] = [extra["cond_or_uncond"][row] for row in rows]
        return replacement(q, k, v, extra)

    def attention_output(self, which: str, n: Tensor) -> Tensor:
        patches = self._patches.get(f"{which}_output_patch", ())
        if patches:
            extra = self._extra()
            for patch in patches:
                n = patch(n, extra)
        return n

    def between_attentions(self, x: Tensor) -> Tensor:
        patches = self._patches.get("middle_patch", ())
        if patches:
            extra = self._extra()
            for patch in patches:
                x = patch(x, extra)
        return x

    def _replacement(self, which: str) -> Callable | None:
        table = self._replacements.get(which)
        if not table:
            return None
        kind, number = self._options["block"]
        return table.get((kind, number, self._options["block_index"]), table.get((kind, number)))

    def _extra(self) -> dict[str, Any]:
        """What attention patches receive: the call's facts without the patches themselves."""
        hidden = ("patches", "patches_replace")
        extra = {key: value for key, value in self._options.items() if key not in hidden}
        extra.update(n_heads=self._heads, dim_head=self._dim_head, attn_precision=None)
        return extra
