"""A LoRA put on a model outside of ComfyUI: the changed weights are new ones, the model stays.

W' = W + strength · (alpha / rank) · up · down, for linear layers and convolutions, under every name that
`lora_names` knows.
"""

import math
import re
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from ..errors import CheckpointError, SettingsError, UnknownCheckpointError
from ..models.denoising_unet import DenoisingUNet
from .families import FamilyProfile
from .layouts import Layout, recognise
from .load import own_settings
from .lora_fit import LoraFit, fit_lora
from .lora_names import lora_names
from .model_folder import Models
from .weight_files import check_finite, check_numbers, read_weights

_UP = re.compile(r"(\.lora_up|\.lora_B(\.\w+)?|[._]lora\.up|\.lora_linear_layer\.up)\.weight$")
_DOWN = re.compile(
    r"(\.lora_down|\.lora_A(\.\w+)?|[._]lora\.down|\.lora_linear_layer\.down)\.weight$"
)
_ALPHA = ".alpha"


def with_lora(models: Models, path: Path, strength: float = 1.0) -> tuple[Models, str]:
    """The same models with a LoRA on the denoising UNet, and what was found.

    A student's LoRA brings the steps and the guidance that it was made for.

    Raises:
        SettingsError: If the strength is no finite number.
        CheckpointError: If the file cannot be read, is damaged, or is no LoRA of two factors.
        UnknownCheckpointError: If it is no LoRA, or fits nothing.
    """
    if not math.isfinite(strength):
        raise SettingsError(f"A LoRA's strength must be a finite number, got {strength}.")
    weights = read_weights(path)
    layout = recognise(weights)
    if layout is not Layout.LORA:
        raise UnknownCheckpointError(f"{path.name} is {layout.value}, --lora takes a LoRA.")
    check_finite(layout.value, path.name, weights)
    factors = {key: tensor for key, tensor in weights.items() if not key.endswith(_ALPHA)}
    check_numbers(layout.value, path.name, factors)
    unet = models.denoising_unet
    own = unet.state_dict()
    names = {
        name: key
        for key in own
        if key.endswith(".weight")
        for name in lora_names(key.removesuffix(".weight"), unet.config.layers_per_block)
    }
    fit = fit_lora(weights, {name: tuple(own[key].shape) for name, key in names.items()}, path.name)
    for layer in fit.layers:
        key = names[layer]
        own[key] = (own[key].float() + strength * _change(fit, layer, own[key], path)).to(own[key])
    with torch.device("meta"):
        changed = DenoisingUNet(unet.config, unet.temporal)
    changed.load_state_dict(own, assign=True)
    changed.requires_grad_(False).eval()
    profile = lora_profile(path)
    made_for = models.profile if profile is None else as_student(models.profile, profile)
    report = f"{path.name} changes {len(fit.layers)} layers at strength {strength:g}."
    text = "\n".join(filter(None, [report, fit.to_text()]))
    return replace(models, denoising_unet=changed, profile=made_for), text


def lora_profile(path: Path) -> FamilyProfile | None:
    """What the header of a student's LoRA says that it was made for; None for other LoRAs."""
    settings = own_settings(path)
    profile = FamilyProfile.from_json(settings["profile"]) if "profile" in settings else None
    return profile if profile is not None and profile.distilled_steps else None


def as_student(base: FamilyProfile, student: FamilyProfile) -> FamilyProfile:
    """The settings of weights that a student's LoRA is on: its steps, guidance, noise and overlap."""
    return replace(
        base,
        num_inference_steps=student.num_inference_steps,
        guidance_scale=student.guidance_scale,
        distilled_steps=student.distilled_steps,
        shared_noise=student.shared_noise,
        context_overlap=min(student.context_overlap, base.context_frames - 1),
    )


def _change(fit: LoraFit, layer: str, weight: Tensor, path: Path) -> Tensor:
    """What is added to a layer's weight at strength 1, in float32."""
    own = fit.of_layer(layer)
    up = next((v for ending, v in own.items() if _UP.fullmatch(ending)), None)
    down = next((v for ending, v in own.items() if _DOWN.fullmatch(ending)), None)
    others = [e for e in own if e != _ALPHA and not _UP.fullmatch(e) and not _DOWN.fullmatch(e)]
    if up is None or down is None or others:
        raise CheckpointError(
            f"{path.name} changes {layer} by {others[0] if others else 'one factor alone'}; --lora "
            "reads LoRAs of two factors (up and down). Load it in ComfyUI."
        )
    alpha = own.get(_ALPHA)
    if up.ndim < 2 or down.ndim < 2 or (alpha is not None and alpha.numel() != 1):
        shapes = {ending: tuple(tensor.shape) for ending, tensor in own.items()}
        raise CheckpointError(
            f"{path.name}: the factors of {layer} have the shapes {shapes}: two matrices and one "
            "number (alpha) are needed. The file is damaged."
        )
    up, down = (factor.float().flatten(1).to(weight.device) for factor in (up, down))
    scale = 1.0 if alpha is None else float(alpha) / down.shape[0]
    return scale * (up @ down).reshape(weight.shape)
