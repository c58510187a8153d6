"""Files to networks: read, recognise, rename, build without initialising, load, report."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ..borders.json_text import parse_json
from ..borders.networks import TEMPORAL
from ..borders.values import Whole, check_known, check_values, shown
from ..errors import CheckpointError, MissingWeightsError, SettingsError, UnknownCheckpointError
from ..models.config import TemporalConfig, UNetConfig
from ..models.denoising_unet import DenoisingUNet
from ..models.landmark_guider import LandmarkGuider
from ..models.pose_guider import PaperPoseGuider, PoseGuider, PublishedPoseGuider
from ..models.reference_net import ReferenceNet
from .families import FamilyProfile, choose_family
from .key_map import is_position_table, is_temporal, to_tree_key, without_prefix
from .layouts import (
    Layout,
    check_layout,
    find_unet_config,
    infer_landmark_guider_shape,
    infer_pose_guider_shape,
    table_length,
    temporal_settings_beside,
)
from .report import LoadReport
from .student import describe_student
from .weight_files import check_numbers, read_metadata, read_weights

#: Entry in the header of our own files: JSON with "unet", "temporal" and "profile".
METADATA_KEY = "animate_anyone"
_SETTINGS = ("unet", "temporal", "profile", "stage")

#: What BatchNorm keeps while training; AniPortrait's program never uses it.
RUNNING_STATISTICS = (".running_mean", ".running_var", ".num_batches_tracked")
#: Layouts of Pose Guiders that can be loaded.
POSE_GUIDERS = (
    Layout.PUBLISHED_POSE_GUIDER,
    Layout.PAPER_POSE_GUIDER,
    Layout.ANIPORTRAIT_POSE_GUIDER,
)
AnyPoseGuider = PoseGuider | LandmarkGuider

_Network = TypeVar("_Network", bound=nn.Module)


@dataclass(frozen=True)
class DenoisingUNetFiles:
    """All that is needed to build a denoising UNet, read from its files.

    Attributes:
        weights: Tensors under our tree's names.
        config: Shapes of the spatial part.
        temporal: Shapes of the temporal layers; None for the image model.
        profile: The family's settings.
        report: What was found.
    """

    weights: dict[str, Tensor]
    config: UNetConfig
    temporal: TemporalConfig | None
    profile: FamilyProfile
    report: LoadReport


def read_denoising_unet(
    path: Path | str,
    motion_path: Path | str | None = None,
    *,
    family: str = "auto",
    config: UNetConfig | None = None,
    temporal: TemporalConfig | None = None,
    image_only: bool = False,
    guider: str | None = None,
) -> DenoisingUNetFiles:
    """Read the denoising UNet's files: two (spatial and temporal), or one that holds both.

    Args:
        path: The spatial weights, or the one file.
        motion_path: The temporal weights; None if they are in the first file.
        family: A family's name, or "auto".
        config: Shapes of the spatial part; None finds them.
        temporal: Shapes of the temporal layers; None finds them.
        image_only: Leave the temporal layers out (the image model of training stage 1).
        guider: Kind of the model's Pose Guider, if it is known, see `guider_kind`: it tells what
            the UNet cannot.

    Raises:
        CheckpointError: If a file cannot be read.
        UnknownCheckpointError: If a file is something else.
        MissingWeightsError: If weights are missing or have another shape, or there are no temporal
            layers at all.
        SettingsError: If the family is unknown.
    """
    path, network = Path(path), "DenoisingUNet"
    weights = without_prefix(read_weights(path))
    accepted = (Layout.DENOISING_UNET, Layout.DENOISING_UNET_WITH_MOTION)
    layout = check_layout(weights, accepted, path.name, network)
    settings = own_settings(path)
    config, where = unet_config(weights, path, config)
    files, notes = [path.name], [where]

    if image_only:
        weights = {key: value for key, value in weights.items() if not is_temporal(key)}
    elif motion_path is not None:
        motion_path = Path(motion_path)
        motion = without_prefix(read_weights(motion_path))
        check_layout(motion, (Layout.MOTION_MODULE,), motion_path.name, "temporal layers")
        if layout is Layout.DENOISING_UNET_WITH_MOTION:
            notes.append(f"temporal layers are in both files; taken from {motion_path.name}")
        weights = {key: value for key, value in weights.items() if not is_temporal(key)} | motion
        files.append(motion_path.name)
        settings = settings | own_settings(motion_path)
    elif layout is Layout.DENOISING_UNET:
        raise MissingWeightsError(
            f"{path.name} has no temporal layers, so its frames would not hold together. Give the "
            "family's motion_module file as well."
        )

    length = table_length(weights)
    channels = config.in_channels, config.out_channels
    profile, reason = choose_profile(family, length, settings, channels, guider)
    notes.append(f"family {profile.name}: {reason}")
    notes += filter(None, [describe_student(profile)])
    if image_only:
        temporal = None
    elif temporal is None:
        temporal = temporal_config(
            weights, config, profile, length, temporal_settings_beside(path) | settings
        )
    weights, unused = rename(weights)
    expected = expected_shapes(lambda: DenoisingUNet(config, temporal))
    report = compare_weights(
        network, weights, expected, files, layout.value, tuple(unused), tuple(notes)
    )
    return DenoisingUNetFiles(_take(weights, expected, report), config, temporal, profile, report)


def load_denoising_unet(
    files: DenoisingUNetFiles, dtype: torch.dtype | None = None
) -> DenoisingUNet:
    """Build the network that `read_denoising_unet` read; `dtype` None keeps the files' type."""
    network = _on_meta(lambda: DenoisingUNet(files.config, files.temporal))
    return _fill(network, files.weights, dtype)


def load_reference_net(
    path: Path | str, *, config: UNetConfig | None = None, dtype: torch.dtype | None = None
) -> tuple[ReferenceNet, LoadReport]:
    """Load ReferenceNet.

    Args:
        path: The `reference_unet` file.
        config: Shapes; None finds them.
        dtype: Type of the weights; None keeps the file's.

    Raises:
        CheckpointError, UnknownCheckpointError, MissingWeightsError: As `read_denoising_unet`.
    """
    path = Path(path)
    weights = without_prefix(read_weights(path))
    # Moore's face model saved ReferenceNet with its output convolution: recognised as a plain UNet
    accepted = (Layout.REFERENCE_NET, Layout.DENOISING_UNET)
    layout = check_layout(weights, accepted, path.name, "ReferenceNet")
    config, where = unet_config(weights, path, config)
    notes = [where]
    if layout is Layout.DENOISING_UNET:
        notes.append("the file has an output convolution, which ReferenceNet does not use")
    unused = tuple(key for key in weights if key.startswith(("conv_norm_out.", "conv_out.")))
    network = _on_meta(lambda: ReferenceNet(config))
    return _loaded(network, weights, path, dtype, Layout.REFERENCE_NET, unused, tuple(notes))


def load_pose_guider(
    path: Path | str, *, dtype: torch.dtype | None = None
) -> tuple[AnyPoseGuider, LoadReport]:
    """Load a Pose Guider of any known layout, of any width.

    Args:
        path: The `pose_guider` file.
        dtype: Type of the weights; None keeps the file's.

    Raises:
        CheckpointError, UnknownCheckpointError, MissingWeightsError: As `read_denoising_unet`.
    """
    path = Path(path)
    weights = without_prefix(read_weights(path))
    layout = check_layout(weights, POSE_GUIDERS, path.name, "PoseGuider")
    network = _on_meta(lambda: make_pose_guider(weights, layout))
    unused = tuple(key for key in weights if key.endswith(RUNNING_STATISTICS))
    return _loaded(network, weights, path, dtype, layout, unused, name="PoseGuider")


def _loaded(
    network: _Network,
    weights: Mapping[str, Tensor],
    path: Path,
    dtype: torch.dtype | None,
    layout: Layout,
    unused: tuple[str, ...],
    notes: tuple[str, ...] = (),
    name: str = "ReferenceNet",
) -> tuple[_Network, LoadReport]:
    """A network with the file's weights but for those that are not used, and what was found."""
    expected = _shapes(network)
    used = {key: tensor for key, tensor in weights.items() if key not in unused}
    report = compare_weights(name, used, expected, [path.name], layout.value, unused, notes)
    return _fill(network, _take(weights, expected, report), dtype), report


def make_pose_guider(weights: Mapping[str, Tensor], layout: Layout) -> AnyPoseGuider:
    """Build the Pose Guider that these weights are of, without them.

    Raises:
        UnknownCheckpointError: If the weights are damaged.
    """
    if layout is Layout.ANIPORTRAIT_POSE_GUIDER:
        return LandmarkGuider(infer_landmark_guider_shape(weights))
    shape = infer_pose_guider_shape(weights, layout)
    kind = PaperPoseGuider if layout is Layout.PAPER_POSE_GUIDER else PublishedPoseGuider
    return kind(shape.widths, shape.out_channels)


def guider_kind(guider: AnyPoseGuider) -> str:
    """Which kind of Pose Guider this is, in the words of `FamilyProfile.guider`."""
    return "aniportrait" if isinstance(guider, LandmarkGuider) else "common"


def own_settings(path: Path) -> dict[str, Any]:
    """What the header of one of our own files says of its settings; empty for other files."""
    text = read_metadata(path).get(METADATA_KEY)
    if text is None:
        return {}
    where = f"{path.name}: its header's entry {METADATA_KEY}"
    content = parse_json(text.encode(), where, CheckpointError)
    settings = check_known(where, content, dict.fromkeys(_SETTINGS))
    check_values(where, settings, {"stage": Whole(1, 3)})
    for name, value in settings.items():
        if name != "stage" and not isinstance(value, Mapping):
            raise SettingsError(f"{where}: {name} must be an object, got {shown(value)}.")
    return settings


def choose_profile(
    family: str,
    length: int | None,
    settings: Mapping[str, Any],
    channels: tuple[int, int] | None = None,
    guider: str | None = None,
) -> tuple[FamilyProfile, str]:
    """As `families.choose_family`; the header of one of our own files is asked before."""
    if family == "auto" and "profile" in settings:
        profile = FamilyProfile.from_json(settings["profile"])
        if channels is not None:
            profile.check_inputs(*channels)
        return profile, "the file's header says so"
    return choose_family(family, length, channels, guider)


def unet_config(
    weights: Mapping[str, Tensor], path: Path, config: UNetConfig | None = None
) -> tuple[UNetConfig, str]:
    """Shapes of a file's UNet and where they are from; those that are given but for its input."""
    where = "shapes as given"
    if config is None:
        config, where = find_unet_config(weights, path, own_settings(path))
    return replace(config, in_channels=channels_in(weights)), where


def channels_in(weights: Mapping[str, Tensor]) -> int:
    """Input channels of a UNet; its `config.json` may be that of the UNet it was trained from.

    Raises:
        UnknownCheckpointError: If its first convolution is none.
    """
    shape = weights["conv_in.weight"].shape
    if len(shape) != 4 or 0 in shape:
        raise UnknownCheckpointError(
            "conv_in.weight must be the weights of a convolution, four sides above 0, got "
            f"{tuple(shape)}. The file is damaged."
        )
    return shape[1]


def temporal_config(
    weights: Mapping[str, Tensor],
    config: UNetConfig,
    profile: FamilyProfile,
    length: int | None,
    settings: Mapping[str, Any],
) -> TemporalConfig:
    """Shapes of the temporal layers.

    Args:
        weights: The file's tensors.
        config: Shapes of the spatial part.
        profile: The family's settings.
        length: Entries of the file's position table; None if it has none.
        settings: What the file's header says, see `own_settings`.
    """
    if "temporal" in settings:
        settings_given = check_known("The file's header: temporal", settings["temporal"], TEMPORAL)
        temporal = TemporalConfig(**settings_given)
        if length is not None and length != temporal.max_frames:
            raise SettingsError(
                f"The file's settings say max_frames {temporal.max_frames}, its position table has "
                f"{length} entries. The header or the config.json is not this file's."
            )
        temporal.check_fits(config)
        return temporal
    # MusePose recomputes its table at 128 whatever its file holds; the others use the file's
    longest = profile.max_frames if length is None else length
    if profile.recomputes_table:
        longest = max(longest, profile.max_frames)
    fits = all(width % 32 == 0 for width in config.block_out_channels)
    return TemporalConfig(
        max_frames=longest,
        norm_num_groups=32 if fits else config.norm_num_groups,
        in_mid_block=any(key.startswith("mid_block.") and is_temporal(key) for key in weights),
    )


def rename(weights: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Rename to our tree's keys; position tables are made on the fly and left out."""
    tables = [key for key in weights if is_position_table(key)]
    return {to_tree_key(k): v for k, v in weights.items() if not is_position_table(k)}, tables


def expected_shapes(make: Callable[[], nn.Module]) -> dict[str, torch.Size]:
    """Shapes of all weights of a network, by key, without building it in memory."""
    return _shapes(_on_meta(make))


def _shapes(network: nn.Module) -> dict[str, torch.Size]:
    return {key: value.shape for key, value in network.state_dict().items()}


def _on_meta(make: Callable[[], _Network]) -> _Network:
    """Build a network on the meta device: it takes no memory, and nothing is initialised."""
    with torch.device("meta"):
        return make()


def compare_weights(
    network: str,
    weights: Mapping[str, Tensor],
    expected: Mapping[str, torch.Size],
    files: list[str],
    layout: str,
    unused: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
) -> LoadReport:
    """Compare what is there with what is needed.

    Args:
        network: The network's name.
        weights: What is there, under our tree's names.
        expected: What is needed.
        files: Names of the files, for the report.
        layout: What the files are, for the report.
        unused: Keys already left out.
        notes: Sentences for the report.
    """
    conflicts = tuple(
        f"{key}: needs {tuple(shape)}, file has {tuple(weights[key].shape)}"
        for key, shape in expected.items()
        if key in weights and weights[key].shape != shape
    )
    used = [weights[key] for key in expected if key in weights]
    unexpected = tuple(key for key in weights if key not in expected)
    parts = {key.partition(".")[0] for key in expected}
    return LoadReport(
        network=network,
        files=tuple(files),
        layout=layout,
        used=len(used),
        parameters=sum(tensor.numel() for tensor in used),
        dtype=str(_common_dtype(used)).removeprefix("torch."),
        missing=tuple(key for key in expected if key not in weights),
        unexpected=unexpected,
        surplus=tuple(key for key in unexpected if key.partition(".")[0] in parts and "." in key),
        unused=unused,
        conflicts=conflicts,
        notes=notes,
    )


def check_complete(report: LoadReport) -> None:
    """Raise MissingWeightsError if the network would not be whole."""
    names = ", ".join(report.files)
    if report.conflicts:
        raise MissingWeightsError(
            f"{report.network}: {len(report.conflicts)} tensors of {names} have another shape than "
            f"the network ({report.conflicts[0]}). The files belong to different models, or "
            "config.json to another UNet."
        )
    if report.surplus:
        raise MissingWeightsError(
            f"{report.network}: {names} hold {len(report.surplus)} tensors more than the network "
            f"has, such as {report.surplus[0]}; it would be loaded in part. config.json or the "
            "file's header belongs to another network."
        )
    if report.missing:
        raise MissingWeightsError(
            f"{report.network}: {len(report.missing)} of {report.used + len(report.missing)} "
            f"tensors are missing in {names}, such as {report.missing[0]}. The file is incomplete "
            "or belongs to another network."
        )


def _take(
    weights: Mapping[str, Tensor], expected: Mapping[str, torch.Size], report: LoadReport
) -> dict[str, Tensor]:
    """The weights a network needs; raise if they are not all there or not all numbers."""
    check_complete(report)
    used = {key: weights[key] for key in expected}
    check_numbers(report.network, ", ".join(report.files), used)
    return used


def fill_network(
    network: nn.Module,
    name: str,
    weights: Mapping[str, Tensor],
    file_name: str,
    may_lack: Callable[[str], bool] = lambda key: False,
) -> None:
    """Put a file's weights into a network that is in memory, in the network's types.

    Args:
        network: One of ours.
        name: Its name, for messages.
        weights: The file's tensors, under their published names or ours; what is not needed is
            left.
        file_name: For messages.
        may_lack: Which weights stay as they are where the file lacks them.

    Raises:
        MissingWeightsError: If weights are missing or have another shape.
        CheckpointError: If some are no numbers.
    """
    weights, unused = rename(weights)
    expected = {k: v for k, v in _shapes(network).items() if k in weights or not may_lack(k)}
    report = compare_weights(name, weights, expected, [file_name], "any", tuple(unused))
    network.load_state_dict(_take(weights, expected, report), strict=False)


def _common_dtype(tensors: list[Tensor]) -> torch.dtype:
    counts = Counter(tensor.dtype for tensor in tensors if tensor.is_floating_point())
    return counts.most_common(1)[0][0] if counts else torch.float32


def _fill(network: _Network, weights: Mapping[str, Tensor], dtype: torch.dtype | None) -> _Network:
    """Put the files' tensors into a network on the meta device, as they are where the type fits."""
    dtype = dtype or _common_dtype(list(weights.values()))
    network.load_state_dict({k: v.to(dtype) for k, v in weights.items()}, assign=True)
    return network.requires_grad_(False).eval()
