"""LPIPS: the distance of pictures as a classification network sees them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch

from ..errors import MissingDependencyError, MissingWeightsError, ShapeError
from ..pixels import pixels_01
from ..progress import OnStep, silent

LPIPS_NETWORKS = ("alex", "vgg", "squeeze")
#: Below this the backbones have nothing left after their poolings.
SMALLEST_SIDE = 32


class Lpips:
    """The lpips package's network, an `lpips.LPIPS` of the named backbone, ready to compare clips."""

    def __init__(self, network: Any, name: str, device: torch.device | str = "cpu") -> None:
        self.name = name
        self._network = network.eval().to(device)
        self._device = device

    def distance(
        self,
        result: np.ndarray,
        truth: np.ndarray,
        mask: np.ndarray | None = None,
        on_step: OnStep = silent,
    ) -> float:
        """Mean distance over the frames of two clips.

        Args:
            result: (F, H, W, 3) uint8.
            truth: (F, H, W, 3) uint8.
            mask: (F, H, W) uint8; None takes the package's own mean, else the distance is mapped
                to pixels and averaged over the person. Frames without a person are left out.
            on_step: Called after each frame.

        Returns:
            NaN if the mask is empty in all frames.

        Raises:
            ShapeError: If frames are smaller than 32 pixels a side.
        """
        if min(truth.shape[1:3]) < SMALLEST_SIDE:
            raise ShapeError(
                f"LPIPS needs frames of at least {SMALLEST_SIDE} pixels a side, got "
                f"{truth.shape[2]}x{truth.shape[1]}."
            )
        self._network.spatial = mask is not None
        values = []
        for frame in range(len(truth)):
            one, other = (
                pixels_01(clip[frame : frame + 1]).to(self._device) for clip in (result, truth)
            )
            with torch.inference_mode():
                answer = self._network(one, other, normalize=True).cpu().double().numpy()
            if mask is None:
                values.append(answer.mean())
            elif (mask[frame] > 127).any():
                values.append(answer[0, 0][mask[frame] > 127].mean())
            on_step(frame + 1, len(truth))
        return float(np.mean(values)) if values else float("nan")


def load_lpips(name: str = "alex", device: torch.device | str = "cpu") -> Lpips:
    """Load LPIPS; the backbone's weights are downloaded by torchvision on first use.

    Args:
        name: One of `LPIPS_NETWORKS`. Papers on this task mostly use "vgg"; the package's own
            advice for measuring is "alex". Numbers of different backbones do not compare.
        device: Where it runs.

    Raises:
        MissingDependencyError: If lpips or torchvision is not installed.
        MissingWeightsError: If the backbone is neither here nor can be downloaded.
    """
    try:
        import lpips
    except ImportError as error:
        raise MissingDependencyError(
            "LPIPS needs the packages lpips and torchvision. Install them with: "
            "pip install lpips torchvision"
        ) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # lpips calls torchvision in an outdated way
            network = lpips.LPIPS(net=name, verbose=False)
    except (OSError, RuntimeError) as error:  # URLError is an OSError
        raise MissingWeightsError(
            f"LPIPS needs the weights of {name} that torchvision downloads, and that failed "
            f"({error}). Connect this machine once, or put the file into torch's hub cache."
        ) from error
    return Lpips(network, name, device)
