"""The networks as they are before the first step: from scratch, or from published files."""

import logging
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from ..checkpoints.builtin import BUILT_IN, BUILT_IN_FOLDER
from ..checkpoints.key_map import is_temporal, to_tree_key, without_prefix
from ..checkpoints.layouts import find_unet_config
from ..checkpoints.load import load_pose_guider, own_settings
from ..checkpoints.model_folder import load_autoencoder, load_image_encoder
from ..checkpoints.weight_files import SUFFIXES, read_weights
from ..errors import CheckpointError, MissingWeightsError, SettingsError
from ..models.config import UNetConfig
from ..models.denoising_unet import DenoisingUNet
from ..models.pose_guider import PaperPoseGuider, PoseGuider, PublishedPoseGuider
from ..models.reference_net import ReferenceNet
from .config import InitConfig, NetworkConfig, TrainConfig
from .frozen_encoders import FrozenEncoders
from .stages import TrainedNetworks

logger = logging.getLogger("animate_anyone")

_UNET_NAMES = ("denoising_unet", "diffusion_pytorch_model", "unet/diffusion_pytorch_model")


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

    unet = DenoisingUNet(shapes, config.network.temporal if config.stage == 2 else None)
    motion = {key: value for key, value in weights.items() if is_temporal(key)}
    if init.motion is not None:
        motion_path = find_file(init.motion, ("motion_module",))
        motion = without_prefix(read_weights(motion_path))
    if config.stage == 2 and not motion:
        start_as_identity(unet)
    _fill(unet, spatial | (motion if config.stage == 2 else {}), path.name)

    reference = ReferenceNet(shapes)
    reference_path = find_file(init.reference, ("reference_unet",)) if init.reference else path
    _fill(reference, without_prefix(read_weights(reference_path)), reference_path.name)
    if init.pose_guider is None:
        guider: PoseGuider = make_guider(config.network, shapes)
    else:
        guider, _ = load_pose_guider(
            find_file(init.pose_guider, ("pose_guider",)), dtype=torch.float32
        )
    return TrainedNetworks(unet, reference, guider.requires_grad_(True).train())


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
