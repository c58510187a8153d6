"""LoRA: small layers that learn beside frozen ones (Hu et al. 2021), by PEFT; and back to files.

A layer computes W x + (α / r) B A x: A (r, inputs) begins at random, B (outputs, r) at zero.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ...checkpoints.key_map import is_temporal
from ...errors import MissingDependencyError, SettingsError
from .sharding import whole

#: Linear layers of a transformer that LoRA changes, as most trainers have it.
_ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
_FEED_FORWARD = ("ff.net.0.proj", "ff.net.2")
#: Queries and keys over one appearance token, and the norm before them.
_IDLE = (".attn2.to_q", ".attn2.to_k", ".norm2")
#: PEFT's name of the layers that are added here.
_ADAPTER = "default"


def lora_targets(network: nn.Module, with_temporal: bool = True) -> list[str]:
    """Paths of the layers to change: projections of attentions and feed-forwards.

    Args:
        network: A UNet or ReferenceNet, or several in one module.
        with_temporal: Those of temporal layers, too.
    """
    found = []
    for path, layer in network.named_modules():
        is_meant = path.endswith((*_ATTENTION, *_FEED_FORWARD))
        is_meant &= with_temporal if is_temporal(path) else not is_idle(path)
        if isinstance(layer, nn.Linear) and is_meant:
            found.append(path)
    return found


def is_idle(path: str) -> bool:
    """Whether a layer of these networks changes nothing: a softmax over a single key is 1."""
    is_spatial = ".transformer_blocks." in path and not is_temporal(path)
    return is_spatial and path.endswith(_IDLE)


def add_lora(
    network: nn.Module, targets: Iterable[str], rank: int, alpha: float | None = None, seed: int = 0
) -> list[nn.Parameter]:
    """Put float32 LoRA layers beside layers, and freeze everything else.

    Args:
        network: Changed in place; at first it computes what it did.
        targets: Paths of linear layers, see `lora_targets`.
        rank: r.
        alpha: α; None is the rank.
        seed: Of the random half.

    Returns:
        What now learns.

    Raises:
        SettingsError: If there is nothing to change.
        MissingDependencyError: If PEFT is not installed.
    """
    paths = sorted(targets)
    if not paths:
        raise SettingsError("LoRA has no layer to change: none of those named is a linear layer.")
    peft = _peft()
    config = peft.LoraConfig(r=rank, lora_alpha=alpha or rank, target_modules=paths)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        peft.inject_adapter_in_model(config, network, adapter_name=_ADAPTER)
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    for parameter in learning:
        parameter.data = parameter.data.float()
    return learning


@contextmanager
def without_lora(network: nn.Module) -> Iterator[None]:
    """Have a network compute for a while as if it had no LoRA."""
    layers: list[Any] = [layer for layer in network.modules() if _has_lora(layer)]
    for layer in layers:
        layer.enable_adapters(False)
    try:
        yield
    finally:
        for layer in layers:
            layer.enable_adapters(True)


def merged_weights(network: nn.Module) -> dict[str, Tensor]:
    """The network's weights as if LoRA had never been there, what it learned added to them."""
    layers = dict(_layers(network))
    weights = {}
    for name, weight in network.state_dict().items():
        if ".lora_" in name:
            continue
        path, is_beside, kind = name.rpartition(".base_layer.")
        if is_beside and kind == "weight":
            down, up, scale = layers[path]
            weight = (whole(weight).float() + scale * up @ down).to(weight.dtype)
        weights[f"{path}.{kind}" if is_beside else name] = weight
    return weights


def lora_weights(network: nn.Module, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """What LoRA learned, in kohya's naming, which ComfyUI's loader, ours and diffusers read."""
    weights = {}
    for path, (down, up, scale) in _layers(network):
        name = "lora_unet_" + path.replace(".", "_")
        weights[f"{name}.lora_down.weight"] = down.to(dtype).contiguous()
        weights[f"{name}.lora_up.weight"] = up.to(dtype).contiguous()
        weights[f"{name}.alpha"] = torch.tensor(scale * len(down), dtype=dtype)
    return weights


def _layers(network: nn.Module) -> Iterable[tuple[str, tuple[Tensor, Tensor, float]]]:
    """Path -> A (r, inputs), B (outputs, r) and the strength α / r."""
    for path, layer in network.named_modules():
        if _has_lora(layer):
            halves = (layer.lora_A[_ADAPTER], layer.lora_B[_ADAPTER])
            down, up = (whole(half.weight.detach()) for half in halves)
            yield path, (down, up, float(layer.scaling[_ADAPTER]))


def _has_lora(layer: Any) -> bool:
    return hasattr(layer, "lora_A") and _ADAPTER in layer.lora_A


def _peft() -> Any:
    try:
        import peft
    except ImportError as error:
        raise MissingDependencyError(
            "LoRA layers need PEFT: pip install 'animate-anyone[scale]'."
        ) from error
    return peft
