"""Train the built-in person detector and keypoint estimator, and write them as ONNX.

Symbols: B examples, K keypoints.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...evaluation.metrics import mean_over_clip
from ...pose.detection import PoseDetector, load_pose_detector
from ...pose.keypoint_layouts import LAYOUTS
from ...pose.skeleton import BODY, FACE, LEFT_HAND, RIGHT_HAND
from ...progress import OnStep, silent
from .dancer_pictures import DancerPictures, render_pictures
from .part_recipes import muon_for_parts, part_of_work, train_part
from .pose_architectures import NUM_COCO, DetectorNetwork, EstimatorNetwork
from .pose_doubt import DoubtConfig, teach_doubt
from .pose_examples import BoxExamples, CropExamples, person_boxes, random_boxes, random_crops
from .pose_files import DETECTOR_FILE, ESTIMATOR_FILE, write_pose_networks

logger = logging.getLogger("animate_anyone")

# Joints that carry the pose count most; face and hands are small and many.
_DETAIL_WEIGHT = 0.3


@dataclass(frozen=True, kw_only=True)
class PoseNetworksConfig:
    """How to train the two networks.

    Attributes:
        seed: Of the first weights and the order.
        picture_size: Side of the pictures they learn from.
        num_characters: Characters to learn from.
        per_character: Pictures of each.
        free_poses: Share of pictures that show bodies bent as in no dance: without them the
            estimator takes a bow, which is danced in the test split only, for a back view.
        detector_steps: Steps of the detector.
        estimator_steps: Steps of the estimator.
        batch_size: Examples a step.
        learning_rate: Highest learning rate of the convolutions; a tenth of it elsewhere.
    """

    seed: int = 0
    picture_size: int = 128
    num_characters: int = 1600
    per_character: int = 6
    free_poses: float = 0.3
    detector_steps: int = 600
    estimator_steps: int = 8000
    batch_size: int = 24
    learning_rate: float = 0.03


def train_pose_networks(
    config: PoseNetworksConfig, output: Path, on_step: OnStep = silent
) -> tuple[DetectorNetwork, EstimatorNetwork]:
    """Train both networks, write `detector.onnx` and `estimator.onnx`; raise from `on_step` to stop.

    Raises:
        MissingDependencyError: If `onnx` is not installed.
    """
    torch.manual_seed(config.seed)
    rng = np.random.default_rng([808, config.seed])
    size = config.picture_size
    pictures = render_pictures(
        "train",
        config.num_characters,
        config.per_character,
        size,
        size,
        seed=size + 1,
        free_poses=config.free_poses,
    )
    boxes = person_boxes(pictures)
    detector, estimator = DetectorNetwork(), EstimatorNetwork()
    done, total = 0, config.detector_steps + config.estimator_steps
    learning: tuple[tuple[nn.Module, Callable, Callable, int], ...] = (
        (detector, random_boxes, detector_loss, config.detector_steps),
        (estimator, random_crops, estimator_loss, config.estimator_steps),
    )
    for network, draw, loss_of, num_steps in learning:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        train_part(
            type(network).__name__,
            network,
            (draw(pictures, boxes, config.batch_size, rng) for _ in count()),
            loss_of,
            muon_for_parts(config.learning_rate, num_steps),
            num_steps,
            is_inner=lambda _, weight: weight.ndim == 4 and weight.shape[1] > 4,
            on_step=part_of_work(on_step, done, total),
        )
        network.eval()
        done += num_steps
    write_pose_networks(detector, estimator, output, "builtin-pose", config)
    return detector, estimator


def detector_loss(network: DetectorNetwork, examples: BoxExamples) -> Tensor:
    """Ask for the right boxes at people's middles, and for people there and nowhere else."""
    pictures = examples.pictures.contiguous(memory_format=torch.channels_last)
    boxes, logits = network.find(pictures).float().split((4, 1), dim=1)
    middle = examples.person
    apart = F.smooth_l1_loss(boxes, examples.boxes, beta=0.1, reduction="none").sum(dim=1)
    box_loss = (apart * middle).sum() / middle.sum().clamp(min=1)
    person_loss = F.binary_cross_entropy_with_logits(logits[:, 0], middle, reduction="sum")
    return box_loss + person_loss / middle.sum().clamp(min=1)


def estimator_loss(network: EstimatorNetwork, examples: CropExamples) -> Tensor:
    """Ask for the right places, for sharp ones, and for which keypoints can be seen."""
    crops = examples.crops.contiguous(memory_format=torch.channels_last)
    points, logits, places = network.locate(crops)
    weight = examples.visible * keypoint_weights()
    total = weight.sum().clamp(min=1)
    apart = F.smooth_l1_loss(points, examples.points, beta=0.01, reduction="none").sum(dim=-1)
    sharpness = -(places * _spots(examples.points, places.shape[2:])).sum(dim=(2, 3))
    presence = F.binary_cross_entropy_with_logits(logits, examples.visible)
    return (20 * (apart * weight).sum() + 0.1 * (sharpness * weight).sum()) / total + 0.2 * presence


def keypoint_weights() -> Tensor:
    """Give (K,) weights: 1 for body and feet, less for the many points of face and hands."""
    weights = torch.full((NUM_COCO,), _DETAIL_WEIGHT)
    weights[:23] = 1.0
    return weights


def _spots(points: Tensor, size: torch.Size) -> Tensor:
    """Draw points (N, K, 2) as spots (N, K, h, w) of sum 1, one cell wide."""
    axes = []
    for axis, side in ((1, size[0]), (0, size[1])):
        cells = torch.arange(side) + 0.5
        axes.append(torch.exp(-((cells - points[..., axis, None] * side) ** 2) / 2))
    spots = axes[0][..., :, None] * axes[1][..., None, :]
    return spots / spots.sum(dim=(2, 3), keepdim=True).clamp(min=1e-6)


def measure_pose_networks(detector: PoseDetector, pictures: DancerPictures) -> dict[str, float]:
    """Detect people in single pictures and compare with the truth.

    Returns:
        `found`, the share of pictures with exactly one person; and mean distances of seen
        keypoints in percent of the person's height: `body` (with feet), `face`, `hands`.
    """
    boxes = person_boxes(pictures)
    in_layout = np.array([*LAYOUTS[NUM_COCO], 1])
    groups = {"body": range(BODY.start, 24), "face": range(FACE.start, FACE.stop)}
    groups["hands"] = range(LEFT_HAND.start, RIGHT_HAND.stop)
    errors: dict[str, list[np.ndarray]] = {name: [np.zeros(0)] for name in groups}
    alone = 0
    for index, frame in enumerate(pictures.frames):
        poses, _ = detector.detect(frame[None])
        people = np.flatnonzero((poses.scores[0] > 0).any(axis=-1))
        alone += len(people) == 1
        if len(people) == 0:
            continue
        height = boxes[index, 3] - boxes[index, 1]
        apart = np.linalg.norm(poses.points[0, people[0]] - pictures.points[index], axis=-1)
        usable = np.isin(np.arange(len(apart)), in_layout) & (pictures.scores[index] > 0)
        for name, members in groups.items():
            errors[name].append(100 * apart[members][usable[members]] / height)
    means = {name: mean_over_clip(np.concatenate(parts)) for name, parts in errors.items()}
    return {"found": alone / len(pictures.frames), **means}


def run_recipe(output: Path, on_step: OnStep = silent) -> None:
    """Train the built-in pose networks, doubt included, into `output`/pose; log how well they do."""
    folder = output / "pose"
    networks = train_pose_networks(PoseNetworksConfig(), folder, on_step)
    doubt = DoubtConfig()
    teach_doubt(*networks, doubt, on_step)
    write_pose_networks(*networks, folder, "builtin-pose", doubt, folder / "training.json")
    detector = load_pose_detector(folder / DETECTOR_FILE, folder / ESTIMATOR_FILE, "cpu")
    for size in (128, 256):
        scores = measure_pose_networks(detector, render_pictures("test", 40, 3, size, size))
        logger.info("pose networks on test dancers of %d pixels: %s", size, scores)
