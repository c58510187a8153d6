"""Put a LoRA on the denoising UNet, under any of the names LoRA files use."""

import logging
from pathlib import Path
from typing import Any

import comfy.lora
from comfy_api.latest import io

from ..animate_anyone_core.checkpoints.key_map import without_prefix
from ..animate_anyone_core.checkpoints.lora import lora_profile
from ..animate_anyone_core.checkpoints.lora_fit import fit_lora
from ..animate_anyone_core.checkpoints.lora_names import lora_names
from ..animate_anyone_core.checkpoints.student import describe_student
from ..animate_anyone_core.checkpoints.weight_files import read_weights
from ..animate_anyone_core.errors import ShapeError, UnknownCheckpointError
from .model_files import fingerprint, listed_verdict, weight_file, weight_file_names
from .schema import schema
from .sockets import CATEGORY, output
from .students import profile_of, remember_student

logger = logging.getLogger("animate_anyone")


class LoadLoRA(io.ComfyNode):
    """MODEL, file -> MODEL with the LoRA."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "AnimateAnyone_LoadLoRA",
            category=f"{CATEGORY}/loaders",
            aliases=("lora loader", "motion lora", "diffusers lora", "peft"),
            inputs=[
                io.Model.Input("model"),
                io.Combo.Input("lora", options=weight_file_names("loras")),
                io.Float.Input("strength", default=1.0, min=-10.0, max=10.0, step=0.01),
            ],
            outputs=[
                output(io.Model, "model_out"),
                output(io.String, "report"),
            ],
        )

    @classmethod
    def validate_inputs(cls, lora: str | None) -> bool | str:
        return listed_verdict((lora, weight_file_names("loras")))

    @classmethod
    def fingerprint_inputs(cls, lora: str, strength: float) -> str:
        return fingerprint(weight_file(lora, "loras")) + str(strength)

    @classmethod
    def execute(cls, model: Any, lora: str, strength: float) -> io.NodeOutput:
        return io.NodeOutput(*add_lora(model, weight_file(lora, "loras"), strength))


def add_lora(model: Any, path: Path, strength: float) -> tuple[Any, str]:
    """A clone of the model with a LoRA, and what was found.

    Raises:
        CheckpointError: If the file cannot be read.
        ShapeError: If the model is not of this pack.
        UnknownCheckpointError: If no layer of the model is in the file.
    """
    weights, names = without_prefix(read_weights(path)), key_map(model)
    state = model.model.state_dict()
    fit = fit_lora(
        weights, {name: tuple(state[key].shape) for name, key in names.items()}, path.name
    )
    patches = comfy.lora.load_lora(fit.weights, names, log_missing=False)
    model = model.clone()
    taken = model.add_patches(patches, strength)
    if not taken:
        first = ", ".join(sorted(weights)[:2]) or "none at all"
        raise UnknownCheckpointError(
            f"{path.name} changes no layer of this model (its first keys are {first}). It needs a "
            "LoRA for Stable Diffusion 1.5, or a motion LoRA."
        )
    report = f"{path.name} changes {len(taken)} layers at strength {strength:g}."
    student = lora_profile(path)
    made_for = ""
    if student is not None:
        remember_student(model, student)
        made_for = f"The model is now {describe_student(profile_of(model))}."
    return model, "\n".join(filter(None, [report, made_for, fit.to_text()]))


def key_map(model: Any) -> dict[str, str]:
    """Every name that LoRA files use -> ComfyUI's key of the layer's weight."""
    network = model.model.diffusion_model
    if not hasattr(model.model, "profile"):
        raise ShapeError(
            "This node puts LoRAs on models of this pack, got another one. Use ComfyUI's \"Load "
            'LoRA (Model)" for that.'
        )
    names: dict[str, str] = {}
    for key in network.state_dict():
        layer, _, kind = key.rpartition(".")
        if kind == "weight":
            for name in lora_names(layer, network.config.layers_per_block):
                names[name] = f"diffusion_model.{key}"
    return names
