"""What is fuzzed: bytes in, an answer or one of our own errors out. All else is a finding."""

import contextlib
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from animate_anyone_core.borders import networks
from animate_anyone_core.checkpoints.inspection import inspect_file
from animate_anyone_core.checkpoints.layouts import find_unet_config, read_unet_config
from animate_anyone_core.checkpoints.load import (
    METADATA_KEY,
    choose_profile,
    own_settings,
    temporal_config,
)
from animate_anyone_core.checkpoints.model_folder import (
    read_autoencoder_config,
    read_image_encoder_config,
)
from animate_anyone_core.errors import AnimateAnyoneError
from animate_anyone_core.models.config import UNetConfig
from animate_anyone_core.pose.openpose_json import load_poses

_PLACE = tempfile.TemporaryDirectory(prefix="fuzz")
FOLDER = Path(_PLACE.name)


def poses(data: bytes) -> None:
    """A JSON file of poses, ours or another program's; the first byte says whether a canvas is told."""
    path = FOLDER / "poses.json"
    path.write_bytes(data[1:])
    load_poses(path, (64, 48) if data[:1] == b"1" else None)


def checkpoint(data: bytes) -> None:
    """A file of weights: s a safetensors file, h its header alone, p a pickle; `inspect` looks at it."""
    kind, content = data[:1], data[1:]
    if kind == b"h":
        content = len(content).to_bytes(8, "little") + content + bytes(512)
    path = FOLDER / ("weights.pth" if kind == b"p" else "weights.safetensors")
    path.write_bytes(content)
    str(inspect_file(path))


def config(data: bytes) -> None:
    """A `config.json`: the first byte says of which network; o: what our own files' headers say."""
    kind, content = data[:1], data[1:]
    (FOLDER / "config.json").write_bytes(content)
    if kind == b"u":
        read_unet_config(FOLDER / "config.json")
    elif kind == b"a":
        read_autoencoder_config(FOLDER)
    elif kind == b"i":
        read_image_encoder_config(FOLDER)
    else:
        header = {"__metadata__": {METADATA_KEY: content.decode("utf-8", "replace")}}
        text = json.dumps(header).encode()
        path = FOLDER / "own.safetensors"
        path.write_bytes(len(text).to_bytes(8, "little") + text)
        settings = own_settings(path)
        profile, _ = choose_profile("auto", None, settings)
        unet = UNetConfig()
        if "unet" in settings:
            unet, _ = find_unet_config({}, path, settings)
        temporal_config({}, unet, profile, None, settings)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "poses": poses,
    "checkpoint": checkpoint,
    "config": config,
}


def run(name: str, data: bytes) -> None:
    """Try one input; raises only what no user should ever see."""
    with contextlib.suppress(AnimateAnyoneError):
        TARGETS[name](data)


def words() -> list[bytes]:
    """What these files are made of, for mutations to put in."""
    tables = (networks.UNET, networks.TEMPORAL, networks.NOISE, networks.PROFILE)
    tables += (*networks.AUTOENCODERS.values(), networks.IMAGE_ENCODER)
    names = sorted({name for table in tables for name in table})
    names += ["people", "pose_keypoints_2d", "hand_left_keypoints_2d", "canvas_width", "format"]
    names += ["version", "points", "scores", "num_frames", "num_persons", "dtype", "shape"]
    names += ["data_offsets", "__metadata__", "F32", "F16", "BF16", "F8_E4M3", "I64", "_class_name"]
    quoted = [json.dumps(name).encode() for name in names]
    plain = [
        b"null",
        b"true",
        b"NaN",
        b"1e999",
        b"-1",
        b"0",
        b"[]",
        b"{}",
        b"[[",
        b"}}",
        b":",
        b",",
    ]
    return [
        *quoted,
        *plain,
        b"9" * 70,
        b"\xff",
        b"\0",
        b'"\\ud800"',
        b"[" * 40,
        b"18446744073709551616",
    ]
