"""Classifier-free guidance."""

import pytest
import torch
from torch.testing import assert_close

from animate_anyone_core.sampling.guidance import guide, needs_unconditional


def test_guidance_walks_the_line_through_both_predictions(normal):
    unconditional, conditional = normal(2, 3), normal(2, 3)
    assert torch.equal(guide(unconditional, conditional, 0.0), unconditional)
    assert_close(guide(unconditional, conditional, 1.0), conditional)
    assert_close(guide(unconditional, conditional, 3.5), 3.5 * conditional - 2.5 * unconditional)


@pytest.mark.parametrize(("scale", "needed"), [(0.0, False), (1.0, False), (1.01, True)])
def test_the_unconditional_half_is_needed_above_one(scale, needed):
    assert needs_unconditional(scale) is needed
