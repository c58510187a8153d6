"""Schedules, windows and whole sampling runs against numbers of the reference implementation."""

from dataclasses import dataclass
from functools import partial

import pytest
import torch

from animate_anyone_core.animate import window_predictor
from animate_anyone_core.models.references import Reference
from animate_anyone_core.sampling.denoise import denoise, predict_clip
from animate_anyone_core.sampling.windows import WindowSettings, published_windows


def test_noise_schedule(parity, compare):
    name = "scheduler/alphas_cumprod"
    compare(name, parity.solver().alphas_cumprod, parity.expected[name])


def test_timesteps(parity):
    prefix = "scheduler/timesteps_"
    cases = {k: v for k, v in parity.expected.items() if k.startswith(prefix)}
    assert cases
    for name, expected in cases.items():
        solver = parity.solver()
        solver.set_timesteps(int(name.removeprefix(prefix)))
        assert torch.equal(solver.timesteps, expected), name


def test_windows(parity):
    entries = parity.windows if isinstance(parity.windows, list) else parity.windows["cases"]
    for entry in entries:
        windows = published_windows(
            entry["num_frames"],
            entry["context_size"],
            entry["context_stride"],
            entry["context_overlap"],
            closed_loop=entry["closed_loop"],
            step=entry["step"],
        )
        assert windows == entry["windows"], entry


@dataclass(frozen=True, kw_only=True)
class Strided(WindowSettings):
    """The published schedule with windows of every 2nd, 4th ... frame as well, as some fixtures have."""

    stride: int

    def windows(self, num_frames):
        whole = super().windows(num_frames)
        length, overlap, is_closed = (
            self.context_frames,
            self.context_overlap,
            self.schedule == "looped",
        )
        planned = published_windows(num_frames, length, self.stride, overlap, closed_loop=is_closed)
        assert planned[: len(whole)] == whole
        return planned


def run(
    parity,
    *,
    frames,
    steps,
    guidance,
    context,
    overlap,
    stride=1,
    closed_loop=True,
    extra=None,
    published_range=True,
):
    windows = Strided(
        stride=stride,
        context_frames=context,
        context_overlap=overlap,
        schedule="looped" if closed_loop else "published_open",
        blending="flat",
    )
    if extra is None and parity.extra is not None:
        extra = parity.extra[:, :, :frames]
    predict = window_predictor(
        partial(parity.denoising_unet, attention=parity.kernel),
        Reference(parity.clip, parity.reference),
        parity.windowed_pose(frames, windows.windows(frames), published_range=published_range),
        extra,
    )
    solver, noise = parity.solver(), parity.inputs["noise"][:, :, :frames]
    solver.set_timesteps(steps)
    first = solver.timesteps[0]
    scaled = solver.scale_model_input(noise * solver.init_noise_sigma, first)
    guided = predict_clip(predict, scaled, first, guidance, windows)
    after = AfterSteps()
    final = denoise(
        predict,
        noise,
        parity.solver(),
        num_inference_steps=steps,
        guidance_scale=guidance,
        windows=windows,
        keeper=after,
    )
    return solver.timesteps, guided, after.latents, final


class AfterSteps:
    """Keeps the latents after every step."""

    def __init__(self):
        self.latents = []

    def load(self, solver, generator):
        return None

    def save(self, steps, latents, solver, generator):
        self.latents.append(latents.clone())


def check(parity, compare, case, timesteps, guided, after, final):
    expected = parity.expected
    if f"{case}/timesteps" in expected:
        assert torch.equal(timesteps, expected[f"{case}/timesteps"])
    name = f"{case}/guided_pred_step0"
    if name in expected:
        compare(name, guided, expected[name])
    for index, latents in enumerate(after):
        name = f"{case}/latents_after_step{index}"
        if name in expected:
            compare(name, latents, expected[name])
    name = f"{case}/final_latents"
    compare(name, final, expected[name])


def frames_of(parity, case):
    name = f"{case}/final_latents"
    if name not in parity.expected:
        pytest.skip(f"this fixture has no case {case}")
    return parity.expected[name].shape[2]


@pytest.mark.slow
def test_sampling(parity, compare):
    """Several overlapping windows, guidance, all steps."""
    frames, s = frames_of(parity, "sampling"), parity.inference["sampling"]
    result = run(
        parity,
        frames=frames,
        steps=s["steps"],
        guidance=s["guidance_scale"],
        context=s["context_frames"],
        overlap=s["context_overlap"],
        stride=s["context_stride"],
        closed_loop=s["closed_loop"],
    )
    check(parity, compare, "sampling", *result)


def test_short_clip(parity, compare):
    """A clip shorter than the window."""
    frames = frames_of(parity, "sampling_short")
    s, short = parity.inference["sampling"], parity.inference["sampling_short"]
    result = run(
        parity,
        frames=frames,
        steps=short["steps"],
        guidance=short["gs"],
        context=s["context_frames"],
        overlap=s["context_overlap"],
        closed_loop=s["closed_loop"],
    )
    check(parity, compare, "sampling_short", *result)


@pytest.mark.slow
def test_stride_of_two(parity, compare):
    """Windows of every frame and of every second; settings as the fixtures' README has them."""
    frames, s = frames_of(parity, "sampling_stride2"), parity.inference["sampling"]
    steps = len(parity.expected["sampling_stride2/timesteps"])
    given = parity.inference.get("sampling_stride2", {})
    result = run(
        parity,
        frames=frames,
        steps=steps,
        guidance=given.get("guidance_scale", s["guidance_scale"]),
        context=given.get("context_frames", 6),
        overlap=given.get("context_overlap", 2),
        stride=given.get("context_stride", 2),
        closed_loop=s["closed_loop"],
    )
    check(parity, compare, "sampling_stride2", *result)


@pytest.mark.slow
def test_windows_that_do_not_fit(parity, compare):
    """An open clip whose last window wraps round, as published."""
    frames, s = frames_of(parity, "sampling_unaligned"), parity.inference["sampling"]
    given = parity.inference.get("sampling_unaligned", {})
    result = run(
        parity,
        frames=frames,
        steps=len(parity.expected["sampling_unaligned/timesteps"]),
        guidance=given.get("guidance_scale", s["guidance_scale"]),
        context=given.get("context_frames", s["context_frames"]),
        overlap=given.get("context_overlap", s["context_overlap"]),
        closed_loop=given.get("closed_loop", s["closed_loop"]),
    )
    check(parity, compare, "sampling_unaligned", *result)


@pytest.mark.slow
@torch.no_grad()
@pytest.mark.parametrize("case", ["sampling_training_range", "sampling_short_training_range"])
def test_training_range(parity, compare, case):
    """AniPortrait with pictures in the range that its guider was trained on."""
    frames, s = frames_of(parity, case), parity.inference["sampling"]
    short = parity.inference["sampling_short"] if "short" in case else {}
    result = run(
        parity,
        frames=frames,
        steps=short.get("steps", s["steps"]),
        guidance=short.get("gs", s["guidance_scale"]),
        context=s["context_frames"],
        overlap=s["context_overlap"],
        stride=1 if short else s["context_stride"],
        closed_loop=s["closed_loop"],
        published_range=False,
    )
    check(parity, compare, case, *result)


@pytest.mark.slow
@torch.no_grad()
def test_white_background(parity, compare):
    """MIMO without a background: the latents of a white picture in every frame."""
    frames, s = frames_of(parity, "sampling_white"), parity.inference["sampling"]
    given = parity.inference["sampling_white"]
    result = run(
        parity,
        frames=frames,
        steps=given["steps"],
        guidance=given.get("guidance_scale", s["guidance_scale"]),
        context=s["context_frames"],
        overlap=s["context_overlap"],
        stride=s["context_stride"],
        closed_loop=s["closed_loop"],
        extra=parity.inputs["white_latents"][:, :, None].expand(-1, -1, frames, -1, -1),
    )
    check(parity, compare, "sampling_white", *result)


@torch.no_grad()
def test_what_the_network_is_given(parity):
    """Noisy latents first, then the extra channels: one row, that both halves of guidance share."""
    name = "sampling/model_input_step0_window0"
    if name not in parity.expected:
        pytest.skip(f"this fixture has no case {name}")
    s, seen = parity.inference["sampling"], []

    def denoiser(sample, *args, **kwargs):
        seen.append(sample)
        return sample[:, :4]

    window = list(range(parity.expected[name].shape[2]))
    predict = window_predictor(
        denoiser, Reference(parity.clip, {}), parity.pose[:, :, : s["num_frames"]], parity.extra
    )
    predict(parity.inputs["noise"][:, :, window], torch.tensor(999), window, True)
    expected = parity.expected[name].to(seen[0])
    assert torch.equal(seen[0].expand_as(expected), expected)
