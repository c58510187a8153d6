"""The pack's own socket types, and what travels on them."""

from dataclasses import dataclass, replace
from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..animate_anyone_core.checkpoints.report import LoadReport
from ..animate_anyone_core.models.pose_features import ClipPose, LandmarksOnDemand
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
    """Poses of a clip, encoded as windows ask for them; kept in main memory and moved when used.

    Attributes:
        features: The core's, of a whole clip (1, C, F, h, w).
        frames: Which of its frames these are.
        width: Width of the skeleton pictures as encoded.
        height: Their height.
        guider: What encodes them, to be loaded beside the model; None if all is encoded.
        strength: How strongly they act, and when.
        scene: The video around the character; None for networks that see none.
    """

    features: ClipPose
    frames: range
    width: int
    height: int
    guider: NetworkHandle | None = None
    strength: StrengthWindow = FULL_STRENGTH
    scene: EncodedScene | None = None

    @property
    def channels(self) -> int:
        """Channels that the UNet's first level is given."""
        return self.features.shape[1]

    @property
    def cells(self) -> tuple[int, int]:
        """Height and width in latent cells."""
        height, width = self.features.shape[3:]
        return height, width

    @property
    def by_window(self) -> bool:
        """Whether the guider looks at the frames of a window together, as AniPortrait's does."""
        return isinstance(self.features, LandmarksOnDemand)

    def __len__(self) -> int:
        return len(self.frames)

    def at(self, frames: slice) -> "EncodedPose":
        """The poses of some frames."""
        scene = self.scene
        if scene is not None:
            scene = replace(scene, channels=scene.channels[frames])
        return replace(self, frames=self.frames[frames], scene=scene)
