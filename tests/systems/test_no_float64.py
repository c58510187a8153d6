"""Devices without float64, as Apple's are: nothing that runs on the device asks for it.

Two stand-ins. A dispatch mode refuses to make any float64 tensor, with MPS's own words. A kind of
tensor refuses only itself to become one, until it is brought to the CPU.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from animate_anyone_core.animate import animate
from animate_anyone_core.animate_settings import AnimateSettings
from animate_anyone_core.checkpoints.latent_colors import fit_latent_colors
from animate_anyone_core.checkpoints.model_folder import load_models
from animate_anyone_core.evaluation.perceptual import Lpips
from animate_anyone_core.evaluation.video_distance import clip_features
from animate_anyone_core.sampling.schedule import SOLVERS
from animate_anyone_core.sampling.windows import WindowSettings

REFUSAL = (
    "Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64. "
    "Please use float32 instead."
)
DOUBLE = {torch.float64, torch.complex128}


def precisions(values):
    """Whether each tensor among nested values is of double precision."""
    return [leaf.dtype in DOUBLE for leaf in tree_leaves(values) if isinstance(leaf, torch.Tensor)]


class NoFloat64(TorchDispatchMode):
    """While it is entered, torch makes no float64 out of anything else.

    What numpy computed in float64 may be looked at and rounded: that happens on the CPU.
    """

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        given = precisions((args, kwargs))
        if any(precisions(made)) and not (given and all(given)):
            raise TypeError(REFUSAL)
        return made


class OnTheDevice(torch.Tensor):
    """A tensor that stays on a device without float64 until `cpu()` brings it back."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if func is torch.Tensor.cpu:
            return args[0].as_subclass(torch.Tensor)
        made = super().__torch_function__(func, types, args, kwargs)
        if any(precisions(made)):
            raise TypeError(REFUSAL)
        return made


def on_the_device(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0)).as_subclass(OnTheDevice)


def test_the_stand_ins_refuse_float64_and_nothing_else():
    with NoFloat64(), pytest.raises(TypeError, match="doesn't support float64"):
        torch.zeros(2).double()
    with NoFloat64():
        assert torch.zeros(2).half().float().sum() == 0
    with pytest.raises(TypeError, match="doesn't support float64"):
        (on_the_device(2) + 1).double()
    assert (on_the_device(2) + 1).cpu().double().dtype == torch.float64


@pytest.fixture(scope="module")
def models(model_folder):
    return load_models(model_folder)[0]


@pytest.mark.parametrize("solver", sorted(SOLVERS))
def test_the_main_path_makes_no_float64(models, solver):
    """From picture and skeletons to frames, through windows and every solver."""
    rng = np.random.default_rng(0)
    reference = Image.fromarray(rng.integers(0, 256, (50, 37, 3), np.uint8))
    poses = rng.integers(0, 256, (6, 33, 29, 3), np.uint8)
    settings = AnimateSettings(
        width=32,
        height=40,
        num_inference_steps=2,
        guidance_scale=3.5,
        solver=solver,
        windows=WindowSettings(context_frames=4, context_overlap=1),
    )
    expected = np.stack(list(animate(models, reference, poses, settings)))
    with NoFloat64():
        assert np.array_equal(np.stack(list(animate(models, reference, poses, settings))), expected)
        other = replace(settings, seed=1)
        assert not np.array_equal(
            np.stack(list(animate(models, reference, poses, other))), expected
        )


def test_the_video_distance_leaves_the_device_first():
    found = clip_features([np.zeros((16, 32, 32, 3), np.uint8)], lambda clip: on_the_device(1, 4))
    assert found.dtype == np.float64
    assert np.allclose(found, on_the_device(1, 4).cpu().numpy())


@pytest.mark.parametrize("mask", [None, np.full((2, 32, 32), 255, np.uint8)])
def test_lpips_leaves_the_device_first(mask):
    class Network(torch.nn.Module):
        spatial = False

        def forward(self, one, other, normalize):
            return on_the_device(1, 1, 32, 32) if self.spatial else on_the_device(1, 1, 1, 1)

    clip = np.zeros((2, 32, 32, 3), np.uint8)
    measured = Lpips(Network(), "alex", "cpu").distance(clip, clip, mask)
    shape = (1, 1, 1, 1) if mask is None else (1, 1, 32, 32)
    assert measured == pytest.approx(float(on_the_device(*shape).cpu().mean()))


def test_the_colors_of_latents_are_fitted_off_the_device():
    latents, pixels = on_the_device(2, 4, 4, 4), on_the_device(2, 3, 32, 32)
    plain = (tensor.cpu().clone() for tensor in (latents, pixels))
    assert fit_latent_colors(latents, pixels) == fit_latent_colors(*plain)
