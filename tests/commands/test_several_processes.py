"""`animate` in several processes of a launcher: the frames of one."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from animate_anyone_core.__main__ import main
from animate_anyone_core.animate import encode_reference, sample_latents
from animate_anyone_core.animate_settings import AnimateSettings
from animate_anyone_core.checkpoints.builtin import BUILT_IN, built_in_samples
from animate_anyone_core.checkpoints.model_folder import load_models
from animate_anyone_core.images import fit, read_picture
from animate_anyone_core.sampling.ranks import ALONE, joined, launched
from animate_anyone_core.video import read_video

SAMPLES = built_in_samples()
LAUNCHER = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def launch(*command):
    result = subprocess.run(
        [*LAUNCHER, *command], capture_output=True, text=True, timeout=300, check=False
    )
    assert result.returncode == 0, result.stderr[-2000:]
    return result


def sample(frames, ranks=ALONE):
    """Latents of a clip by the built-in model, and how many windows this process predicted."""
    models, _ = load_models(BUILT_IN)
    settings = AnimateSettings.for_model(models, width=64, height=64, num_inference_steps=3)
    picture = fit(read_picture(SAMPLES.characters[0]), 64, 64)
    channels = models.denoising_unet.config.block_out_channels[0]
    pose = torch.randn(1, channels, frames, 8, 8, generator=torch.Generator().manual_seed(0))
    calls = []

    def denoiser(*inputs, **how):
        calls.append(how["strengths"])
        return models.denoising_unet(*inputs, **how)

    reference = models.denoising_unet.project_reference(encode_reference(models, picture))
    profile = models.profile
    in_latents = models.vae.config.latent_channels
    latents = sample_latents(
        denoiser, reference, pose, in_latents, profile.noise, settings, ranks=ranks
    )
    return latents, len(calls)


@pytest.mark.slow
@pytest.mark.parametrize("frames", [36, 12], ids=["windows", "halves"])
def test_two_processes_get_the_latents_of_one_with_half_the_calls(tmp_path, frames):
    launch(__file__, str(frames), str(tmp_path))
    latents, calls = sample(frames)
    assert latents.shape[2] == frames
    for number in range(2):
        shared = torch.load(tmp_path / f"{number}.pt")
        torch.testing.assert_close(shared["latents"], latents, rtol=1e-5, atol=1e-5)
        assert shared["calls"] == (calls if frames == 12 else calls // 2)  # of one half each


@pytest.mark.slow
def test_the_first_process_of_the_command_tells_and_writes(tmp_path):
    given = [
        "animate",
        "--reference",
        SAMPLES.characters[0],
        "--poses",
        SAMPLES.poses,
        "--steps",
        2,
    ]
    given += ["--max-frames", 36, "--width", 64, "--height", 64, "--output"]
    given = [str(value) for value in given]
    result = launch("-m", "animate_anyone_core", *given, str(tmp_path / "shared.mp4"))
    assert result.stderr.count("frames of 64x64") == 1
    assert main([*given, str(tmp_path / "alone.mp4")]) == 0
    alone, shared = (read_video(tmp_path / f"{n}.mp4").frames for n in ("alone", "shared"))
    assert alone.shape == shared.shape
    assert np.abs(alone.astype(int) - shared).mean() < 0.5  # what H.264 makes of a last digit
    assert {path.name for path in tmp_path.iterdir()} == {"shared.mp4", "alone.mp4"}


def test_a_share_cannot_be_resumed(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    given = ["--reference", "a.png", "--poses", "b.mp4", "--output", str(tmp_path / "c.mp4")]
    assert main(["animate", *given, "--resume"]) == 2
    assert "--resume goes on in one process" in capsys.readouterr().err


if __name__ == "__main__":  # as one of the processes
    ranks = launched()
    with joined(ranks, torch.device("cpu")):
        latents, calls = sample(int(sys.argv[1]), ranks)
    torch.save({"latents": latents, "calls": calls}, f"{sys.argv[2]}/{ranks.number}.pt")
