"""What of a LoRA fits a model, by name and by shape."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from ..errors import UnknownCheckpointError

# What stands behind a layer's name, in kohya's, diffusers', PEFT's and LyCORIS' files.
_ENDING = re.compile(
    r"(\.lora_(up|down|mid|A|B)(\.\w+)?(\.weight)?|\.lora_linear_layer\.(up|down)\.weight"
    r"|[._]lora\.(up|down|mid)\.weight|\.(hada|lokr|oft)_\w+|\.(alpha|dora_scale|diff|diff_b)"
    r"|\.(set_weight|w_norm|b_norm|a1\.weight|a2\.weight|b1\.weight|b2\.weight))$"
)
_UP, _DOWN = (
    re.compile(r"\blora_up|lora_B|lora\.up|layer\.up"),
    re.compile(r"\blora_down|lora_A|lora\.down|layer\.down"),
)
_MOST_NAMED = 3


@dataclass(frozen=True)
class LoraFit:
    """A LoRA beside a model.

    Attributes:
        weights: Its tensors that fit.
        layers: Names in the file of the layers that fit.
        unknown: Names of layers that the model does not have.
        misfits: Sentences on layers of another shape.
    """

    weights: dict[str, Tensor]
    layers: tuple[str, ...]
    unknown: tuple[str, ...]
    misfits: tuple[str, ...]

    def of_layer(self, layer: str) -> dict[str, Tensor]:
        """A layer's tensors by what stands behind its name."""
        mine = {key: v for key, v in self.weights.items() if _ENDING.sub("", key) == layer}
        return {key[len(layer) :]: tensor for key, tensor in mine.items()}

    def to_text(self) -> str:
        """Lines on what does not fit; empty if all does."""
        lines = []
        if self.misfits:
            lines.append(f"{len(self.misfits)} layers have another shape: {_some(self.misfits)}.")
        if self.unknown:
            lines.append(
                f"{len(self.unknown)} layers are not in this model, such as {_some(self.unknown)}."
            )
        return "\n".join(lines)


def fit_lora(
    weights: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]], name: str
) -> LoraFit:
    """Compare a LoRA with the layers of a model.

    Args:
        weights: The file's tensors.
        shapes: Every name that files give to a layer (`lora_names`), and its weight's shape.
        name: File name, for messages.

    Raises:
        UnknownCheckpointError: If nothing is left that fits.
    """
    groups: dict[str, list[str]] = {}
    for key in weights:
        groups.setdefault(_ENDING.sub("", key), []).append(key)
    unknown, misfits, layers = [], [], []
    kept: dict[str, Tensor] = {}
    for layer, keys in groups.items():
        if layer not in shapes:
            unknown.append(layer)
            continue
        problem = _misfit({key: weights[key] for key in keys}, shapes[layer])
        if problem is not None:
            misfits.append(f"{layer} {problem}")
            continue
        layers.append(layer)
        kept |= {key: weights[key] for key in keys}
    fit = LoraFit(kept, tuple(layers), tuple(unknown), tuple(misfits))
    if not layers:
        raise UnknownCheckpointError(
            f"{name} changes no layer of this model. {' '.join(fit.to_text().splitlines())} It needs "
            "a LoRA for Stable Diffusion 1.5, or a motion LoRA."
        )
    return fit


def _misfit(tensors: Mapping[str, Tensor], shape: tuple[int, ...]) -> str | None:
    """Why two low-rank factors do not make a weight of this shape; None if they do, or are others."""
    up = next((t for key, t in tensors.items() if _UP.search(key)), None)
    down = next((t for key, t in tensors.items() if _DOWN.search(key)), None)
    if up is None or down is None or up.ndim < 2 or down.ndim < 2:
        return None
    if any("lora_mid" in key or "lora.mid" in key for key in tensors):
        return None
    inputs = 1
    for side in shape[1:]:
        inputs *= side
    if up.shape[0] == shape[0] and down[0].numel() == inputs and up[0].numel() == down.shape[0]:
        return None
    return f"is made for ({up.shape[0]}, {down[0].numel()}), the model has {tuple(shape)}"


def _some(names: tuple[str, ...]) -> str:
    more = len(names) - _MOST_NAMED
    return "; ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
