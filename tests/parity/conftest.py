"""Numbers of the published code: those that ship with the package, and every folder one has.

The small numbers (`animate_anyone_core/self_test/numbers/`) run everywhere. `PARITY_FIXTURES` holds
further directories separated by `os.pathsep`, of any name, size and frame count; without it, every
directory under `../shared/fixtures` and `../shared/fixtures_families` is taken. Layout of those:
`checkpoints/` with the published file names, `config.json` (2-D UNet), `inference.json` (temporal
settings, noise schedule, sampling settings), `inputs.safetensors`, `expected.safetensors`,
`context_windows.json`; or the two files of the small numbers.

Three variables serve `measure_limits.py`: `PARITY_COMPUTE` and `PARITY_PRECISION` compute the same in
another way (see `ways.py`), and `PARITY_RECORD` names a file to add all differences to.
"""

import functools
import importlib.util
import json
import os
import sys
from collections.abc import Callable
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
from animate_anyone_core.checkpoints.model_folder import find_optional, find_weights
from animate_anyone_core.models.config import TemporalConfig
from animate_anyone_core.models.landmark_guider import LandmarkGuider, encode_landmarks
from animate_anyone_core.sampling.schedule import NoiseSchedule, make_solver
from animate_anyone_core.self_test.core_calls import build_networks
from animate_anyone_core.self_test.differences import Limit, difference
from animate_anyone_core.self_test.precision import Precision
from animate_anyone_core.self_test.reference_numbers import ReferenceNumbers, shipped_families


def _beside(name):
    """A module of this folder; the tests are no package."""
    known = sys.modules.get(f"parity_{name}")
    if known is not None:
        return known
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"parity_{name}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[f"parity_{name}"] = module
    spec.loader.exec_module(module)
    return module


ways = _beside("ways")
limits = _beside("limits")
ROOT = Path(__file__).parents[2]
EXPECTED = "expected.safetensors"
#: Tensors of the extra input channels, in the order of the channels.
EXTRA = ("target_latents", "conditioning/mask_latent", "bk_latents")


def given_folders() -> list[Path]:
    given = os.environ.get("PARITY_FIXTURES")
    if given:
        return [Path(entry) for entry in given.split(os.pathsep) if entry]
    shared = ROOT.parent / "shared"
    places = ("fixtures", "fixtures_families")
    return [p.parent for place in places for p in sorted(shared.glob(f"{place}/*/{EXPECTED}"))]


def is_small(folder: Path) -> bool:
    return (folder / "numbers.npz").is_file()


def small_folders() -> list[Path]:
    return [*shipped_families(), *filter(is_small, given_folders())]


class Parity:
    """One fixture directory: its numbers, and our networks with its weights."""

    def __init__(self, folder: Path, way) -> None:
        self.folder = folder
        self.way = way
        self.kernel = way.kernel
        self.inputs = {
            k: v.to(way.dtype) if v.is_floating_point() else v
            for k, v in load_file(folder / "inputs.safetensors").items()
        }
        self.expected = load_file(folder / EXPECTED)
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

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    def weights(self, name: str) -> Path:
        return find_weights(self.checkpoints, name)

    def unet(self, *, image_only: bool = False):
        files = read_denoising_unet(
            self.weights("denoising_unet"),
            None if image_only else find_optional(self.checkpoints, "motion_module"),
            family=self.inference.get("family", "auto"),
            config=self.config,
            temporal=None if image_only else self.temporal,
            image_only=image_only,
        )
        assert not files.report.unexpected
        return self.way.prepare(load_denoising_unet(files, self.way.dtype))

    @cached_property
    def denoising_unet(self):
        return self.unet()

    @cached_property
    def reference_net(self):
        path = self.weights("reference_unet")
        network, _ = load_reference_net(path, config=self.config, dtype=self.way.dtype)
        return self.way.prepare(network)

    @cached_property
    def pose_guider(self):
        network, _ = load_pose_guider(self.weights("pose_guider"), dtype=self.way.dtype)
        return self.way.prepare(network)

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
        return self.reference_net(self.inputs["ref_latents"], self.clip, attention=self.kernel)

    @cached_property
    def extra(self) -> torch.Tensor | None:
        """What the denoising UNet sees behind the noisy latents (1, C, F, h, w)."""
        known = self.expected | self.inputs
        names = [name for name in EXTRA if name in known]
        return torch.cat([known[name].to(self.way.dtype) for name in names], 1) if names else None

    @cached_property
    def pictures(self) -> torch.Tensor:
        """All pose pictures (F, 3, H, W) in [0, 1]."""
        return self.inputs["pose_frames_u8"].to(self.way.dtype).div(255).permute(0, 3, 1, 2)

    @cached_property
    @torch.no_grad()
    def pose(self) -> torch.Tensor:
        """Features of all pose frames (1, C, F, h, w), of guiders that see a frame alone."""
        return self.pose_guider(self.pictures).transpose(0, 1)[None]

    def first_pose(self, frames: int):
        """The features of the first frames, as the cases of the UNet have them."""
        maps = [self.expected.get(f"guider/published_range/fea_{i}") for i in range(5)]
        if maps[0] is None:
            return self.pose[:, :, :frames]
        return tuple(part[:, :, :frames].to(self.way.dtype) for part in maps)

    def windowed_pose(self, frames: int, windows, *, published_range: bool = True):
        """The features of the first frames, for these windows."""
        if not isinstance(self.pose_guider, LandmarkGuider):
            return self.pose[:, :, :frames]
        return encode_landmarks(
            self.pose_guider,
            self.pictures[:frames].transpose(0, 1)[None],
            windows,
            published_range=published_range,
            attention=self.kernel,
        )


@pytest.fixture(scope="session", autouse=True)
def way():
    """How this run computes: `PARITY_COMPUTE`, normally as everybody does."""
    name, precision = (os.environ.get(f"PARITY_{key}", "") for key in ("COMPUTE", "PRECISION"))
    with ways.chosen(name, precision or "fp32") as chosen:
        yield chosen


@pytest.fixture(scope="session", params=given_folders(), ids=lambda folder: folder.name)
def parity(request, way) -> Parity:
    """One of the fixture directories."""
    if is_small(request.param):
        pytest.skip("these small numbers run in test_small_numbers.py")
    return Parity(request.param, way)


@pytest.fixture(scope="session", params=small_folders(), ids=lambda folder: folder.name)
def small_numbers(request) -> ReferenceNumbers:
    """One family's small numbers."""
    return ReferenceNumbers(request.param)


@pytest.fixture(scope="session")
def small_networks(small_numbers, way):
    """Its networks."""
    networks = build_networks(small_numbers, "cpu", Precision(way.precision, way.dtype), way.kernel)
    for network in (networks.reference_net, networks.denoising_unet, networks.pose_guider):
        way.prepare(network)
    return networks


@pytest.fixture(scope="session")
def small_results(small_numbers, small_networks):
    """What a stage gives, computed once."""
    return functools.cache(lambda stage: stage.compute(small_networks, small_numbers))


@pytest.fixture(scope="session")
def compare() -> Callable[..., None]:
    """Hold a tensor to a limit relative to its size, and keep the difference if asked to."""
    record = os.environ.get("PARITY_RECORD")

    def compare(name: str, actual: torch.Tensor, expected: torch.Tensor, limit=None) -> None:
        found = difference(name, actual, expected, limit or Limit(*limits.limit_of(name)))
        if record:
            with Path(record).open("a", encoding="utf-8") as file:
                numbers = (found.max_over_rms, found.relative_l2)
                within = (found.limit.max_over_rms, found.limit.relative_l2)
                file.write(json.dumps([name, *numbers, *within]) + "\n")
        else:
            assert found.of_limit <= 1.0, str(found)

    return compare


def pytest_generate_tests(metafunc):
    if "parity" in metafunc.fixturenames and not given_folders():
        pytest.skip(
            "no larger reference numbers: set PARITY_FIXTURES (the small ones ran)",
            allow_module_level=True,
        )
