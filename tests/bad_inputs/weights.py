"""Files of weights: damaged, of other numbers, incomplete, or no weights at all."""

import io
import os
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import torch
from bad_inputs.harness import Case
from bad_inputs.material import (
    SCALES,
    WEIGHTS,
    Material,
    call,
    safetensors_bytes,
    to_json,
    with_header,
)
from torch import Tensor

#: A tensor of each network that every file of it has.
_KEYS = {
    "denoising_unet": "conv_out.weight",
    "reference_unet": "conv_in.weight",
    "motion_module": "down_blocks.0.motion_modules.0.temporal_transformer.norm.weight",
    "pose_guider": "conv_in.weight",
    "vae": "decoder.conv_in.weight",
    "image_encoder": "visual_projection.weight",
}
Change = Callable[[Tensor], Any]


def _changed(m: Material, network: str, change: Change, key: str | None = None, pth: bool = False):
    """A model with one tensor of one network changed; as .pth if safetensors cannot hold it."""
    if not m.is_real:
        return m.model
    weights: dict[str, Any] = dict(m.weights(network))
    key = key or _KEYS[network]
    value = change(weights[key])
    weights[key] = value
    if not pth:
        return m.model_with({WEIGHTS[network]: weights})
    name = {"vae": ".bin", "image_encoder": ".bin"}.get(network, ".pth")
    other = WEIGHTS[network].replace(".safetensors", name)
    if network == "image_encoder":
        other = "image_encoder/pytorch_model.bin"
    return m.model_with({WEIGHTS[network]: None, other: weights})


def _each(m: Material, changes: dict[str, Change], pth: bool = False) -> Iterator[Case]:
    for network in _KEYS:
        for name, change in changes.items():
            yield m.animate(f"{network}: {name}", _changed(m, network, change, pth=pth))


def integers(m: Material) -> Iterator[Case]:
    kinds = (torch.int8, torch.uint8, torch.int32, torch.int64, torch.bool)
    yield from _each(m, {str(kind): (lambda t, k=kind: (10 * t).to(k)) for kind in kinds})


def all_integers(m: Material) -> Iterator[Case]:
    for network in _KEYS:
        weights = {key: (9 * tensor).to(torch.int8) for key, tensor in m.weights(network).items()}
        yield m.animate(network, m.model_with({WEIGHTS[network]: weights}))
        path = m.path(".safetensors")
        path.write_bytes(safetensors_bytes(weights))
        yield m.inspect(f"inspect {network}", path)


def complex_numbers(m: Material) -> Iterator[Case]:
    yield from _each(m, {"complex": lambda t: t.to(torch.complex64)})
    yield from _each(m, {"complex pickled": lambda t: t.to(torch.complex64)}, pth=True)


def small_floats(m: Material) -> Iterator[Case]:
    if SCALES is not None:
        yield from _each(m, {"scales": lambda t: t.abs().to(SCALES)})


def quantised(m: Material) -> Iterator[Case]:
    def by_tensor(tensor: Tensor) -> Tensor:
        return torch.quantize_per_tensor(tensor.float(), 0.1, 3, torch.qint8)

    def by_channel(tensor: Tensor) -> Tensor:
        count = len(tensor)
        scales, zeros = torch.full((count,), 0.1), torch.zeros(count, dtype=torch.long)
        return torch.quantize_per_channel(tensor.float(), scales, zeros, 0, torch.qint8)

    yield from _each(m, {"by tensor": by_tensor, "by channel": by_channel}, pth=True)


def scalars(m: Material) -> Iterator[Case]:
    yield from _each(m, {"scalar": lambda t: t.flatten()[0]})
    for network, key in {
        "pose_guider": "blocks.0.weight",
        "denoising_unet": "down_blocks.0.resnets.0.conv1.weight",
        "reference_unet": "down_blocks.0.attentions.0.proj_in.weight",
    }.items():
        yield m.animate(f"{network} {key}", _changed(m, network, lambda t: t.flatten()[0], key))
    for network in list(_KEYS)[:4]:
        weights = {
            key: tensor.flatten()[:1].reshape(()) for key, tensor in m.weights(network).items()
        }
        path = m.path(".safetensors")
        path.write_bytes(safetensors_bytes(weights))
        yield m.inspect(f"all of {network}", path)


def empty_tensors(m: Material) -> Iterator[Case]:
    yield from _each(m, {"no rows": lambda t: t[:0], "one empty": lambda t: torch.empty(0)})
    for network in list(_KEYS)[:4]:
        weights = {key: tensor[:0] for key, tensor in m.weights(network).items()}
        path = m.path(".safetensors")
        path.write_bytes(safetensors_bytes(weights))
        yield m.inspect(f"all of {network}", path)


def meta(m: Material) -> Iterator[Case]:
    yield from _each(m, {"meta": lambda t: t.to("meta")}, pth=True)


def expanded(m: Material) -> Iterator[Case]:
    changes = {
        "one number for all": lambda t: torch.zeros(()).expand(t.shape),
        "a row for all": lambda t: (
            torch.zeros(t.shape[-1:]).expand(*t.shape[:-1], -1)
            if t.ndim > 1
            else torch.zeros(1).expand(t.shape)
        ),
    }
    yield from _each(m, changes, pth=True)
    for network in ("pose_guider", "reference_unet"):
        vast = _changed(m, network, lambda t: torch.zeros(()).expand(10**6, 10**6), pth=True)
        yield m.animate(f"{network}: a million squared", vast)


def sparse(m: Material) -> Iterator[Case]:
    yield from _each(m, {"coo": lambda t: t.to_sparse()}, pth=True)
    yield from _each(m, {"csr": lambda t: t.reshape(len(t), -1).to_sparse_csr()}, pth=True)


def not_finite(m: Material) -> Iterator[Case]:
    for word in ("nan", "inf", "-inf"):

        def spoil(tensor: Tensor, value: float = float(word)) -> Tensor:
            tensor = tensor.clone()
            tensor.view(-1)[-1] = value
            return tensor

        yield from _each(m, {word: spoil})
    yield from _each(m, {"half": lambda t: torch.full(t.shape, float("inf"), dtype=torch.float16)})


def missing(m: Material) -> Iterator[Case]:
    for network in _KEYS:
        weights = m.weights(network)
        for name, keys in {
            "the first": list(weights)[1:],
            "the last": list(weights)[:-1],
            "half": list(weights)[::2],
            "all": [],
        }.items():
            if network == "motion_module" and name == "the last":
                keys = [key for key in weights if not key.endswith("norm.weight")]
            left = {key: weights[key] for key in keys}
            yield m.animate(f"{network}: {name}", m.model_with({WEIGHTS[network]: left}))


def missing_files(m: Material) -> Iterator[Case]:
    for network, file in WEIGHTS.items():
        yield m.animate(network, m.model_with({file: None}))
        yield m.inspect(f"inspect without {network}", m.model_with({file: None}))


def other_shapes(m: Material) -> Iterator[Case]:
    yield from _each(
        m,
        {
            "one row less": lambda t: t[:-1].clone(),
            "one row more": lambda t: torch.cat([t, t[:1]]),
            "flat": lambda t: t.flatten()[:-1].clone(),
            "one side more": lambda t: t[..., None].clone(),
        },
    )


def surplus(m: Material) -> Iterator[Case]:
    """More than the network takes: it would be loaded in part."""
    for network, keys in {
        "denoising_unet": ("down_blocks.0.resnets.7.conv1.weight", "up_blocks.9.x.weight"),
        "reference_unet": ("down_blocks.1.attentions.0.norm.weight", "mid_block.y.bias"),
        "pose_guider": ("blocks.x.weight", "conv_in.extra"),
        "vae": ("decoder.up_blocks.0.resnets.9.conv1.weight", "encoder.conv_in.extra"),
        "image_encoder": ("vision_model.encoder.layers.5.mlp.fc1.weight", "visual_projection.bias"),
    }.items():
        for key in keys:
            weights = {**m.weights(network), key: torch.ones(4, 4)}
            yield m.animate(f"{network}: {key}", m.model_with({WEIGHTS[network]: weights}))


def swapped(m: Material) -> Iterator[Case]:
    for network in _KEYS:
        for other in _KEYS:
            pairs = ("denoising_unet", "reference_unet")  # a UNet may stand in for ReferenceNet
            if other != network and (other, network) != pairs:
                files = {WEIGHTS[network]: m.weights(other)}
                yield m.animate(f"{other} as {network}", m.model_with(files))


def another_encoder(m: Material) -> Iterator[Case]:
    good = m.weights("image_encoder")
    text = {f"text_model.{i}": torch.ones(2) for i in range(4)}
    for name, weights in {
        "text alone": text,
        "without projection": {k: w for k, w in good.items() if not k.startswith("visual")},
        "projection alone": {k: w for k, w in good.items() if k.startswith("visual")},
        "without prefix": {k.removeprefix("vision_model."): w for k, w in good.items()},
        "another naming": {f"visual.transformer.{k}": w for k, w in good.items()},
        "siglip": {"vision_model.head.probe": torch.ones(1, 1, 4), "vision_model.x": torch.ones(1)},
        "wider": {**good, "visual_projection.weight": torch.ones(40, 16)},
        "more positions": {
            **good,
            "vision_model.embeddings.position_embedding.weight": torch.ones(50, 16),
        },
    }.items():
        yield m.animate(name, m.model_with({WEIGHTS["image_encoder"]: weights}))
    config = to_json({**m.settings("image_encoder"), "projection_dim": 40})
    wide = {**good, "visual_projection.weight": torch.ones(40, 16)}
    files = {WEIGHTS["image_encoder"]: wide, "image_encoder/config.json": config}
    yield m.animate("of another model", m.model_with(files))
    config = to_json({**m.settings("image_encoder"), "num_hidden_layers": 2})
    yield m.animate("a layer short", m.model_with({"image_encoder/config.json": config}))
    config = to_json({**m.settings("vae"), "latent_channels": 8})
    yield m.animate("a vae of more channels", m.model_with({"vae/config.json": config}))


def cut(m: Material) -> Iterator[Case]:
    for network in ("pose_guider", "vae", "image_encoder"):
        whole = (m.model / WEIGHTS[network]).read_bytes()
        for share in (0.0, 0.0002, 0.01, 0.3, 0.9, 0.9999):
            files = {WEIGHTS[network]: whole[: int(len(whole) * share)]}
            yield m.animate(f"{network} {share}", m.model_with(files))
        files = {WEIGHTS[network]: whole + b"more"}
        yield m.animate(f"{network} with data after the end", m.model_with(files))
    buffer = io.BytesIO()
    torch.save(m.weights("pose_guider"), buffer)
    for share in (0.1, 0.5, 0.98):
        path = m.write(buffer.getvalue()[: int(buffer.tell() * share)], ".pth")
        yield m.inspect(f"pickle {share}", path)


def headers(m: Material) -> Iterator[Case]:
    good = {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}

    def entry(**changes: Any) -> str:
        return to_json({"a": {**good["a"], **changes}})

    bodies = {
        "length 0": with_header(b"", b"", 0),
        "length huge": with_header(b"{}", b"", 2**63),
        "length over the file": with_header(b"{}", b"", 500),
        "list": with_header("[]"),
        "text": with_header('"x"'),
        "null": with_header("null"),
        "nested": with_header("[" * 10_000),
        "nested in an entry": with_header('{"a": ' + "[" * 5000 + "]" * 5000 + "}"),
        "entry of text": with_header('{"a": "x"}'),
        "entry of null": with_header('{"a": null}'),
        "no offsets": with_header('{"a": {"dtype": "F32", "shape": [2]}}'),
        "no json": with_header("{a}"),
        "not utf-8": with_header(b"{\xff}"),
        "unknown type": with_header(entry(dtype="F99"), b"\0" * 8),
        "type of number": with_header(entry(dtype=3), b"\0" * 8),
        "negative side": with_header(entry(shape=[-2]), b"\0" * 8),
        "huge side": with_header(entry(shape=[2**62, 2**62]), b"\0" * 8),
        "side of text": with_header(entry(shape=["x"]), b"\0" * 8),
        "fraction": with_header(entry(shape=[2.5]), b"\0" * 8),
        "shape of more": with_header(entry(shape=[9]), b"\0" * 8),
        "offsets the other way": with_header(entry(data_offsets=[8, 0]), b"\0" * 8),
        "offsets of text": with_header(entry(data_offsets=["0", "8"]), b"\0" * 8),
        "offsets of one": with_header(entry(data_offsets=[8]), b"\0" * 8),
        "offsets of nan": with_header('{"a": {"data_offsets": [NaN, NaN]}}', b"\0" * 8),
        "offsets of digits": with_header('{"a": {"data_offsets": [0, ' + "9" * 5000 + "]}}"),
        "offsets beyond": with_header(entry(data_offsets=[0, 2**62]), b"\0" * 8),
        "offsets negative": with_header(entry(data_offsets=[-8, 0]), b"\0" * 8),
        "two at one place": with_header(to_json({**good, "b": good["a"]}), b"\0" * 8),
        "gap": with_header(entry(data_offsets=[8, 16]), b"\0" * 16),
        "metadata of numbers": with_header('{"__metadata__": {"a": 3}}'),
        "metadata of lists": with_header('{"__metadata__": [1]}'),
        "a name of 5000": with_header(to_json({"x" * 5000: good["a"]}), b"\0" * 8),
    }
    for name, body in bodies.items():
        yield m.inspect(name, m.write(body, ".safetensors"))
        yield m.animate(f"vae: {name}", m.model_with({WEIGHTS["vae"]: body}))


class _Runs:
    """A pickle that asks for a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Any, Any]:
        return self.call


def pickles(m: Material) -> Iterator[Case]:
    values = {
        "os.system": _Runs(os.system, "touch x"),
        "eval": _Runs(eval, "1"),
        "exec": _Runs(exec, "1"),
        "open": _Runs(open, "/dev/null"),
        "bytearray": {"a": _Runs(bytearray, 10**11)},
        "getattr": _Runs(getattr, "x", "upper"),
        "list": [torch.ones(2)],
        "number": 3,
        "text": "x",
        "none": None,
        "tensor": torch.ones(2),
        "numbers by name": {"a": 3},
        "lists by name": {"a": [1]},
        "tensors by number": {1: torch.ones(2)},
        "nested": {"a": {"b": torch.ones(2)}},
        "state dict of nothing": {"state_dict": {"a": None}},
        "module": torch.nn.Linear(2, 2),
    }
    for name, value in values.items():
        buffer = io.BytesIO()
        torch.save(value, buffer)
        yield m.inspect(name, m.write(buffer.getvalue(), ".pth"))
        if name in ("os.system", "number", "eval"):
            yield m.inspect(f"plain {name}", m.write(pickle.dumps(value), ".pt"))
            files = {WEIGHTS["vae"]: None, "vae/diffusion_pytorch_model.bin": buffer.getvalue()}
            yield m.animate(f"vae: {name}", m.model_with(files))


def no_weights(m: Material) -> Iterator[Case]:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", b"\0" * 50_000_000)
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w") as archive:
        archive.writestr("a/b.txt", "x")
    for name, body in {
        "text": b"weights",
        "empty": b"",
        "zeros": b"\0" * 500,
        "html": b"<!doctype html><html></html>",
        "lfs pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n",
        "zip": stored.getvalue(),
        "packed zip": packed.getvalue(),
        "picture": m.picture.read_bytes(),
        "video": m.video.read_bytes(),
        "json": b'{"a": 1}',
        "onnx": m.estimator.read_bytes(),
        "gguf": b"GGUF" + struct.pack("<IQQ", 3, 1, 1),
        "tar": b"a" * 257 + b"ustar" + b"\0" * 250,
        "hdf5": b"\x89HDF\r\n\x1a\n" + b"\0" * 90,
        "numpy": b"\x93NUMPY\x01\0" + b"\0" * 90,
    }.items():
        for ending in (".safetensors", ".pth", ".bin"):
            yield m.inspect(f"{name} as {ending}", m.write(body, ending))
    for ending in (".txt", ".py", "", ".onnx", ".safetensors.part"):
        yield m.inspect(f"named {ending or 'without ending'}", m.write(b"x", ending))


def special_files(m: Material) -> Iterator[Case]:
    for name, path in m.specials():
        if name != "folder":
            yield m.inspect(f"inspect: {name}", path)
        for network in ("denoising_unet", "vae"):
            folder = m.model_linking(WEIGHTS[network], path)
            yield m.animate(f"{network}: {name}", folder)
        argv = ("convert", str(path), "--output=OUT/a.safetensors")
        yield Case(f"convert: {name}", argv)


def converted(m: Material) -> Iterator[Case]:
    for network in list(_KEYS)[:4]:
        for name, change in {
            "integers": lambda t: (9 * t).to(torch.int8),
            "nan": lambda t: t * float("nan"),
            "complex": lambda t: t.to(torch.complex64),
            "empty": lambda t: t[:0],
        }.items():
            weights = {key: change(tensor) for key, tensor in m.weights(network).items()}
            path = m.write(safetensors_bytes(weights), ".safetensors")
            yield Case(f"{network}: {name}", ("convert", str(path), "--output=OUT/a.safetensors"))
    yield call("convert", "nothing", {"output": "OUT/a.safetensors"})


KINDS = {
    "weights: integers": integers,
    "weights all integers": all_integers,
    "weights: complex": complex_numbers,
    "weights: scales without numbers": small_floats,
    "weights: quantised": quantised,
    "weights: scalars": scalars,
    "weights: empty": empty_tensors,
    "weights: meta": meta,
    "weights: expanded": expanded,
    "weights: sparse": sparse,
    "weights: not finite": not_finite,
    "weights missing": missing,
    "files missing": missing_files,
    "weights of other shapes": other_shapes,
    "weights half loaded": surplus,
    "weights of other networks": swapped,
    "image encoder or VAE of another model": another_encoder,
    "weights cut short": cut,
    "safetensors headers": headers,
    "pickles": pickles,
    "weights of other formats": no_weights,
    "special files as weights": special_files,
    "weights to convert": converted,
}
