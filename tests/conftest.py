"""Tiny real networks with random weights, keys of published files. No downloads, no mocks."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from animate_anyone_core.checkpoints.convert import published_weights, with_position_tables
from animate_anyone_core.checkpoints.key_map import is_temporal
from animate_anyone_core.checkpoints.weight_files import write_weights
from animate_anyone_core.evaluation.video_distance import block_distance
from animate_anyone_core.lab.synthetic.dancers import render_clip
from animate_anyone_core.lab.synthetic.splits import split_seeds
from animate_anyone_core.models.config import TemporalConfig, UNetConfig
from animate_anyone_core.models.denoising_unet import DenoisingUNet
from animate_anyone_core.models.pose_guider import PublishedPoseGuider
from animate_anyone_core.models.reference_net import ReferenceNet
from tests import random_weights
from tests.network_guard import guard
from tests.published_keys import published_keys as keys_of_published_files

ROOT = Path(__file__).parents[1]
MAX_FRAMES = 12
#: A way to damage a clip, for tests of the distances of sets.
Damage = Callable[[np.ndarray, np.random.Generator], np.ndarray]

#: More processes than this cost more memory than they save time.
MOST_WORKERS = 8
#: Written by tools, not by tests.
CACHES = {"__pycache__", ".git", ".venv", ".hypothesis"}
CACHES |= {f".{tool}_cache" for tool in ("pytest", "ruff", "mypy")}
#: Part of the reason for a skip -> what is missing, how to get it.
MISSING = {
    "no ComfyUI": ("a ComfyUI", "see tests/comfyui/conftest.py"),
    "lpips": ("lpips", 'pip install -e ".[evaluate]"'),
    "torchmetrics": ("torchmetrics", 'pip install -e ".[test]"'),
    "playwright": ("a browser", "pip install playwright && playwright install chromium"),
    "reference numbers": ("more reference numbers", "PARITY_FIXTURES=FOLDER"),
    "git repository": ("a clone", "git clone instead of a download"),
}

hypothesis.settings.register_profile(
    "suite",
    deadline=None,
    derandomize=True,  # no speed, and no luck, of one machine
)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Run the whole suite on all processors; chosen files, or `-n 0`, in one process.

    A file's tests stay in one worker: they share what is slow to make.
    """
    is_whole = config.args == config.getini("testpaths") and not hasattr(config, "workerinput")
    options = config.option
    if not (is_whole and config.pluginmanager.hasplugin("xdist")) or options.usepdb:
        return
    if options.numprocesses is None and not options.collectonly:
        workers = min(os.cpu_count() or 1, MOST_WORKERS)
        options.numprocesses = workers if workers > 1 else None
        options.dist = "loadfile" if workers > 1 else options.dist


def pytest_configure(config: pytest.Config) -> None:
    """Keep off the network, and share the processors among the workers."""
    guard()
    hypothesis.settings.load_profile("suite")
    if hasattr(config, "workerinput"):
        threads = (os.cpu_count() or 1) // config.workerinput["workercount"]
        torch.set_num_threads(max(1, threads))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say in a line what did not run, and how to get it."""
    counts: Counter[str] = Counter()
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        known = (f"{what} ({how})" for part, (what, how) in MISSING.items() if part in reason)
        counts[next(known, reason.removeprefix("Skipped: "))] += 1
    if counts:
        parts = "; ".join(f"{count} for want of {what}" for what, count in counts.most_common())
        terminalreporter.write_line(f"skipped: {parts}")


@pytest.fixture(scope="session", autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    """Tests write into their temporary folders alone."""
    before, folder = files_of_the_repository(), Path.cwd()
    yield
    assert Path.cwd() == folder, "a test left the process in another folder"
    left = sorted(files_of_the_repository() - before)
    assert not left, f"tests left files behind: {left[:10]}"


def files_of_the_repository() -> set[str]:
    """All files but what tools keep for themselves."""
    found: set[str] = set()
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [n for n in folders if n not in CACHES and not n.endswith(".egg-info")]
        found.update(os.path.join(folder, name) for name in names)  # noqa: PTH118
    return found


@pytest.fixture(autouse=True)
def _one_thread(request):
    """Tiny networks gain nothing from threads, and lose much where others use the processor."""
    place = request.path.relative_to(ROOT / "tests").parts[0]
    if place not in {"models", "sampling", "checkpoints", "commands", "test_animate.py"}:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def published_keys() -> dict[str, dict[str, dict[str, list[int]]]]:
    """Family -> file -> key -> shape of everything that was published."""
    return keys_of_published_files()


@pytest.fixture(scope="session")
def tiny_config() -> UNetConfig:
    """Two levels, one layer each; 8 heads and 32 groups, so that files need no config.json."""
    return UNetConfig(
        block_out_channels=(32, 64),
        attention_levels=(True, False),
        layers_per_block=1,
        cross_attention_dim=24,
    )


@pytest.fixture(scope="session")
def tiny_temporal() -> TemporalConfig:
    return TemporalConfig(max_frames=MAX_FRAMES)


@pytest.fixture(scope="session")
def randomise() -> Callable[..., nn.Module]:
    """Give every weight a random value, also those that start at zero, so that all layers act."""
    return random_weights.randomise


@pytest.fixture(scope="session")
def unet(tiny_config, tiny_temporal, randomise) -> DenoisingUNet:
    return randomise(DenoisingUNet(tiny_config, tiny_temporal), 1)


@pytest.fixture(scope="session")
def image_unet(tiny_config, randomise) -> DenoisingUNet:
    """Without temporal layers: the model of training stage 1."""
    return randomise(DenoisingUNet(tiny_config, None), 1)


@pytest.fixture(scope="session")
def reference_net(tiny_config, randomise) -> ReferenceNet:
    return randomise(ReferenceNet(tiny_config), 2)


@pytest.fixture(scope="session")
def pose_guider(randomise) -> PublishedPoseGuider:
    return randomise(PublishedPoseGuider((4, 8, 8, 8), 32), 3)


@pytest.fixture
def normal() -> Callable[..., Tensor]:
    """Standard normal numbers from a generator of this test's own."""
    generator = torch.Generator().manual_seed(7)
    return lambda *shape: torch.randn(*shape, generator=generator)


@pytest.fixture(scope="session")
def published_files(unet, reference_net, pose_guider) -> dict[str, dict[str, Tensor]]:
    """The tiny model's tensors as published: by file, under published names, with tables."""
    weights = published_weights(unet.state_dict())
    return {
        "denoising_unet": {k: v for k, v in weights.items() if not is_temporal(k)},
        "motion_module": with_position_tables(
            {k: v for k, v in weights.items() if is_temporal(k)}, MAX_FRAMES
        ),
        "reference_unet": reference_net.state_dict(),
        "pose_guider": pose_guider.state_dict(),
    }


@pytest.fixture(scope="session")
def vae(randomise) -> AutoencoderKL:
    network = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8, 8, 8, 8),
        norm_num_groups=4,
        latent_channels=4,
    )
    return randomise(network, 4)


@pytest.fixture(scope="session")
def image_encoder(randomise) -> CLIPVisionModelWithProjection:
    config = CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=32,
        projection_dim=24,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=28,
        patch_size=14,
    )
    return randomise(CLIPVisionModelWithProjection(config), 5)


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory, published_files, vae, image_encoder) -> Path:
    """A whole model in a folder, as published. Never write to it: see `own_model_folder`."""
    folder = tmp_path_factory.mktemp("model")
    for name, weights in published_files.items():
        write_weights(folder / f"{name}.safetensors", weights)
    vae.save_pretrained(folder / "vae")
    image_encoder.save_pretrained(folder / "image_encoder")
    return folder


@pytest.fixture
def own_model_folder(tmp_path, model_folder) -> Path:
    """A model folder of this test's own; the files are links, so replace them, never write in."""
    folder = tmp_path / "model"
    for source in model_folder.rglob("*"):
        target = folder / source.relative_to(model_folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_file():
            target.symlink_to(source)
    return folder


@pytest.fixture(scope="session")
def dancers() -> list[np.ndarray]:
    """Four clips of 12 frames of 64x64."""
    first = split_seeds("test", "character")[0]
    return [render_clip(first + i, first + i, 12, 64, 64).frames for i in range(4)]


@pytest.fixture(scope="session")
def distance_after(dancers) -> Callable[[Callable[[np.ndarray], np.ndarray]], Callable]:
    """For features of a clip: a function from damage to the distance of the damaged clips."""

    def of(features: Callable[[np.ndarray], np.ndarray]) -> Callable[[Damage], float]:
        truths = [features(clip) for clip in dancers]

        def measure(damage: Damage) -> float:
            rng = np.random.default_rng(0)
            floats = [damage(clip.astype(float), rng).clip(0, 255) for clip in dancers]
            return block_distance([features(clip.astype(np.uint8)) for clip in floats], truths)

        return measure

    return of
