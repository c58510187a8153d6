"""Scenes kept on disk, so that training draws nothing and runs no VAE and no CLIP.

Three folders: drawn pictures, which follow from the data settings alone, and what the VAE and the
image encoder make of them. Another VAE means encoding again, not drawing again.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ...errors import MediaError
from ...models.image_encoder import clip_pixels
from ...progress import OnStep, silent
from ...replacement.person_boxes import box_cells
from .body_places import places_in_reference
from .config import DataConfig
from .frozen_encoders import FrozenEncoders
from .scenes import SceneSource, pick_rng

logger = logging.getLogger("animate_anyone")

_NOT_DRAWN = ("cache_path", "num_workers", "decoder_threads", "fetch_gb", "num_frames")


class CachedScenes:
    """Read encoded scenes.

    Args:
        drawn: Folder that `draw_scenes` filled.
        latents: Folder of `latents.npy`, (N, K, C, h, w) float16.
        appearances: Folder of `appearance.npy`, (N, K, D) float32.
        stage: The stage they were drawn for.
        seed: Another seed picks others.
        targets: Folder of `targets.npy`, latents like the others; None where nobody is replaced.
        first: Share of the samples whose reference is the scene's first picture.
    """

    def __init__(
        self,
        drawn: Path,
        latents: Path,
        appearances: Path,
        stage: int,
        seed: int,
        targets: Path | None = None,
        first: float = 0.0,
    ) -> None:
        self.stage, self.seed, self._first = stage, seed, first
        self._made_of = drawn, latents, appearances, stage, seed, targets, first
        self._targets = self._boxes = None
        if targets is not None:
            self._targets = np.load(targets / "targets.npy", mmap_mode="r")
            self._boxes = np.load(drawn / "boxes.npy")
        self._joints = self._covers = None
        if (drawn / "joints.npy").is_file():
            self._joints, self._covers = (
                np.load(drawn / "joints.npy"),
                np.load(drawn / "covers.npy"),
            )
        self._skeletons = np.load(drawn / "skeletons.npy", mmap_mode="r")
        self._latents = np.load(latents / "latents.npy", mmap_mode="r")
        self._appearance = np.load(appearances / "appearance.npy", mmap_mode="r")

    def __reduce__(self) -> tuple[type["CachedScenes"], tuple[Any, ...]]:
        """Send another process the places, not the arrays: it maps the same files."""
        return type(self), self._made_of

    def __len__(self) -> int:
        return len(self._latents)

    def pick(self, index: int, num_frames: int, points: bool = False) -> dict[str, Tensor]:
        """Choose a scene, a reference and targets for sample `index`.

        In stage 1 any frames, the reference not among them; in stage 2 neighboring frames (the
        cached scene's first frame stands apart in time), and any frame as the reference. Where
        somebody is replaced the reference is the first frame: the only one before its own background.
        With `points`, also where the reference shows what the targets show, if that is known.
        """
        rng = pick_rng(self.seed, index)
        is_first = self._first > 0 and rng.random() < self._first
        scene, count = int(rng.integers(len(self))), self._latents.shape[1]
        if self.stage == 1 and (self._targets is not None or is_first):
            reference, targets = 0, [1 + int(i) for i in rng.permutation(count - 1)[:num_frames]]
        elif self.stage == 1:
            reference, *targets = (int(i) for i in rng.permutation(count)[: 1 + num_frames])
        else:
            start = int(rng.integers(1, count - num_frames + 1))
            targets = list(range(start, start + num_frames))
            is_first = is_first or self._targets is not None
            reference = 0 if is_first else int(rng.integers(count))
        skeletons = self._skeletons[scene, targets]
        sample = {
            "latents": torch.from_numpy(self._latents[scene, [reference, *targets]]),
            "appearance": torch.from_numpy(np.array(self._appearance[scene, reference])),
            "skeletons": torch.from_numpy(skeletons).permute(3, 0, 1, 2).contiguous(),
        }
        if points and self._joints is not None and self._covers is not None:
            shown = [reference, *targets]
            cell = skeletons.shape[1] / self._covers.shape[2]
            found = places_in_reference(
                self._joints[scene, shown], self._covers[scene, shown], cell
            )
            sample["places"] = torch.from_numpy(found)
        if self._targets is not None and self._boxes is not None:
            sample["target_latents"] = torch.from_numpy(self._targets[scene, targets])
            size = skeletons.shape[2], skeletons.shape[1]
            cells = box_cells(self._boxes[scene, targets], size, *self._latents.shape[-2:])
            sample["cells"] = cells[0]
        return sample


def cached_scenes(
    root: Path,
    source: SceneSource,
    data: DataConfig,
    encoders: FrozenEncoders,
    device: torch.device,
    report: Callable[[str], OnStep],
) -> CachedScenes:
    """Draw and encode scenes, unless they are in the cache.

    Args:
        root: Folder for the cache.
        source: Draws scenes.
        data: How many, and their settings.
        encoders: VAE and image encoder.
        device: Where they are.
        report: Gives the progress callback for a named piece of work.

    Raises:
        MediaError: If the disk is full or read-only.
    """
    drawn = draw_scenes(root, source, data, report("draw scenes"))

    def latents(frames: np.ndarray) -> np.ndarray:
        pictures = torch.from_numpy(np.array(frames)).permute(0, 3, 1, 2).contiguous()
        return encoders.encode(pictures.to(device)).cpu().numpy().astype(np.float16)

    def appearance(frames: np.ndarray) -> np.ndarray:
        size = encoders.picture_size
        pixels = torch.cat([clip_pixels(Image.fromarray(frame), size) for frame in frames])
        return encoders.embed(pixels.to(device)).cpu().numpy()

    def encoded(
        name: str,
        network: nn.Module,
        encode: Callable[[np.ndarray], np.ndarray],
        what: str,
        pictures: str = "frames",
    ) -> Path:
        scenes = np.load(drawn / f"{pictures}.npy", mmap_mode="r")
        folder = drawn.with_name(f"{drawn.name}_{name}_{_weights_digest(network)}")
        entries = ({name: encode(frames)} for frames in scenes)
        return write_arrays(folder, entries, len(scenes), report(f"encode {what}"))

    folders = (
        encoded("latents", encoders.vae, latents, "scenes"),
        encoded("appearance", encoders.image_encoder, appearance, "appearances"),
    )
    targets = None
    if (drawn / "targets.npy").is_file():
        targets = encoded("targets", encoders.vae, latents, "targets", "targets")
    return CachedScenes(drawn, *folders, source.stage, source.seed, targets, data.standing)


def draw_scenes(
    root: Path, source: SceneSource, data: DataConfig, on_step: OnStep = silent
) -> Path:
    """Draw all scenes into a folder below `root`, unless they are there.

    Returns:
        The folder: `frames.npy` and `skeletons.npy`, (N, K, H, W, 3) uint8; where somebody is replaced
        also `targets.npy`, likewise, and `boxes.npy`, (N, K, 4); where bodies are known `joints.npy`,
        (N, K, 18, 3), and `covers.npy`, (N, K, H/8, W/8).

    Raises:
        MediaError: If the disk is full or read-only.
    """
    scenes = (source.scene(index, data.cache_frames) for index in range(data.cache_scenes))
    entries = ({k: v for k, v in vars(scene).items() if v is not None} for scene in scenes)
    settings = {k: v for k, v in asdict(data).items() if k not in _NOT_DRAWN}
    name = _digest(json.dumps([source.stage, source.seed, settings], sort_keys=True).encode())
    return write_arrays(root / f"drawn_{name}", entries, data.cache_scenes, on_step)


def write_arrays(
    folder: Path,
    entries: Iterable[dict[str, np.ndarray]],
    count: int,
    on_step: OnStep = silent,
) -> Path:
    """Fill a folder of arrays, entry by entry; it is there when it is complete, or not at all.

    Args:
        folder: Where `NAME.npy` is written for each name; nothing is computed if it is there.
        entries: Name -> array, of the same shape and type in every entry.
        count: How many there are.
        on_step: Told after every entry.

    Raises:
        MediaError: If the disk is full or read-only.
    """
    if folder.is_dir():
        logger.info("Taken from the cache: %s", folder.name)
        return folder
    part = folder.with_name(f"{folder.name}.part")
    try:
        part.mkdir(parents=True, exist_ok=True)
        with ExitStack() as opened:
            files: dict[str, BinaryIO] = {}
            for index, entry in enumerate(entries):
                for name, value in entry.items():
                    if name not in files:
                        # no memory map: on a full disk it ends the process without a word
                        files[name] = opened.enter_context((part / f"{name}.npy").open("wb"))
                        _write_header(files[name], value, count)
                    files[name].write(np.ascontiguousarray(value).tobytes())
                on_step(index + 1, count)
        part.replace(folder)
    except OSError as error:
        raise MediaError(
            f"Cannot write cached scenes to {folder}: {error}. Free the disk, or set "
            "data.cache_path to another one."
        ) from error
    return folder


def _write_header(file: BinaryIO, first: np.ndarray, count: int) -> None:
    """Begin a file of `count` arrays like the first, in NumPy's format."""
    shape = (count, *first.shape)
    np.lib.format.write_array_header_2_0(
        file, {"descr": first.dtype.str, "fortran_order": False, "shape": shape}
    )


def _weights_digest(network: nn.Module) -> str:
    """A digest of all weights but a VAE's decoder, which has no part in encoding."""
    content = b"".join(
        name.encode() + tensor.detach().float().cpu().numpy().tobytes()
        for name, tensor in network.state_dict().items()
        if tensor.is_floating_point() and not name.startswith("decoder.")
    )
    return _digest(content)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]
