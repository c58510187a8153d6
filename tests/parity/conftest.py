"""Reference numbers: every directory in PARITY_FIXTURES, whatever its name, sizes or frame counts.

`PARITY_FIXTURES` holds directories separated by `os.pathsep`; without it, every directory under
`../shared/fixtures` is taken. Layout: `checkpoints/` with the published file names, `config.json`
(2-D UNet), `inference.json` (temporal settings, noise schedule, sampling settings),
`inputs.safetensors`, `expected.safetensors`, `context_windows.json`.
"""

import json
import os
from functools import cached_property
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from animate_anyone_core.checkpoints.layouts import read_unet_config
from animate_anyone_core.checkpoints.load import (
    load_denoising_unet,
    load_pose_guider,
    load_reference_net,
    read_denoising_unet,
)
from animate_anyone_core.models.config import TemporalConfig
from animate_anyone_core.sampling.schedule import NoiseSchedule, make_solver

ROOT = Path(__file__).parents[2]


def fixture_folders() -> list[Path]:
    given = os.environ.get("PARITY_FIXTURES")
    if given:
        return [Path(entry) for entry in given.split(os.pathsep) if entry]
    return sorted(p.parent for p in ROOT.parent.glob("shared/fixtures/*/expected.safetensors"))


class Parity:
    """One fixture directory: its numbers, and our networks with its weights in float32."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.inputs = load_file(folder / "inputs.safetensors")
        self.expected = load_file(folder / "expected.safetensors")
        self.inference = json.loads((folder / "inference.json").read_text())
        self.windows = json.loads((folder / "context_windows.json").read_text())
        self.config = read_unet_config(folder / "config.json")

    @cached_property
    def temporal(self) -> TemporalConfig:
        motion = self.inference["unet_additional_kwargs"]
        kwargs = motion["motion_module_kwargs"]
        return TemporalConfig(
            max_frames=kwargs["temporal_position_encoding_max_len"],
            num_attention_heads=kwargs["num_attention_heads"],
            in_mid_block=motion.get("motion_module_mid_block", True),
        )

    def weights(self, name: str) -> Path:
        folder = self.folder / "checkpoints"
        return next(
            folder / f"{name}{s}"
            for s in (".safetensors", ".pth")
            if (folder / f"{name}{s}").exists()
        )

    def unet(self, *, image_only: bool = False):
        motion = self.folder / "checkpoints" / "motion_module.safetensors"
        files = read_denoising_unet(
            self.weights("denoising_unet"),
            motion if motion.exists() and not image_only else None,
            family=self.inference.get("family", "auto"),
            config=self.config,
            temporal=None if image_only else self.temporal,
            image_only=image_only,
        )
        assert not files.report.unexpected
        return load_denoising_unet(files, torch.float32)

    @cached_property
    def denoising_unet(self):
        return self.unet()

    @cached_property
    def reference_net(self):
        path = self.weights("reference_unet")
        return load_reference_net(path, config=self.config, dtype=torch.float32)[0]

    @cached_property
    def pose_guider(self):
        return load_pose_guider(self.weights("pose_guider"), dtype=torch.float32)[0]

    def solver(self):
        known = NoiseSchedule.__dataclass_fields__
        kwargs = self.inference["noise_scheduler_kwargs"]
        return make_solver(NoiseSchedule(**{k: v for k, v in kwargs.items() if k in known}))

    @cached_property
    def clip(self) -> torch.Tensor:
        return self.inputs["clip_image_embeds"][:, None]

    @cached_property
    @torch.no_grad()
    def reference(self) -> dict[str, torch.Tensor]:
        return self.reference_net(self.inputs["ref_latents"], self.clip)

    @cached_property
    @torch.no_grad()
    def pose(self) -> torch.Tensor:
        """Features of all pose frames (1, C, F, h, w)."""
        pictures = self.inputs["pose_frames_u8"].float().div(255).permute(0, 3, 1, 2)
        return self.pose_guider(pictures).transpose(0, 1)[None]


@pytest.fixture(scope="session", autouse=True)
def several_threads():
    """Compute as the reference numbers were: with one thread sums are ordered otherwise, and even
    diffusers' own UNet is then 1.5e-5 away from them, more than the limit on single layers."""
    threads = torch.get_num_threads()
    torch.set_num_threads(max(2, threads))
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session", params=fixture_folders(), ids=lambda folder: folder.name)
def parity(request) -> Parity:
    """One of the fixture directories."""
    return Parity(request.param)


def pytest_generate_tests(metafunc):
    if "parity" in metafunc.fixturenames and not fixture_folders():
        pytest.skip("no reference numbers: set PARITY_FIXTURES", allow_module_level=True)
