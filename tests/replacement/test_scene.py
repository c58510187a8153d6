"""The videos around the character, as extra channels."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from animate_anyone_core.errors import SettingsError, ShapeError
from animate_anyone_core.images import stretch, vae_pixels
from animate_anyone_core.models.autoencoder import encode_picture
from animate_anyone_core.replacement.person_boxes import box_cells, person_boxes
from animate_anyone_core.replacement.scene import (
    NO_SCENE,
    Scene,
    encode_frames,
    encode_scene,
    keep_pixels,
    surroundings,
)


@pytest.fixture
def frames():
    return np.random.default_rng(0).integers(0, 256, (6, 30, 50, 3), np.uint8)


@pytest.fixture
def masks():
    masks = np.zeros((6, 45, 60), np.uint8)
    for index, mask in enumerate(masks):
        mask[5 + index : 30, 10 : 30 + index] = 255
    return masks


def test_a_frame_is_encoded_whole_and_alone(vae, frames):
    latents = encode_frames(vae, frames, 40, 24)
    assert latents.shape == (1, 4, 6, 3, 5)
    alone = encode_picture(vae, vae_pixels(stretch(Image.fromarray(frames[4]), 40, 24)))
    assert_close(latents[:, :, 4], alone, rtol=1e-4, atol=1e-4)


def test_target_latents_come_first_and_then_the_mask(vae, frames, masks):
    scene = Scene(target=frames, masks=masks)
    extra = encode_scene(vae, ("target", "mask"), scene, 6, 40, 24)
    assert extra.shape == (1, 5, 6, 3, 5)
    assert torch.equal(extra[:, :4], encode_frames(vae, frames, 40, 24))
    assert torch.equal(extra[:, 4:], box_cells(person_boxes(masks), (60, 45), 3, 5))


def test_what_lies_around_the_person_is_kept(vae, frames, masks):
    inputs, scene = ("target", "mask"), Scene(target=frames, masks=masks)
    kept = surroundings(inputs, scene, encode_scene(vae, inputs, scene, 6, 40, 24))
    assert torch.equal(kept.latents, encode_frames(vae, frames, 40, 24))
    assert kept.mask.shape == (1, 1, 6, 3, 5)
    assert kept.mask[0, 0, 0, 0, 4] == 0
    assert kept.mask[0, 0, 0, 1, 1] == 1
    edge = kept.mask[0, 0, 0, 0, 1]  # rows 5 to 14 of 45, columns 12 to 23 of 60 lie in the mask
    assert edge == pytest.approx(10 / 15)


@pytest.mark.parametrize(
    ("wanted", "extra"), [((), None), (("background",), torch.zeros(1, 4, 6, 3, 5))]
)
def test_weights_that_see_no_target_keep_nothing(frames, masks, wanted, extra):
    assert surroundings(wanted, Scene(target=frames, masks=masks), extra) is None


def test_no_background_is_white(vae, frames):
    white = np.full((1, 24, 40, 3), 255, np.uint8)
    extra = encode_scene(vae, ("background",), NO_SCENE, 3, 40, 24)
    assert extra.shape == (1, 4, 3, 3, 5)
    assert torch.equal(extra[:, :, 2:], encode_frames(vae, white, 40, 24))
    given = encode_scene(vae, ("background",), Scene(background=frames), 6, 40, 24)
    assert torch.equal(given, encode_frames(vae, frames, 40, 24))


def test_families_without_extra_channels_get_nothing(vae):
    assert encode_scene(vae, (), NO_SCENE, 3, 40, 24) is None


@pytest.mark.parametrize(
    ("wanted", "given", "message"),
    [
        (("target", "mask"), (), "they need the video with that person, and the person's masks "),
        (("target", "mask"), ("target",), "and the person's masks "),
        ((), ("target",), "cannot see a target video: .* AnyCharV's weights replace a person"),
        (("background",), ("target",), "cannot see a target video"),
        (("target", "mask"), ("target", "masks", "background"), "cannot see a background video"),
    ],
)
def test_a_scene_must_be_the_familys(vae, frames, masks, wanted, given, message):
    known = {"target": frames, "masks": masks, "background": frames}
    scene = Scene(**{name: known[name] for name in given})
    with pytest.raises(SettingsError, match=message):
        encode_scene(vae, wanted, scene, 6, 40, 24)


@pytest.mark.parametrize("short", ["target", "masks"])
def test_every_video_has_a_frame_a_pose(vae, frames, masks, short):
    given = {"target": frames, "masks": masks}
    given[short] = given[short][:4]
    with pytest.raises(ShapeError, match=r"There are 6 poses, but 4 .*\. Give one a pose\."):
        encode_scene(vae, ("target", "mask"), Scene(**given), 6, 40, 24)


def test_other_frames_are_refused(vae):
    with pytest.raises(ShapeError, match=r"must have the shape \(frames, height, width, 3\), got"):
        encode_frames(vae, np.zeros((2, 30, 50), np.uint8), 40, 24)


def test_pixels_around_the_person_are_the_targets_own(frames, masks):
    """At another size than the video's, from a later frame on; inside is what was made."""
    scene = Scene(target=frames, masks=masks)
    made = np.full((4, 48, 80, 3), 77, np.uint8)
    result = np.stack(list(keep_pixels(scene, made, (80, 48), 2)))
    assert result.shape == made.shape
    target = np.stack([np.asarray(stretch(Image.fromarray(frame), 80, 48)) for frame in frames[2:]])
    assert np.array_equal(result[:, 40:], target[:, 40:])  # masks end at two thirds
    assert np.array_equal(result[:, :, 60:], target[:, :, 60:])
    assert (result[:, 12:28, 16:38] == 77).all()
