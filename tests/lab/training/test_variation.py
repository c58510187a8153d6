"""How much latents vary around a place: what a blur takes away, and a shift leaves."""

import torch

from animate_anyone_core.lab.training.variation import variation


def test_texture_is_variation_around_a_place_wherever_it_lies():
    """Of stripes one cell wide: all of it; shifted, the same; blurred, none; a still clip no change."""
    stripes = torch.arange(12.0).remainder(2).expand(1, 1, 2, 12, 12)
    spatial, changes = variation(stripes, 4)[:, :2], variation(stripes, 4)[:, 2:]
    least = 1e-4**0.5
    torch.testing.assert_close(spatial, torch.full_like(spatial, (1 + 1e-4) ** 0.5))
    torch.testing.assert_close(changes, torch.full_like(changes, least))
    torch.testing.assert_close(variation(1 - stripes, 4), variation(stripes, 4))
    torch.testing.assert_close(
        variation(0 * stripes + 0.5, 4), torch.full_like(variation(stripes, 4), least)
    )
    flipped = torch.cat([stripes[:, :, :1], 1 - stripes[:, :, :1]], dim=2)
    torch.testing.assert_close(
        variation(flipped, 4)[:, 2:], torch.full_like(changes, (1 + 1e-4) ** 0.5)
    )
