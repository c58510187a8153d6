"""The networks behind the built-in pose files: a person detector and a keypoint estimator.

Both take and give what the published files do, and shrink the picture to a quarter first, because
the dancers are simple and the files shall be small. Each has a small part beside, `known`, that only
tells drawn dancers from everything else: it lowers the scores, and moves no box and no keypoint.

Symbols: N pictures or crops, C channels, K keypoints, h w cells of a feature map.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

#: Inputs of the published files: (H, W) of the estimator, side of the detector.
CROP_SIZE = (384, 288)
DETECTOR_SIDE = 640
#: Both networks look at pictures this many times smaller.
SHRINK = 4
NUM_COCO = 133
#: The only resolution of three at which the detector finds anybody, in input pixels.
STRIDE = 32
RGB_MEAN = (123.675, 116.28, 103.53)
RGB_STD = (58.395, 57.12, 57.375)

_CELLS_OF_FINER_STRIDES = (DETECTOR_SIDE // 8) ** 2 + (DETECTOR_SIDE // 16) ** 2
_YOLOX_COLUMNS = 85
# Cells of one dancer are all as well known as the best of so many: which of its boxes is taken stays as
# it would be without doubt.
_NEAR = 9
_PEAK_WIDTH = 6.0  # standard deviation of the written peaks, in bins


class _Step(nn.Sequential):
    """Convolution, norm, ReLU."""

    def __init__(self, inner: int, outer: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inner, outer, 3, stride, dilation, dilation, bias=False),
            nn.BatchNorm2d(outer),
            nn.ReLU(inplace=True),
        )


class _Block(nn.Module):
    """Two convolutions beside the identity."""

    def __init__(self, channels: int, dilation: int = 1) -> None:
        super().__init__()
        self.first = _Step(channels, channels, dilation=dilation)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, features: Tensor) -> Tensor:
        return F.relu(features + self.norm(self.second(self.first(features))))


class DetectorNetwork(nn.Module):
    """Finds people like a YOLOX file: `images` (1, 3, 640, 640) BGR to `output` (1, 8400, 85)."""

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _Step(3, 16, stride=2),
            _Step(16, 24, stride=2),
            _Block(24),
            _Step(24, width, stride=2),
            *(_Block(width, dilation) for dilation in (1, 2, 4, 2, 1)),
        )
        self.head = nn.Conv2d(width, 5, 1)
        self.known = nn.Sequential(
            _Step(3, 16, stride=2),
            _Step(16, 24, stride=2),
            _Block(24),
            _Step(24, 40, stride=2),
            *(_Block(40, dilation) for dilation in (1, 2, 4)),
            nn.Conv2d(40, 1, 1),
        )
        with torch.no_grad():  # a person fills some cells, most cells are nobody's
            self.head.bias.copy_(torch.tensor([0.0, 0.0, 2.0, 2.0, -4.0]))  # type: ignore[union-attr]

    def find(self, small: Tensor) -> Tensor:
        """Look at shrunk pictures (N, 3, 160, 160) BGR, 0..255.

        Returns:
            (N, 5, h, w): offsets of the middle to the cell and logarithms of the sides, in
            strides; the logit that a person's middle is near.
        """
        return self.head(self.body(small / 64.0 - 2.0))

    def tell(self, small: Tensor) -> Tensor:
        """The logit (N, h, w) that what is near is a drawn dancer, for pictures as in `find`."""
        return self.known(small / 64.0 - 2.0)[:, 0]

    def forward(self, images: Tensor) -> Tensor:
        """What the file computes; at the finer strides it says that nobody is there."""
        small = F.avg_pool2d(images, SHRINK)
        cells = self.find(small).flatten(2).transpose(1, 2)  # (1, 400, 5)
        near = F.max_pool2d(torch.sigmoid(self.tell(small))[:, None], _NEAR, 1, _NEAR // 2)
        known = near.flatten(2).transpose(1, 2)
        person = torch.sigmoid(cells[..., 4:5]) * known
        rows = torch.cat([cells[..., :4], person, torch.ones_like(person)], dim=-1)
        missing = _YOLOX_COLUMNS - rows.shape[-1]
        return F.pad(rows, (0, missing, _CELLS_OF_FINER_STRIDES, 0))


class EstimatorNetwork(nn.Module):
    """Finds keypoints like a DWPose file: `input` (N, 3, 384, 288) to SimCC curves of 133 points."""

    def __init__(self, widths: tuple[int, int, int, int] = (32, 48, 64, 96)) -> None:
        super().__init__()
        fine, middle, coarse, coarsest = widths
        self.fine = nn.Sequential(_Step(3, fine, stride=2), _Block(fine))
        self.middle = nn.Sequential(
            _Step(fine, middle, stride=2), *(_Block(middle) for _ in range(3))
        )
        self.coarse = nn.Sequential(
            _Step(middle, coarse, stride=2), *(_Block(coarse) for _ in range(3))
        )
        self.coarsest = nn.Sequential(
            _Step(coarse, coarsest, stride=2), _Block(coarsest), _Block(coarsest)
        )
        self.up_coarse = nn.Conv2d(coarsest, coarse, 1)
        self.up_middle = nn.Conv2d(coarse, middle, 1)
        self.merge_coarse = _Block(coarse)
        self.merge_middle = _Block(middle)
        self.heat = nn.Conv2d(middle, NUM_COCO, 1)
        self.presence = nn.Linear(coarsest, NUM_COCO)
        self.known = nn.Sequential(
            _Step(3, 16, stride=2),
            _Block(16),
            _Step(16, 32, stride=2),
            _Block(32),
            _Step(32, 48, stride=2),
            _Block(48),
            _Step(48, 64, stride=2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(64, 1),
        )

    def locate(self, small: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Look at shrunk crops (N, 3, 96, 72), normalised RGB.

        Returns:
            Points (N, K, 2) as shares of the crop's width and height, logits (N, K) that a
            keypoint can be seen, and log probabilities (N, K, h, w) of where it is.
        """
        middle = self.middle(self.fine(small))
        coarse = self.coarse(middle)
        coarsest = self.coarsest(coarse)
        coarse = self.merge_coarse(coarse + _enlarged(self.up_coarse(coarsest), coarse))
        middle = self.merge_middle(middle + _enlarged(self.up_middle(coarse), middle))
        heat = self.heat(middle).float()
        places = heat.flatten(2).log_softmax(dim=-1).unflatten(2, heat.shape[2:])
        share = places.exp()
        x = (share.sum(dim=2) * _cell_middles(heat.shape[3], heat)).sum(dim=-1)
        y = (share.sum(dim=3) * _cell_middles(heat.shape[2], heat)).sum(dim=-1)
        logits = self.presence(coarsest.mean(dim=(2, 3))).float()
        return torch.stack([x, y], dim=-1), logits, places

    def tell(self, small: Tensor) -> Tensor:
        """The logit (N,) that a crop shows a drawn dancer, for crops as in `locate`."""
        return self.known(small)[:, 0]

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """What the file computes: a bell curve at every place, as high as it is sure."""
        small = F.avg_pool2d(crops, SHRINK)
        points, logits, _ = self.locate(small)
        height = (torch.sigmoid(logits) * torch.sigmoid(self.tell(small))[:, None])[..., None]
        return (
            height * _peaks(points[..., 0], 2 * CROP_SIZE[1]),
            height * _peaks(points[..., 1], 2 * CROP_SIZE[0]),
        )


def _enlarged(features: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(features, like.shape[2:], mode="nearest")


def _cell_middles(count: int, like: Tensor) -> Tensor:
    return (torch.arange(count, dtype=like.dtype, device=like.device) + 0.5) / count


def _peaks(places: Tensor, bins: int) -> Tensor:
    """Write places (N, K) in [0, 1] as bell curves (N, K, bins)."""
    position = torch.arange(bins, dtype=places.dtype, device=places.device)
    return torch.exp(-((position - places[..., None] * bins) ** 2) / (2 * _PEAK_WIDTH**2))
