"""Options and files of the commands beside `animate`'s main ones: results, scores, clips, replacing."""

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bad_inputs.harness import Case
from bad_inputs.material import (
    HOSTILE,
    Material,
    call,
    picture_bytes,
    png,
    safetensors_bytes,
    to_json,
)
from PIL import Image

_NAMES = {"nul": "a\0b", "surrogate": "a\ud800", "long": "x" * 300, "very long": "z" * 9000}
_FILES: dict[str, bytes] = {
    "empty": b"",
    "text": b"this is no such file",
    "zeros": b"\0" * 4000,
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 40\nshowpage\n",
    "deep": b"[" * 10_000 + b"]" * 10_000,
    "lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n",
    "bomb": png(13000, 13000, 16),
    "pickle": b"\x80\x04N.",
}


def _damaged(m: Material) -> Iterator[tuple[str, Path]]:
    """Files of a wrong kind, and what is no file."""
    for name, body in _FILES.items():
        yield name, m.write(body, ".mp4" if name != "bomb" else ".png")
    yield "cut", m.write(m.video.read_bytes()[:900], ".mp4")
    yield from m.specials()


def _names() -> Iterator[tuple[str, str]]:
    yield from _NAMES.items()


def read_skeletons(m: Material) -> Iterator[Case]:
    def read(name: str, video: Any, **options: Any) -> Case:
        made = call("read-skeletons", name, {"output": "OUT/a.json", **options})
        return Case(name, (*made.argv, "--", str(video)))

    for name, path in [*_damaged(m), *_names()]:
        yield read(name, path)
    for option, values in {
        "style": ("x", "", "None"),
        "most-people": (0, -1, 10**9, "nan", "x", 1001, "1.5", "9" * 5000),
        "person": ("nan,nan", "inf,3", "-1", "x", "", "9" * 400),
        "person-frame": (-1, 10**9, "x"),
        "start": (-1, "nan", "inf", 1e9, "x", "1e999"),
        "end": (-1, 0, "nan", "inf", "x"),
        "fps": (0, -1, "nan", 1e9, "inf"),
        "every-nth": (0, -1, 10**30, "x"),
        "max-frames": (0, -1, 10**9, "1e9"),
    }.items():
        for value in values:
            if (option, value) == ("person-frame", 10**9):
                yield read(f"{option} {value}", m.video, person="3,3", **{option: value})
            else:
                yield read(f"{option} {str(value)[:9]}", m.video, **{option: value})
    yield read("end before start", m.video, start=0.1, end=0.05)


def replacing(m: Material) -> Iterator[Case]:
    """Another family's options beside weights that do not know them, and files that are none."""
    for option in ("replace", "mask", "background-video"):
        for name, path in [*_damaged(m), *_names()]:
            yield m.animate(f"{option}: {name}", **{option: path})
    yield m.animate("replace with these weights", replace=m.video)
    yield m.animate("a background with these weights", **{"background-video": m.video})
    yield m.animate("mask without replace", mask=m.video)
    for color in ("nocolor", "#12", "#gggggg", "", "x" * 5000, "rgb(999", "hsl(1)", "a\0"):
        yield m.animate(f"background {color[:9]}", background=color)


def excerpts(m: Material) -> Iterator[Case]:
    """Which part of a clip."""
    for option, values in {
        "start": (-1, "nan", "inf", 1e9, "x", "1e999", ""),
        "end": (-1, 0, "nan", "-inf", "x"),
        "every-nth": (0, -1, 10**30, "x", "1.5"),
        "fps": (0, "nan", 1e9),
    }.items():
        for value in values:
            yield m.animate(f"animate {option} {value}", **{option: value})
            yield m.detect(f"detect {option} {value}", m.video, **{option: value})
    yield m.animate("end before start", start=0.1, end=0.05)
    for speed in ("x", "", "none", "FAST", "2"):
        yield m.animate(f"speed {speed}", speed=speed)


def unfinished(m: Material) -> Iterator[Case]:
    """--resume beside what it cannot go on with."""
    for name, body in {**_FILES, "picture": m.picture.read_bytes()}.items():
        folder = m.path("_resume")
        if m.is_real:
            folder.mkdir()
            (folder / "a.mp4").write_bytes(body)
        yield m.animate(f"a folder: {name}", resume=True, output=folder)
    for name, path in m.specials():
        if name in ("folder", "socket", "below a file", "link to itself"):
            yield m.animate(f"output: {name}", resume=True, output=path)


def outputs(m: Material) -> Iterator[Case]:
    """Results where none can be."""
    folder, plug = m.path("_folder"), m.path(".sock")
    loop, closed = m.path(), m.path("_link")
    if m.is_real:
        folder.mkdir(exist_ok=True)
        if not plug.exists():
            socket.socket(socket.AF_UNIX).bind(str(plug))
        for link, target in ((loop, loop), (closed, m.picture / "x" / "y")):
            if not link.is_symlink():
                link.symlink_to(target)
    places: dict[str, Any] = {
        "folder": folder,
        "socket": plug,
        "link to itself": loop,
        "link below a file": closed,
        "below a file": m.picture / "a.mp4",
        "far below a file": m.picture / "b" / "c" / "a.mp4",
        "below a socket": plug / "a.mp4",
        "kernel's": "/proc/self/a.mp4",
        "kernel's settings": "/sys/a.mp4",
        "dots": f"{folder}/..",
        "dot": ".",
        "root": "/",
        **_NAMES,
    }
    folders = ("folder", "dots", "dot", "root")  # where pictures, scores or a run may be
    for name, place in places.items():
        yield m.animate(f"animate: {name}", output=place)
        if name not in folders:
            yield m.draw(f"draw-pose: {name}", m.poses, output=place)
        yield m.detect(f"detect-pose: {name}", m.picture, output=place)
        yield m.retarget(f"retarget-pose: {name}", output=place)
        yield m.retarget(f"overlay: {name}", picture=m.picture, overlay=place)
        given = {"output": place}
        read = call("read-skeletons", f"read-skeletons: {name}", given)
        yield Case(read.name, (*read.argv, str(m.video)))
        if name not in folders:
            scores = {"result": m.video, "truth": m.video, "no-lpips": True, "output": place}
            yield call("evaluate", f"evaluate: {name}", scores)
            yield call("demo", f"demo: {name}", {"output": place})
            weights = (str(m.model / "pose_guider.safetensors"),)
            made = call("convert", f"convert: {name}", given)
            yield Case(made.name, (*made.argv, *weights))
            clips = {"videos": m.video, "estimator": m.estimator, **given}
            yield call("prepare", f"prepare: {name}", clips)
            yield call("train", f"train: {name}", {"recipe": "builtin-stage1", **given})
        elif name != "dots":
            yield call("report", f"report: {name}", {"no-self-test": True, **given})


def scores(m: Material) -> Iterator[Case]:
    """What is measured, and by which networks."""

    def evaluate(name: str, **options: Any) -> Case:
        given = {"result": m.video, "truth": m.video, "output": "OUT/s", "no-lpips": True}
        return call("evaluate", name, {**given, **options})

    for option in ("result", "truth", "mask", "reference", "poses", "features", "videomae", "i3d"):
        for name, path in [*_damaged(m), *_names()]:
            yield evaluate(f"{option}: {name}", **{option: path})
    for option in ("detector", "estimator"):
        for name in ("text", "empty", "pickle"):
            path = m.write(_FILES[name], ".onnx")
            yield evaluate(f"{option}: {name}", **{"estimator": m.estimator, option: path})
    yield evaluate("a detector alone", detector=m.detector)
    for option, values in {
        "fit": ("x", ""),
        "lpips-net": ("x", ""),
        "max-frames": (0, -1, 10**9, "x"),
    }.items():
        for value in values:
            yield evaluate(f"{option} {value}", **{option: value})
    for value in ("x", "cuda:99", "", "meta", "9"):
        yield evaluate(f"device {value}", device=value, estimator=m.estimator)
    longer = m.path(".mp4")
    if m.is_real:
        from animate_anyone_core.video import write_video

        write_video(longer, np.zeros((5, 64, 64, 3), np.uint8), 12)
    yield evaluate("another size and length", truth=longer)
    poses = m.write(to_json(m.document(frames=9)), ".json")
    yield evaluate("poses of another length", poses=poses, estimator=m.estimator)


def score_networks(m: Material) -> Iterator[Case]:
    """Folders of CLIP, DINOv2, ViT and VideoMAE whose settings or weights are hostile."""
    kinds = {
        "clip_vision_model": "features",
        "dinov2": "features",
        "vit": "features",
        "videomae": "videomae",
    }
    plain = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 28}
    plain |= {"patch_size": 14, "intermediate_size": 64}
    keys = (*plain, "num_channels", "hidden_act", "model_type", "layer_norm_eps", "num_frames")
    for kind, option in kinds.items():
        for key in keys:
            for name in ("billion", "vast", "text", "negative", "nested", "object"):
                folder = m.path(f"_{kind}")
                if m.is_real:
                    folder.mkdir()
                    text = to_json({"model_type": kind, **plain, key: HOSTILE[name]})
                    (folder / "config.json").write_text(text)
                    body = safetensors_bytes({"a": torch.ones(2)})
                    (folder / "model.safetensors").write_bytes(body)
                given = {"result": m.video, "truth": m.video, "output": "OUT/s", "no-lpips": True}
                yield call("evaluate", f"{kind} {key} {name}", {**given, option: folder})


def preparing(m: Material) -> Iterator[Case]:
    """Clips to train on."""

    def prepare(name: str, **options: Any) -> Case:
        given = {"videos": m.video, "output": "OUT/p", "estimator": m.estimator}
        return call("prepare", name, {**given, **options})

    for name, path in [*_damaged(m), *_names()]:
        if name not in ("folder",):
            yield prepare(name, videos=path)
    empty = m.path("_empty")
    if m.is_real:
        empty.mkdir()
    yield prepare("an empty folder", videos=empty)
    for option, values in {
        "interval": (0, -1, 10**9, "x"),
        "min-frames": (0, -1, 10**30, "x"),
        "min-seen": (-1, 2, "nan", "inf", "x"),
        "detector-kind": ("x", ""),
        "explain": ("nothing.mp4", "a\0b", "x" * 5000),
    }.items():
        for value in values:
            yield prepare(f"{option} {str(value)[:9]}", **{option: value})
    for name, place in {"below a file": m.picture / "r", "nul": "a\0", "root": "/"}.items():
        yield prepare(f"report {name}", clean=True, report=place)


def _train(name: str, *more: str, **options: Any) -> Case:
    made = call("train", name, {"output": "OUT/t", "dry-run": True, **options})
    return Case(name, (*made.argv, *more))


def training_files(m: Material) -> Iterator[Case]:
    """Files of settings, and the clips that are trained on."""
    for name, body in _FILES.items():
        for ending in (".json", ".yaml", ".toml"):
            if (name, ending) in (("empty", ".yaml"), ("empty", ".toml")):
                continue  # all defaults
            yield _train(f"config {name} {ending}", config=m.write(body, ending))
    for name, path in m.specials():
        yield _train(f"config: {name}", config=path)
        if name != "folder":
            yield _train(f"data: {name}", recipe="moore-stage1", data=path)
    for name, text in {
        "list": "[1]",
        "unknown": '{"colour": 1}',
        "nested wrong": '{"data": 3}',
        "aliases": "a: &a [x, x]\nb: &b [*a, *a, *a, *a]\nc: [*b, *b, *b]\n",
        "object": "!!python/object/apply:os.getcwd []\n",
        "tag": "!x 3\n",
        "date": "steps: 2020-01-01\n",
        "number": "3",
        "infinite": "steps: .inf\n",
    }.items():
        yield _train(f"config {name}", config=m.write(text, ".yaml"))


def training_settings(m: Material) -> Iterator[Case]:
    """Settings by hand."""
    for setting in (
        "steps=-1", "steps=x", "steps=1e99", "steps=nan", "steps", "=3", "", "color=1",
        "steps=" + "9" * 5000, "batch_size=0", "batch_size=1000000000", "data.width=7",
        "data.width=-8", "data.width=1000000000", "data.num_frames=0", "data.num_frames=100000000",
        "data.fps=nan", "data.fps=inf", "data.fps=0", "data.crop_scale=5", "data.crop_ratio=nan",
        "network.unet.block_out_channels=[]", "network.unet.block_out_channels=[1e9]",
        "network.unet.block_out_channels=[1000000000,1000000000]",
        "network.unet.layers_per_block=1000000", "network.unet.norm_num_groups=0",
        "network.temporal.max_frames=1000000000", "objective.noise.beta_start=nan",
        "objective.noise.beta_end=2", "objective.noise.num_train_timesteps=0",
        "optimizer.lr=nan", "optimizer.lr=inf", "optimizer.lr=-1", "seed=-1", "stage=3",
        "data.drawing=x", "data.kind=x", "data.path=a\0b", "init.vae=nowhere",
    ):  # fmt: skip
        yield _train(f"--set {setting[:40]}", "--set", setting, recipe="builtin-stage1")
    for option, values in {
        "recipe": ("x", ""),
        "max-minutes": (-1, "nan", "inf", "x"),
        "init-from": ("/dev/zero", "a\0b"),
        "vae": ("/dev/zero", "nowhere"),
        "image-encoder": ("/dev/zero", "nowhere"),
    }.items():
        for value in values:
            given = {"recipe": "builtin-stage1", option: value}
            yield _train(f"{option} {value}", **given)


def checking(m: Material) -> Iterator[Case]:
    """self-test, report, download, benchmark."""
    for value in ("x", "cuda:99", "", "meta", "9"):
        yield call("self-test", f"self-test device {value}", {"device": value, "no-clip": True})
    for value in ("x", "", "float32"):
        yield call("self-test", f"self-test dtype {value}", {"dtype": value})
    for name, path in m.specials():
        if name not in ("not there", "dangling link"):
            continue
        yield call("report", f"error: {name}", {"error": path, "no-self-test": True})
    for name in ("pipe", "zero device", "folder", "socket", "link to itself"):
        path = dict(m.specials())[name] if m.is_real else name
        yield call("report", f"error: {name}", {"error": path, "no-self-test": True})
    yield from (
        Case(f"download {what[:9]}", ("download", "--output=OUT/d", what))
        for what in ("x", "", "../x", "a\0b", "https://127.0.0.1:9/a", "x" * 5000)
    )
    for name, place in {"below a file": m.picture / "d", "nul": "a\0"}.items():
        yield Case(f"download to {name}", ("download", f"--output={place}", "--yes", "dwpose"))
    yield Case("an unknown benchmark", ("benchmark", "x"))
    yield Case("no benchmark", ("benchmark",))


def converting(m: Material) -> Iterator[Case]:
    """convert and inspect beside their usual files."""

    def convert(name: str, *files: Any, **options: Any) -> Case:
        made = call("convert", name, {"output": "OUT/c.safetensors", **options})
        return Case(name, (*made.argv, *map(str, files)))

    unet, motion = m.model / "denoising_unet.safetensors", m.model / "motion_module.safetensors"
    for name, path in [*_damaged(m), *_names()]:
        if name != "folder":
            yield convert(name, path)
            yield m.inspect(f"inspect: {name}", path)
    yield convert("merge one", unet, merge=True)
    yield convert("merge twice the same", unet, unet, merge=True)
    yield convert("split two", unet, motion, split=True, output="OUT/c")
    yield convert("split and merge", unet, motion, split=True, merge=True)
    yield convert("two to one file", unet, motion)
    yield convert("split a guider", m.model / "pose_guider.safetensors", split=True, output="OUT/c")
    for value in ("x", "", "int8", "float16"):
        yield convert(f"dtype {value}", unet, dtype=value)
    yield Case("inspect family x", ("inspect", "--family=x", str(unet)))
    empty = m.path("_empty")
    if m.is_real:
        empty.mkdir()
    yield convert("an empty folder", empty, output="OUT/c")
    yield m.inspect("inspect an empty folder", empty)


def animations(m: Material) -> Iterator[Case]:
    """Pictures of many frames, and folders of pictures, as clips."""
    for name, size in {"large": (9000, 9000), "wide": (20_000, 1), "tall": (1, 20_000)}.items():
        path = m.path(".gif")
        if m.is_real:
            frames = [Image.new("P", size) for _ in range(2)]
            frames[0].save(path, save_all=True, append_images=frames[1:])
        yield m.animate(f"gif {name}", poses=path)
        yield m.detect(f"detect gif {name}", path)
    for name, bodies in {
        "one that is none": [picture_bytes(m.pixels, "PNG"), b"no picture"],
        "other sizes": [picture_bytes(m.pixels, "PNG"), picture_bytes(m.pixels[:20, :20], "PNG")],
        "a bomb": [picture_bytes(m.pixels, "PNG"), png(13000, 13000, 16)],
        "eps": [b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 40\n"],
        "nothing": [],
    }.items():
        folder = m.path("_pictures")
        if m.is_real:
            folder.mkdir()
            for number, body in enumerate(bodies):
                (folder / f"f_{number:04}.png").write_bytes(body)
        yield m.animate(f"folder: {name}", poses=folder, max_frames=None)
        yield m.detect(f"detect in a folder: {name}", folder)
        yield m.detect(f"detect in a pattern: {name}", folder / "f_%04d.png")
    folder = m.path("_pipes")
    if m.is_real:
        folder.mkdir()
        os.mkfifo(folder / "f_0000.png")
        (folder / "f_0001.png").symlink_to("/dev/zero")
    yield m.detect("folder of pipes", folder)
    yield m.animate("folder of pipes to animate by", poses=folder)
    for pattern in ("%d", "%s.png", "%n.png", "%99999d.png", "%04d%04d.png", "%.png", "f_%-3d.png"):
        yield m.detect(f"pattern {pattern}", m.folder / "none" / pattern)


def more_json(m: Material) -> Iterator[Case]:
    """JSON in other codings, with keys twice, cut strings, and numbers of other scripts."""
    text = to_json(m.document())
    bodies: dict[str, bytes] = {
        "utf-16": text.encode("utf-16"),
        "utf-32": text.encode("utf-32"),
        "latin 1": '{"a": "\xe9"}'.encode("latin-1"),
        "comment": b"// x\n" + text.encode(),
        "single quotes": text.replace('"', "'").encode(),
        "two documents": (text + text).encode(),
        "trailing comma": text.replace("]]", ",]]").encode(),
        "hexadecimal": text.replace("12.0", "0x1f").encode(),
        "python": repr(m.document()).encode(),
        "lines": ("\n".join([text] * 3)).encode(),
        "only a string": json.dumps("x" * 9).encode(),
        "zip": b"PK\x03\x04" + text.encode(),
        "gzip": b"\x1f\x8b\x08" + text.encode(),
    }
    for name, body in bodies.items():
        yield m.draw(name, m.write(body, ".json"))
        yield m.retarget(f"driver: {name}", driver=m.write(body, ".json"))
        yield m.animate(f"animate: {name}", poses=m.write(body, ".json"))


KINDS = {
    "read-skeletons": read_skeletons,
    "replacing": replacing,
    "excerpts and speeds": excerpts,
    "unfinished results": unfinished,
    "outputs where none can be": outputs,
    "evaluate": scores,
    "evaluate: networks' settings": score_networks,
    "prepare": preparing,
    "train: files": training_files,
    "train: settings": training_settings,
    "self-test, report, download": checking,
    "convert and inspect": converting,
    "animations and folders of pictures": animations,
    "poses: JSON of other codings": more_json,
}
