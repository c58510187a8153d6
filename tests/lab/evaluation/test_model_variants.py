"""A model without one of its parts: what is left does not depend on that part, nothing else moves."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from animate_anyone_core.animate import animate
from animate_anyone_core.animate_settings import AnimateSettings
from animate_anyone_core.checkpoints.families import MOORE
from animate_anyone_core.checkpoints.model_folder import Models
from animate_anyone_core.lab.evaluation.model_variants import (
    MODEL,
    NO_POSE,
    NO_REFERENCE,
    NO_TEMPORAL,
    animate_variants,
    through_codec,
    without_temporal,
)
from animate_anyone_core.models.autoencoder import encode_picture
from animate_anyone_core.sampling.windows import WindowSettings

FRAMES = 6
SETTINGS = AnimateSettings(
    width=80,
    height=64,
    num_inference_steps=2,
    guidance_scale=2.0,
    windows=WindowSettings(context_frames=4, context_overlap=2),
)


@pytest.fixture(scope="module")
def models(unet, reference_net, pose_guider, vae, image_encoder) -> Models:
    return Models(
        denoising_unet=unet,
        reference_net=reference_net,
        pose_guider=pose_guider,
        vae=vae,
        image_encoder=image_encoder,
        profile=MOORE,
    )


@pytest.fixture(scope="module")
def inputs() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    reference = rng.integers(0, 256, (64, 80, 3), dtype=np.uint8)
    return reference, rng.integers(0, 256, (FRAMES, 64, 80, 3), dtype=np.uint8)


def run(models, inputs, name, reference=None, skeletons=None) -> np.ndarray:
    reference = inputs[0] if reference is None else reference
    skeletons = inputs[1] if skeletons is None else skeletons
    return animate_variants(models, reference, skeletons, [name], SETTINGS, lambda: None)[name]


@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_the_whole_model_is_the_main_path(models, inputs, guidance):
    settings = replace(SETTINGS, guidance_scale=guidance)
    steps = []
    result = animate_variants(models, *inputs, [MODEL], settings, lambda: steps.append(1))[MODEL]
    expected = np.stack(list(animate(models, Image.fromarray(inputs[0]), inputs[1], settings)))
    assert np.array_equal(result, expected)
    assert len(steps) == settings.count_windows(FRAMES) == 2 * 2


def test_without_reference_net_its_weights_do_not_matter(models, inputs, randomise, tiny_config):
    from animate_anyone_core.models.reference_net import ReferenceNet

    other = replace(models, reference_net=randomise(ReferenceNet(tiny_config), 99))
    for name, is_same in ((NO_REFERENCE, True), (MODEL, False)):
        assert np.array_equal(run(models, inputs, name), run(other, inputs, name)) == is_same


def test_without_reference_net_the_appearance_is_still_seen(models, inputs):
    other = np.ascontiguousarray(inputs[0][::-1])
    changed = run(models, inputs, NO_REFERENCE, reference=other)
    assert not np.array_equal(run(models, inputs, NO_REFERENCE), changed)


def test_without_pose_the_skeletons_do_not_matter(models, inputs):
    for name, is_same in ((NO_POSE, True), (MODEL, False)):
        other = run(models, inputs, name, skeletons=255 - inputs[1])
        assert np.array_equal(run(models, inputs, name), other) == is_same


def test_without_temporal_layers_a_frame_does_not_know_its_neighbours(models, inputs):
    skeletons = inputs[1].copy()
    skeletons[3] = 255 - skeletons[3]
    others = [0, 1, 2, 4, 5]
    for name, is_same in ((NO_TEMPORAL, True), (MODEL, False)):
        one, two = run(models, inputs, name), run(models, inputs, name, skeletons=skeletons)
        assert np.array_equal(one[others], two[others]) == is_same


def test_the_network_without_temporal_layers_shares_the_other_weights(unet, image_unet):
    stripped = without_temporal(unet)
    own, whole = stripped.state_dict(), unet.state_dict()
    assert own.keys() == image_unet.state_dict().keys()
    assert all(own[key].data_ptr() == whole[key].data_ptr() for key in own)


def test_through_the_codec_is_encode_and_decode(models):
    frames = np.random.default_rng(0).integers(0, 256, (3, 64, 80, 3), dtype=np.uint8)
    result = through_codec(models, frames, chunk_frames=2)
    pixels = torch.from_numpy(frames[2]).permute(2, 0, 1)[None] / 127.5 - 1
    scale = models.vae.config.scaling_factor
    with torch.no_grad():
        decoded = models.vae.decode(encode_picture(models.vae, pixels) / scale).sample[0]
    expected = (decoded / 2 + 0.5).clamp(0, 1).permute(1, 2, 0).numpy() * 255
    assert np.abs(result[2] - expected).max() < 1.0
