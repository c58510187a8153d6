"""The second shipped model: a character in a person's place, on scenes it never saw."""

import numpy as np
import pytest
import torch

from animate_anyone_core.checkpoints.builtin import (
    BUILT_IN,
    BUILT_IN_FOLDER,
    BUILT_IN_MODELS,
    BUILT_IN_REPLACE,
    BUILT_IN_STUDENT,
    built_in_pose_networks,
    built_in_samples,
    model_folder,
)
from animate_anyone_core.checkpoints.model_folder import find_weights, load_models
from animate_anyone_core.errors import CheckpointError
from animate_anyone_core.lab.benchmarks.replacement import KEPT, OURS, PASTED, RIVAL, make_all
from animate_anyone_core.lab.evaluation.model_variants import through_codec
from animate_anyone_core.lab.evaluation.replaced_clips import (
    held_out_replacement,
    score_replacement,
)
from animate_anyone_core.pose.detection import load_pose_detector

LARGEST = 6_000_000  # bytes, of all that the second model adds


def test_it_is_small_and_shares_what_it_did_not_learn_anew():
    folder = model_folder(BUILT_IN_REPLACE)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < LARGEST
    shared = find_weights(folder, "reference_unet")
    assert shared == BUILT_IN_FOLDER / "reference_unet.safetensors"
    assert find_weights(folder, "denoising_unet").parent == folder


def test_other_folders_borrow_nothing(tmp_path):
    """A file that was forgotten is missed, also beside the built-in model's name."""
    (tmp_path / "replace").mkdir()
    with pytest.raises(CheckpointError, match="has no reference_unet"):
        find_weights(tmp_path / "replace", "reference_unet")


def test_it_loads_as_weights_that_see_a_target_and_a_mask():
    models, reports = load_models(BUILT_IN_REPLACE)
    assert all(report.is_complete and not report.unexpected for report in reports)
    assert models.profile.extra_inputs == ("target", "mask")
    latents = models.vae.config.latent_channels
    assert models.denoising_unet.conv_in.weight.shape[1] == 2 * latents + 1
    assert list(BUILT_IN_MODELS) == [BUILT_IN, BUILT_IN_REPLACE, BUILT_IN_STUDENT]


@pytest.mark.slow
def test_it_beats_an_animation_that_is_pasted_over_the_video():
    """Behind the person is the video's background, and the character is as good as animated."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    ours, rival = load_models(BUILT_IN_REPLACE)[0], load_models(BUILT_IN)[0]
    detector = load_pose_detector(*built_in_pose_networks(), "cpu")
    scene = held_out_replacement(3, 4, 128, 128, ours.profile.drawing)
    made = make_all(scene, ours, rival, seed=0, steps=6)
    torch.set_num_threads(threads)
    scores = {
        row: score_replacement(made[row], scene, detector) for row in (OURS, KEPT, PASTED, RIVAL)
    }
    assert scores[PASTED]["box_psnr"] > scores[RIVAL]["box_psnr"] + 1
    assert scores[PASTED]["person_psnr"] > scores[RIVAL]["person_psnr"] - 1.5
    assert scores[PASTED]["outside_psnr"] > 38
    assert scores[OURS]["outside_psnr"] > 22
    own = through_codec(ours, scene.clip.truth)
    codec = score_replacement(own, scene, detector)["outside_psnr"]
    assert scores[KEPT]["outside_psnr"] >= codec
    assert scores[KEPT]["person_psnr"] > scores[OURS]["person_psnr"] - 0.1


@pytest.mark.slow
def test_the_command_replaces_a_person_without_a_download(tmp_path):
    """Far from the person all is the video's own."""
    from animate_anyone_core.__main__ import main
    from animate_anyone_core.video import read_video

    samples = built_in_samples()
    output = tmp_path / "out.mp4"
    options = {
        "--reference": samples.characters[0],
        "--replace": samples.driving,
        "--poses": samples.poses,
        "--models": BUILT_IN_REPLACE,
        "--output": output,
        "--steps": 2,
        "--max-frames": 3,
    }
    arguments = [str(x) for pair in options.items() for x in pair]
    assert main(["animate", *arguments, "--paste"]) == 0
    target = read_video(samples.driving, 3).frames
    made = read_video(output).frames
    assert made.shape == target.shape
    change = np.abs(made.astype(int) - target).mean(axis=-1)
    assert change[:, :20].mean() < 3
    assert change[:, 60:200, 90:160].mean() > 8
