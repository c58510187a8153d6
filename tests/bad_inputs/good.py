"""Inputs beside the bad ones that must still be accepted."""

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from bad_inputs.harness import Case
from bad_inputs.material import WEIGHTS, Material, Raw, boxes, picture_bytes, simcc, to_json
from PIL import Image

from animate_anyone_core.video import write_video


def pictures(m: Material) -> Iterator[Case]:
    for kind in ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM"):
        body = picture_bytes(m.pixels, kind)
        yield m.detect(kind, m.write(body, ".png"))
    yield m.detect(
        "jpeg with data after the end",
        m.write(picture_bytes(m.pixels, "JPEG") + b"SEFT" * 9, ".jpg"),
    )
    grey = m.pixels[..., 0]
    yield m.detect("grey", m.write(picture_bytes(grey, "PNG"), ".png"))
    yield m.detect("16 bit", m.write(picture_bytes(grey.astype(np.uint16) * 257, "PNG"), ".png"))
    yield m.detect(
        "transparent", m.write(picture_bytes(np.dstack([m.pixels, grey]), "PNG"), ".png")
    )
    yield m.detect("16 pixels", m.write(picture_bytes(m.pixels[:16, :16], "PNG"), ".png"))
    large = m.path(".png")
    Image.new("RGB", (7000, 5000), (90, 90, 90)).save(large, compress_level=1)
    yield m.animate("35 MP", reference=large)
    link = m.path(".png")
    link.symlink_to(m.picture)
    yield m.detect("a link", link)
    for name in ("a b", "ünïcödé 人", "concat:x", "%d", "-dash"):
        path = m.folder / f"{name}.png"
        path.write_bytes(m.picture.read_bytes())
        yield m.detect(f"named {name}", path)


def videos(m: Material) -> Iterator[Case]:
    frames = [m.pixels[:32, :32]] * 2
    for ending in (".mp4", ".mov", ".mkv"):
        path = m.path(ending)
        write_video(path, frames, 12)
        yield m.animate(ending, poses=path)
    buffer = io.BytesIO()
    Image.fromarray(frames[0]).save(
        buffer, "GIF", save_all=True, append_images=[Image.fromarray(m.pixels[8:40, 8:40])]
    )
    yield m.animate("gif", poses=m.write(buffer.getvalue(), ".gif"))
    head = b"YUV4MPEG2 W32 H32 F25:1 Ip A1:1 C420\n"
    yield m.animate("y4m", poses=m.write(head + (b"FRAME\n" + b"\0" * 1536) * 2, ".y4m"))
    yield m.animate("data after the end", poses=m.write(m.video.read_bytes() + b"\0" * 99, ".mp4"))
    for name in ("http:", "concat:a|b", "pipe:0"):
        path = m.folder / f"{name.replace('/', '')}.mp4"
        path.write_bytes(m.video.read_bytes())
        yield m.animate(f"named {name}", poses=path)


def poses(m: Material) -> Iterator[Case]:
    yield m.draw("ours", m.poses)
    yield m.draw("no rate", m.write(to_json(m.document(fps=None)), ".json"))
    yield m.draw("byte order mark", m.write(b"\xef\xbb\xbf" + m.poses.read_bytes(), ".json"))
    yield m.draw("POSE_KEYPOINT", m.write(to_json([m.keypoints(), m.keypoints()]), ".json"))
    yield m.draw("one frame", m.write(to_json(m.keypoints()), ".json"))
    yield m.draw("canvas of floats", m.write(to_json([m.keypoints(canvas_width=32.0)]), ".json"))
    yield m.draw(
        "unknown keys", m.write(to_json([m.keypoints(version=1.3, extra={"a": [1]})]), ".json")
    )
    many = [round(float(x), 2) for x in np.linspace(3, 30, 75)]
    yield m.draw("BODY_25", m.write(to_json([m.keypoints(pose_keypoints_2d=many)]), ".json"))
    yield m.draw("nobody", m.write(to_json([m.keypoints(people=[]), m.keypoints()]), ".json"))
    null = m.keypoints()
    null["people"][0]["face_keypoints_2d"] = None
    null["people"][0]["pose_keypoints_2d"][3] = None
    yield m.draw("null for what is missing", m.write(to_json([null]), ".json"))
    long = m.keypoints()
    long["people"][0]["pose_keypoints_2d"][0] = Raw("12.0000000000000000000000000000000000001")
    yield m.draw("many decimals", m.write(to_json([long]), ".json"))
    brackets = m.keypoints(note='[[[[ {{{{ "quoted" \\\\" ' + "[" * 99)
    yield m.draw("brackets in a text", m.write(to_json([brackets]), ".json"))
    plain = m.keypoints()
    del plain["canvas_width"], plain["canvas_height"]
    yield m.draw("OpenPose", m.write(to_json(plain), ".json"), canvas="32x40")
    folder = m.path("_frames")
    folder.mkdir()
    for number in (1, 2, 10):
        (folder / f"a_{number}.json").write_text(to_json(m.keypoints()))
    yield m.draw("a folder", folder)
    yield m.draw(
        "a hundred people",
        m.write(to_json([m.keypoints(people=m.keypoints()["people"] * 100)]), ".json"),
    )
    yield m.retarget("retarget", multiply="head=1.1, thigh=0.9")


def weights(m: Material) -> Iterator[Case]:
    def pickled(value: Any, **options: Any) -> bytes:
        buffer = io.BytesIO()
        torch.save(value, buffer, **options)
        return buffer.getvalue()

    guider = m.weights("pose_guider")
    name = WEIGHTS["pose_guider"]
    for kind in (torch.float16, torch.bfloat16, torch.float64, torch.float8_e4m3fn):
        files = {name: {key: tensor.to(kind) for key, tensor in guider.items()}}
        yield m.animate(str(kind), m.model_with(files))
    for title, body in {
        "pth": pickled(guider),
        "old pth": pickled(guider, _use_new_zipfile_serialization=False),
        "state dict": pickled({"state_dict": guider}),
        "wrapped": pickled({f"module.{k}": t for k, t in guider.items()}),
        "parameters": pickled({k: torch.nn.Parameter(t) for k, t in guider.items()}),
    }.items():
        yield m.animate(title, m.model_with({name: None, "pose_guider.pth": body}))
    yield m.animate("a foreign tensor", m.model_with({name: {**guider, "epoch": torch.tensor(3)}}))
    encoder = m.weights("image_encoder")
    ids = {"vision_model.embeddings.position_ids": torch.arange(5)[None]}
    yield m.animate("position ids", m.model_with({WEIGHTS["image_encoder"]: {**encoder, **ids}}))
    text = {"text_model.x": torch.ones(2), "logit_scale": torch.tensor(1.0)}
    files = {WEIGHTS["image_encoder"]: {**encoder, **text}}
    yield m.animate("a whole CLIP", m.model_with(files))
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    vae = m.weights("vae")
    for new, name in old.items():
        vae = {key.replace(f".{new}.", f".{name}."): tensor for key, tensor in vae.items()}
    yield m.animate("old names in the VAE", m.model_with({WEIGHTS["vae"]: vae}))
    yield m.inspect("inspect", m.model)


def settings(m: Material) -> Iterator[Case]:
    unet = m.settings("")
    for name, change in {
        "as it is": {},
        "more of diffusers": {"class_embed_type": None, "dropout": 0.0, "upcast_attention": True},
        "notes": {"_diffusers_version": "0.6.0", "_name_or_path": "x"},
        "sample size": {"sample_size": None},
        "heads by name": {"num_attention_heads": 8, "attention_head_dim": 8},
        "unknown": {"color": 1},
        "freq shift as a float": {"freq_shift": 0.0},
    }.items():
        yield m.animate(name, m.model_with({"config.json": to_json({**unet, **change})}))
    less = {
        key: unet[key]
        for key in (
            "block_out_channels",
            "down_block_types",
            "layers_per_block",
            "cross_attention_dim",
        )
    }
    yield m.animate("few", m.model_with({"config.json": to_json(less)}))
    vae = {**m.settings("vae"), "shift_factor": None, "latents_mean": None, "_note": [1]}
    yield m.animate("vae", m.model_with({"vae/config.json": to_json(vae)}))
    encoder = m.settings("image_encoder")
    more = {**encoder, "torch_dtype": "float16", "return_dict": False, "name_or_path": "x"}
    yield m.animate("encoder", m.model_with({"image_encoder/config.json": to_json(more)}))
    whole = {"model_type": "clip", "vision_config": encoder, "text_config": {}}
    yield m.animate("a whole CLIP's", m.model_with({"image_encoder/config.json": to_json(whole)}))
    clip = {
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "size": {"shortest_edge": 224},
        "crop_size": 224,
        "resample": 3,
        "feature_extractor_type": "CLIPFeatureExtractor",
    }
    files = {"image_encoder/preprocessor_config.json": to_json(clip)}
    yield m.animate("preprocessor", m.model_with(files))


def networks(m: Material) -> Iterator[Case]:
    yield m.detect("both", m.video, detector=m.detector)
    heat = simcc(outputs=[np.full((1, 133, 16, 12), 0.1, np.float32)])
    yield m.detect("heat map", m.picture, estimator=m.network(heat))
    nobody = boxes(np.zeros((1, 0, 5), np.float32))
    yield m.detect("nobody found", m.picture, detector=m.network(nobody))
    crowd = np.tile(np.array([[[2, 2, 50, 60, 0.9]]], np.float32), (1, 50_000, 1))
    yield m.detect("fifty thousand boxes", m.picture, detector=m.network(boxes(crowd)))
    yield m.detect("free sizes", m.picture, detector=m.network(boxes(shape=[1, 3, "h", "w"])))


def options(m: Material) -> Iterator[Case]:
    yield m.animate("largest seed", seed=2**64 - 1)
    yield m.animate("largest window", window=12, overlap=11)
    yield m.animate("guidance off", guidance=1)
    yield m.animate("odd shapes", width=64, height=16)
    yield m.draw("large picture", m.poses, width=2048, height=2048)
    yield m.draw("a fraction of a frame", m.poses, fps=0.5)
    yield m.detect("a person", m.picture, person="12.5,20")


KINDS = {
    "pictures": pictures,
    "videos": videos,
    "poses": poses,
    "weights": weights,
    "settings": settings,
    "networks": networks,
    "options": options,
}
