"""The networks as they are before the first step: from scratch, or from published files."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from ...checkpoints.builtin import BUILT_IN, BUILT_IN_FOLDER, model_folder, shares_networks
from ...checkpoints.families import FamilyProfile
from ...checkpoints.key_map import is_position_table, is_temporal, to_tree_key, without_prefix
from ...checkpoints.layouts import (
    Layout,
    check_layout,
    find_unet_config,
    infer_pose_guider_shape,
    table_length,
)
from ...checkpoints.load import choose_profile, fill_network, load_pose_guider, own_settings
from ...checkpoints.model_folder import load_autoencoder, load_image_encoder
from ...checkpoints.weight_files import SUFFIXES, read_weights
from ...errors import CheckpointError, MissingWeightsError, SettingsError
from ...models.config import TemporalConfig, UNetConfig
from ...models.denoising_unet import DenoisingUNet
from ...models.pose_guider import PaperPoseGuider, PoseGuider, PublishedPoseGuider
from ...models.reference_net import ReferenceNet
from .config import InitConfig, NetworkConfig
from .frozen_encoders import FrozenEncoders
from .networks import TrainedNetworks
from .widening import Widening, check_widths, widths_of

logger = logging.getLogger("animate_anyone")

_UNET_NAMES = ("denoising_unet", "diffusion_pytorch_model", "unet/diffusion_pytorch_model")
_MOTION_NAMES = ("motion_module", "diffusion_pytorch_model")
_GUIDER_NAMES = ("pose_guider", "diffusion_pytorch_model")
#: ControlNet's encoder of its condition picture: the published Pose Guider's layout.
_CONDITION_ENCODER = "controlnet_cond_embedding."


def make_networks(
    init: InitConfig, network: NetworkConfig, stage: int, seed: int
) -> TrainedNetworks:
    """Build the networks of a stage; what no file gives is made from the seed.

    Raises:
        CheckpointError: If a file cannot be read or does not fit.
        SettingsError: If the temporal layers do not fit the UNet, or nothing is there to widen.
    """
    if init.kind == "scratch" and init.widths is not None:
        raise SettingsError(
            "init.widths widens what files hold: set init.kind to files, or "
            "network.unet.block_out_channels for networks from scratch."
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if init.kind == "files":
            return _from_files(init, network, stage)
        unet = network.unet
        return TrainedNetworks(
            DenoisingUNet(network.widened(unet), None),
            ReferenceNet(unet),
            make_guider(network, unet),
        )


def shapes_from_files(
    init: InitConfig, network: NetworkConfig
) -> tuple[UNetConfig, TemporalConfig]:
    """Shapes of the UNet and its temporal layers, as `init` names them; else the settings'.

    Raises:
        CheckpointError: If a file cannot be read.
    """
    if init.kind == "scratch" or init.unet is None:
        return network.unet, network.temporal
    place = model_folder(init.unet)
    if not place.exists():
        return network.unet, network.temporal
    path = find_file(init.unet, _UNET_NAMES)
    weights = without_prefix(read_weights(path))
    shapes, _ = find_unet_config(weights, path, own_settings(path))
    shapes = _as_wide_as_wanted(init, replace(shapes, in_channels=shapes.out_channels))
    motion_path, motion = _motion_weights(init, path, weights)
    return shapes, _temporal_shapes(network.temporal, shapes, motion_path, motion)


def teacher_profile(init: InitConfig) -> FamilyProfile:
    """The settings that the weights to start from were made for, as `animate` would find them.

    Raises:
        CheckpointError: If a file cannot be read.
    """
    assert init.unet is not None
    path = find_file(init.unet, _UNET_NAMES)
    weights = without_prefix(read_weights(path))
    motion_path, motion = _motion_weights(init, path, weights)
    settings = own_settings(path) | (own_settings(motion_path) if motion else {})
    shape = weights["conv_in.weight"].shape, weights["conv_out.weight"].shape
    length = table_length(weights | motion)
    profile, reason = choose_profile("auto", length, settings, (shape[0][1], shape[1][0]))
    logger.info("The teacher's family is %s: %s.", profile.name, reason)
    return profile


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
    image_encoder = load_image_encoder(_own_part(config.image_encoder, "image_encoder"))
    return FrozenEncoders(vae, image_encoder.to(device))


def check_encoders_fit(encoders: FrozenEncoders, networks: TrainedNetworks) -> None:
    """Raise SettingsError if the networks do not take what VAE and image encoder give."""
    unet = networks.denoising_unet.config
    for setting, what, given, taken in (
        ("vae", "latent channels", encoders.latent_channels, unet.out_channels),
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


def make_guider(network: NetworkConfig, unet: UNetConfig) -> PoseGuider:
    """A pose guider from scratch that hands over what the UNet's first level takes."""
    is_paper = network.guider_layout == "paper"
    kind = PaperPoseGuider if is_paper else PublishedPoseGuider
    return kind(network.guider_widths, unet.block_out_channels[0])


def _from_files(init: InitConfig, network: NetworkConfig, stage: int) -> TrainedNetworks:
    assert init.unet is not None
    unet_path = find_file(init.unet, _UNET_NAMES)
    weights = without_prefix(read_weights(unet_path))
    shapes, reason = find_unet_config(weights, unet_path, own_settings(unet_path))
    logger.info("Starting from %s: %s.", unet_path.name, reason)
    shapes = replace(shapes, in_channels=shapes.out_channels)  # without what its family adds
    shapes = _as_wide_as_wanted(init, shapes)
    wide = network.widened(shapes)
    spatial = {key: value for key, value in weights.items() if not is_temporal(key)}
    spatial = _with_widths(init, spatial, shapes, network.temporal)
    spatial["conv_in.weight"] = with_new_channels(spatial["conv_in.weight"], wide.in_channels)
    unet = DenoisingUNet(wide, None)
    if stage != 1:
        path, motion = _motion_weights(init, unet_path, weights)
        temporal = _temporal_shapes(network.temporal, shapes, path, motion)
        motion = _with_widths(init, motion, shapes, temporal)
        unet = DenoisingUNet(wide, temporal)
        start_as_identity(unet)
        fill_network(unet, "DenoisingUNet", spatial | motion, path.name, may_lack=is_temporal)
        _report_new_layers(unet, motion, path.name)
    else:
        fill_network(unet, "DenoisingUNet", spatial, unet_path.name)

    reference = ReferenceNet(shapes)
    path = find_file(init.reference, ("reference_unet",)) if init.reference else unet_path
    read = _with_widths(init, without_prefix(read_weights(path)), shapes, network.temporal)
    fill_network(reference, "ReferenceNet", read, path.name)
    if init.pose_guider is None:
        guider: PoseGuider = make_guider(network, shapes)
    else:
        guider = _guider_from(find_file(init.pose_guider, _GUIDER_NAMES), shapes)
    return TrainedNetworks(unet, reference, guider.requires_grad_(True).train())


def _as_wide_as_wanted(init: InitConfig, shapes: UNetConfig) -> UNetConfig:
    if init.widths is None:
        return shapes
    parts = shapes.norm_num_groups, shapes.num_attention_heads
    check_widths(shapes.block_out_channels, init.widths, *parts)
    return replace(shapes, block_out_channels=init.widths)


def _with_widths(
    init: InitConfig, weights: dict[str, Tensor], shapes: UNetConfig, temporal: TemporalConfig
) -> dict[str, Tensor]:
    """A file's weights, widened where the settings want wider networks than the file has."""
    wanted = shapes.block_out_channels
    if init.widths is None or not weights or (own := widths_of(weights, wanted)) == wanted:
        return weights
    logger.info("Widened from %s to %s channels.", list(own), list(wanted))
    heads = shapes.num_attention_heads, temporal.num_attention_heads
    return Widening(own, wanted, shapes.norm_num_groups, *heads).widened(weights)


def _motion_weights(
    init: InitConfig, unet_path: Path, weights: Mapping[str, Tensor]
) -> tuple[Path, dict[str, Tensor]]:
    """Temporal weights and their file: one of their own, or else the UNet's."""
    path = motion_file(init)
    if path is not None:
        weights = without_prefix(read_weights(path))
        layouts = (Layout.MOTION_MODULE, Layout.DENOISING_UNET_WITH_MOTION)
        check_layout(weights, layouts, path.name, "temporal layers")
    return path or unet_path, {key: value for key, value in weights.items() if is_temporal(key)}


def _temporal_shapes(
    temporal: TemporalConfig, shapes: UNetConfig, path: Path, motion: Mapping[str, Tensor]
) -> TemporalConfig:
    """Shapes of stage 2's temporal layers: a header of our own tells them, or else the settings."""
    settings = own_settings(path) if motion else {}
    if "temporal" in settings:
        temporal = TemporalConfig(**settings["temporal"])
    for name in ("norm_num_groups", "num_attention_heads"):
        divisor = getattr(temporal, name)
        if any(width % divisor for width in shapes.block_out_channels):
            raise SettingsError(
                f"network.temporal.{name} must divide every width of the UNet "
                f"({', '.join(map(str, shapes.block_out_channels))}), got {divisor}."
            )
    return temporal


def start_profile(init: InitConfig) -> FamilyProfile | None:
    """What the header of the UNet to start from says of its family's settings, if it says it."""
    assert init.unet is not None
    settings = own_settings(find_file(init.unet, _UNET_NAMES))
    return FamilyProfile.from_json(settings["profile"]) if "profile" in settings else None


def motion_file(init: InitConfig) -> Path | None:
    """The file of temporal layers: as named, or beside a UNet that is named by its folder."""
    if init.motion is not None:
        return find_file(init.motion, _MOTION_NAMES)
    assert init.unet is not None
    beside = (model_folder(init.unet) / f"motion_module{suffix}" for suffix in SUFFIXES)
    return next((path for path in beside if path.is_file()), None)


def _report_new_layers(unet: DenoisingUNet, motion: Mapping[str, Tensor], file_name: str) -> None:
    """Say which temporal layers are in no file, and start as identity.

    That is all of them, or AnimateDiff v1's and v3's missing one in the mid block; one of which a
    part is missing is an error.
    """
    given = {to_tree_key(key) for key in motion if not is_position_table(key)}
    layers: dict[str, set[str]] = {}
    for key in unet.state_dict():
        if is_temporal(key):
            layer, _, index = key.partition(".motion_modules.")
            layers.setdefault(f"{layer}.motion_modules.{index.split('.')[0]}", set()).add(key)
    new = [layer for layer, keys in layers.items() if not keys & given]
    for layer, keys in layers.items():
        if layer not in new and not keys <= given:
            raise MissingWeightsError(
                f"{file_name} lacks {sorted(keys - given)[0]}, though it has other parts of "
                f"{layer}. Get the whole file."
            )
    if motion and len(new) == len(layers):
        raise MissingWeightsError(
            f"{file_name} has none of the temporal layers that this UNet takes, such as {new[0]}."
        )
    if new:
        logger.info(
            "%d of %d temporal layers are in no file and start as identity: %s.",
            len(new),
            len(layers),
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
        loaded = load_pose_guider(path, dtype=torch.float32)[0]
        if not isinstance(loaded, PoseGuider):
            raise SettingsError(
                f"{path.name} is AniPortrait's pose guider, which cannot be trained here: it sees a "
                "window's frames together. Start from a guider of another family."
            )
        return loaded
    widths = infer_pose_guider_shape(taken, Layout.PUBLISHED_POSE_GUIDER).widths
    guider = PublishedPoseGuider(widths, shapes.block_out_channels[0])
    own = guider.state_dict()
    inner = {key: value.to(torch.float32) for key, value in taken.items() if "conv_out" not in key}
    guider.load_state_dict(own | inner)
    logger.info("Pose Guider: from the ControlNet %s, its last convolution at zero.", path.name)
    return guider


def find_file(path: str, names: tuple[str, ...]) -> Path:
    """A file as named, or one of the given names in the folder as named.

    The names of `BUILT_IN_MODELS` are folders; what one of them shares is found beside it.

    Raises:
        CheckpointError: If there is none.
    """
    place = model_folder(path)
    if not place.is_dir():
        return place
    folders = (place, BUILT_IN_FOLDER) if shares_networks(place) else (place,)
    candidates = [f / f"{name}{suffix}" for f in folders for name in names for suffix in SUFFIXES]
    file = next((candidate for candidate in candidates if candidate.is_file()), None)
    if file is None:
        raise CheckpointError(
            f"{place} has none of {', '.join(f'{name}.safetensors' for name in names)}."
        )
    return file


def with_new_channels(weight: Tensor, channels: int) -> Tensor:
    """A first convolution's weight (out, in, k, k) with further input channels that say nothing yet."""
    missing = channels - weight.shape[1]
    if weight.ndim != 4 or missing <= 0:
        return weight
    return torch.cat([weight, weight.new_zeros(len(weight), missing, *weight.shape[2:])], dim=1)


def start_as_identity(unet: DenoisingUNet) -> None:
    """Zero the last projection of every temporal layer: at first, stage 2 changes nothing."""
    for name, parameter in unet.named_parameters():
        if is_temporal(name) and ".proj_out." in name:
            nn.init.zeros_(parameter)
