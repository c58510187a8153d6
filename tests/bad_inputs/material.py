"""Good files of every kind, and how to damage them."""

import io
import json
import os
import socket
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from bad_inputs.harness import Case
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from safetensors.torch import load_file

from animate_anyone_core.pose.skeleton import NUM_KEYPOINTS
from animate_anyone_core.video import write_video

#: Values that most settings refuse.
HOSTILE: dict[str, Any] = {
    "negative": -1,
    "zero": 0,
    "billion": 10**9,
    "vast": 2**70,
    "text": "x",
    "null": None,
    "list": [],
    "object": {"a": 1},
    "flag": True,
    "nested": [[[1]]],
    "fraction": 0.37,
}


class Raw(str):
    """A piece of JSON that is written as it is."""


def to_json(value: Any) -> str:
    """JSON with `Raw` pieces in it."""
    pieces: list[str] = []

    def place(entry: Any) -> Any:
        if isinstance(entry, Raw):
            pieces.append(entry)
            return f"@{len(pieces) - 1}@"
        if isinstance(entry, dict):
            return {key: place(item) for key, item in entry.items()}
        return [place(item) for item in entry] if isinstance(entry, list) else entry

    text = json.dumps(place(value))
    for number, piece in enumerate(pieces):
        text = text.replace(f'"@{number}@"', piece)
    return text


class Material:
    """A folder of good files, and new files in it.

    Args:
        folder: Where everything is written.
        model: A whole tiny model, which stays as it is.
    """

    def __init__(self, folder: Path, model: Path) -> None:
        self.folder, self.model = folder, model
        self._count = 0
        #: Whether files are written; without, calls are only named and counted.
        self.is_real = True
        rng = np.random.default_rng(0)
        self.pixels = rng.integers(0, 256, (48, 40, 3)).astype(np.uint8)
        self.picture = self.path(".png")
        Image.fromarray(self.pixels).save(self.picture)
        self.video = self.path(".mp4")
        write_video(self.video, rng.integers(0, 256, (3, 48, 32, 3)).astype(np.uint8), 12)
        self.poses = self.write(to_json(self.document()), ".json")
        self.estimator = self.network(simcc())
        self.detector = self.network(boxes())

    def chosen(self, make: Callable[["Material"], Iterator[Case]], most: int | None) -> list[Case]:
        """Cases of a kind, at most so many, evenly from the first to the last.

        All are named first, and then only the files of the chosen ones are written.
        """
        if most is None:
            return list(make(self))
        self.is_real = False
        try:
            count = sum(1 for _ in make(self))
            wanted = {i * (count - 1) // (most - 1) for i in range(most)}
            wanted = wanted if count > most else set(range(count))
            self.is_real = True  # also for what is made before the first
            cases = []
            for index, case in enumerate(make(self)):
                if index in wanted:
                    cases.append(case)
                self.is_real = index + 1 in wanted
            return cases
        finally:
            self.is_real = True

    def path(self, ending: str = "") -> Path:
        """A new path."""
        self._count += 1
        return self.folder / f"f{self._count}{ending}"

    def write(self, content: str | bytes, ending: str) -> Path:
        """A new file."""
        path = self.path(ending)
        if self.is_real:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def network(self, content: onnx.ModelProto) -> Path:
        """A new ONNX file."""
        return self.write(content.SerializeToString(), ".onnx")

    def document(self, frames: int = 2, persons: int = 1, **changes: Any) -> dict[str, Any]:
        """Our own poses."""
        rng = np.random.default_rng(1)
        points = rng.uniform(2, 30, (frames, persons, 2 * NUM_KEYPOINTS)).round(2)
        return {
            "format": "animate_anyone.poses",
            "version": 1,
            "width": 32,
            "height": 40,
            "fps": 12.0,
            "num_frames": frames,
            "num_persons": persons,
            "points": points.tolist(),
            "scores": np.full((frames, persons, NUM_KEYPOINTS), 0.9).tolist(),
            **changes,
        }

    def keypoints(self, **changes: Any) -> dict[str, Any]:
        """A frame of POSE_KEYPOINT; `changes` are of the person if they end in 2d, else of it."""
        rng = np.random.default_rng(2)
        triplets = np.concatenate([rng.uniform(3, 30, (18, 2)).round(2), np.ones((18, 1))], axis=1)
        person = {"pose_keypoints_2d": triplets.ravel().tolist()}
        frame = {"people": [person], "canvas_width": 32, "canvas_height": 40}
        for key, value in changes.items():
            (person if key.startswith("pose_") or key.startswith("aa_p") else frame)[key] = value
        return frame

    def model_with(self, files: dict[str, Any]) -> Path:
        """A model's folder with some files replaced: bytes, text, tensors, or None for none."""
        folder = self.path("_model")
        if not self.is_real:
            return folder
        for source in sorted(self.model.rglob("*")):
            target = folder / source.relative_to(self.model)
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_file() and source.relative_to(self.model).as_posix() not in files:
                target.symlink_to(source)
        for name, content in files.items():
            if content is None:
                continue
            path = folder / name
            if isinstance(content, dict):
                save(content, path)
            else:
                path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return folder

    def model_linking(self, name: str, target: Path) -> Path:
        """A model's folder where one file is a link to something else."""
        folder = self.model_with({name: None})
        if self.is_real:
            (folder / name).symlink_to(target)
        return folder

    def settings(self, name: str) -> dict[str, Any]:
        """A `config.json` of the model: "" is the UNet's."""
        if not name:
            return json.loads(json.dumps(TINY_UNET))
        return json.loads((self.model / name / "config.json").read_text())

    def weights(self, name: str) -> dict[str, torch.Tensor]:
        """Tensors of a file of the model."""
        return load_file(self.model / WEIGHTS[name])

    def specials(self) -> Iterator[tuple[str, Path]]:
        """Files that are none."""
        pipe = self.path(".pipe")
        os.mkfifo(pipe)
        folder, link, loop, to_pipe = (self.path() for _ in range(4))
        folder.mkdir()
        link.symlink_to(self.folder / "nowhere")
        loop.symlink_to(loop)
        to_pipe.symlink_to(pipe)
        plug = self.path(".socket")
        socket.socket(socket.AF_UNIX).bind(str(plug))
        yield from {
            "pipe": pipe,
            "zero device": Path("/dev/zero"),
            "random device": Path("/dev/urandom"),
            "null device": Path("/dev/null"),
            "full device": Path("/dev/full"),
            "folder": folder,
            "dangling link": link,
            "link to itself": loop,
            "link to a pipe": to_pipe,
            "socket": plug,
            "below a file": self.picture / "x",
            "not there": self.folder / "nothing",
        }.items()

    # calls -------------------------------------------------------------------------------------

    def animate(self, name: str, model: Path | None = None, **options: Any) -> Case:
        """A call of `animate` at the smallest size."""
        given = {
            "reference": self.picture,
            "poses": self.video,
            "models": model or self.model,
            "output": "OUT/a.mp4",
            "width": 32,
            "height": 40,
            "steps": 1,
            "max-frames": 1,
            **options,
        }
        return call("animate", name, given)

    def draw(self, name: str, poses: Path | str, **options: Any) -> Case:
        """A call of `draw-pose`."""
        return call("draw-pose", name, {"poses": poses, "output": "OUT/a.mp4", **options})

    def detect(self, name: str, video: Path | str, **options: Any) -> Case:
        """A call of `detect-pose` with a tiny estimator."""
        given = {"video": video, "output": "OUT/a.json", "estimator": self.estimator, **options}
        return call("detect-pose", name, given)

    def retarget(self, name: str, **options: Any) -> Case:
        """A call of `retarget-pose`."""
        given = {"driver": self.poses, "reference": self.poses, "output": "OUT/a.json", **options}
        return call("retarget-pose", name, given)

    def inspect(self, name: str, path: Path | str) -> Case:
        """A call of `inspect`."""
        return Case(name, ("inspect", str(path)))


#: What the tiny model's UNet is, in diffusers' words.
TINY_UNET = {
    "_class_name": "UNet2DConditionModel",
    "act_fn": "silu",
    "attention_head_dim": 8,
    "block_out_channels": [32, 64],
    "center_input_sample": False,
    "cross_attention_dim": 24,
    "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
    "downsample_padding": 1,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "in_channels": 4,
    "layers_per_block": 1,
    "mid_block_scale_factor": 1,
    "norm_eps": 1e-05,
    "norm_num_groups": 32,
    "out_channels": 4,
    "sample_size": 64,
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
}
WEIGHTS = {
    "denoising_unet": "denoising_unet.safetensors",
    "reference_unet": "reference_unet.safetensors",
    "motion_module": "motion_module.safetensors",
    "pose_guider": "pose_guider.safetensors",
    "vae": "vae/diffusion_pytorch_model.safetensors",
    "image_encoder": "image_encoder/model.safetensors",
}


def call(command: str, name: str, options: dict[str, Any]) -> Case:
    """A call with options by name; a list is several arguments, None leaves the option out."""
    argv = [command]
    by_name = {key.replace("_", "-"): value for key, value in options.items()}  # the last one wins
    for key, value in by_name.items():
        if value is not None:
            argv.append(f"--{key}" if value is True else f"--{key}={value}")
    return Case(name, tuple(argv))


def save(tensors: dict[str, Any], path: Path) -> None:
    """Write tensors as the file's ending says; safetensors by hand where the library would not."""
    if path.suffix != ".safetensors":
        torch.save(tensors, path)
        return
    path.write_bytes(safetensors_bytes(tensors))


def safetensors_bytes(
    tensors: dict[str, torch.Tensor], metadata: dict[str, str] | None = None, **changes: Any
) -> bytes:
    """A safetensors file written by hand; `changes` replace entries of its header."""
    header: dict[str, Any] = {"__metadata__": metadata} if metadata is not None else {}
    body = io.BytesIO()
    for key, tensor in tensors.items():
        start = body.tell()
        body.write(tensor.contiguous().view(-1).view(torch.uint8).numpy().tobytes())
        header[key] = {
            "dtype": _SAFETENSORS_TYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [start, body.tell()],
        }
    return with_header(to_json(header | changes), body.getvalue())


def with_header(header: str | bytes, body: bytes = b"", length: int | None = None) -> bytes:
    """A safetensors file of any header."""
    text = header if isinstance(header, bytes) else header.encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


_SAFETENSORS_TYPES = {
    torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.float64: "F64",
    torch.int8: "I8", torch.int16: "I16", torch.int32: "I32", torch.int64: "I64",
    torch.uint8: "U8", torch.bool: "BOOL", torch.complex64: "C64",
    torch.float8_e4m3fn: "F8_E4M3",
}  # fmt: skip
SCALES = getattr(torch, "float8_e8m0fnu", None)  # since PyTorch 2.7
if SCALES is not None:
    _SAFETENSORS_TYPES[SCALES] = "F8_E8M0"


def simcc(
    size: tuple[int, int] = (64, 48), outputs: Iterable[np.ndarray] | None = None, **input_of: Any
) -> onnx.ModelProto:
    """An estimator that finds the same everywhere, whatever it is shown."""
    height, width = size
    if outputs is None:
        rng = np.random.default_rng(4)
        centres = rng.uniform(0.2, 0.8, (2, 133, 1))
        outputs = [
            (0.9 * np.exp(-(((np.arange(2 * side) - c * 2 * side) / 4) ** 2))).astype(np.float32)[
                None
            ]
            for c, side in zip(centres, (width, height), strict=True)
        ]
    return constant_network(outputs, **{"shape": [1, 3, height, width], **input_of})


def boxes(rows: np.ndarray | None = None, **input_of: Any) -> onnx.ModelProto:
    """A detector with suppression inside, which finds the same box everywhere."""
    if rows is None:
        rows = np.array([[[2, 2, 50, 60, 0.9]]], np.float32)
    return constant_network([rows], **{"shape": [1, 3, 64, 64], **input_of})


def constant_network(
    outputs: Iterable[np.ndarray],
    shape: list[Any],
    kind: int = TensorProto.FLOAT,
    extra_inputs: int = 0,
) -> onnx.ModelProto:
    """A network that hands over constants."""
    arrays = [np.asarray(output) for output in outputs]
    names = [f"out{i}" for i in range(len(arrays))]
    nodes = [helper.make_node("Identity", [f"c{i}"], [name]) for i, name in enumerate(names)]
    inputs = [helper.make_tensor_value_info(f"in{i}", kind, shape) for i in range(1 + extra_inputs)]
    graph = helper.make_graph(
        nodes,
        "constant",
        inputs,
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
            for name, a in zip(names, arrays, strict=True)
        ],
        [numpy_helper.from_array(array, f"c{i}") for i, array in enumerate(arrays)],
    )
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def png(width: int, height: int, depth: int = 8, color: int = 2, body: bytes = b"\0") -> bytes:
    """A PNG with a header of any size and hardly any content."""

    def chunk(name: bytes, content: bytes) -> bytes:
        end = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + end

    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(body))
        + chunk(b"IEND", b"")
    )


def picture_bytes(pixels: np.ndarray, kind: str, **options: Any) -> bytes:
    """A picture file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()
