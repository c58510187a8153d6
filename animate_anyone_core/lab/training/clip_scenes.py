"""Scenes from real clips: a reference, targets, and one random crop for all of them."""

import logging
from copy import deepcopy
from pathlib import Path

import numpy as np

from ...errors import AnimateAnyoneError, MissingDependencyError, SettingsError
from ...media.file_part import FilePlace
from ...pose.drawing import draw_frames
from .clip_files import Clip, clip_at_hand, count_both, find_clips, read_frames
from .config import DataConfig
from .cuts import Cut
from .far_clips import kept_clips
from .frame_seeking import FrameIndex, index_frames, read_cuts
from .packed_poses import PackedPoses
from .pose_arrays import load_picks
from .remote import Remote, as_place
from .remote_parts import ElsewhereError
from .scenes import Scene, picture_rng
from .shard_index import is_shards, read_shards

logger = logging.getLogger("animate_anyone")

_MOST_TRIES = 20
# Clips whose frames' places a process remembers: 500 frames take 4 kB.
_MOST_INDEXES = 20_000


class ClipScenes:
    """Scenes from clips on disk, in folders or in shards, or in shards elsewhere.

    Clips that cannot be used (unreadable, poses of another length, shorter than the window) are
    left out with a warning that counts them. A frame that turns out to be damaged later is warned
    about, and another clip is taken in its place: which one follows from the scene's number. What is
    elsewhere and cannot be had ends the run: whether a connection holds must not decide what is learned.

    Args:
        config: Where the clips are and how they are cut.
        stage: 1 takes single pictures apart from the reference, 2 a window of neighbours.
        seed: Another seed gives other choices.

    Raises:
        SettingsError: If no clip can be used.
        ElsewhereError: If shards elsewhere cannot be read.
        MissingDependencyError: If a package is missing that reaches there.
    """

    def __init__(self, config: DataConfig, stage: int, seed: int) -> None:
        assert config.path is not None
        self._config, self.stage, self.seed = config, stage, seed
        self._reported: set[Clip] = set()
        self._indexes: dict[FilePlace, FrameIndex | None] = {}
        self._clips: list[tuple[Clip, int]] = []  # with the number of its frames
        reasons: list[str] = []
        self._kept = kept_clips(config.fetch_gb)
        place = as_place(config.path)
        if is_shards(place):
            clips = read_shards(place)
        else:
            assert not isinstance(place, Remote)
            clips = find_clips(place)
        for clip in clips:
            try:
                self._clips.append((clip, self._usable_frames(clip)))
            except AnimateAnyoneError as error:
                reasons.append(str(error))
        if not self._clips:
            raise SettingsError(
                f"None of the {len(clips)} clips in {config.path} can be used. The first: "
                f"{reasons[0]}"
            )
        for reason in reasons[:5]:
            logger.warning("Left out: %s", reason)
        if reasons:
            logger.warning("%d of %d clips are left out.", len(reasons), len(clips))

    def __len__(self) -> int:
        return len(self._clips)

    def scene(self, index: int, num_frames: int) -> Scene:
        """See `SceneSource`.

        Raises:
            SettingsError: If clip after clip turns out to be damaged.
            ElsewhereError: If one cannot be fetched.
        """
        rng = picture_rng(self.seed, index)
        problem: Exception | None = None
        for _ in range(_MOST_TRIES):
            clip, length = self._clips[int(rng.integers(len(self._clips)))]
            try:
                with clip_at_hand(clip, self._kept) as local:
                    return self._read(clip, local, length, num_frames, rng)
            except (ElsewhereError, MissingDependencyError):
                raise
            except (AnimateAnyoneError, OSError) as error:
                problem = error
                if clip not in self._reported:
                    self._reported.add(clip)
                    logger.warning("Skipped a sample of %s: %s", clip.frames.name, error)
        raise SettingsError(
            f"{_MOST_TRIES} clips in a row could not be read. The last problem: {problem}"
        )

    def _usable_frames(self, clip: Clip) -> int:
        count = count_both(clip)
        needed = self._config.num_frames if self.stage != 1 else 2
        if count < needed:
            raise SettingsError(
                f"{clip.frames.name} has {count} frames, training needs at least {needed}. Lower "
                "data.num_frames or leave the clip out."
            )
        return count

    def _read(
        self, clip: Clip, local: Clip, length: int, num_frames: int, rng: np.random.Generator
    ) -> Scene:
        config = self._config
        if self.stage == 1:
            picks = _apart(length, num_frames - 1, config.sample_margin, rng)
        else:
            window = _window(length, num_frames - 1, config.frame_stride, rng)
            picks = [int(rng.integers(length)), *window]
        index = self._index_of(clip.frames, local.frames)
        if index is None:
            whole = read_frames(local.frames, picks)
            size = (whole[0].shape[1], whole[0].shape[0])
        else:
            size = index.size
        # a copy draws the box: where reading fails, what is drawn next does not depend on it
        cut = Cut(_crop_box(*size, config, deepcopy(rng)), (config.width, config.height))
        if index is None:
            frames = [cut.of_whole(frame) for frame in whole]
        else:
            frames = read_cuts(local.frames, index, picks, cut, config.decoder_threads)
        return Scene(np.stack(frames), np.stack(self._skeletons(clip, local, picks, cut, size)))

    def _skeletons(
        self, clip: Clip, local: Clip, picks: list[int], cut: Cut, size: tuple[int, int]
    ) -> list[np.ndarray]:
        place = local.poses
        if isinstance(place, PackedPoses):
            poses = place.load(picks)
        elif isinstance(place, Path) and place.suffix == ".json":
            poses = load_picks(place, picks, size)
        else:
            assert not isinstance(clip.poses, PackedPoses)
            index = self._index_of(clip.poses, place)
            if index is None:
                return [cut.of_whole(frame) for frame in read_frames(place, picks)]
            return read_cuts(place, index, picks, cut, self._config.decoder_threads)
        drawn = draw_frames(poses, self._config.drawing, size)
        return [cut.of_whole(skeleton) for skeleton in drawn]

    def _index_of(self, path: FilePlace, place: FilePlace) -> FrameIndex | None:
        """Where a video's frames are, found once; None for pictures, or if seeking is no way.

        Args:
            path: The video, as clips name it.
            place: The same on this machine.
        """
        if isinstance(place, Path) and place.is_dir():
            return None
        if path not in self._indexes:
            while len(self._indexes) >= _MOST_INDEXES:
                del self._indexes[next(iter(self._indexes))]
            self._indexes[path] = index_frames(place)
        return self._indexes[path]


def _apart(count: int, targets: int, margin: int, rng: np.random.Generator) -> list[int]:
    """A reference, and targets at least `margin` frames from it where the clip is long enough."""
    reference = int(rng.integers(count))
    margin = min(margin, count - 1)
    after, before = range(reference + margin, count), range(0, reference - margin + 1)
    choice = after or before or [i for i in range(count) if i != reference]
    return [reference, *(int(rng.choice(choice)) for _ in range(targets))]


def _window(count: int, length: int, stride: int, rng: np.random.Generator) -> list[int]:
    """A window of `length` frames, evenly spread over at most (length - 1)·stride + 1 frames."""
    span = min(count, (length - 1) * stride + 1)
    start = int(rng.integers(count - span + 1))
    return [int(i) for i in np.linspace(start, start + span - 1, length)]


def _crop_box(
    width: int, height: int, config: DataConfig, rng: np.random.Generator
) -> tuple[float, float, float, float]:
    """A box (left, top, right, bottom) in [0, 1], the same for pictures and skeletons.

    Its area is `crop_scale` to 1 of the picture, its aspect ratio `crop_ratio` to 1 times that of
    the wanted size; if none of ten fits, the largest centred box of the wanted aspect ratio.
    """
    target = config.width / config.height
    for _ in range(10):
        area = width * height * rng.uniform(config.crop_scale, 1.0)
        ratio = target * rng.uniform(config.crop_ratio, 1.0)
        w, h = np.sqrt(area * ratio) / width, np.sqrt(area / ratio) / height
        if w <= 1 and h <= 1:
            left, top = rng.uniform(0, 1 - w), rng.uniform(0, 1 - h)
            return float(left), float(top), float(left + w), float(top + h)
    w = min(1.0, target * height / width)
    h = min(1.0, width / (target * height))
    return (1 - w) / 2, (1 - h) / 2, (1 + w) / 2, (1 + h) / 2
