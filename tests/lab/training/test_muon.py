"""Muon's steps against what defines them."""

import torch
from torch import nn

from animate_anyone_core.lab.training.muon import Muon, orthogonal


def test_all_singular_values_come_near_one():
    for shape in ((6, 20), (20, 6), (9, 9)):
        matrix = torch.randn(*shape, generator=torch.Generator().manual_seed(1))
        for dtype in (torch.float32, torch.bfloat16):
            (step,) = orthogonal([matrix], dtype)
            values = torch.linalg.svdvals(step)
            assert values.min() > 0.3
            assert values.max() < 1.3


def test_directions_are_kept():
    matrix = torch.diag(torch.tensor([5.0, -1.0, 0.5]))
    signs = torch.diag(torch.tensor([1.0, -1.0, 1.0]))
    assert (orthogonal([matrix])[0] * signs).diagonal().min() > 0.5


def test_matrices_of_one_shape_do_not_mix():
    generator = torch.Generator().manual_seed(3)
    shapes = [(4, 7), (7, 4), (4, 7), (5, 5), *[(7, 4)] * 20]
    matrices = [torch.randn(*shape, generator=generator) for shape in shapes]
    together = orthogonal(matrices)
    for matrix, step in zip(matrices, together, strict=True):
        assert step.shape == matrix.shape
        assert torch.allclose(step, orthogonal([matrix])[0], atol=1e-5)


def test_a_step_does_not_depend_on_the_size_of_the_gradient():
    steps = []
    for scale in (1.0, 1000.0):
        weight = nn.Parameter(torch.zeros(4, 3, 3, 3))
        weight.grad = scale * torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(2))
        Muon([weight], lr=0.1).step()
        steps.append(weight.detach())
    assert torch.allclose(steps[0], steps[1], atol=1e-5)
    assert 0.02 < steps[0].flatten(1).norm(dim=1).mean() < 0.2


def test_a_convolution_in_channels_last_learns():
    torch.manual_seed(0)
    layer = nn.Conv2d(6, 6, 3, padding=1).to(memory_format=torch.channels_last)
    optimizer = Muon([layer.weight], lr=0.05)
    pictures = torch.randn(4, 6, 8, 8).to(memory_format=torch.channels_last)
    losses = []
    for _ in range(30):
        loss = (layer(pictures) - pictures).square().mean()
        layer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]
