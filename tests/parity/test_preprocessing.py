"""What the networks receive, against what they received in the reference implementation."""

import numpy as np
import PIL
import pytest
import torch
from PIL import Image

from animate_anyone_core.checkpoints.model_folder import load_autoencoder, load_image_encoder
from animate_anyone_core.images import stretch, vae_pixels
from animate_anyone_core.models.autoencoder import encode_picture
from animate_anyone_core.models.image_encoder import clip_pixels, encode_appearance
from animate_anyone_core.replacement.person_boxes import box_cells, person_boxes
from animate_anyone_core.replacement.scene import Scene, encode_frames, encode_scene

PILLOW = int(PIL.__version__.partition(".")[0])


def picture(parity):
    if "preprocess/ref_image_u8" not in parity.inputs:
        pytest.skip("this fixture has no picture")
    return Image.fromarray(parity.inputs["preprocess/ref_image_u8"].numpy())


def test_vae_input(parity, compare):
    expected = parity.expected["preprocess/vae_input"]
    height, width = expected.shape[-2:]
    pixels = vae_pixels(stretch(picture(parity), width, height))
    if (
        PILLOW < 13
    ):  # resizes rows before columns, where 13 may take columns first, and clips between
        assert (pixels - expected).abs().mean() < 0.02
        return
    compare("preprocess/vae_input", pixels, expected)


def test_clip_input(parity, compare):
    expected = parity.expected["preprocess/clip_pixel_values_strided4"]
    pixels = clip_pixels(picture(parity))[:, :, ::4, ::4]
    compare("preprocess/clip_pixel_values", pixels, expected)


def given(parity, name):
    known = parity.inputs | parity.expected
    if name not in known:
        pytest.skip(f"this fixture has no {name}")
    return known[name]


def test_boxes_of_persons(parity):
    expected = given(parity, "preprocess/boxes_xyxy")
    boxes = person_boxes(parity.inputs["person_mask_u8"].numpy())
    assert np.array_equal(boxes, expected.numpy())


def test_boxes_on_latent_cells(parity):
    expected = given(parity, "conditioning/mask_latent")
    masks = parity.inputs["person_mask_u8"].numpy()
    size = masks.shape[2], masks.shape[1]
    cells = box_cells(person_boxes(masks), size, *expected.shape[-2:])
    assert torch.equal(cells, expected.float())


@pytest.mark.parametrize(
    ("frames", "latents"),
    [("target_frames_u8", "target_latents"), ("bk_frames_u8", "bk_latents")],
)
def test_latents_of_a_scene(parity, frames, latents, compare):
    """Pictures through the fixture's own small VAE."""
    expected = given(parity, latents)
    vae = load_autoencoder(parity.checkpoints / "vae")
    height, width = (8 * side for side in expected.shape[-2:])
    made = encode_frames(vae, parity.inputs[frames].numpy(), width, height)
    compare("latents/scene", made, expected.float())


def test_latents_of_a_white_background(parity, compare):
    expected = given(parity, "white_latents")
    vae = load_autoencoder(parity.checkpoints / "vae")
    height, width = (8 * side for side in expected.shape[-2:])
    made = encode_scene(vae, ("background",), Scene(), 2, width, height)
    compare("latents/scene", made[:, :, 1], expected.float())


def test_the_reference_through_vae_and_image_encoder(parity, compare):
    if not any(name in parity.inputs for name in ("target_latents", "bk_latents")):
        pytest.skip("the numbers of this fixture do not come from its VAE")
    height, width = (8 * side for side in parity.inputs["ref_latents"].shape[-2:])
    vae = load_autoencoder(parity.checkpoints / "vae")
    pixels = vae_pixels(stretch(picture(parity), width, height)).contiguous()
    compare("latents/scene", encode_picture(vae, pixels), parity.inputs["ref_latents"].float())
    encoder = load_image_encoder(parity.checkpoints / "image_encoder")
    made = encode_appearance(encoder, picture(parity))[:, 0]
    compare("latents/appearance", made, parity.inputs["clip_image_embeds"].float())


@pytest.mark.parametrize(
    ("expected", "source", "number"),
    [
        ("preprocess/target_vae_input", "target_frames_u8", 6),
        ("preprocess/bk_resized_u8_frame1", "bk_frames_u8", 1),
    ],
)
def test_frames_of_a_scene_are_stretched(parity, expected, source, number):
    wanted = given(parity, expected)
    frame = Image.fromarray(parity.inputs[source][number].numpy())
    if wanted.dtype == torch.uint8:
        made = np.asarray(stretch(frame, wanted.shape[1], wanted.shape[0]))
        assert np.array_equal(made, wanted.numpy())
    else:  # stored at every second pixel
        height, width = (2 * side for side in wanted.shape[-2:])
        made = vae_pixels(stretch(frame, width, height))[:, :, ::2, ::2]
        assert (made - wanted).abs().max() < 1e-6
