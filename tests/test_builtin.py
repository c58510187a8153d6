"""What ships with the package: present, small, and as good as its model card says."""

import json
from pathlib import Path

import numpy as np
import pytest

from animate_anyone_core.checkpoints import builtin
from animate_anyone_core.checkpoints.builtin import (
    BUILT_IN,
    BUILT_IN_FOLDER,
    built_in_pose_networks,
    built_in_samples,
    model_folder,
)
from animate_anyone_core.checkpoints.model_folder import load_autoencoder, load_image_encoder
from animate_anyone_core.errors import CheckpointError
from animate_anyone_core.images import read_picture
from animate_anyone_core.lab.training.codec import measure_codec
from animate_anyone_core.lab.training.dancer_pictures import render_pictures
from animate_anyone_core.lab.training.image_encoder import measure_image_encoder
from animate_anyone_core.lab.training.pose_networks import measure_pose_networks
from animate_anyone_core.pose.detection import load_pose_detector
from animate_anyone_core.pose.openpose_json import load_poses
from animate_anyone_core.video import read_video

FILES = (
    "MODEL_CARD.md",
    "config.json",
    "denoising_unet.safetensors",
    "motion_module.safetensors",
    "reference_unet.safetensors",
    "pose_guider.safetensors",
    "vae/config.json",
    "vae/diffusion_pytorch_model.safetensors",
    "image_encoder/config.json",
    "image_encoder/model.safetensors",
    "image_encoder/preprocessor_config.json",
    "pose/detector.onnx",
    "pose/estimator.onnx",
    "student/config.json",
    "student/denoising_unet.safetensors",
    "student/motion_module.safetensors",
    "samples/driving.mp4",
    "samples/driving.json",
)
MOST_BYTES = 24 * 2**20  # 3 MB of them for the model that replaces, 11 MB for the student


@pytest.fixture(scope="module")
def held_out():
    """Characters and motions that no training has seen."""
    return render_pictures("test", 12, 1, 128, 128, seed=1)


@pytest.mark.parametrize("name", FILES)
def test_the_files_are_there(name):
    assert (BUILT_IN_FOLDER / name).stat().st_size > 0


def test_all_files_together_stay_small():
    sizes = [path.stat().st_size for path in BUILT_IN_FOLDER.rglob("*") if path.is_file()]
    assert sum(sizes) < MOST_BYTES


def test_no_file_names_a_place_on_somebodys_machine():
    for path in BUILT_IN_FOLDER.rglob("*.json"):
        assert str(Path.home()) not in path.read_text(encoding="utf-8")
        assert "/tmp/" not in path.read_text(encoding="utf-8")


def test_built_in_means_our_folder_and_everything_else_is_a_path(tmp_path):
    assert model_folder(BUILT_IN) == BUILT_IN_FOLDER
    assert model_folder(tmp_path) == tmp_path


def test_a_broken_installation_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(builtin, "BUILT_IN_FOLDER", tmp_path)
    with pytest.raises(CheckpointError) as caught:
        built_in_pose_networks()
    assert str(caught.value) == (
        "The built-in file pose/detector.onnx is missing from this installation. Install the "
        "package again, or name your own files."
    )


def test_the_codec_reconstructs_new_dancers(held_out):
    scores = measure_codec(load_autoencoder(BUILT_IN_FOLDER / "vae"), held_out)
    assert scores["psnr"] > 29.5
    assert scores["person_psnr"] > 22.5
    assert scores["latent_std"] == pytest.approx(1.0, abs=0.15)


def test_the_image_encoder_knows_new_characters_again():
    encoder = load_image_encoder(BUILT_IN_FOLDER / "image_encoder")
    scores = measure_image_encoder(encoder, render_pictures("test", 24, 2, 128, 128, seed=1))
    assert scores["same_character"] > 0.7
    assert scores["token_std"] == pytest.approx(1.0, abs=0.2)


def test_the_pose_networks_find_new_dancers(held_out):
    detector = load_pose_detector(*built_in_pose_networks(), "cpu")
    scores = measure_pose_networks(detector, held_out)
    assert scores["found"] >= 11 / 12
    assert scores["body"] < 1.4


def test_the_samples_belong_together():
    samples = built_in_samples()
    assert len(samples.characters) == 2
    for path in samples.characters:
        assert min(read_picture(path).size) >= 128
    clip, poses = read_video(samples.driving), load_poses(samples.poses)
    assert len(clip.frames) == poses.num_frames
    assert clip.frames.shape[1:3] == (poses.height, poses.width)
    assert clip.fps == pytest.approx(poses.fps)


def test_the_sample_poses_are_found_in_the_sample_video():
    samples = built_in_samples()
    truth = load_poses(samples.poses)
    detector = load_pose_detector(*built_in_pose_networks(), "cpu")
    found, _ = detector.detect(read_video(samples.driving, 6).frames)
    apart = np.linalg.norm(found.points[:, 0, :14] - truth.points[:6, 0, :14], axis=-1)
    assert apart.mean() < 0.015 * truth.height


@pytest.mark.parametrize("part", ["vae", "image_encoder", "pose"])
def test_every_part_tells_the_recipe_it_was_made_by(part):
    recipe = json.loads((BUILT_IN_FOLDER / part / "training.json").read_text(encoding="utf-8"))
    assert recipe["recipe"].startswith("builtin-")
