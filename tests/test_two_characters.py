"""Two dancers that cross do not take each other's look, on the built-in model.

The rival is what there was before: both pictures side by side, read everywhere.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from animate_anyone_core.animate import encode_reference, sample_latents
from animate_anyone_core.animate_settings import AnimateSettings
from animate_anyone_core.checkpoints.builtin import BUILT_IN, built_in_samples
from animate_anyone_core.checkpoints.model_folder import load_models
from animate_anyone_core.images import fit, read_picture
from animate_anyone_core.models.autoencoder import decode_pictures
from animate_anyone_core.models.pose_features import encode_pose_pictures
from animate_anyone_core.models.references import combine_references, place_characters
from animate_anyone_core.pose.drawing import draw_poses
from animate_anyone_core.pose.openpose_json import load_poses
from animate_anyone_core.replacement.region import boxes_of_poses, masks_of_boxes
from animate_anyone_core.sampling.masks import cell_mask

SIZE, FRAMES = (128, 128), 4
FEWEST = 50  # pixels of a dancer that are looked at


def crossing(poses):
    """Two smaller dancers, from left to right and from right to left."""
    one = poses.at(np.linspace(0, poses.num_frames - 1, FRAMES).astype(int)).of([0])
    way = np.linspace(-0.26, 0.26, FRAMES)[:, None, None] * one.width
    ground = np.array([one.width / 2, one.height * 0.9])
    small = (one.points - ground) * 0.62 + ground
    points = [small + sign * way[..., None] * (1, 0) for sign in (1, -1)]
    scores = np.concatenate([one.scores] * 2, axis=1)
    return replace(one, points=np.concatenate(points, axis=1), scores=scores)


@pytest.fixture(scope="module")
def dance():
    """What each way to read two references gives, and where each dancer is, later in front."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # more only wait for each other
    models, samples = load_models(BUILT_IN)[0], built_in_samples()
    poses = crossing(load_poses(samples.poses))
    skeletons = draw_poses(poses, models.profile.drawing, SIZE, people="all")
    pictures = [fit(read_picture(c), *SIZE, "crop") for c in samples.characters[:2]]
    a, b = (encode_reference(models, picture) for picture in pictures)
    canvas = poses.width, poses.height
    boxes = [boxes_of_poses(poses.of([i])) for i in (0, 1)]
    masks = [torch.from_numpy(masks_of_boxes(box, canvas)).float() for box in boxes]
    places = [cell_mask(mask, SIZE[1] // 8, SIZE[0] // 8, 0, 0)[:, 0] for mask in masks]
    shown = [
        torch.nn.functional.interpolate(mask[:, None], SIZE[::-1])[:, 0].numpy() > 0
        for mask in masks
    ]
    pose = encode_pose_pictures(models.pose_guider, skeletons, *SIZE)
    settings = AnimateSettings.for_model(
        models, width=SIZE[0], height=SIZE[1], num_inference_steps=8, seed=1
    )

    def run(reference):
        noise = models.profile.noise
        channels = models.vae.config.latent_channels
        latents = sample_latents(models.denoising_unet, reference, pose, channels, noise, settings)
        return np.stack(list(decode_pictures(models.vae, latents))).astype(float)

    made = {
        "a": run(a),
        "b": run(b),
        "placed": run(place_characters(a, [(a, places[0]), (b, places[1])])),
        "combined": run(combine_references(a, b, 0.5)),
    }
    torch.set_num_threads(threads)
    return made, (shown[0] & ~shown[1], shown[1])


def swaps(made, where, way):
    """How often a dancer looks more like the other's own run than like its own, of how many."""
    wrong, count = 0, 0
    for frame in range(FRAMES):
        for place, own, other in ((where[0], "a", "b"), (where[1], "b", "a")):
            here = place[frame]
            if here.sum() >= FEWEST:
                errors = [np.mean((made[way] - made[o])[frame, here] ** 2) for o in (own, other)]
                wrong, count = wrong + (errors[0] > errors[1]), count + 1
    return wrong, count


@pytest.mark.slow
def test_dancers_that_cross_keep_their_looks(dance):
    made, where = dance
    wrong, count = swaps(made, where, "placed")
    assert count >= 6
    assert wrong == 0
    assert swaps(made, where, "combined")[0] > 0  # the rival mixes them up
