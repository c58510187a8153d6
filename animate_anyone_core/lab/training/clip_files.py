"""Real clips on disk: which there are, and single frames of them.

Known layouts, `path` being a folder or a JSON file:

    meta.json                          a list of {"video_path", "kps_path"} (Moore-AnimateAnyone's)
    clips/a.mp4    clips_dwpose/a.mp4  skeleton videos in a sibling folder, same relative names;
                                       `path` may be `clips` or a folder above it
    clips/a.mp4    clips/a.json        poses beside the video (ours, POSE_KEYPOINT or OpenPose's)
    clips/a/0.png  clips_dwpose/a/0.png         folders of frames (UBC), skeletons in a sibling
    clips/a/images/0.png  clips/a/dwpose/0.png  folders of frames (TikTok, Champ); or poses/
    clips/a/0.png  clips/a.json        folders of frames with poses beside

Shards are of `shard_index`.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...borders import limits
from ...borders.json_text import read_json_file
from ...errors import MediaError, SettingsError
from ...images import pictures_in, read_picture
from ...media.file_part import FilePart, FilePlace
from ...video import VIDEO_SUFFIXES, count_stored_frames, stored_frames, stored_rate
from .far_clips import FarPart, part_at_hand
from .fetched_files import FetchedFiles
from .packed_poses import PackedPoses
from .pose_arrays import count_poses

logger = logging.getLogger("animate_anyone")

_POSE_FOLDERS = ("dwpose", "poses", "pose", "openpose")
_SIBLINGS = ("_dwpose", "_poses", "_pose")


@dataclass(frozen=True)
class Clip:
    """One clip.

    Attributes:
        frames: A video, or a folder of pictures.
        poses: A skeleton video, a folder of skeleton pictures, a JSON file of poses, or arrays of
            them within a shard.
        num_frames: Frames of both, where an index tells; None if they are to be counted.
        far: What holds both, where that is elsewhere: frames and poses are parts of it, once it is here.
    """

    frames: FilePlace
    poses: FilePlace | PackedPoses
    num_frames: int | None = None
    far: FarPart | None = None


def moved(clip: Clip, whole: Path, by: int = 0, far: FarPart | None = None) -> Clip:
    """A clip that lies in one file, in another one: each part so many bytes further on."""

    def in_it(part: FilePlace) -> FilePart:
        assert isinstance(part, FilePart)
        return part._replace(whole=whole, start=part.start + by)

    poses = clip.poses
    if isinstance(poses, PackedPoses):
        poses = poses._replace(points=in_it(poses.points), scores=in_it(poses.scores))
    else:
        poses = in_it(poses)
    return Clip(in_it(clip.frames), poses, clip.num_frames, far)


@contextmanager
def clip_at_hand(clip: Clip, kept: FetchedFiles) -> Iterator[Clip]:
    """A clip that can be read on this machine, fetched if it is elsewhere.

    Raises:
        ElsewhereError: If it cannot be fetched.
        MissingDependencyError: If a package is missing that reaches there.
    """
    if clip.far is None:
        yield clip
        return
    with part_at_hand(clip.far, kept) as path:
        yield moved(clip, path)


def find_clips(path: Path | str) -> list[Clip]:
    """List the clips of a folder or of a JSON list, in a fixed order.

    What has no poses is left out of a folder, with a warning that counts it.

    Raises:
        SettingsError: If there is nothing of that name, or nothing in a known layout.
    """
    path = Path(path)
    if path.is_file():
        return _from_list(path)
    if not path.is_dir():
        raise SettingsError(f"data.path: there is no file or folder {path}.")
    clips, without = [], []
    for place in sorted(path.rglob("*"), key=str):
        is_video = place.suffix.lower() in VIDEO_SUFFIXES and place.is_file()
        if not is_video and not (place.is_dir() and pictures_in(place)):
            continue
        if place.name in _POSE_FOLDERS:
            continue
        poses = _poses_of(place, path)
        if poses is not None:
            clips.append(Clip(place, poses))
        elif _is_source(place) and not _holds_poses(place.relative_to(path)):
            without.append(place)
    if not clips:
        raise SettingsError(
            f"data.path: {path} holds no clips with poses. Put the poses of clips/a.mp4 into "
            "clips/a.json, or its skeleton video into clips_dwpose/a.mp4; folders of frames "
            "likewise (clips/a/images, clips/a/dwpose). The command `prepare --videos "
            f"{path}` finds the poses."
        )
    if without:
        logger.warning(
            "%d of %d clips have no poses and are left out, such as %s. "
            "The command `prepare --videos %s` finds them.",
            len(without),
            len(without) + len(clips),
            without[0].relative_to(path),
            path,
        )
    return clips


def find_sources(path: Path | str) -> list[Path]:
    """List the videos and folders of frames at a place, whether they have poses or not.

    Where frames lie in `images`, its neighbours (masks, depths, poses) are no clips.

    Raises:
        SettingsError: If there is nothing of that name, or no clip.
    """
    path = Path(path)
    if _is_source(path):
        return [path]
    places = sorted(path.rglob("*"), key=str)
    clips = [p for p in places if _is_source(p) and not _holds_poses(p.relative_to(path))]
    if not clips:
        what = "holds no videos and no folders of pictures" if path.is_dir() else "is no video"
        raise SettingsError(f"{path} {what if path.exists() else 'does not exist'}.")
    return clips


def _is_source(place: Path) -> bool:
    if place.is_file():
        return place.suffix.lower() in VIDEO_SUFFIXES
    is_beside_images = place.name != "images" and (place.parent / "images").is_dir()
    return place.is_dir() and not is_beside_images and bool(pictures_in(place))


def _holds_poses(relative: Path) -> bool:
    return any(part.endswith(_SIBLINGS) or part in _POSE_FOLDERS for part in relative.parts)


def count_frames(path: Path) -> int:
    """How many frames a video, a folder of pictures or a file of poses has.

    Raises:
        MediaError, PoseError: If it cannot be read.
    """
    if path.is_dir():
        return len(pictures_in(path))
    if path.suffix == ".json":
        return count_poses(path)
    return count_stored_frames(path)


def count_both(clip: Clip) -> int:
    """How many frames a clip and its poses have.

    Raises:
        SettingsError: If they do not have as many.
        MediaError, PoseError: If they cannot be read.
    """
    if clip.num_frames is not None:
        return clip.num_frames
    assert isinstance(clip.frames, Path)
    assert isinstance(clip.poses, Path)
    count, poses = count_frames(clip.frames), count_frames(clip.poses)
    if count != poses:
        raise SettingsError(
            f"{clip.frames.name} has {count} frames, its poses {clip.poses.name} have {poses}. "
            "Detect the poses again."
        )
    return count


def frame_rate(path: Path) -> float | None:
    """Frames per second of a video; None for pictures, or if it does not tell."""
    if path.is_dir():
        return None
    return stored_rate(path)


def iterate_frames(path: Path) -> Iterator[np.ndarray]:
    """All frames (H, W, 3) uint8 of a video or a folder of pictures, one after the other.

    Raises:
        MediaError: If one of them cannot be read.
    """
    if path.is_dir():
        yield from (np.asarray(read_picture(picture)) for picture in pictures_in(path))
        return
    yield from (frame for _, frame in stored_frames(path))


def read_frames(path: FilePlace, indices: list[int]) -> list[np.ndarray]:
    """Read single frames (H, W, 3) uint8 of a video or a folder of pictures.

    Raises:
        MediaError: If one of them cannot be read.
    """
    if isinstance(path, Path) and path.is_dir():
        pictures = pictures_in(path)
        return [np.asarray(read_picture(pictures[index])) for index in indices]
    numbers = set(indices)
    decoded = dict(stored_frames(path, numbers))
    missing = sorted(numbers - set(decoded))
    if missing:
        raise MediaError(f"{path.name} ends before frame {missing[0]}: it is cut short.")
    return [decoded[index] for index in indices]


def _from_list(path: Path) -> list[Clip]:
    try:
        entries = read_json_file(path, SettingsError, limits.JSON_BYTES)
        clips = [
            Clip(_listed(path.parent, entry["video_path"]), _listed(path.parent, entry["kps_path"]))
            for entry in entries
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingsError(
            f'data.path: {path.name} must be a JSON list of {{"video_path", "kps_path"}}; '
            f"{type(error).__name__}: {error}."
        ) from error
    if not clips:
        raise SettingsError(f"data.path: {path.name} lists no clips.")
    return clips


def _listed(folder: Path, name: str) -> Path:
    """The place that a list in this folder names, also one that was written on Windows."""
    place = folder / name
    return place if place.exists() else folder / name.replace("\\", "/")


def _poses_of(place: Path, root: Path) -> Path | None:
    candidates = [place.with_name(f"{place.stem if place.is_file() else place.name}.json")]
    folders = (folder for folder in place.parents if folder.is_relative_to(root))
    candidates += [
        folder.with_name(folder.name + ending) / place.relative_to(folder)
        for folder in folders
        for ending in _SIBLINGS
    ]
    if place.is_dir():
        candidates += [place.parent / name for name in _POSE_FOLDERS if place.name == "images"]
    return next((candidate for candidate in candidates if candidate.exists()), None)
