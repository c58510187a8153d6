"""The pack's own socket types, and what travels on them."""

from dataclasses import dataclass, replace
from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..animate_anyone_core.checkpoints.report import LoadReport
from ..animate_anyone_core.models.references import Reference
from ..animate_anyone_core.sampling.strength import FULL_STRENGTH, StrengthWindow

ReferenceNetSocket = io.Custom("AA_REFERENCE_NET")
PoseGuiderSocket = io.Custom("AA_POSE_GUIDER")
ReferenceSocket = io.Custom("AA_REFERENCE")
PoseSocket = io.Custom("AA_POSE")

CATEGORY = "Animate Anyone"
CONTROL_CATEGORY = f"{CATEGORY}/control"

#: `extra_dict` of inputs that hardly anybody touches: pages fold them away. As a keyword of its own
#: ComfyUI knows `advanced` from 0.10 only; so written, the page of any supported version reads it.
ADVANCED = {"advanced": True}


def output(socket: Any, output_id: str) -> Any:
    """An output called by its id; `_out` behind it, where an input has that id, is not shown."""
    return socket.Output(output_id, display_name=output_id.removesuffix("_out"))


@dataclass(frozen=True)
class NetworkHandle:
    """A network under ComfyUI's memory manager.

    Attributes:
        patcher: Holds the network; ComfyUI moves and frees it.
        compute_dtype: What the network computes in.
        report: What was loaded.
        size: Width and height of the videos its model was made for; None if nothing says it.
    """

    patcher: Any
    compute_dtype: Any
    report: LoadReport
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class EncodedReference:
    """A reference with what nodes ask of its picture; kept in main memory and moved when used.

    Attributes:
        reference: What the denoiser reads.
        latents: The picture's unscaled latents (1, C, h, w).
        width: Width of the encoded picture.
        height: Height of the encoded picture.
        strength: How strongly it acts, and when.
    """

    reference: Reference
    latents: Tensor
    width: int
    height: int
    strength: StrengthWindow = FULL_STRENGTH

    def at(self, frames: range) -> "EncodedReference":
        """The same for some frames of the clip, where it holds characters in places."""
        return replace(self, reference=self.reference.at(list(frames)))


@dataclass(frozen=True)
class EncodedScene:
    """The video around the character, for networks that see it beside the noisy latents.

    Attributes:
        channels: (F, C', h, w), scaled as the network sees latents.
        holds: What they hold, in order, in the words of `FamilyProfile.extra_inputs`.
    """

    channels: Tensor
    holds: tuple[str, ...]


@dataclass(frozen=True)
class EncodedPose:
    """Pose features of a clip; kept in main memory, moved a window at a time.

    Attributes:
        features: (F, C, h, w); for a guider that sees a window's frames together, the frames'
            numbers (F, 1, h, w).
        width: Width of the skeleton pictures as encoded.
        height: Their height.
        strength: How strongly they act, and when.
        scene: The video around the character; None for networks that see none.
        landmarks: That guider with the clip's pictures (`landmark_pose.LandmarkPose`); else None.
    """

    features: Tensor
    width: int
    height: int
    strength: StrengthWindow = FULL_STRENGTH
    scene: EncodedScene | None = None
    landmarks: Any = None

    @property
    def channels(self) -> int:
        """Channels that the UNet's first level is given."""
        return self.features.shape[1] if self.landmarks is None else self.landmarks.channels[0]

    def at(self, frames: slice) -> "EncodedPose":
        """The poses of some frames."""
        scene = self.scene
        if scene is not None:
            scene = replace(scene, channels=scene.channels[frames])
        return replace(self, features=self.features[frames], scene=scene)
