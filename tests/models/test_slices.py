"""Layers in slices: the same results, smaller tensors, and whole windows for who needs them."""

import pytest
import torch
from torch.testing import assert_close

from animate_anyone_core.models import slices
from animate_anyone_core.models.interventions import Interventions
from animate_anyone_core.models.references import Reference
from animate_anyone_core.models.slices import by_frames, frames_of, parts_of

T = torch.tensor([480])


class Active(Interventions):
    is_active = True


@pytest.fixture
def call(unet, reference_net, normal):
    """Both halves of guidance on five frames of 6x4 cells, and how many frames a resnet saw at most."""
    appearance = normal(2, 1, 24)
    reference = Reference(appearance, reference_net(normal(1, 4, 6, 4), appearance[:1]))
    given = normal(1, 4, 5, 6, 4), T, reference
    pose = normal(1, 32, 5, 6, 4)

    def run(**more):
        seen = []
        finest = unet.up_blocks[1].resnets[0]
        hook = finest.conv1.register_forward_pre_hook(lambda m, i: seen.append(len(i[0])))
        out = unet(*given, strengths=(0.0, 1.0), pose=pose, **more)
        hook.remove()
        return out, max(seen)

    return run


def test_slices_give_what_whole_windows_give(call, monkeypatch):
    """Frames of all rows together, so that rows that share something go on sharing it."""
    whole, most = call()
    assert most == 10
    for cells in (1, 60, 130):
        monkeypatch.setattr(slices, "CPU_CELLS", cells)
        sliced, most = call()
        assert most < 10
        assert_close(sliced, whole, rtol=1e-5, atol=1e-5)


def test_a_host_sees_whole_windows(call, monkeypatch):
    monkeypatch.setattr(slices, "CPU_CELLS", 1)
    assert call(interventions=Active())[1] == 10


def test_gradients_pass_as_ever(unet, normal, monkeypatch):
    monkeypatch.setattr(slices, "CPU_CELLS", 1)
    sample = normal(1, 4, 3, 6, 4).requires_grad_()
    unet(sample, T, Reference(normal(1, 1, 24), {})).sum().backward()
    assert sample.grad is not None
    assert sample.grad.any()


def test_parts_cover_everything_once():
    assert list(parts_of(5, 2)) == [slice(0, 2), slice(2, 4), slice(4, 5)]
    assert list(parts_of(2, 0)) == [slice(0, 1), slice(1, 2)]


def test_frames_go_back_where_they_came_from(normal):
    x = normal(6, 2)  # two rows of three frames
    assert torch.equal(frames_of(x, 3, slice(1, 3)), x[[1, 2, 4, 5]])
    assert torch.equal(by_frames(lambda part: frames_of(x, 3, part), 3, 2), x)
