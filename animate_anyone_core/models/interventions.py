"""The named places of the denoising forward where a host may look or change something.

The core runs with `Interventions()`, which changes nothing. A host that has patches of its own
(such as ComfyUI's) passes an object with the same methods; nothing is patched in from outside.
"""

from collections.abc import Callable

from torch import Tensor, nn


class Interventions:
    """The default: every place hands back what it was given.

    Symbols: h feature maps (B·F, C, h, w), n and x tokens (B·F, L, D). Blocks are numbered as in
    the original Stable Diffusion UNet: "input" 0 is the first convolution, then one number a layer
    or downsampler; "middle" 0; "output" one number a layer.
    """

    #: True if any place may change something: exact shortcuts that hide a place are then not taken.
    is_active: bool = False

    def time_embedding(self, emb: Tensor) -> Tensor:
        """After the time MLP: (B·F, 4C)."""
        return emb

    def enter_block(self, kind: str, number: int) -> None:
        """Before the block ("input", "middle" or "output", number) runs."""

    def after_input_block(self, h: Tensor) -> Tensor:
        """After an input block, before its skip is stored."""
        return h

    def after_skip(self, h: Tensor) -> Tensor:
        """After the skip of an input block is stored."""
        return h

    def after_middle_block(self, h: Tensor) -> Tensor:
        """After the middle block."""
        return h

    def before_output_block(self, h: Tensor, skip: Tensor) -> tuple[Tensor, Tensor]:
        """Before an output block joins h with its skip."""
        return h, skip

    def enter_transformer(self, h: Tensor) -> None:
        """Before a spatial transformer; h is what enters it."""

    def leave_transformer(self) -> None:
        """After a spatial transformer."""

    def enter_transformer_block(self, index: int, attn: nn.Module) -> None:
        """Before a transformer block; `attn` is its self-attention (for the number of heads)."""

    def attention_inputs(
        self, which: str, q_in: Tensor, k_in: Tensor, v_in: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """After the norm, before projection; `which` is "attn1" (self) or "attn2" (cross)."""
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
        """Instead of the attention; `rows` are the batch rows in q if it does not hold them all."""
        return attention(q, k, v, num_heads)

    def attention_output(self, which: str, n: Tensor) -> Tensor:
        """After the attention's output projection, before the residual."""
        return n

    def between_attentions(self, x: Tensor) -> Tensor:
        """After the self-attention's residual."""
        return x
