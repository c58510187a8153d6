"""Mixed prompts for a long run of one server: good ones of several kinds, cancelled and failing ones.

Every prompt is the built-in model's, small. A number that changes nothing in the result keeps
ComfyUI from answering out of its cache.
"""

from __future__ import annotations

import io
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from comfyui_harness import first_light as line
from comfyui_harness.server import PromptFailedError, PromptRejectedError
from PIL import Image

Graph = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """A prompt that succeeds: its size in pixels, frames, and which nodes make it."""

    width: int
    height: int
    frames: int
    sampler: str = "ours"
    poses: str = "drawn"
    result: str = "pictures"
    context_frames: int = 0
    seed: int = 3


GOOD = {
    "small": Kind(64, 96, 4),
    "wide": Kind(128, 64, 5, seed=4),
    "windows": Kind(128, 176, 12, context_frames=6),
    "stock": Kind(96, 64, 6, sampler="stock", context_frames=4),
    "streamed": Kind(96, 128, 16, result="video"),
    "detected": Kind(64, 96, 5, poses="detected"),
    "single": Kind(128, 128, 1, sampler="stock", seed=9),
}


def graph(kind: Kind, number: int, steps: int = 2) -> Graph:
    """The prompt; `number` (from 1) is read by a node that cuts one picture out of one."""
    model = {
        name: ["set", place] for place, name in enumerate(("model", "net", "guider", "vae", "clip"))
    }
    inputs = {"character": "character_a", "num_frames": kind.frames}
    made = {
        "set": line.ours("LoadModelSet", model_set="built-in", family="auto", dtype="default"),
        "inputs": line.ours("BuiltinInputs", **inputs),
        "picture": line.node("ImageFromBatch", image=["inputs", 0], batch_index=0, length=number),
        "reference": line.ours(
            "EncodeReference",
            reference_net=model["net"],
            vae=model["vae"],
            clip_vision=model["clip"],
            image=["picture", 0],
            width=kind.width,
            height=kind.height,
            fit="crop",
        ),
        **_poses(kind, number),
        "pose": line.ours(
            "EncodePose",
            pose_guider=model["guider"],
            images=["draw", 0],
            reference=["reference", 0],
        ),
    }
    return made | _sampler(kind, steps) | _result(kind)


def _poses(kind: Kind, number: int) -> Graph:
    drawing = {"style": ["set", 11], "width": 0, "height": 0, "fit": "pad", "people": "by style"}
    drawing |= {"body": True, "hands": True, "face": "by style", "feet": False}
    if kind.poses == "drawn":
        return {"draw": line.ours("DrawPose", pose_keypoint=["inputs", 2], **drawing)}
    clip = {"batch_index": 0, "length": 1000 + number}
    people = {"person": "largest", "person_index": 0, "interval": 8, "batch_size": 3}
    people |= {"point_x": 0, "point_y": 0, "point_frame": 0, "seen_score": 0.3}
    networks = {"person_detector": "built-in", "pose_estimator": "built-in", "device": "auto"}
    return {
        "detector": line.ours("LoadPoseDetector", **networks),
        "clip": line.node("ImageFromBatch", image=["inputs", 1], **clip),
        "detect": line.ours(
            "DetectPose", pose_detector=["detector", 0], images=["clip", 0], **people
        ),
        "draw": line.ours("DrawPose", pose_keypoint=["detect", 0], **drawing),
    }


def _sampler(kind: Kind, steps: int) -> Graph:
    values = {"seed": kind.seed, "steps": steps, "cfg": 2.5, "scheduler": "simple", "denoise": 1.0}
    windows = {"context_frames": kind.context_frames, "context_overlap": 2, "schedule": "open"}
    windows["blending"] = "pyramid"
    encoded = {"model": ["set", 0], "reference": ["reference", 0], "pose": ["pose", 0]}
    if kind.sampler == "ours":
        values |= {"sampler_name": "published ddim", **windows}
        return {"sampler": line.ours("Sampler", **encoded, **values)}
    return {
        "conditioning": line.ours("Conditioning", **encoded),
        "windows": line.ours("ContextWindows", model=["conditioning", 0], **windows),
        "sampler": line.node(
            "KSampler",
            model=["windows", 0],
            positive=["conditioning", 1],
            negative=["conditioning", 2],
            latent_image=["conditioning", 3],
            sampler_name="euler",
            **values,
        ),
    }


def _result(kind: Kind) -> Graph:
    latent = {"vae": ["set", 3], "latent": ["sampler", 0], "chunk_frames": 3}
    if kind.result == "pictures":
        return {
            "decode": line.ours("DecodeVideo", **latent),
            "save": line.node("SaveImage", images=["decode", 0], filename_prefix="soak"),
        }
    video = {"filename_prefix": "soak", "format": "auto", "codec": "auto"}
    return {
        "decode": line.ours("StreamVideo", fps=12.0, **latent),
        "save": line.node("SaveVideo", video=["decode", 0], **video),
    }


def bad_graphs(number: int, broken_picture: str) -> dict[str, tuple[type[Exception], Graph]]:
    """Prompts that end in an error, early and late, and which error."""
    kinds = [GOOD["small"]] * 4
    values, file, pose, latent = (graph(kind, number) for kind in kinds)
    values["sampler"]["inputs"]["steps"] = -1
    file["picture"] = line.node("LoadImage", image=broken_picture)
    pose["inputs"]["inputs"]["num_frames"] = 6
    pose["draw"]["inputs"] |= {"pose_keypoint": ["wrong", 0]}
    values_of = {"ratio_mode": "auto", "root_mode": "contact", "zoom_mode": "keep"}
    values_of |= {"multipliers": "no number", "hide_missing": False, "fit_inside": False}
    values_of |= {"align_frame": 0, "strength": 1.0, "offset_x": 0.0, "offset_y": 0.0}
    values_of |= {"scale": 1.0, "person": 0, "overlay_frame": -1}
    both = {"driver": ["inputs", 2], "reference": ["inputs", 2]}
    pose["wrong"] = line.ours("RetargetPose", **both, **values_of)
    latent["decode"]["inputs"]["latent"] = ["other", 0]
    latent["other"] = line.node("EmptyLatentImage", width=64, height=64, batch_size=number % 3 + 1)
    latent["also"] = line.node("PreviewAny", source=["sampler", 0])
    return {
        "refused": (PromptRejectedError, values),
        "no picture": (PromptFailedError, file),
        "wrong words": (PromptRejectedError, pose),
        "other latents": (PromptFailedError, latent),
    }


def order(count: int, seed: int = 11) -> list[str]:
    """Which prompts, in order: all kinds early, then two in three good, the rest cancelled or bad.

    A short run has three of the good kinds.
    """
    dice = random.Random(seed)
    good = list(GOOD)[: 7 if count >= 40 else 3]
    others = ["cancel", "refused", "no picture", "wrong words", "other latents"]
    names = [*good, "cancel", "other latents"][: max(count - 1, 0)]
    while len(names) < count - 1:
        names.append(dice.choice(good) if dice.random() < 0.65 else dice.choice(others))
    return [*names, good[0]][:count]


def cancel(server: Any, number: int, wait: float) -> str:
    """Start a prompt that would take long, press Cancel, and return how it ended."""
    prompt_id = server.queue(graph(GOOD["windows"], number, steps=1000))
    time.sleep(wait)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        server.interrupt()  # one that comes before the prompt has begun is lost
        try:
            entry = server.wait(prompt_id, timeout=2)
        except TimeoutError:
            continue
        return dict(entry["status"]["messages"]).keys() & {"execution_interrupted"} and "cancelled"
    raise TimeoutError("the prompt could not be cancelled")


def frames_of(server: Any, entry: dict[str, Any]) -> np.ndarray:
    """What a prompt saved, (F, H, W, 3) uint8; the files are removed."""
    files = server.files(entry, "save")
    contents = [server.fetch(file) for file in files]
    for file in files:
        server.path_of(file).unlink()
    if files[0]["filename"].endswith(".png"):
        return np.stack([np.asarray(Image.open(io.BytesIO(c)).convert("RGB")) for c in contents])
    with av.open(io.BytesIO(contents[0])) as container:
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])


def cached_nodes(entry: dict[str, Any]) -> list[str]:
    """Nodes of a finished prompt whose results were kept from an earlier one."""
    return dict(entry["status"]["messages"])["execution_cached"]["nodes"]


@dataclass(frozen=True)
class Usage:
    """What a process holds: resident memory in MB, threads, open handles."""

    rss: float
    threads: int
    handles: int


def usage(pid: int) -> Usage:
    """Of a running process, as Linux tells it."""
    place = Path("/proc") / str(pid)
    lines = (place / "status").read_text().splitlines()
    fields = dict(entry.split(":", 1) for entry in lines if ":" in entry)
    rss = int(fields["VmRSS"].split()[0]) / 1024
    return Usage(rss, int(fields["Threads"]), len(list((place / "fd").iterdir())))


def settled(pid: int, quiet: float = 1.0, limit: float = 20.0) -> Usage:
    """The usage once memory has not changed by a megabyte for a while."""
    begin = since = time.monotonic()
    last = usage(pid)
    while time.monotonic() - since < quiet and time.monotonic() - begin < limit:
        time.sleep(0.1)
        now = usage(pid)
        if abs(now.rss - last.rss) > 1:
            last, since = now, time.monotonic()
    return usage(pid)
