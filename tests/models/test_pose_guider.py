"""Pose guiders: the latent's grid, a start at zero, frames by themselves."""

import pytest
import torch
from torch.testing import assert_close

from animate_anyone_core.errors import ShapeError
from animate_anyone_core.models.pose_guider import (
    PaperPoseGuider,
    PublishedPoseGuider,
    encode_poses,
)

KINDS = [PublishedPoseGuider, PaperPoseGuider]


@pytest.fixture(params=KINDS)
def guider(request, randomise):
    return randomise(request.param(out_channels=20), 6)


@pytest.mark.parametrize(("height", "width"), [(64, 32), (8, 8), (24, 40), (40, 8), (56, 72)])
def test_features_have_an_eighth_of_the_pictures_size(guider, normal, height, width):
    """Also where the sides are odd multiples of 8, which four strides of 2 do not divide."""
    assert guider(normal(2, 3, height, width)).shape == (2, 20, height // 8, width // 8)


@pytest.mark.parametrize("kind", KINDS)
def test_a_fresh_guider_gives_exact_zeros(kind, normal):
    with torch.no_grad():
        assert not kind()(normal(1, 3, 32, 32)).any()


def test_frames_do_not_see_each_other(guider, normal):
    pictures = normal(3, 3, 32, 24)
    alone = torch.cat([guider(picture[None]) for picture in pictures])
    assert_close(guider(pictures), alone, rtol=1e-4, atol=1e-5)


def test_the_size_of_a_chunk_changes_nothing(guider, normal):
    pictures = normal(2, 3, 7, 32, 24)
    expected = torch.stack(
        [torch.stack([guider(frame[None])[0] for frame in row.unbind(1)], 1) for row in pictures]
    )
    for chunk_frames in (1, 3, 16):
        assert_close(encode_poses(guider, pictures, chunk_frames), expected, rtol=1e-4, atol=1e-5)


def test_the_published_guider_moves_with_its_picture(randomise):
    """A dot 16 pixels further to the right gives features two cells further to the right."""
    guider = randomise(PublishedPoseGuider(out_channels=20), 6)
    picture = torch.zeros(1, 3, 96, 160)
    picture[:, :, 40:56, 64:80] = 1
    moved = guider(picture.roll(16, 3))
    assert_close(moved[..., 5:-5], guider(picture).roll(2, 3)[..., 5:-5], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(moved[..., 5:-5], guider(picture)[..., 5:-5], atol=1e-3)


def test_the_papers_guider_keeps_places_where_sides_are_odd_multiples_of_8(randomise, normal):
    """The picture with black below and on the right has the same features where it was."""
    guider = randomise(PaperPoseGuider(out_channels=20), 6)
    picture = normal(1, 3, 72, 40)
    padded = torch.zeros(1, 3, 80, 48)
    padded[..., :72, :40] = picture
    assert_close(guider(picture), guider(padded)[..., :9, :5])


def test_the_papers_guider_has_the_papers_layers():
    guider = PaperPoseGuider()
    assert [(c.in_channels, c.out_channels, c.kernel_size, c.stride) for c in guider.convs] == [
        (3, 16, (4, 4), (2, 2)),
        (16, 32, (4, 4), (2, 2)),
        (32, 64, (4, 4), (2, 2)),
        (64, 128, (4, 4), (2, 2)),
    ]
    assert guider.projection.out_channels == 320


def test_the_published_guider_has_the_published_keys(published_keys):
    guider = PublishedPoseGuider()
    shapes = {key: list(value.shape) for key, value in guider.state_dict().items()}
    assert shapes == published_keys["moore"]["pose_guider.pth"]


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 4, 16, 16), "Pose pictures must be RGB, shape (N, 3, H, W), got (1, 4, 16, 16)."),
        ((3, 16, 16), "Pose pictures must be RGB, shape (N, 3, H, W), got (3, 16, 16)."),
        (
            (1, 3, 20, 16),
            "The sides of pose pictures must be multiples of 8, got 16x20. Resize them to the "
            "video's size.",
        ),
    ],
)
def test_other_pictures_are_refused(guider, normal, shape, message):
    with pytest.raises(ShapeError) as error:
        guider(normal(*shape))
    assert str(error.value) == message
