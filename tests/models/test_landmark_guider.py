"""AniPortrait's guider: five maps, statistics of the window, what it adds to the UNet."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from animate_anyone_core.errors import ShapeError
from animate_anyone_core.models.landmark_guider import (
    BatchStatistics,
    LandmarkGuider,
    LandmarkGuiderShape,
    encode_landmarks,
)
from animate_anyone_core.models.references import Reference
from tests.other_families import tiny_landmark_guider, tiny_unet


@pytest.fixture(scope="module")
def guider():
    return tiny_landmark_guider()


def test_norms_are_those_of_a_training_batchnorm(normal):
    """Also after eval(), with the biased variance."""
    ours, theirs = BatchStatistics(5), nn.BatchNorm2d(5)
    for norm in (ours, theirs):
        norm.weight.data = torch.arange(1.0, 6.0)
        norm.bias.data = torch.arange(5.0)
    x = 3 * normal(4, 5, 6, 7) + 2
    assert_close(ours.eval()(x), theirs.train()(x))


@pytest.mark.parametrize(("height", "width"), [(64, 64), (64, 128), (72, 136)])
def test_maps_fit_the_way_down(guider, normal, height, width):
    maps = guider(normal(2, 3, height, width))
    unet = tiny_unet("aniportrait")
    sides, h, w = [], height // 8, width // 8
    for block in range(4):
        sides.append((h, w))
        if block < 3:
            h, w = -(-h // 2), -(-w // 2)
    sides.append((h, w))
    # map 0 behind the first convolution, the others behind the four down blocks
    expected = [sides[0], *sides[1:4], sides[4]]
    assert [tuple(m.shape[-2:]) for m in maps] == expected
    assert [m.shape[1] for m in maps] == [32, *unet.config.block_out_channels]


def test_a_frame_is_seen_with_its_window(guider, normal):
    pictures = normal(1, 3, 6, 64, 64).sigmoid()
    windows = [[0, 1, 2, 3], [2, 3, 4, 5], [5, 0, 1, 2]]
    pose = encode_landmarks(guider, pictures, windows)
    first, second = pose.of(windows[0]), pose.of(windows[1])
    for index, part in enumerate(first):
        assert part.shape[:3] == (1, part.shape[1], 4)
        assert not torch.allclose(part[:, :, 2], second[index][:, :, 0], rtol=1e-2)
    alone = guider(pictures[0].transpose(0, 1)[[5, 0, 1, 2]] * 2 - 1)
    assert_close(pose.of(windows[2])[4][0].transpose(0, 1), alone[4])
    assert pose.shape == (1, first[0].shape[1], 6, *first[0].shape[3:])


def test_the_order_of_frames_within_a_window_does_not_matter(guider, normal):
    """Statistics are over all frames, attention within a frame."""
    pictures = normal(4, 3, 64, 64)
    order = [2, 0, 3, 1]
    for there, here in zip(guider(pictures[order]), guider(pictures), strict=True):
        assert_close(there, here[order], rtol=1e-3, atol=1e-4)


def test_the_published_range_is_of_bytes(guider, normal):
    pictures = (normal(1, 3, 2, 64, 64).sigmoid() * 255).round() / 255
    pose = encode_landmarks(guider, pictures, [[0, 1]], published_range=True)
    direct = guider(pictures[0].transpose(0, 1) * 510 - 1)
    assert_close(pose.of([0, 1])[0][0].transpose(0, 1), direct[0], rtol=1e-3, atol=1e-3)


def test_other_windows_are_refused(guider, normal):
    pose = encode_landmarks(guider, normal(1, 3, 3, 64, 64), [[0, 1]])
    with pytest.raises(ShapeError, match=r"not encoded for the window \[1, 2\]\. Encode them with"):
        pose.of([1, 2])


@pytest.mark.parametrize("shape", [(2, 1, 64, 64), (2, 3, 60, 64), (3, 64, 64)])
def test_other_pictures_are_refused(guider, normal, shape):
    with pytest.raises(ShapeError, match="multiples of 8, got"):
        guider(normal(*shape))


def test_maps_are_added_behind_the_blocks_and_not_to_their_skips(normal):
    """A map of the last down block reaches the middle; a skip would reach the way up as well."""
    unet = tiny_unet("aniportrait")
    sample, reference = normal(1, 4, 2, 8, 8), Reference(normal(1, 1, 24), {})
    zero = [torch.zeros(1, c, 2, s, s) for c, s in ((32, 8), (32, 4), (32, 2), (64, 1), (64, 1))]
    seen = []
    middle = unet.mid_block.resnets[0].register_forward_hook(lambda m, i, o: seen.append(i[0]))
    last = unet.up_blocks[0].resnets[0].register_forward_hook(lambda m, i, o: seen.append(i[0]))
    t = torch.tensor([5])
    unet(sample, t, reference, pose=tuple(zero))
    shifted = [*zero[:4], zero[4] + 1]
    unet(sample, t, reference, pose=tuple(shifted))
    middle.remove()
    last.remove()
    assert_close(seen[2], seen[0] + 1)
    assert torch.equal(seen[3][:, 64:], seen[1][:, 64:])  # the skip, joined behind
    assert not torch.equal(seen[3][:, :64], seen[1][:, :64])


def test_published_widths_have_the_published_keys(published_keys):
    with torch.device("meta"):
        guider = LandmarkGuider(LandmarkGuiderShape())
    keys = published_keys["aniportrait"]["pose_guider.pth"]
    ours = {key: list(value.shape) for key, value in guider.state_dict().items()}
    running = {key for key in keys if "running_" in key or key.endswith("num_batches_tracked")}
    assert ours == {key: shape for key, shape in keys.items() if key not in running}
