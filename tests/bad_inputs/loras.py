"""LoRAs on `animate`, the files beside MIMO's figures, and lists of clips to measure."""

import json
from collections.abc import Iterator

import torch
from bad_inputs.harness import Case
from bad_inputs.material import Material, call, safetensors_bytes
from bad_inputs.other_commands import _FILES, _NAMES

_LAYER = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"


def _lora(layer: str = _LAYER, rank: int = 2, inputs: int = 32, outputs: int = 32, **changes):
    tensors = {
        f"{layer}.lora_down.weight": torch.ones(rank, inputs),
        f"{layer}.lora_up.weight": torch.ones(outputs, rank),
        f"{layer}.alpha": torch.tensor(float(rank)),
    }
    return tensors | {f"{layer}.{name}": tensor for name, tensor in changes.items()}


def _student(**profile: object) -> dict[str, str]:
    """A header as students have it."""
    return {"animate_anyone": json.dumps({"profile": profile, "stage": 3})}


def lora_files(m: Material) -> Iterator[Case]:
    """Files that are no LoRA, or a damaged one."""
    files = {**_FILES, "a picture": m.picture.read_bytes(), "a video": m.video.read_bytes()}
    for name, body in files.items():
        yield m.animate(name, lora=m.write(body, ".safetensors"))
    for name, path in [*m.specials(), *_NAMES.items()]:
        yield m.animate(name, lora=path)
    yield m.animate("a whole model", lora=m.model)
    for network in ("denoising_unet", "pose_guider", "vae"):
        weights = m.weights(network)
        yield m.animate(
            f"weights of {network}", lora=m.write(safetensors_bytes(weights), ".safetensors")
        )
    body = safetensors_bytes(_lora())
    for end in (7, 40, len(body) - 9):
        yield m.animate(f"cut at {end}", lora=m.write(body[:end], ".safetensors"))
    wrong = {
        "no layer of ours": _lora("lora_unet_nowhere"),
        "a text encoder's": _lora("lora_te_text_model_encoder_layers_0_mlp_fc1"),
        "other widths": _lora(inputs=320, outputs=320),
        "halves of two ranks": _lora() | {f"{_LAYER}.lora_up.weight": torch.ones(32, 5)},
        "one half": {f"{_LAYER}.lora_down.weight": torch.ones(2, 32)},
        "rank 0": _lora(rank=0),
        "NaN": _lora() | {f"{_LAYER}.lora_up.weight": torch.full((32, 2), torch.nan)},
        "infinite": _lora() | {f"{_LAYER}.lora_up.weight": torch.full((32, 2), torch.inf)},
        "alpha NaN": _lora(alpha=torch.tensor(torch.nan)),
        "integers": {k: v.to(torch.int32) for k, v in _lora().items()},
        "LoHa": {
            f"{_LAYER}.hada_w1_a": torch.ones(32, 2),
            f"{_LAYER}.hada_w1_b": torch.ones(2, 32),
        },
        "nothing": {},
    }
    for name, tensors in wrong.items():
        yield m.animate(name, lora=m.write(safetensors_bytes(tensors), ".safetensors"))


def lora_settings(m: Material) -> Iterator[Case]:
    """Strengths, and what a student's header says of itself."""
    good = m.write(safetensors_bytes(_lora()), ".safetensors")
    for value in ("nan", "inf", "-inf", "x", "", "9" * 5000, "1e999"):
        yield m.animate(f"strength {value[:9]}", lora=good, **{"lora-strength": value})
    yield m.animate("a strength without a LoRA", **{"lora-strength": "nan"})


def figures(m: Material) -> Iterator[Case]:
    """What lies in front of a figure, beside weights that have none."""
    files = {**_FILES, "cut": m.video.read_bytes()[:900]}
    for option in ("occlusion", "original"):
        for name, body in files.items():
            yield m.animate(f"{option}: {name}", **{option: m.write(body, ".mp4")})
        for name, path in [*m.specials(), *_NAMES.items()]:
            yield m.animate(f"{option}: {name}", **{option: path})
        yield m.animate(f"{option} alone", **{option: m.video})


def lists_of_scores(m: Material) -> Iterator[Case]:
    """`evaluate --jobs` with lists that are none; a job that is none is its own fault, exit 1."""
    lists = {
        "no list": b"this is no list",
        "empty": b"",
        "a number": b"5\n",
        "a list in a line": b"[1, 2]\n",
        "deep": b"[" * 10_000 + b"]" * 10_000,
        "zeros": b"\0" * 4000,
        "latin": "{\"result\": \"\u00e9.mp4\"}".encode("latin-1"),
        "csv without rows": b"result,truth\n",
    }  # fmt: skip
    for name, body in lists.items():
        for ending in (".jsonl", ".csv"):
            given = {"jobs": m.write(body, ending), "output": "OUT/scores"}
            yield call("evaluate", f"{name}{ending}", given)
    for name, path in [*m.specials(), *_NAMES.items()]:
        yield call("evaluate", name, {"jobs": path, "output": "OUT/scores"})


KINDS = {
    "LoRA files": lora_files,
    "LoRA settings": lora_settings,
    "figures' files": figures,
    "evaluate: lists": lists_of_scores,
}
