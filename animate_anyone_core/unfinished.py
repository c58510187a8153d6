"""A video that takes long: what is done of it, in a folder beside it until it is whole.

Whatever ends the process, the folder holds whole files: the facts that decide the frames, the
skeletons, the latents after the last finished step, and finished frames as videos that can be played.
A later run with the same facts goes on from there, and its frames are those of a run that was never
stopped.
"""

import hashlib
import json
import logging
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from .checkpoints.weight_files import read_metadata, read_weights, write_weights
from .errors import MediaError, SettingsError
from .files import write_json
from .media.sound import Sound
from .media.stored_frames import StoredFrames, store_frames
from .sampling.clip_solver import ClipSolver
from .video import count_stored_frames, join_videos, write_video

logger = logging.getLogger("animate_anyone")

#: Frames of a finished piece; a multiple of what the VAE decodes at once, so that nothing depends on
#: where a run went on.
SEGMENT_FRAMES = 120
_FACTS, _SKELETONS, _STATE = "facts.json", "skeletons.zip", "state.safetensors"
_GENERATOR, _LATENTS, _SOLVER = "generator", "latents", "solver."
#: Counts up when what is kept, or what decides the frames, is written otherwise than before.
_LAYOUT, _LAYOUT_NAME = "3", "layout of this folder"
#: Frames of a file of latents: writing copies no more of them at once.
_FRAMES_OF_A_FILE = 120
_SAMPLED = 32  # numbers of each tensor that are looked at to tell weights apart


class UnfinishedVideo:
    """What is done of a video."""

    def __init__(self, output: Path, facts: Mapping[str, str]) -> None:
        """Look beside the output.

        Args:
            output: The video to write.
            facts: What decides the frames, by the names that the user gives it.
        """
        self._output = output
        self.folder = output.with_name(output.name + ".unfinished")
        self._facts = {_LAYOUT_NAME: _LAYOUT, **facts}
        self._skeletons: StoredFrames | None = None

    @contextmanager
    def begun(self, resume: bool) -> Iterator[None]:
        """Start, or go on. The folder is gone when the block ends well.

        Args:
            resume: Go on from what is there, and leave it there if the block ends in an error.
                Without it, what is there is dropped, and only a process that is killed leaves it.

        Raises:
            SettingsError: If what is there was begun with other facts, or by another version.
        """
        known = _read_facts(self.folder / _FACTS)
        if resume and known is not None:
            self._check(known)
            logger.info("Going on with %s.", self.folder)
        else:
            if known is not None:
                logger.info("%s is dropped; --resume would have gone on with it.", self.folder)
            shutil.rmtree(self.folder, ignore_errors=True)
            write_json(self._facts, self.folder / _FACTS)
        is_kept = resume
        try:
            yield
            is_kept = False
        finally:
            if self._skeletons is not None:
                self._skeletons.close()
            if not is_kept:
                shutil.rmtree(self.folder, ignore_errors=True)

    def _check(self, known: dict[str, str]) -> None:
        if known.get(_LAYOUT_NAME) != _LAYOUT:
            raise SettingsError(
                f"{self.folder.name} was begun by another version of this program, which kept other "
                "things. Go on with that version, or leave out --resume to start over."
            )
        changed = [
            f"{name} was {known.get(name)}, now {self._facts.get(name)}"
            for name in {**known, **self._facts}
            if known.get(name) != self._facts.get(name)
        ]
        if changed:
            raise SettingsError(
                f"{self.folder.name} was begun with other settings: {'; '.join(changed)}. Give the "
                "same to go on, or leave out --resume to start over."
            )

    def stored_skeletons(self) -> StoredFrames | None:
        """The skeletons, if they were finished."""
        path = self.folder / _SKELETONS
        if path.exists():
            self._skeletons = StoredFrames(path)
        return self._skeletons

    def store_skeletons(self, frames: Iterable[np.ndarray]) -> StoredFrames:
        """Store skeletons (H, W, 3) uint8 as they come."""
        self._skeletons = store_frames(frames, self.folder / _SKELETONS)
        return self._skeletons

    def load(
        self, solver: ClipSolver, generator: torch.Generator | None
    ) -> tuple[int, Tensor] | None:
        """The latents after the last finished step; see `denoise.Keeper`."""
        path = self.folder / _STATE
        if not path.exists():
            return None
        tensors, header = read_weights(path), read_metadata(path)
        kept = {
            name.removeprefix(_SOLVER): tensor.clone()
            for name, tensor in tensors.items()
            if name.startswith(_SOLVER)
        }
        solver.restore(kept, header["solver"])
        if generator is not None:
            generator.set_state(tensors[_GENERATOR])
        steps = int(header["steps"])
        logger.info("%d steps are done.", steps)
        parts = [read_weights(part)[_LATENTS] for part in sorted(self._latents(steps).iterdir())]
        return steps, torch.cat(parts).transpose(0, 1)[None]

    def save(
        self, steps: int, latents: Tensor, solver: ClipSolver, generator: torch.Generator | None
    ) -> None:
        """Keep the latents after a step; see `denoise.Keeper`.

        They go into a folder of this step; the state, which names the step, is replaced when they are
        all there, and the folder of the step before goes last.
        """
        folder = self._latents(steps)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for number, part in enumerate(latents[0].transpose(0, 1).split(_FRAMES_OF_A_FILE)):
            write_weights(folder / f"{number:05d}.safetensors", {_LATENTS: part})
        tensors, text = solver.state()
        named = {_SOLVER + name: tensor for name, tensor in tensors.items()}
        if generator is not None:
            named[_GENERATOR] = generator.get_state()
        write_weights(self.folder / _STATE, named, {"steps": str(steps), "solver": text})
        for other in self.folder.glob(f"{_LATENTS}-*"):
            if other != folder:
                shutil.rmtree(other, ignore_errors=True)

    def _latents(self, steps: int) -> Path:
        return self.folder / f"{_LATENTS}-{steps}"

    @property
    def frames_done(self) -> int:
        """Frames in finished segments."""
        return SEGMENT_FRAMES * len(self._segments())

    def _segments(self) -> list[Path]:
        """Finished segments without a gap. Only the last of a clip is shorter: it is made again."""
        segments: list[Path] = []
        while (path := self._segment(len(segments))).exists():
            if count_stored_frames(path) < SEGMENT_FRAMES:
                break
            segments.append(path)
        return segments

    def _segment(self, number: int) -> Path:
        return self.folder / f"{number:05d}.mp4"

    def write(self, frames: Iterator[np.ndarray], fps: float, sound: Sound | None) -> int:
        """Write the rest of the frames in segments, then all of them into the output.

        Args:
            frames: (H, W, 3) uint8 each, from frame `frames_done` on.
            fps: Frames per second.
            sound: What is heard from frame 0 on; None is silent.

        Returns:
            Number of frames of the video.
        """
        segments = self._segments()
        count = len(segments) * SEGMENT_FRAMES
        while (first := next(frames, None)) is not None:
            path = self._segment(len(segments))
            piece = _chain(first, islice(frames, SEGMENT_FRAMES - 1))
            count += write_video(path, piece, fps)
            segments.append(path)
        join_videos(segments, self._output, fps, sound)
        return count


def _chain(first: np.ndarray, rest: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    yield first
    yield from rest


def _read_facts(path: Path) -> dict[str, str] | None:
    """What a run was begun with; None if there is none, or it was killed before it said so."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise MediaError(
            f"{path} cannot be read: {error}. Remove its folder to start over."
        ) from error


def weights_digest(networks: Iterable[nn.Module]) -> str:
    """A few characters that tell weights apart: of every tensor, its name, shape and some numbers."""
    digest = hashlib.sha256()
    for network in networks:
        for name, tensor in network.state_dict().items():
            digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
            flat = tensor.reshape(-1)
            some = flat[:: max(flat.numel() // _SAMPLED, 1)].float().cpu().contiguous()
            digest.update(some.numpy().tobytes())
    return digest.hexdigest()[:16]


def file_digest(path: Path) -> str:
    """A few characters that tell a file, or a folder of files, apart."""
    if path.is_dir():
        entries = sorted((p.name, p.stat().st_size) for p in path.iterdir())
        return hashlib.sha256(json.dumps(entries).encode()).hexdigest()[:16]
    if not path.exists():  # a pattern of names
        return "pattern"
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()[:16]
