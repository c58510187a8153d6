"""How near videos are to each other as distributions: FVD, and a simple distance without a network.

Symbols: N clips, F frames, H W pixels, D features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from ..borders.json_text import read_json_file
from ..errors import CheckpointError, ShapeError
from ..pixels import pixels_01, signed_from_unit, unit_from_signed
from .picture_features import IMAGENET_MEAN, IMAGENET_STD, load_torchscript
from .pretrained import load_pretrained

#: Features (N, D) of clips (N, 3, F, 224, 224) in [-1, 1].
VideoFeatures = Callable[[torch.Tensor], torch.Tensor]

FVD_FRAMES = 16
#: With fewer clips than this a covariance of 400 features says little; papers use thousands.
FVD_FEW_CLIPS = 256
_SIDE = 224


def load_i3d(path: Path | str, device: torch.device | str = "cpu") -> VideoFeatures:
    """Load the I3D network of FVD from the TorchScript file most papers use.

    Args:
        path: `i3d_torchscript.pt`, see StyleGAN-V. It is not shipped and not downloaded.
        device: Where it runs.

    Raises:
        CheckpointError: If there is no such file or it is no TorchScript network.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(
            f"There is no I3D file {path}. FVD needs i3d_torchscript.pt (Kinetics-400, as shared "
            "by StyleGAN-V); download it and give its path, or leave FVD out."
        )
    network = load_torchscript(path, device, " FVD needs i3d_torchscript.pt.")

    def features(clips: torch.Tensor) -> torch.Tensor:
        try:
            with torch.inference_mode():
                # Raw logits, and no scaling inside: as in StyleGAN-V's and the original FVD.
                return network(clips.to(device), rescale=False, resize=False, return_features=True)
        except RuntimeError as error:
            raise CheckpointError(
                f"{path.name} cannot be run as the I3D network of FVD, which is called with clips "
                f"{tuple(clips.shape)} and rescale, resize, return_features. FVD needs "
                f"i3d_torchscript.pt. PyTorch says: {str(error).strip().splitlines()[-1]}"
            ) from error

    return features


def load_videomae(folder: Path | str, device: torch.device | str = "cpu") -> VideoFeatures:
    """Load VideoMAE, whose distance minds motion more than I3D's (Ge et al., arXiv 2404.12391).

    Args:
        folder: In transformers' layout, of any size, pretrained or finetuned.
        device: Where it runs.

    Returns:
        The mean of the last layer's tokens, of clips (N, 3, F, 224, 224) in [-1, 1].

    Raises:
        CheckpointError: If there is no such network, or it takes clips of another length.
    """
    folder = Path(folder)
    config = read_json_file(folder / "config.json", CheckpointError)
    if not isinstance(config, dict) or config.get("model_type") != "videomae":
        raise CheckpointError(
            f"{folder} holds no VideoMAE: its config.json must have model_type videomae."
        )
    from transformers import VideoMAEModel

    network = load_pretrained(VideoMAEModel, folder, "VideoMAE")
    network = network.eval().to(device)
    expected = (network.config.num_frames, network.config.image_size)
    if expected != (FVD_FRAMES, _SIDE):
        raise CheckpointError(
            f"{folder} takes {expected[0]} frames of {expected[1]} pixels; clips of {FVD_FRAMES} "
            f"frames of {_SIDE} are compared."
        )
    mean, std = (torch.tensor(v)[:, None, None, None] for v in (IMAGENET_MEAN, IMAGENET_STD))

    @torch.inference_mode()
    def features(clips: torch.Tensor) -> torch.Tensor:
        pixels = (unit_from_signed(clips) - mean) / std
        tokens = network(pixel_values=pixels.transpose(1, 2).to(device)).last_hidden_state
        return tokens.mean(dim=1)

    return features


def cut_clips(frames: np.ndarray, length: int = FVD_FRAMES, hop: int = 8) -> list[np.ndarray]:
    """Cut a video into clips of equal length; a rest at the end is left out.

    Args:
        frames: (F, H, W, 3).
        length: Frames per clip.
        hop: Frames from the start of one clip to the start of the next.
    """
    return [frames[start : start + length] for start in range(0, len(frames) - length + 1, hop)]


def frechet_distance(one: np.ndarray, other: np.ndarray) -> float:
    """Squared Frechet distance between normal distributions fitted to features (N, D) and (M, D).

    Raises:
        ShapeError: If a set has fewer than two members or the numbers of features differ.
    """
    if min(len(one), len(other)) < 2 or one.shape[1:] != other.shape[1:]:
        raise ShapeError(
            "A Frechet distance needs at least 2 samples on each side with equally many features, "
            f"got {one.shape} and {other.shape}."
        )
    difference = one.mean(axis=0) - other.mean(axis=0)
    sigma = np.atleast_2d(np.cov(one, rowvar=False))
    tau = np.atleast_2d(np.cov(other, rowvar=False))
    # The trace of sqrt(sigma tau) by symmetric matrices only: stays real with few samples.
    values, vectors = np.linalg.eigh(sigma)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    between = np.linalg.eigvalsh(root @ tau @ root)
    cross = np.sqrt(np.maximum(between, 0.0)).sum()
    distance = difference @ difference + np.trace(sigma) + np.trace(tau) - 2.0 * cross
    return float(max(distance, 0.0))


def block_distance(results: Sequence[np.ndarray], truths: Sequence[np.ndarray]) -> float:
    """Fréchet distance between the blocks of two sets of clips, whatever their features.

    Args:
        results: Features (N, D) of each result, see `random_features` and `motion_features`.
        truths: Features of each truth.

    Returns:
        Squared distance, at least 0. Each feature is measured in its deviation over the truths; one
        that hardly varies there in a twentieth of the largest, and all as they are if none varies.

    Raises:
        ShapeError: If there are fewer than two blocks.
    """
    one, other = np.concatenate(results), np.concatenate(truths)
    deviation = other.std(axis=0)
    largest = deviation.max()
    deviation = np.maximum(deviation, 0.05 * largest) if largest > 0 else np.ones_like(deviation)
    return frechet_distance(one / deviation, other / deviation)


def clip_features(clips: Sequence[np.ndarray], features: VideoFeatures) -> np.ndarray:
    """Features (N, D) of N clips (F, H, W, 3) uint8; (0, 0) for none.

    FVD, the Frechet video distance, is the `frechet_distance` of those of results and truths, all of
    equal length. Frames are resized whole to 224 x 224 (bilinear), as in the original FVD. The number
    depends on how many clips go in: compare only equal numbers, and not with papers below some
    hundreds.

    Raises:
        CheckpointError: If the network cannot be run as the I3D file is.
    """
    rows = [features(_clip_input(clip)).cpu().double().numpy() for clip in clips]
    return np.concatenate(rows) if rows else np.zeros((0, 0))


def _clip_input(clip: np.ndarray) -> torch.Tensor:
    """(F, H, W, 3) uint8 -> (1, 3, F, 224, 224) in [-1, 1]."""
    frames = torch.nn.functional.interpolate(
        pixels_01(clip), size=(_SIDE, _SIDE), mode="bilinear", align_corners=False
    )
    return signed_from_unit(frames.permute(1, 0, 2, 3)[None])


def temporal_difference_distance(result: np.ndarray, truth: np.ndarray) -> float:
    """How differently two videos change over time, as distributions and without a network.

    The pictures are averaged over blocks of 8 pixels, without a rest at the right and bottom; in each
    block and channel the changes from frame to frame of both videos are compared as distributions
    (1-Wasserstein distance, which for equally many values is the mean difference of the sorted
    values); the mean over blocks is returned. It is 0 if every place changes as much and as often as
    in the truth, in whatever order. It sees flicker, freezing and drift; it does not see what the
    pictures show. It is no FVD.

    Returns:
        A distance on a scale of 0..1; NaN for a clip of one frame.
    """
    if len(truth) < 2:
        return float("nan")
    block = min(8, *truth.shape[1:3])
    changes = [np.sort(np.diff(_blocks(clip, block), axis=0), axis=0) for clip in (result, truth)]
    return float(np.abs(changes[0] - changes[1]).mean())


def _blocks(clip: np.ndarray, block: int) -> np.ndarray:
    """Block means (F, h, w, 3) on a scale of 0..1."""
    frames, height, width, channels = clip.shape
    h, w = height // block, width // block
    cut = clip[:, : h * block, : w * block].reshape(frames, h, block, w, block, channels)
    return cut.mean(axis=(2, 4)) / 255.0
