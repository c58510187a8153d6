"""The whole line on a small model of random weights: as graphs for ComfyUI, and through the core.

The model and the skeletons are made by the fixture `small_material` (see `small_model.py`).
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from animate_anyone_core.animate import encode_reference, window_predictor
from animate_anyone_core.checkpoints.builtin import built_in_samples
from animate_anyone_core.checkpoints.model_folder import Models, load_models
from animate_anyone_core.images import fit, read_picture
from animate_anyone_core.models.autoencoder import decode_frames
from animate_anyone_core.models.pose_features import encode_pose_pictures
from animate_anyone_core.replacement.scene import NO_SCENE, Scene, encode_scene, surroundings
from animate_anyone_core.sampling.denoise import denoise, make_noise
from animate_anyone_core.sampling.schedule import make_solver
from animate_anyone_core.sampling.windows import WindowSettings
from animate_anyone_core.video import read_video
from tests.other_families import CONFIG, write_model

ROOT = Path(__file__).parents[2]
MATERIAL = Path(tempfile.gettempdir()) / f"animate-anyone-material-{os.getpid()}"
MODEL = MATERIAL / "moore"
SKELETONS = MATERIAL / "skeletons.mp4"
PICTURE = built_in_samples().characters[0]

WIDTH, HEIGHT, FRAMES, STEPS, SEED, CFG = 128, 176, 12, 4, 7, 3.5
WINDOWS = WindowSettings(context_frames=8, context_overlap=2)


def install(server: Any) -> dict[str, str]:
    """Give a server the model and the inputs; returns the names under which it knows them.

    The skeletons go in as a lossless animated picture: ComfyUI's versions read a video's colors
    differently, and the same frames are wanted on both sides.
    """
    target = server.base / "models" / "animate_anyone" / "moore"
    if not target.exists():
        shutil.copytree(MODEL, target)
    lossless = server.base / "skeletons.png"
    first, *others = (Image.fromarray(frame) for frame in read_video(SKELETONS, FRAMES).frames)
    first.save(lossless, save_all=True, append_images=others)
    return {
        "picture": server.upload("character.png", PICTURE),
        "skeletons": server.upload("skeletons.png", lossless),
    }


def install_family(server: Any, family: str) -> Path:
    """Give a server a tiny untrained model in another family's published layout; its folder.

    VAE and image encoder are those of the small model.
    """
    folder = server.base / "models" / "animate_anyone" / family
    if not folder.exists():

        def save_others(where: Path) -> None:
            for name in ("vae", "image_encoder"):
                shutil.copytree(MODEL / name, where / name)

        write_model(folder, family, save_others, replace(CONFIG, cross_attention_dim=48))
    return folder


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def ours(name: str, **inputs: Any) -> dict[str, Any]:
    return node(f"AnimateAnyone_{name}", **inputs)


def encoding_graph(names: dict[str, str]) -> dict[str, Any]:
    """Everything up to the sampler."""
    return {
        "reference_net": ours(
            "LoadReferenceNet", reference_net="moore/reference_unet.safetensors", dtype="default"
        ),
        "unet": ours(
            "LoadUNet3D",
            denoising_unet="moore/denoising_unet.safetensors",
            motion_module="moore/motion_module.safetensors",
            family="auto",
            dtype="default",
        ),
        "guider": ours("LoadPoseGuider", pose_guider="moore/pose_guider.safetensors"),
        "vae": ours("LoadVAE", vae="moore/vae"),
        "clip": ours("LoadImageEncoder", image_encoder="moore/image_encoder"),
        "picture": node("LoadImage", image=names["picture"]),
        "skeletons": node("LoadImage", image=names["skeletons"]),
        "reference": ours(
            "EncodeReference",
            reference_net=["reference_net", 0],
            vae=["vae", 0],
            clip_vision=["clip", 0],
            image=["picture", 0],
            width=WIDTH,
            height=HEIGHT,
            fit="crop",
        ),
        "pose": ours(
            "EncodePose",
            pose_guider=["guider", 0],
            images=["skeletons", 0],
            reference=["reference", 0],
        ),
    }


def outputs(latent: list[Any]) -> dict[str, Any]:
    """Decode, and save frames and latents."""
    return {
        "decode": ours("DecodeVideo", vae=["vae", 0], latent=latent, chunk_frames=5),
        "save": node("SaveImage", images=["decode", 0], filename_prefix="frames"),
        "save_latent": node("SaveLatent", samples=latent, filename_prefix="latents"),
    }


def window_values(windows: WindowSettings = WINDOWS) -> dict[str, Any]:
    return {
        "context_frames": windows.context_frames,
        "context_overlap": windows.context_overlap,
        "schedule": windows.schedule,
        "blending": windows.blending,
    }


def sampler_graph(names: dict[str, str], **changes: Any) -> dict[str, Any]:
    """The pack's own sampler."""
    sampler = {
        "model": ["unet", 0],
        "reference": ["reference", 0],
        "pose": ["pose", 0],
        "seed": SEED,
        "steps": STEPS,
        "cfg": CFG,
        "sampler_name": "published ddim",
        "scheduler": "simple",
        "denoise": 1.0,
        **window_values(),
        **changes,
    }
    return {
        **encoding_graph(names),
        "sampler": ours("Sampler", **sampler),
        **outputs(["sampler", 0]),
    }


def stock_graph(names: dict[str, str], **changes: Any) -> dict[str, Any]:
    """The same with ComfyUI's KSampler."""
    sampler = {
        "seed": SEED,
        "steps": STEPS,
        "cfg": CFG,
        "sampler_name": "euler",
        "scheduler": "simple",
        "denoise": 1.0,
        **changes,
    }
    return {
        **encoding_graph(names),
        "conditioning": ours(
            "Conditioning", model=["unet", 0], reference=["reference", 0], pose=["pose", 0]
        ),
        "windows": ours("ContextWindows", model=["conditioning", 0], **window_values()),
        "sampler": node(
            "KSampler",
            model=["windows", 0],
            positive=["conditioning", 1],
            negative=["conditioning", 2],
            latent_image=["conditioning", 3],
            **sampler,
        ),
        **outputs(["sampler", 0]),
    }


def core_models() -> Models:
    return load_models(MODEL)[0]


@torch.no_grad()
def core_result(
    models: Models, steps: int, scene: Scene = NO_SCENE, *, is_kept: bool = False
) -> tuple[torch.Tensor, np.ndarray]:
    """Unscaled latents (F, C, h, w) and frames (F, H, W, 3) uint8 of the same run in the core."""
    picture = fit(read_picture(PICTURE), WIDTH, HEIGHT, "crop")
    encoded = encode_reference(models, picture)
    skeletons = read_video(SKELETONS, FRAMES).frames
    pose = encode_pose_pictures(models.pose_guider, skeletons, WIDTH, HEIGHT)
    extra_inputs = models.profile.extra_inputs
    extra = encode_scene(models.vae, extra_inputs, scene, FRAMES, WIDTH, HEIGHT)
    generator = torch.Generator().manual_seed(SEED)
    latents = denoise(
        window_predictor(models.denoising_unet, encoded, pose, extra),
        make_noise(
            FRAMES, models.denoising_unet.config.out_channels, HEIGHT // 8, WIDTH // 8, generator
        ),
        make_solver(models.profile.noise),
        num_inference_steps=steps,
        guidance_scale=CFG,
        windows=WINDOWS,
        kept=surroundings(extra_inputs, scene, extra) if is_kept else None,
    )
    frames = torch.cat(list(decode_frames(models.vae, latents))).permute(0, 2, 3, 1)
    unscaled = latents[0].transpose(0, 1) / models.vae.config.scaling_factor
    return unscaled, (frames * 255).round().to(torch.uint8).numpy()
