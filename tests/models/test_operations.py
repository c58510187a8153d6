"""How many operations a call of the published size takes; counted on shapes, without numbers."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from animate_anyone_core.animate import window_predictor
from animate_anyone_core.models.config import TemporalConfig, UNetConfig
from animate_anyone_core.models.denoising_unet import DenoisingUNet
from animate_anyone_core.models.reference_net import ReferenceNet
from animate_anyone_core.models.references import Reference

FRAMES, HEIGHT, WIDTH = 24, 96, 64  # 512x768 pixels


@pytest.mark.slow
@torch.no_grad()
def test_a_guided_call_takes_no_more_operations_than_are_needed():
    """The published code takes 4,475 GFLOP a frame: it attends twice for the unconditional half,
    projects the reference for every frame, and convolves enlarged maps. 3,504 would do if the first
    attention of both halves were joined, too."""
    with torch.device("meta"):
        unet, net = DenoisingUNet(UNetConfig(), TemporalConfig()), ReferenceNet(UNetConfig())
        appearance = torch.empty(1, 1, 768)
        reference = Reference(appearance, net(torch.empty(1, 4, HEIGHT, WIDTH), appearance))
        pose = torch.empty(1, 320, FRAMES, HEIGHT, WIDTH)
        latents, t = torch.empty(1, 4, FRAMES, HEIGHT, WIDTH), torch.empty(())
    predict = window_predictor(unet, unet.project_reference(reference), pose)
    with FlopCounterMode(display=False) as counter:
        out = predict(latents, t, list(range(FRAMES)), True)
    assert out.shape == (2, 4, FRAMES, HEIGHT, WIDTH)
    gigaflops = counter.get_total_flops() / FRAMES / 1e9
    assert 3500 < gigaflops < 3540
