"""The student of the built-in model that ships: a fortieth of the evaluations, at least as good."""

import pytest
import torch
from safetensors import safe_open

from animate_anyone_core.animate_settings import AnimateSettings
from animate_anyone_core.checkpoints.builtin import (
    BUILT_IN,
    BUILT_IN_STUDENT,
    built_in_pose_networks,
    model_folder,
)
from animate_anyone_core.checkpoints.model_folder import find_weights, load_models
from animate_anyone_core.lab.evaluation.held_out import held_out_clip
from animate_anyone_core.lab.evaluation.model_scores import ModelScores
from animate_anyone_core.lab.evaluation.model_variants import MODEL, animate_variants
from animate_anyone_core.pose.detection import load_pose_detector

CLIPS, FRAMES = 2, 12


def test_its_networks_are_its_own_in_8_bits():
    """The Pose Guider aside, which is small."""
    folder = model_folder(BUILT_IN_STUDENT)
    for name in ("reference_unet", "denoising_unet", "motion_module", "pose_guider"):
        path = find_weights(folder, name)
        assert path.parent == folder
        with safe_open(path, "pt") as file:
            keys = file.keys()
            kinds = {file.get_slice(key).get_dtype() for key in keys}
        assert ("F8_E4M3" in kinds) == (name != "pose_guider"), name


def test_it_says_how_it_is_sampled():
    models, reports = load_models(BUILT_IN_STUDENT)
    assert all(report.is_complete and not report.unexpected for report in reports)
    settings = AnimateSettings.for_model(models)
    assert (settings.num_inference_steps, settings.guidance_scale) == (1, 1.0)
    assert settings.windows.context_overlap == 0
    assert models.profile.distilled_steps == 1


@pytest.mark.slow
def test_its_one_step_is_as_good_as_its_teachers_twenty():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    scores = ModelScores(load_pose_detector(*built_in_pose_networks(), "cpu"))
    for name in (BUILT_IN, BUILT_IN_STUDENT):
        models, _ = load_models(name)
        settings = AnimateSettings.for_model(models)
        for number in range(CLIPS):
            clip = held_out_clip(number, FRAMES, 128, 128, models.profile.drawing)
            made = animate_variants(
                models, clip.reference, clip.skeletons, [MODEL], settings, lambda: None
            )
            scores.add(name, made[MODEL], clip)
            if name == BUILT_IN:
                scores.add("truth", clip.truth, clip)
    torch.set_num_threads(before)
    table = scores.table("truth")
    teacher, student = table[BUILT_IN], table[BUILT_IN_STUDENT]
    for metric in ("psnr", "ssim", "person_psnr"):
        assert student[metric] > teacher[metric], metric
    for metric in ("pose_error", "sharpness_gap", "tof"):
        assert student[metric] < 1.1 * teacher[metric], metric
