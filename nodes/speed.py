"""The core's speeds in ComfyUI's sampling: an input, and a model that leaves out what they say."""

from typing import Any

import comfy.samplers
import torch
from comfy_api.latest import io

from ..animate_anyone_core.sampling.deep_features import DeepFeatures
from ..animate_anyone_core.sampling.speed import SPEEDS, Speed

#: The core's solver -> ComfyUI's sampler.
SAMPLERS = {"ddim": "ddim", "dpm++": "dpmpp_2m", "unipc": "uni_pc"}
#: Where a run's deep features are in its `transformer_options`.
DEEP_FEATURES = "animate_anyone_deep_features"


def speed_input() -> io.Combo.Input:
    """The input by which a speed is chosen; last, and optional, for older prompts."""
    return io.Combo.Input("speed", options=list(SPEEDS), default="exact", optional=True)


def at_speed(model: Any, speed: Speed, sigmas: torch.Tensor) -> Any:
    """A clone of the model for one run at these noise levels, which leaves out what the speed says."""
    model = model.clone()
    if speed.full_every > 1:
        options = model.model_options.setdefault("transformer_options", {})
        options[DEEP_FEATURES] = DeepFeatures(speed.full_every)
    first_guided = int(torch.tensor(speed.guided_from * (len(sigmas) - 1)).ceil())
    if first_guided:
        _guide_from(model, float(sigmas[first_guided]))
    return model


def _guide_from(model: Any, level: float) -> None:
    """Leave out the unconditional half at noise levels above this one."""
    key = "sampler_calc_cond_batch_function"
    before = model.model_options.get(key, _predict_all)

    def predict(args: dict[str, Any]) -> list[torch.Tensor]:
        conds = args["conds"]
        if len(conds) != 2 or float(args["sigma"].max()) <= level * (1 + 1e-5):
            return before(args)
        conditional = before({**args, "conds": [conds[0], None]})[0]
        return [conditional, conditional]

    model.model_options[key] = predict


def _predict_all(args: dict[str, Any]) -> list[torch.Tensor]:
    names = ("model", "conds", "input", "sigma", "model_options")
    return comfy.samplers.calc_cond_batch(*(args[name] for name in names))
