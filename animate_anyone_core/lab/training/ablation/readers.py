"""Ways for the denoising UNet to read the reference picture that the paper rejects.

Every reader is a network with two methods: `prepare` runs once on the reference, `read` gives what
one forward of the denoising UNet takes. The denoising UNet itself is the trainer's; what they add
comes in through its named places (`models.interventions`).

Symbols: B rows, R references (1 or B), F frames, L tokens, D features.
"""

from collections.abc import Iterable
from typing import Any

import torch
from diffusers import ControlNetModel
from torch import Tensor, nn

from ....models.attention import AttentionKernel
from ....models.config import UNetConfig
from ....models.folded_frames import each_frame, fold_frames
from ....models.interventions import Interventions
from ....models.reference_net import ReferenceNet
from ..networks import Prepared, Question, Reading


def frames_that_read(question: Question, dims: int) -> Tensor:
    """1 for the frames that see the reference, else 0: (B·F, 1, ...) with `dims` dimensions."""
    sample = question.sample
    flags = torch.tensor(question.rows, device=sample.device, dtype=sample.dtype)
    return flags.repeat_interleave(sample.shape[2]).reshape(-1, *[1] * (dims - 1))


class NoReader(nn.Module):
    """Nothing but the CLIP token tells of the reference."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()

    def prepare(self, latents: Tensor, appearance: Tensor, kernel: AttentionKernel) -> Prepared:
        """Nothing."""
        return {}

    def read(self, prepared: Prepared, question: Question) -> Reading:
        """Nothing."""
        return Reading()


class ConcatenationReader(nn.Module):
    """ReferenceNet's features concatenated channel by channel, place by place (paper, table 5).

    What enters a spatial self-attention becomes a projection of [own; reference]: a place of the
    picture sees the same place of the reference. It starts as the identity on its own features.
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.reference_net = ReferenceNet(config)
        self.projections = nn.ModuleList()
        for path in self.reference_net.feature_paths():
            norm: Any = self.reference_net.get_submodule(f"{path}.norm1")
            width = norm.weight.numel()
            projection = nn.Linear(2 * width, width)
            with torch.no_grad():
                projection.weight.copy_(torch.eye(width, 2 * width))
                projection.bias.zero_()
            self.projections.append(projection)

    def prepare(self, latents: Tensor, appearance: Tensor, kernel: AttentionKernel) -> Prepared:
        """ReferenceNet's tokens by block path, (R, L, D) each."""
        return self.reference_net(latents, appearance, attention=kernel)

    def read(self, prepared: Prepared, question: Question) -> Reading:
        """Projections to put in front of every spatial self-attention."""
        features = [
            each_frame(tokens, *question.sample.shape[:3:2]) for tokens in prepared.values()
        ]
        layers = zip(self.projections, features, strict=True)
        return Reading(interventions=_Concatenated(layers, frames_that_read(question, 3)))


class ControlReader(nn.Module):
    """ControlNet with the reference as its condition: residuals added to the UNet's skips.

    diffusers' own `ControlNetModel`: a copy of the UNet's way down that sees the noisy latents and,
    through convolutions that start at zero, the reference's latents.
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        settings = config.to_diffusers()
        shapes = {
            name: settings[name]
            for name in (
                "in_channels",
                "down_block_types",
                "block_out_channels",
                "layers_per_block",
                "norm_num_groups",
                "norm_eps",
                "cross_attention_dim",
                "attention_head_dim",
                "use_linear_projection",
            )
        }
        self.control_net: Any = ControlNetModel(
            **shapes,
            conditioning_channels=config.in_channels,
            conditioning_embedding_out_channels=(config.block_out_channels[0],),
        )

    def prepare(self, latents: Tensor, appearance: Tensor, kernel: AttentionKernel) -> Prepared:
        """The latents: ControlNet runs at every step, on the noise and the reference together."""
        return {"latents": latents}

    def read(self, prepared: Prepared, question: Question) -> Reading:
        """Residuals for the skips and the middle block, 0 for rows that do not see them."""
        num_frames = question.sample.shape[2]
        skips, middle = self.control_net(
            fold_frames(question.sample),
            question.t.repeat_interleave(num_frames),
            question.appearance.repeat_interleave(num_frames, dim=0),
            each_frame(prepared["latents"], len(question.sample), num_frames),
            return_dict=False,
        )
        shown = frames_that_read(question, 4)
        return Reading(interventions=_Residuals([s * shown for s in skips], middle * shown))


class _Concatenated(Interventions):
    """Put projections of [own; reference] in front of the spatial self-attentions, in order."""

    def __init__(self, layers: Iterable[tuple[nn.Module, Tensor]], shown: Tensor) -> None:
        self._layers, self._shown = iter(layers), shown

    def attention_inputs(
        self, which: str, q_in: Tensor, k_in: Tensor, v_in: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        if which != "attn1":
            return q_in, k_in, v_in
        projection, features = next(self._layers)
        joined = projection(torch.cat([q_in, features.to(q_in.dtype)], dim=-1))
        both = q_in + self._shown * (joined - q_in)
        return both, both, both


class _Residuals(Interventions):
    """Add residuals to the skips, the last first, and to the middle block."""

    def __init__(self, skips: list[Tensor], middle: Tensor) -> None:
        self._skips, self._middle = list(skips), middle

    def after_middle_block(self, h: Tensor) -> Tensor:
        return h + self._middle

    def before_output_block(self, h: Tensor, skip: Tensor) -> tuple[Tensor, Tensor]:
        return h, skip + self._skips.pop()


Reader = NoReader | ConcatenationReader | ControlReader
READERS: dict[str, type[Reader]] = {
    "none": NoReader,
    "concatenation": ConcatenationReader,
    "control": ControlReader,
}
