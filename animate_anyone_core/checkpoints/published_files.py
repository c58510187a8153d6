"""Which published files there are, on which pages of the hub, and where they belong on disk."""

from dataclasses import dataclass
from pathlib import Path

from .builtin import BUILT_IN_FOLDER, PoseNetworkFiles

#: Folder of models in ComfyUI, and below the current folder without it.
FOLDER = "animate_anyone"
#: The pose networks, in this order: person detector, keypoint estimator.
POSE_FILES = ("yolox_l.onnx", "dw-ll_ucoco_384.onnx")


@dataclass(frozen=True)
class PublishedFile:
    """One file.

    Attributes:
        repo: Name of the page on the hub.
        name: The file's name; the page may hold it in any folder.
        target: Where it belongs, relative to the folder of models.
        inside: Folder of the page, where the page has several files of that name; else "".
    """

    repo: str
    name: str
    target: str
    inside: str = ""


_VAE, _ENCODER = "stabilityai/sd-vae-ft-mse", "lambdalabs/sd-image-variations-diffusers"
_NETWORKS = ("denoising_unet.pth", "motion_module.pth", "reference_unet.pth", "pose_guider.pth")


def _family(repo: str, folder: str) -> tuple[PublishedFile, ...]:
    return tuple(PublishedFile(repo, name, f"{folder}/{name}") for name in _NETWORKS)


#: What the command `download` knows.
PACKAGES: dict[str, tuple[PublishedFile, ...]] = {
    "dwpose": tuple(PublishedFile("yzd-v/DWPose", name, name) for name in POSE_FILES),
    "moore": _family("patrolli/AnimateAnyone", "moore"),
    "musepose": _family("TMElyralab/MusePose", "musepose"),
    "vae": (
        PublishedFile(_VAE, "config.json", "vae/config.json"),
        PublishedFile(
            _VAE,
            "diffusion_pytorch_model.safetensors",
            "vae/diffusion_pytorch_model.safetensors",
        ),
    ),
    "image-encoder": tuple(
        PublishedFile(_ENCODER, name, f"image_encoder/{name}", "image_encoder")
        for name in ("config.json", "pytorch_model.bin")
    ),
}
#: What the authors say in their words elsewhere than in the page's field for the licence.
TERMS = {"TMElyralab/MusePose": "weights for non-commercial research only"}


def models_folder(pack: Path = BUILT_IN_FOLDER.parent.parent) -> Path:
    """The folder of models that both the command line and ComfyUI look into.

    Args:
        pack: Where this pack lies. In ComfyUI's `custom_nodes` the folder is ComfyUI's
            `models/animate_anyone`, anywhere else it is `models/animate_anyone` below the current
            folder.
    """
    base = pack.parent.parent if pack.parent.name == "custom_nodes" else Path()
    return base / "models" / FOLDER


def downloaded_pose_networks(folder: Path | None = None) -> PoseNetworkFiles | None:
    """DWPose in the folder of models; None unless both files are there.

    Args:
        folder: The folder of models; None takes `models_folder()`.
    """
    folder = models_folder() if folder is None else folder
    files = PoseNetworkFiles(*(folder / name for name in POSE_FILES))
    return files if all(path.is_file() for path in files) else None
