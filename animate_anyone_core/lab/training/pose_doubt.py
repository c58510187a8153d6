"""Teach the built-in pose networks what they do not know: their `known` parts, and nothing else.

Boxes, keypoints and which keypoints can be seen stay as they are: only scores fall, where no drawn
dancer is.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...checkpoints.builtin import built_in_pose_networks
from ...progress import OnStep, silent
from ..synthetic.strangers import make_stranger
from .dancer_pictures import render_pictures
from .doubt_examples import Gallery, KnownCrops, KnownPlaces, known_crops, known_places
from .onnx_export import read_onnx_weights
from .part_recipes import muon_for_parts, part_of_work, train_part
from .pose_architectures import DetectorNetwork, EstimatorNetwork
from .pose_files import write_pose_networks


@dataclass(frozen=True, kw_only=True)
class DoubtConfig:
    """How to teach doubt.

    Attributes:
        seed: Of the first weights, the pictures and the order.
        num_strangers: Pictures without a drawn dancer.
        num_characters: Characters to learn from, four pictures of each; a quarter of the characters in
            pictures of twice the size.
        picture_size: Side of the other pictures.
        detector_steps: Steps of the detector's part.
        estimator_steps: Steps of the estimator's part.
        batch_size: Examples a step.
        learning_rate: Highest learning rate of the convolutions; a tenth of it elsewhere.
        detector_lean: Added to what the detector's part says in the end, so that of a thousand dancers
            not one is lost; a stranger that is let through is still looked at by the estimator and by
            `pose.plausibility`.
        estimator_lean: Likewise for the estimator's.
    """

    seed: int = 1
    num_strangers: int = 1500
    num_characters: int = 320
    picture_size: int = 128
    detector_steps: int = 1000
    estimator_steps: int = 1500
    batch_size: int = 20
    learning_rate: float = 0.03
    detector_lean: float = 2.5
    estimator_lean: float = 1.5


def teach_doubt(
    detector: DetectorNetwork,
    estimator: EstimatorNetwork,
    config: DoubtConfig,
    on_step: OnStep = silent,
) -> None:
    """Train both `known` parts in place; raise from `on_step` to stop."""
    torch.manual_seed(config.seed)
    size = config.picture_size
    dancers = [
        render_pictures("train", number, 4, side, side, seed=config.seed + side, free_poses=0.3)
        for number, side in (
            (config.num_characters * 3 // 4, size),
            (config.num_characters // 4, 2 * size),
        )
    ]
    first = config.seed * 1_000_000
    strangers = [make_stranger(first + index, size, size) for index in range(config.num_strangers)]
    gallery = Gallery(dancers, strangers, np.random.default_rng([909, config.seed]))
    done, total = 0, config.detector_steps + config.estimator_steps
    learning: tuple[tuple[Any, Callable, Callable, int, float], ...] = (
        (detector, known_places, places_loss, config.detector_steps, config.detector_lean),
        (estimator, known_crops, crops_loss, config.estimator_steps, config.estimator_lean),
    )
    for network, draw, loss_of, num_steps, lean in learning:
        network.known.to(memory_format=torch.channels_last)
        train_part(
            f"doubt of {type(network).__name__}",
            network.known,
            (draw(gallery, config.batch_size) for _ in count()),
            partial(_loss_of_whole, network, loss_of),
            muon_for_parts(config.learning_rate, num_steps),
            num_steps,
            is_inner=lambda _, weight: weight.ndim == 4 and min(weight.shape[:2]) > 4,
            on_step=part_of_work(on_step, done, total),
        )
        with torch.no_grad():
            network.known[-1].bias += lean
        network.eval()
        done += num_steps


def _loss_of_whole(
    network: Any, loss_of: Callable[[Any, Any], Tensor], known: nn.Module, examples: Any
) -> Tensor:
    """The loss of a network of which only the part `known` learns."""
    return loss_of(network, examples)


def places_loss(network: DetectorNetwork, examples: KnownPlaces) -> Tensor:
    """Ask for certainty in the middle of drawn dancers, and for doubt where there is none."""
    pictures = examples.pictures.contiguous(memory_format=torch.channels_last)
    logits = network.tell(pictures).float()
    loss = F.binary_cross_entropy_with_logits(
        logits, examples.known, examples.counts, reduction="sum"
    )
    return loss / examples.known.sum().clamp(min=1)


def crops_loss(network: EstimatorNetwork, examples: KnownCrops) -> Tensor:
    """Ask whether crops show drawn dancers."""
    crops = examples.crops.contiguous(memory_format=torch.channels_last)
    return F.binary_cross_entropy_with_logits(network.tell(crops).float(), examples.known)


def run_recipe(output: Path, on_step: OnStep = silent) -> None:
    """Teach doubt to the pose networks that ship, and write all into `output`/pose."""
    config = DoubtConfig()
    torch.manual_seed(config.seed)
    detector, estimator = DetectorNetwork(), EstimatorNetwork()
    networks: tuple[Any, ...] = (detector, estimator)
    files = built_in_pose_networks()
    for network, path in zip(networks, files, strict=True):
        known = network.known
        network.known = nn.Identity()  # of the files only what finds people is taken
        read_onnx_weights(network, path)
        network.known = known
    teach_doubt(detector, estimator, config, on_step)
    before = files[0].parent / "training.json"
    write_pose_networks(detector, estimator, output / "pose", "builtin-pose-doubt", config, before)
