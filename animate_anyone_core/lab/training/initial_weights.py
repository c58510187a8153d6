"""The networks as they are before the first step: from scratch, or from published files."""

import logging
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from ...checkpoints.builtin import BUILT_IN, BUILT_IN_FOLDER
from ...checkpoints.key_map import is_position_table, is_temporal, to_tree_key, without_prefix
from ...checkpoints.layouts import Layout, check_layout, find_unet_config, infer_pose_guider_shape
from ...checkpoints.load import load_pose_guider, own_settings
from ...checkpoints.model_folder import load_autoencoder, load_image_encoder
from ...checkpoints.weight_files import SUFFIXES, read_weights
from ...errors import CheckpointError, MissingWeightsError, SettingsError
from ...models.config import TemporalConfig, UNetConfig
from ...models.denoising_unet import DenoisingUNet
from ...models.pose_guider import PaperPoseGuider, PoseGuider, PublishedPoseGuider
from ...models.reference_net import ReferenceNet
from .config import InitConfig, NetworkConfig, TrainConfig
from .frozen_encoders import FrozenEncoders
from .stages import TrainedNetworks

logger = logging.getLogger("animate_anyone")

_UNET_NAMES = ("denoising_unet", "diffusion_pytorch_model", "unet/diffusion_pytorch_model")
_MOTION_NAMES = ("motion_module", "diffusion_pytorch_model")
_GUIDER_NAMES = ("pose_guider", "diffusion_pytorch_model")
#: ControlNet's encoder of its condition picture: the published Pose Guider's layout.
_CONDITION_ENCODER = "controlnet_cond_embedding."


def make_networks(config: TrainConfig) -> TrainedNetworks:
    """Build the networks; what no file gives is made from the run's seed.

    Raises:
        CheckpointError: If a file cannot be read or does not fit.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        if config.init.kind == "scratch":
            return _from_scratch(config)
        return _from_files(config)


def load_frozen_encoders(config: InitConfig, device: torch.device) -> FrozenEncoders:
    """Load VAE and image encoder.

    Raises:
        SettingsError: If a folder is not named.
        CheckpointError: If a folder does not hold what it should.
    """
    if config.vae is None or config.image_encoder is None:
        missing = "init.vae" if config.vae is None else "init.image_encoder"
        raise SettingsError(
            f"{missing} is missing: name the folder of the "
            f"{'VAE' if missing == 'init.vae' else 'CLIP image encoder'} "
            f"(--{missing.removeprefix('init.').replace('_', '-')} DIR)."
        )
    vae = load_autoencoder(_own_part(config.vae, "vae")).to(device)
    seen = load_image_encoder(_own_part(config.image_encoder, "image_encoder")).to(device)
    return FrozenEncoders(vae, seen)


def check_encoders_fit(encoders: FrozenEncoders, networks: TrainedNetworks) -> None:
    """Raise SettingsError if the networks do not take what VAE and image encoder give."""
    unet = networks.denoising_unet.config
    for setting, what, given, taken in (
        ("vae", "latent channels", encoders.vae.config.latent_channels, unet.in_channels),
        (
            "image_encoder",
            "numbers a picture",
            encoders.image_encoder.config.projection_dim,
            unet.cross_attention_dim,
        ),
    ):
        if given != taken:
            raise SettingsError(
                f"init.{setting} gives {given} {what}, the UNet takes {taken}. They belong to "
                "different models: choose another, or set network.unet to match."
            )


def _own_part(name: str, part: str) -> Path:
    return BUILT_IN_FOLDER / part if name == BUILT_IN else Path(name)


def _from_scratch(config: TrainConfig) -> TrainedNetworks:
    unet = config.network.unet
    return TrainedNetworks(
        DenoisingUNet(unet, None), ReferenceNet(unet), make_guider(config.network, unet)
    )


def make_guider(network: NetworkConfig, unet: UNetConfig) -> PoseGuider:
    """A pose guider from scratch that hands over what the UNet's first level takes."""
    is_paper = network.guider_layout == "paper"
    kind = PaperPoseGuider if is_paper else PublishedPoseGuider
    return kind(network.guider_widths, unet.block_out_channels[0])


def _from_files(config: TrainConfig) -> TrainedNetworks:
    init = config.init
    assert init.unet is not None
    path = find_file(init.unet, _UNET_NAMES)
    weights = without_prefix(read_weights(path))
    shapes, reason = find_unet_config(weights, path, own_settings(path))
    logger.info("Starting from %s: %s.", path.name, reason)
    spatial = {key: value for key, value in weights.items() if not is_temporal(key)}

    if config.stage == 2:
        unet = _with_temporal_layers(shapes, spatial, weights, path, config)
    else:
        unet = DenoisingUNet(shapes, None)
        _fill(unet, spatial, path.name)

    reference = ReferenceNet(shapes)
    reference_path = find_file(init.reference, ("reference_unet",)) if init.reference else path
    _fill(reference, without_prefix(read_weights(reference_path)), reference_path.name)
    if init.pose_guider is None:
        guider: PoseGuider = make_guider(config.network, shapes)
    else:
        guider = _guider_from(find_file(init.pose_guider, _GUIDER_NAMES), shapes)
    return TrainedNetworks(unet, reference, guider.requires_grad_(True).train())


def _with_temporal_layers(
    shapes: UNetConfig,
    spatial: Mapping[str, Tensor],
    weights: Mapping[str, Tensor],
    path: Path,
    config: TrainConfig,
) -> DenoisingUNet:
    """The UNet of stage 2: temporal layers from a file of their own, the UNet's, or new ones.

    A header of our own tells the layers' shapes. Layers that no file has (all of them, or
    AnimateDiff v1's and v3's missing one in the mid block) start as identity.
    """
    motion = {key: value for key, value in weights.items() if is_temporal(key)}
    motion_path = _motion_path(config.init)
    if motion_path is not None:
        path, motion = motion_path, without_prefix(read_weights(motion_path))
        wanted = (Layout.MOTION_MODULE, Layout.DENOISING_UNET_WITH_MOTION)
        check_layout(motion, wanted, path.name, "temporal layers")
        motion = {key: value for key, value in motion.items() if is_temporal(key)}
    settings = own_settings(path) if motion else {}
    temporal = config.network.temporal
    if "temporal" in settings:
        temporal = TemporalConfig(**settings["temporal"])
    for name in ("norm_num_groups", "num_attention_heads"):
        divisor = getattr(temporal, name)
        if any(width % divisor for width in shapes.block_out_channels):
            raise SettingsError(
                f"network.temporal.{name} must divide every width of the UNet "
                f"({', '.join(map(str, shapes.block_out_channels))}), got {divisor}."
            )
    unet = DenoisingUNet(shapes, temporal)
    start_as_identity(unet)
    _fill(unet, dict(spatial) | motion, path.name)
    _report_new_layers(unet, motion, path.name)
    return unet


def _motion_path(init: InitConfig) -> Path | None:
    """The file of temporal layers: as named, or beside a UNet that is named by its folder."""
    if init.motion is not None:
        return find_file(init.motion, _MOTION_NAMES)
    assert init.unet is not None
    beside = (Path(init.unet) / f"motion_module{suffix}" for suffix in SUFFIXES)
    return next((path for path in beside if path.is_file()), None)


def _report_new_layers(unet: DenoisingUNet, motion: Mapping[str, Tensor], file_name: str) -> None:
    """Say which temporal layers are new; one of which a part is missing is an error."""
    found = {to_tree_key(key) for key in motion if not is_position_table(key)}
    wanted: dict[str, set[str]] = {}
    for key in unet.state_dict():
        if is_temporal(key):
            layer, _, index = key.partition(".motion_modules.")
            wanted.setdefault(f"{layer}.motion_modules.{index.split('.')[0]}", set()).add(key)
    new = [layer for layer, keys in wanted.items() if not keys & found]
    for layer, keys in wanted.items():
        if layer not in new and not keys <= found:
            raise MissingWeightsError(
                f"{file_name} lacks {sorted(keys - found)[0]}, though it has other parts of "
                f"{layer}. Get the whole file."
            )
    if motion and len(new) == len(wanted):
        raise MissingWeightsError(
            f"{file_name} has none of the temporal layers that this UNet takes, such as {new[0]}."
        )
    if new:
        logger.info(
            "%d of %d temporal layers are in no file and start as identity: %s.",
            len(new),
            len(wanted),
            ", ".join(new[:3]) + (" and others" if len(new) > 3 else ""),
        )


def _guider_from(path: Path, shapes: UNetConfig) -> PoseGuider:
    """A pose guider from its file, or from a ControlNet's encoder of its condition picture.

    The published training starts from an OpenPose ControlNet, its last convolution at zero.
    """
    prefix = _CONDITION_ENCODER
    weights = without_prefix(read_weights(path))
    taken = {key[len(prefix) :]: v for key, v in weights.items() if key.startswith(prefix)}
    if not taken:
        return load_pose_guider(path, dtype=torch.float32)[0]
    widths = infer_pose_guider_shape(taken, Layout.PUBLISHED_POSE_GUIDER).widths
    guider = PublishedPoseGuider(widths, shapes.block_out_channels[0])
    own = guider.state_dict()
    inner = {key: value.to(torch.float32) for key, value in taken.items() if "conv_out" not in key}
    guider.load_state_dict(own | inner)
    logger.info("Pose Guider: from the ControlNet %s, its last convolution at zero.", path.name)
    return guider


def find_file(path: str, names: tuple[str, ...]) -> Path:
    """A file as named, or one of the given names in the folder as named.

    Raises:
        CheckpointError: If there is none.
    """
    place = Path(path)
    if not place.is_dir():
        return place
    candidates = [place / f"{name}{suffix}" for name in names for suffix in SUFFIXES]
    found = next((candidate for candidate in candidates if candidate.is_file()), None)
    if found is None:
        raise CheckpointError(
            f"{place} has none of {', '.join(f'{name}.safetensors' for name in names)}."
        )
    return found


def start_as_identity(unet: DenoisingUNet) -> None:
    """Zero the last projection of every temporal layer: at first, stage 2 changes nothing."""
    for name, parameter in unet.named_parameters():
        if is_temporal(name) and ".proj_out." in name:
            nn.init.zeros_(parameter)


def _fill(network: nn.Module, weights: Mapping[str, Tensor], file_name: str) -> None:
    """Put weights into a network; temporal ones may be missing, nothing else."""
    own = network.state_dict()
    renamed = {to_tree_key(key): value for key, value in weights.items()}
    taken = {key: renamed[key].to(own[key].dtype) for key in own if key in renamed}
    for key, value in taken.items():
        if value.shape != own[key].shape:
            raise MissingWeightsError(
                f"{file_name}: {key} has the shape {tuple(value.shape)}, the network needs "
                f"{tuple(own[key].shape)}. The files belong to different models."
            )
    missing = [key for key in own if key not in taken and not is_temporal(key)]
    if missing:
        raise MissingWeightsError(
            f"{file_name} lacks {len(missing)} of {len(own)} tensors, such as {missing[0]}."
        )
    network.load_state_dict(taken, strict=False)
