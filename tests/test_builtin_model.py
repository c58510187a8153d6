"""The shipped model on dancers it never saw: each of its parts is worth what the paper says.

A few short clips at few steps; `benchmark model` measures the same on 32 clips of 24 frames.
"""

import numpy as np
import pytest
import torch

from animate_anyone_core.animate_settings import AnimateSettings
from animate_anyone_core.checkpoints.builtin import BUILT_IN, built_in_pose_networks
from animate_anyone_core.checkpoints.model_folder import load_models
from animate_anyone_core.lab.evaluation.held_out import held_out_clip
from animate_anyone_core.lab.evaluation.model_report import CODEC, REPEATED, TRUTH
from animate_anyone_core.lab.evaluation.model_scores import ModelScores
from animate_anyone_core.lab.evaluation.model_variants import (
    MODEL,
    NO_POSE,
    NO_REFERENCE,
    NO_TEMPORAL,
    VARIANTS,
    animate_variants,
    through_codec,
)
from animate_anyone_core.pose.detection import load_pose_detector
from animate_anyone_core.sampling.windows import WindowSettings

CLIPS, FRAMES, STEPS = 2, 8, 4
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def scores():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    models, _ = load_models(BUILT_IN)
    profile = models.profile
    settings = AnimateSettings.for_model(
        models,
        num_inference_steps=STEPS,
        windows=WindowSettings(context_frames=FRAMES, context_overlap=0),
    )
    found = ModelScores(load_pose_detector(*built_in_pose_networks(), "cpu"))
    for number in range(CLIPS):
        clip = held_out_clip(number, FRAMES, profile.width, profile.height, profile.drawing)
        results = {
            TRUTH: clip.truth,
            CODEC: through_codec(models, clip.truth),
            REPEATED: np.repeat(clip.reference[None], FRAMES, axis=0),
            **animate_variants(
                models, clip.reference, clip.skeletons, VARIANTS, settings, lambda: None
            ),
        }
        for row, frames in results.items():
            found.add(row, frames, clip)
    torch.set_num_threads(before)
    return found.table(TRUTH)


@pytest.mark.parametrize(
    ("rival", "metric", "margin"),
    [
        (REPEATED, "psnr", 5.5),
        (REPEATED, "ssim", 0.1),
        (REPEATED, "person_psnr", 4.2),
        (REPEATED, "pose_correct", 40.0),
        (NO_REFERENCE, "psnr", 8.5),
        (NO_REFERENCE, "ssim", 0.1),
        (NO_REFERENCE, "person_psnr", 5.0),
        (NO_POSE, "psnr", 7.0),
        (NO_POSE, "ssim", 0.1),
        (NO_POSE, "person_psnr", 8.0),
        (NO_POSE, "pose_correct", 85.0),
    ],
)
def test_it_beats_itself_without_a_part(scores, rival, metric, margin):
    assert scores[MODEL][metric] > scores[rival][metric] + margin


def test_it_is_as_good_as_its_card_says(scores):
    assert scores[MODEL]["psnr"] > 25.0
    assert scores[MODEL]["ssim"] > 0.895
    assert scores[MODEL]["person_psnr"] > 17.8
    assert scores[MODEL]["pose_error"] < 2.2
    assert scores[MODEL]["pose_correct"] > 90.0


def test_temporal_layers_calm_the_flicker(scores):
    assert scores[MODEL]["flicker"] < 0.82 * scores[NO_TEMPORAL]["flicker"]
    assert scores[MODEL]["added_flicker"] < 0.87 * scores[NO_TEMPORAL]["added_flicker"]
    assert scores[MODEL]["tof"] < 0.75 * scores[NO_TEMPORAL]["tof"]
    assert scores[MODEL]["motion_distance"] < 0.4 * scores[NO_TEMPORAL]["motion_distance"]


def test_nothing_is_better_than_the_codec_allows(scores):
    for row in VARIANTS:
        assert scores[row]["psnr"] < scores[CODEC]["psnr"] < scores[TRUTH]["psnr"]
