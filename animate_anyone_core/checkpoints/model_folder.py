"""A folder with the published file names to a whole model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers  # classes of this and of transformers load when they are used
import torch
import transformers
from torch import Tensor

from ..borders.networks import (
    AUTOENCODERS,
    IMAGE_ENCODER,
    PREPROCESSOR,
    check_divisible,
    check_picture_entry,
)
from ..borders.values import check_values, shown
from ..errors import AnimateAnyoneError, CheckpointError, SettingsError, ShapeError
from ..models.autoencoder import Autoencoder
from ..models.config import UNetConfig
from ..models.denoising_unet import DenoisingUNet
from ..models.image_encoder import CLIP_MEAN, CLIP_STD
from ..models.landmark_guider import LandmarkGuider
from ..models.pose_guider import PaperPoseGuider
from ..models.reference_net import ReferenceNet
from .builtin import BUILT_IN_FOLDER, model_folder, shares_networks
from .families import FAMILIES, FamilyProfile
from .layouts import read_json, read_unet_config, warn_of_unknown
from .load import (
    AnyPoseGuider,
    check_complete,
    compare_weights,
    expected_shapes,
    guider_kind,
    load_denoising_unet,
    load_pose_guider,
    load_reference_net,
    read_denoising_unet,
)
from .report import LoadReport
from .weight_files import SUFFIXES, check_numbers, read_weights

#: Names that diffusers once gave to an autoencoder's attention -> those of its class.
_OLD_ATTENTION = {
    ".query.": ".to_q.",
    ".key.": ".to_k.",
    ".value.": ".to_v.",
    ".proj_attn.": ".to_out.0.",
}
#: Parts of a whole CLIP file that the image encoder does not use, and a table older files hold.
_NOT_OF_THE_ENCODER = ("text_model.", "text_projection.", "logit_scale")
_POSITION_IDS = ".position_ids"
_KL = "AutoencoderKL"
#: Stem of a network's file in a folder of its own, with its `config.json`.
DIFFUSERS_WEIGHTS = "diffusion_pytorch_model"


@dataclass(frozen=True, kw_only=True)
class Models:
    """All networks of one model, on one device, in one dtype, and the settings they expect."""

    denoising_unet: DenoisingUNet
    reference_net: ReferenceNet
    pose_guider: AnyPoseGuider
    vae: Autoencoder
    image_encoder: "transformers.CLIPVisionModelWithProjection"
    profile: FamilyProfile

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return self.denoising_unet.conv_in.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """What the networks compute in."""
        return self.denoising_unet.conv_in.weight.dtype


def load_models(
    folder: Path | str,
    *,
    vae: Path | None = None,
    image_encoder: Path | None = None,
    family: str = "auto",
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> tuple[Models, list[LoadReport]]:
    """Load a whole model from a folder.

    Args:
        folder: Holds `denoising_unet`, `reference_unet`, `motion_module` (unless its layers are in
            the first) and `pose_guider`, as `.safetensors` or `.pth`, or as folders in diffusers'
            layout with a `config.json` each; `config.json` of the 2-D UNet
            if it is not Stable Diffusion 1.5's; `vae/` and `image_encoder/`, in it or beside it,
            unless given. "built-in" means the model that ships with the package.
        vae: Folder of a diffusers autoencoder.
        image_encoder: Folder of a transformers CLIP vision model with projection.
        family: A family's name, or "auto".
        device: Where the networks go.
        dtype: What they compute in.

    Returns:
        The networks, and a report for each that came from the four files.

    Raises:
        CheckpointError, UnknownCheckpointError, MissingWeightsError: If a file is missing,
            unreadable or something else.
        ShapeError: If the files do not fit each other.
    """
    folder = model_folder(folder)
    if not folder.is_dir():
        raise CheckpointError(f"There is no folder {folder}.")
    config_path = folder / "config.json"
    config = read_unet_config(config_path) if config_path.is_file() else None
    # The small networks first: what is wrong with them is told in a moment.
    autoencoder = load_autoencoder(vae or in_or_beside(folder, "vae"), dtype)
    encoder = load_image_encoder(image_encoder or in_or_beside(folder, "image_encoder"), dtype)
    pose_guider, pose_report = load_pose_guider(find_weights(folder, "pose_guider"), dtype=dtype)
    files = read_denoising_unet(
        find_weights(folder, "denoising_unet"),
        find_optional(folder, "motion_module"),
        family=family,
        config=config,
        guider=guider_kind(pose_guider),
    )
    reference_net, reference_report = load_reference_net(
        find_weights(folder, "reference_unet"), config=config, dtype=dtype
    )
    models = Models(
        denoising_unet=load_denoising_unet(files, dtype).to(device),
        reference_net=reference_net.to(device),
        pose_guider=pose_guider.to(device),
        vae=autoencoder.to(device),
        image_encoder=encoder.to(device),
        profile=files.profile,
    )
    check_fit(
        models.denoising_unet.config,
        models.reference_net.config,
        models.pose_guider,
        models.image_encoder.config.projection_dim,
        models.vae.config.latent_channels,
        models.profile,
    )
    return models, [files.report, reference_report, pose_report]


def in_or_beside(folder: Path, name: str) -> Path:
    """A network's folder: several families share one VAE and one image encoder."""
    beside = folder.resolve().parent / name
    return beside if beside.is_dir() and not (folder / name).is_dir() else folder / name


def find_weights(folder: Path, name: str) -> Path:
    """Find `name` with any ending that weights have, safetensors first.

    Raises:
        CheckpointError: If it is not there.
    """
    path = find_optional(folder, name)
    if path is None and shares_networks(folder):
        path = find_optional(BUILT_IN_FOLDER, name)
    if path is None:
        raise CheckpointError(
            f"{folder} has no {name}.safetensors (or .pth). The folder must hold denoising_unet, "
            "reference_unet, motion_module and pose_guider under their published names."
        )
    return path


def load_autoencoder(folder: Path | str, dtype: torch.dtype = torch.float32) -> Autoencoder:
    """Load a VAE in diffusers' layout: `AutoencoderKL` or `AutoencoderTiny`.

    Raises:
        CheckpointError: If the folder does not hold one, or its weights are damaged.
    """
    kind = getattr(diffusers, read_autoencoder_config(folder)["_class_name"])
    return _ready(load_pretrained(kind, Path(folder)), dtype)


def load_image_encoder(
    folder: Path | str, dtype: torch.dtype = torch.float32
) -> "transformers.CLIPVisionModelWithProjection":
    """Load a CLIP image encoder in transformers' layout.

    Raises:
        CheckpointError: If the folder does not hold one, or its weights are damaged.
    """
    config = transformers.CLIPVisionConfig(**_encoder_settings(read_image_encoder_config(folder)))
    network = load_pretrained(
        transformers.CLIPVisionModelWithProjection, Path(folder), config=config
    )
    return _ready(network, dtype)


def read_autoencoder_config(folder: Path | str) -> dict[str, Any]:
    """Read the `config.json` of a VAE folder, and its weights once for damage.

    Raises:
        CheckpointError: If the folder does not hold a VAE, or its weights are damaged.
        SettingsError: If a setting is beyond what an autoencoder may have.
        MissingWeightsError: If the weights are not exactly those of the network.
    """
    folder = Path(folder)
    config = _read_config(folder, "VAE")
    name = config.get("_class_name")
    if not isinstance(name, str) or name not in AUTOENCODERS:
        raise CheckpointError(
            f"{folder}: a VAE's config.json names one of {', '.join(AUTOENCODERS)}, got "
            f"{shown(name)}."
        )
    rules, where = AUTOENCODERS[name], folder / "config.json"
    check_values(str(where), config, rules)
    check_divisible(str(where), {"norm_num_groups": 32, **config} if name == _KL else config)
    warn_of_unknown(where, config, {*rules, "block_out_channels"})  # the tiny one repeats them
    kind, settings = getattr(diffusers, name), {k: config[k] for k in rules if k in config}
    path, weights = _read_weights_in(folder, DIFFUSERS_WEIGHTS)
    weights = {_new_name(key): tensor for key, tensor in weights.items()}
    _check_whole(path, weights, lambda: kind(**settings))
    return config


def read_image_encoder_config(folder: Path | str) -> dict[str, Any]:
    """Read the `config.json` of an image encoder's folder, and its weights once for damage.

    Raises:
        CheckpointError: If the folder does not hold a CLIP model, or its weights are damaged.
        SettingsError: If a setting is beyond what an image encoder may have.
        MissingWeightsError: If the weights are not exactly those of the network.
    """
    folder = Path(folder)
    config = _read_config(folder, "image encoder")
    if config.get("model_type") not in ("clip_vision_model", "clip"):
        raise CheckpointError(
            f"{folder}: an image encoder's config.json has model_type clip_vision_model, got "
            f"{shown(config.get('model_type'))}."
        )
    settings, where = _encoder_settings(config), str(folder / "config.json")
    check_values(where, settings, IMAGE_ENCODER)
    usual = (
        transformers.CLIPVisionConfig()
    )  # what is left out; compared here before transformers does
    check_divisible(where, {k: settings.get(k, getattr(usual, k)) for k in IMAGE_ENCODER})
    network = transformers.CLIPVisionConfig(**settings)
    if network.image_size < network.patch_size:
        raise SettingsError(
            f"{where}: image_size must be at least patch_size ({network.patch_size}), got "
            f"{network.image_size}."
        )
    _check_preprocessor(folder / "preprocessor_config.json")
    path, weights = _read_weights_in(folder, "model", "pytorch_model")
    weights = {
        key: tensor
        for key, tensor in weights.items()
        if not key.startswith(_NOT_OF_THE_ENCODER) and not key.endswith(_POSITION_IDS)
    }
    _check_whole(path, weights, lambda: transformers.CLIPVisionModelWithProjection(network))
    return config


def find_optional(folder: Path, name: str) -> Path | None:
    """As `find_weights`, None if it is not there."""
    names = (name, f"{name}/{DIFFUSERS_WEIGHTS}")  # a file, or a folder as diffusers writes it
    paths = (folder / f"{entry}{suffix}" for entry in names for suffix in SUFFIXES)
    return next((path for path in paths if path.is_file()), None)


def _read_config(folder: Path, what: str) -> dict[str, Any]:
    path = folder / "config.json"
    if not path.is_file():
        raise CheckpointError(
            f"There is no {what} in {folder}: config.json is missing. Give a folder in "
            f"{'transformers' if what == 'image encoder' else 'diffusers'} layout."
        )
    return read_json(path)


def _encoder_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that make the image encoder; a whole CLIP model keeps them in an object."""
    vision = config.get("vision_config", {}) if config.get("model_type") == "clip" else config
    if not isinstance(vision, Mapping):
        raise SettingsError(f"config.json: vision_config must be an object, got {shown(vision)}.")
    return {name: vision[name] for name in IMAGE_ENCODER if name in vision}


def _check_preprocessor(path: Path) -> None:
    """Raise SettingsError if the encoder wants its pictures otherwise than it gets them."""
    if not path.exists():
        return
    settings = read_json(path)
    check_values(str(path), settings, PREPROCESSOR)
    for name in ("size", "crop_size"):
        if settings.get(name) is not None:
            check_picture_entry(str(path), name, settings[name])
    for name, ours in (("image_mean", CLIP_MEAN), ("image_std", CLIP_STD)):
        given = settings.get(name, ours)
        if any(abs(a - b) > 0.01 for a, b in zip(given, ours, strict=True)):
            raise SettingsError(
                f"{path}: pictures are normalised as CLIP does, {name} {list(ours)}, got "
                f"{shown(given)}. Choose an image encoder of the CLIP family."
            )


def _read_weights_in(folder: Path, *names: str) -> tuple[Path, dict[str, Tensor]]:
    """Read the weights once by ourselves: our messages say more than the libraries'."""
    path = next((p for name in names if (p := find_optional(folder, name))), None)
    if path is None:
        raise CheckpointError(f"{folder} has no weights ({names[0]}.safetensors or .bin).")
    return path, read_weights(path)


def _check_whole(path: Path, weights: Mapping[str, Tensor], make: Callable[[], Any]) -> None:
    """Raise unless these are all weights of a network, and no others of its parts."""
    expected = expected_shapes(make)
    name = path.parent.name
    check_complete(compare_weights(name, weights, expected, [path.name], name))
    check_numbers(name, path.name, {key: weights[key] for key in expected})


def _new_name(key: str) -> str:
    for old, new in _OLD_ATTENTION.items():
        key = key.replace(old, new) if ".attentions." in key else key
    return key


def load_pretrained(kind: Any, folder: Path, name: str = "", **options: Any) -> Any:
    """Load a network of diffusers or transformers from a folder; nothing is downloaded.

    Args:
        kind: Its class.
        folder: Where config.json and the weights are.
        name: What it should be, for the message; else the class's name.
        options: Of `from_pretrained`.

    Raises:
        CheckpointError: If it cannot be loaded.
    """
    try:
        # older releases draw random weights before they read the file's
        with torch.random.fork_rng(devices=[]):
            return kind.from_pretrained(folder, local_files_only=True, **options)
    except AnimateAnyoneError:
        raise
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        what = name or kind.__name__
        raise CheckpointError(f"{folder} cannot be loaded as {what}: {first}") from error


def _ready(network, dtype: torch.dtype):
    if network.dtype != dtype:  # diffusers warns of every cast
        network = network.to(dtype)
    return network.requires_grad_(False).eval()


def check_fit(
    unet: UNetConfig,
    reference: UNetConfig,
    guider: AnyPoseGuider,
    embedding_width: int,
    latent_channels: int,
    profile: FamilyProfile,
) -> None:
    """Raise ShapeError if networks of different models were put together.

    Args:
        unet: Shapes of the denoising UNet.
        reference: Shapes of ReferenceNet.
        guider: The Pose Guider.
        embedding_width: What the image encoder hands over.
        latent_channels: What the VAE hands over.
        profile: Whose denoising UNet it is.
    """
    check_guider(profile, guider)
    for expected, got, text in (
        (unet.block_out_channels, reference.block_out_channels, "ReferenceNet has"),
        (guider_widths(unet, guider), guider_channels(guider), "Pose Guider hands over"),
        (unet.cross_attention_dim, embedding_width, "image encoder hands over"),
        (unet.out_channels, latent_channels, "VAE has latents of"),
        (
            reference.in_channels,
            latent_channels,
            "ReferenceNet takes other latents than the VAE's,",
        ),
    ):
        if expected != got:
            raise ShapeError(
                f"The networks do not belong together: the denoising UNet expects {expected}, the "
                f"{text} {got} channels. Use files of one model."
            )


def check_guider(profile: FamilyProfile, guider: AnyPoseGuider) -> None:
    """Raise ShapeError if a Pose Guider is of another family, by their names."""
    kind = guider_kind(guider)
    if kind != profile.guider:
        others = [other.title for other in FAMILIES.values() if other.guider == kind]
        raise ShapeError(
            f"The networks do not belong together: the denoising UNet is {profile.title}'s, the "
            f"Pose Guider is of the kind of {' and '.join(others)}. Use files of one model."
        )


def guider_channels(guider: AnyPoseGuider) -> int | tuple[int, ...]:
    """Channels that a Pose Guider hands over; those of all its maps where it has several."""
    if isinstance(guider, LandmarkGuider):
        return guider.shape.map_channels
    if isinstance(guider, PaperPoseGuider):
        return guider.projection.out_channels
    return guider.conv_out.out_channels


def guider_widths(unet: UNetConfig, guider: AnyPoseGuider) -> int | tuple[int, ...]:
    """What `guider_channels` must be for a denoising UNet."""
    widths = unet.block_out_channels
    return (widths[0], *widths) if isinstance(guider, LandmarkGuider) else widths[0]
