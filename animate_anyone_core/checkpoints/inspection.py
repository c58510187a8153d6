"""What a file of weights is, whether it is whole, and whether the files of a folder make a model."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor

from ..errors import AnimateAnyoneError, CheckpointError, UnknownCheckpointError
from ..models.config import TemporalConfig, UNetConfig
from ..models.denoising_unet import DenoisingUNet
from ..models.reference_net import ReferenceNet
from .families import FamilyProfile
from .key_map import is_temporal, without_prefix
from .layouts import (
    Layout,
    infer_landmark_guider_shape,
    infer_pose_guider_shape,
    read_unet_config,
    recognise,
    table_length,
    temporal_settings_beside,
)
from .load import (
    POSE_GUIDERS,
    RUNNING_STATISTICS,
    channels_in,
    check_complete,
    choose_profile,
    compare_weights,
    expected_shapes,
    guider_kind,
    load_pose_guider,
    load_reference_net,
    make_pose_guider,
    own_settings,
    read_denoising_unet,
    rename,
    temporal_config,
    unet_config,
)
from .model_folder import (
    check_fit,
    find_optional,
    find_weights,
    read_autoencoder_config,
    read_image_encoder_config,
)
from .report import key_lines
from .student import describe_student
from .weight_files import SUFFIXES, check_finite, check_numbers, read_metadata, read_weights

MODEL_FILES = ("denoising_unet", "reference_unet", "motion_module", "pose_guider")
_UNETS = (Layout.DENOISING_UNET, Layout.DENOISING_UNET_WITH_MOTION)

#: What a layout alone says of the family: (name or None, why).
_FAMILY_BY_LAYOUT: dict[Layout, tuple[str | None, str]] = {
    Layout.REFERENCE_NET: (None, "the same in all families"),
    Layout.PUBLISHED_POSE_GUIDER: (None, "the same in all families but AniPortrait and Champ"),
    Layout.PAPER_POSE_GUIDER: (None, "no published weights have it; trained from scratch"),
    Layout.ANIPORTRAIT_POSE_GUIDER: ("aniportrait", "only this family has these layers"),
    Layout.CHAMP_GUIDANCE_ENCODER: ("champ", "only this family has these layers"),
    Layout.OPEN_ANIMATE_ANYONE_POSE_GUIDER: ("open-animate-anyone", "only it has these layers"),
}

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class FileFacts:
    """What one file is.

    Attributes:
        file: Its name.
        size_bytes: Its size.
        layout: What it turned out to be; empty if it cannot be read.
        family: Name of the family, None if the file cannot tell.
        family_reason: Why that family, or why none.
        tensors: Number of tensors in it.
        parameters: Number of numbers in them.
        dtypes: Type -> number of tensors.
        shapes: The network's shapes, by name.
        missing: Keys that a network of this layout needs and the file lacks.
        unexpected: Keys that the network has no place for.
        first_keys: The first keys of a file of no known layout.
        header: Names of the text entries in the file's header.
        made_for: How a student is sampled; empty for other weights.
        problem: Why the file cannot be used, None if nothing is wrong with it.
    """

    file: str
    size_bytes: int
    layout: str = ""
    family: str | None = None
    family_reason: str = ""
    tensors: int = 0
    parameters: int = 0
    dtypes: Mapping[str, int] = field(default_factory=dict)
    shapes: Mapping[str, Any] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    first_keys: tuple[str, ...] = ()
    header: tuple[str, ...] = ()
    made_for: str = ""
    problem: str | None = None

    def __str__(self) -> str:
        lines = [f"{self.file}: {self.layout or 'cannot be read'}"]
        size = f"  {self.size_bytes / 1e6:.1f} MB"
        if self.tensors:
            types = ", ".join(f"{count} {name}" for name, count in self.dtypes.items())
            size += f", {self.parameters / 1e6:.1f} M parameters, tensors: {types}"
        lines.append(size)
        if self.family_reason:
            lines.append(f"  family: {self.family or 'cannot be told'} ({self.family_reason})")
        lines += [f"  made for: {self.made_for}"] if self.made_for else []
        lines += [f"  {name}: {value}" for name, value in self.shapes.items()]
        lines += key_lines(self, "missing", "unexpected", "first_keys", "header")
        if self.problem:
            lines.append(f"  PROBLEM: {self.problem}")
        return "\n".join(lines)


@dataclass(frozen=True, kw_only=True)
class FolderFacts:
    """What the files of a folder are, and whether they make a model.

    Attributes:
        folder: Its name.
        files: Every file of weights in it, in `vae/` and in `image_encoder/`.
        is_model: Whether any file has a published name, so that a model was meant.
        family: The model's family.
        family_reason: Why.
        problems: What keeps the files from being a model.
    """

    folder: str
    files: tuple[FileFacts, ...]
    is_model: bool = False
    family: str | None = None
    family_reason: str = ""
    problems: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [str(facts) for facts in self.files]
        if self.is_model:
            state = "NOT complete" if self.problems else "complete"
            family = f", family {self.family} ({self.family_reason})" if self.family else ""
            lines.append(f"{self.folder}: a model's folder, {state}{family}")
            lines += [f"  PROBLEM: {problem}" for problem in self.problems]
        return "\n".join(lines)


def inspect_file(path: Path | str, family: str = "auto") -> FileFacts:
    """Find out what a file of weights is; damage is reported, not raised.

    Args:
        path: The file.
        family: The family it is known to be, or "auto".

    Raises:
        CheckpointError: If there is no such file.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"There is no file {path}.")
    facts = FileFacts(file=path.name, size_bytes=path.stat().st_size)
    try:
        weights = without_prefix(read_weights(path))
        layout = recognise(weights)
        types = Counter(str(tensor.dtype).removeprefix("torch.") for tensor in weights.values())
        facts = replace(
            facts,
            layout=layout.value,
            tensors=len(weights),
            parameters=sum(tensor.numel() for tensor in weights.values()),
            dtypes=dict(types.most_common()),
            first_keys=tuple(sorted(weights)[:8]) if layout is Layout.UNKNOWN else (),
            header=tuple(sorted(read_metadata(path))),
        )
        name, reason = _family(family, layout, weights, path)
        facts = replace(facts, family=name, family_reason=reason)
        facts = _network_facts(facts, layout, weights, path, family)
        facts = replace(facts, made_for=_made_for(path))
        if facts.problem is None:
            _check_numbers(facts, layout, weights)
    except AnimateAnyoneError as error:
        facts = replace(facts, problem=str(error))
    return facts


def inspect_folder(folder: Path | str, family: str = "auto") -> FolderFacts:
    """Find out what the files of a folder are, and whether they make a model.

    Args:
        folder: The folder; `vae/` and `image_encoder/` in it are looked into as well.
        family: The family the model is known to be, or "auto".

    Raises:
        CheckpointError: If the folder holds no weights.
    """
    folder = Path(folder)
    networks = [folder / name for name in MODEL_FILES]  # each may be a folder of its own
    places = (folder, *networks, folder / "vae", folder / "image_encoder")
    paths = [
        path
        for place in places
        if place.is_dir()
        for path in sorted(place.iterdir())
        if path.suffix in SUFFIXES and path.is_file()
    ]
    if not paths:
        raise CheckpointError(
            f"{folder} holds no weights (files that end in {', '.join(SUFFIXES)}). Give a file, or "
            "the folder that holds the published files."
        )
    facts = FolderFacts(
        folder=folder.name,
        files=tuple(
            replace(inspect_file(path, family), file=path.relative_to(folder).as_posix())
            for path in paths
        ),
    )
    is_file = (path.parent == folder and path.stem in MODEL_FILES for path in paths)
    if not any(is_file) and not any(path.parent in networks for path in paths):
        return facts
    return _model_facts(replace(facts, is_model=True), folder, family)


def _check_numbers(facts: FileFacts, layout: Layout, weights: Mapping[str, Tensor]) -> None:
    """Raise CheckpointError for damage; a network's own tensors must be weights as well."""
    check_finite(layout.value, facts.file, weights)
    if layout in (*_UNETS, *POSE_GUIDERS, Layout.REFERENCE_NET, Layout.MOTION_MODULE):
        left = (*facts.unexpected, *(k for k in weights if k.endswith(RUNNING_STATISTICS)))
        own = {key: tensor for key, tensor in weights.items() if key not in left}
        check_numbers(layout.value, facts.file, own)
    elif layout in (Layout.AUTOENCODER, Layout.IMAGE_ENCODER):
        own = {key: tensor for key, tensor in weights.items() if not key.endswith(".position_ids")}
        check_numbers(layout.value, facts.file, own)


def _family(
    family: str, layout: Layout, weights: Mapping[str, Tensor], path: Path
) -> tuple[str | None, str]:
    if layout in _FAMILY_BY_LAYOUT:
        return _FAMILY_BY_LAYOUT[layout]
    if layout not in (*_UNETS, Layout.MOTION_MODULE):
        return None, ""
    length, settings = table_length(weights), own_settings(path)
    channels = None if layout is Layout.MOTION_MODULE else _channels(weights)
    is_plain = channels is None or channels[0] == channels[1]
    if family == "auto" and length is None and is_plain and "profile" not in settings:
        return None, "only the length of the temporal layers' position table can tell"
    profile, reason = choose_profile(family, length, settings, channels)
    return profile.name, reason


def _made_for(path: Path) -> str:
    settings = own_settings(path)
    return (
        describe_student(FamilyProfile.from_json(settings["profile"]))
        if "profile" in settings
        else ""
    )


def _channels(weights: Mapping[str, Tensor]) -> tuple[int, int]:
    """Channels in and out of a denoising UNet."""
    return channels_in(weights), weights["conv_out.weight"].shape[0]


def _network_facts(
    facts: FileFacts, layout: Layout, weights: Mapping[str, Tensor], path: Path, family: str
) -> FileFacts:
    """Add the shapes of the network, and what its layout misses or does not know."""
    shapes: dict[str, Any] = {}
    if layout in (*_UNETS, Layout.REFERENCE_NET):
        config, where = unet_config(weights, path)
        shapes = _unet_shapes(config, where)
        temporal = None
        if layout is Layout.DENOISING_UNET_WITH_MOTION:
            length, settings = table_length(weights), own_settings(path)
            profile, _ = choose_profile(family, length, settings, _channels(weights))
            settings = temporal_settings_beside(path) | settings
            temporal = temporal_config(weights, config, profile, length, settings)
            shapes["longest window"] = temporal.max_frames
        make: Callable[[], Any] = (
            (lambda: ReferenceNet(config))
            if layout is Layout.REFERENCE_NET
            else (lambda: DenoisingUNet(config, temporal))
        )
        expected = expected_shapes(make)
    elif layout is Layout.MOTION_MODULE:
        config, temporal = _motion_shapes(weights, path.name)
        shapes = {
            "widths": "-".join(map(str, config.block_out_channels)),
            "position table": table_length(weights),
            "layer in the mid block": temporal.in_mid_block,
        }
        whole = expected_shapes(lambda: DenoisingUNet(config, temporal))
        expected = {key: shape for key, shape in whole.items() if is_temporal(key)}
    elif layout in POSE_GUIDERS:
        guider_weights = weights
        shapes = _guider_shapes(guider_weights, layout)
        expected = expected_shapes(lambda: make_pose_guider(guider_weights, layout))
        weights = {key: w for key, w in weights.items() if not key.endswith(RUNNING_STATISTICS)}
    else:
        return facts
    renamed, _ = rename(weights)
    report = compare_weights(layout.value, renamed, expected, [path.name], layout.value)
    facts = replace(facts, shapes=shapes, missing=report.missing, unexpected=report.unexpected)
    try:
        check_complete(report)
    except AnimateAnyoneError as error:
        return replace(facts, problem=str(error))
    return facts


def _unet_shapes(config: UNetConfig, where: str) -> dict[str, Any]:
    return {
        "widths": "-".join(map(str, config.block_out_channels)),
        "layers a level": config.layers_per_block,
        "appearance token": config.cross_attention_dim,
        "latent channels": config.out_channels,
        **(
            {"channels in": config.in_channels} if config.in_channels != config.out_channels else {}
        ),
        "heads": config.num_attention_heads,
        "read from": where,
    }


def _guider_shapes(weights: Mapping[str, Tensor], layout: Layout) -> dict[str, Any]:
    if layout is Layout.ANIPORTRAIT_POSE_GUIDER:
        maps = infer_landmark_guider_shape(weights)
        return {
            "widths": "-".join(str(channels) for channels, _ in maps.front),
            "channels out": "-".join(map(str, maps.map_channels)),
        }
    shape = infer_pose_guider_shape(weights, layout)
    return {"widths": "-".join(map(str, shape.widths)), "channels out": shape.out_channels}


def _motion_shapes(
    weights: Mapping[str, Tensor], file_name: str
) -> tuple[UNetConfig, TemporalConfig]:
    """The UNet that temporal layers belong to, as far as its shapes show in them."""
    renamed, _ = rename(weights)
    widths: list[int] = []
    while (norm := f"down_blocks.{len(widths)}.motion_modules.0.norm.weight") in renamed:
        if renamed[norm].ndim != 1:
            raise UnknownCheckpointError(
                f"{file_name}: {norm} must be a list of numbers, got the shape "
                f"{tuple(renamed[norm].shape)}. The file is damaged."
            )
        widths.append(renamed[norm].shape[0])
    if not widths:
        raise UnknownCheckpointError(
            f"{file_name} has temporal layers, but none on the UNet's way down."
        )
    layers = sum(f"down_blocks.0.motion_modules.{i}.norm.weight" in renamed for i in range(8))
    config = UNetConfig(  # heads and groups leave no trace in the shapes
        block_out_channels=tuple(widths),
        attention_levels=(True,) * len(widths),
        layers_per_block=layers,
        num_attention_heads=1,
        norm_num_groups=1,
    )
    in_mid_block = any(key.startswith("mid_block.") for key in renamed)
    return config, TemporalConfig(
        num_attention_heads=1, norm_num_groups=1, in_mid_block=in_mid_block
    )


def _model_facts(facts: FolderFacts, folder: Path, family: str) -> FolderFacts:
    """Load the folder's model part by part, and collect what is wrong with it."""
    problems: list[str] = []

    def attempt(load: Callable[[], _T]) -> _T | None:
        try:
            return load()
        except AnimateAnyoneError as error:
            problems.append(str(error))
            return None

    config_path = folder / "config.json"
    config = attempt(lambda: read_unet_config(config_path)) if config_path.is_file() else None
    guider = attempt(lambda: load_pose_guider(find_weights(folder, "pose_guider"))[0])
    unet = attempt(
        lambda: read_denoising_unet(
            find_weights(folder, "denoising_unet"),
            find_optional(folder, "motion_module"),
            family=family,
            config=config,
            guider=None if guider is None else guider_kind(guider),
        )
    )
    reference = attempt(
        lambda: load_reference_net(find_weights(folder, "reference_unet"), config=config)[0]
    )
    vae = attempt(lambda: read_autoencoder_config(folder / "vae"))
    encoder = attempt(lambda: read_image_encoder_config(folder / "image_encoder"))
    if unet and reference and guider and vae and encoder:
        width = encoder.get("projection_dim", 512)
        latent_channels = vae.get("latent_channels", 4)
        attempt(
            lambda: check_fit(
                unet.config, reference.config, guider, width, latent_channels, unet.profile
            )
        )
    if unet is None:
        return replace(facts, problems=tuple(problems))
    notes = [note for note in unet.report.notes if note.startswith("family ")]
    reason = notes[0].partition(": ")[2] if notes else ""
    return replace(facts, family=unet.profile.name, family_reason=reason, problems=tuple(problems))
