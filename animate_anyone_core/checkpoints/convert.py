"""Rewriting files of weights: to safetensors, to published names, to another precision, 1 <-> 2."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..errors import CheckpointError, MediaError, SettingsError
from ..models.temporal import sinusoidal_positions
from ..progress import OnStep, silent
from .key_map import is_position_table, is_temporal, to_published_key, to_tree_key, without_prefix
from .layouts import Layout, check_layout, recognise, table_length
from .load import METADATA_KEY, own_settings
from .scaled_weights import scaled, with_scales
from .weight_files import (
    PICKLE_SUFFIXES,
    SUFFIXES,
    check_finite,
    check_numbers,
    read_metadata,
    read_weights,
    write_weights,
)

#: What can happen to the spatial and the temporal part of a denoising UNet.
FORMS = ("keep", "split", "merge")

_UNETS = (Layout.DENOISING_UNET, Layout.DENOISING_UNET_WITH_MOTION)
_OURS = (
    *_UNETS,
    Layout.REFERENCE_NET,
    Layout.MOTION_MODULE,
    Layout.PUBLISHED_POSE_GUIDER,
    Layout.PAPER_POSE_GUIDER,
)
_SPATIAL_FILE, _TEMPORAL_FILE = "denoising_unet.safetensors", "motion_module.safetensors"


@dataclass(frozen=True)
class Converted:
    """A file that was written.

    Attributes:
        path: Where.
        layout: What it is.
        tensors: Number of tensors.
        size_bytes: Size of the file.
    """

    path: Path
    layout: Layout
    tensors: int
    size_bytes: int


@dataclass(frozen=True)
class _Plan:
    """A file to write: where, from which files, which part of them."""

    path: Path
    sources: tuple[Path, ...]
    part: str = "all"


def convert(
    sources: Sequence[Path],
    output: Path,
    *,
    dtype: torch.dtype | None = None,
    half: Sequence[str] = (),
    form: str = "keep",
    overwrite: bool = False,
    on_step: OnStep = silent,
) -> list[Converted]:
    """Rewrite files of weights as safetensors under their published key names.

    What was written is read again and compared, number by number.

    Args:
        sources: Files; a folder means all weights in it.
        output: A `.safetensors` file; or a folder, which gets a file for every source.
        dtype: Precision of the weights; None keeps it. Position tables keep theirs: they are a few
            exact numbers. float8_e4m3fn is scaled fp8, see `scaled_weights.scaled`.
        half: With scaled fp8, how the names of weights begin that stay in float16.
        form: "keep"; "merge" (a denoising UNet and its motion module to one file); "split" (one
            such file to two in the folder `output`).
        overwrite: Whether files that are there may be replaced.
        on_step: Told after every file.

    Returns:
        What was written, in order.

    Raises:
        CheckpointError: If a file cannot be read, holds NaN or numbers too large for the precision,
            or does not read back as it was written.
        UnknownCheckpointError: If a file is not what the form needs.
        MediaError: If a file is there already, or the disk is full or read-only.
        SettingsError: If sources, output and form do not fit together, or `half` and the precision.
    """
    if half and dtype is not torch.float8_e4m3fn:
        raise SettingsError(
            "--half keeps weights out of 8 bits, which only --dtype fp8 writes: add that, or leave "
            "--half out."
        )
    plans = _plan(_files(sources), output, form)
    for plan in plans:
        if plan.path.exists() and not overwrite:
            raise MediaError(
                f"{plan.path} is there already. Use --force to replace it, or another --output."
            )
    _check_disk(plans, dtype)
    written = []
    for plan in plans:
        written.append(_convert_one(plan, dtype, half))
        on_step(len(written), len(plans))
    return written


def published_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename a network's tensors to the published names, whatever wrapper or library named them.

    diffusers keeps one position table a transformer block where the published files have one an
    attention: it comes back twice. Files of other networks stay as they are.
    """
    bare = without_prefix(weights)
    if recognise(bare) not in _OURS:
        return dict(weights)
    published = {}
    for key, tensor in bare.items():
        name = to_published_key(to_tree_key(key))
        head, is_shared_table, _ = name.rpartition(".pos_embed.pe")
        if is_temporal(name) and is_shared_table:
            for number in (0, 1):
                published[f"{head}.attention_blocks.{number}.pos_encoder.pe"] = tensor
        else:
            published[name] = tensor
    return published


def with_position_tables(weights: Mapping[str, Tensor], max_frames: int) -> dict[str, Tensor]:
    """Add the position tables, which published files hold and our own files need not.

    Args:
        weights: Tensors under published names.
        max_frames: Length of the tables.
    """
    result = dict(weights)
    ending = ".to_q.weight"
    for key, tensor in weights.items():
        if is_temporal(key) and key.endswith(ending):
            table = sinusoidal_positions(max_frames, tensor.shape[1])[None]
            result[f"{key.removesuffix(ending)}.pos_encoder.pe"] = table
    return result


def cast_weights(
    weights: Mapping[str, Tensor], dtype: torch.dtype, file_name: str
) -> dict[str, Tensor]:
    """Change the precision of all but position tables and integers.

    Raises:
        CheckpointError: If a number is too large for the precision.
    """
    result = {}
    for key, tensor in weights.items():
        if not tensor.is_floating_point() or is_position_table(key):
            result[key] = tensor
            continue
        result[key] = tensor.to(dtype)
        if tensor.numel() and not torch.isfinite(torch.stack(result[key].aminmax())).all():
            name = str(dtype).removeprefix("torch.")
            raise CheckpointError(
                f"{file_name}: {key} holds {tensor.abs().max():g}, which is too large for {name}. "
                "Use bf16 or fp32."
            )
    return result


def _files(sources: Sequence[Path]) -> list[Path]:
    files: list[Path] = []
    for source in sources:
        if not source.is_dir():
            files.append(source)
            continue
        in_folder = sorted(p for p in source.iterdir() if p.suffix in SUFFIXES and p.is_file())
        if not in_folder:
            raise CheckpointError(
                f"{source} holds no weights (files that end in {', '.join(SUFFIXES)})."
            )
        files += in_folder
    for file in files:
        if not file.is_file():
            raise CheckpointError(f"There is no file {file}.")
    return files


def _plan(files: list[Path], output: Path, form: str) -> list[_Plan]:
    is_file = output.suffix == ".safetensors"
    if output.suffix in PICKLE_SUFFIXES:
        raise SettingsError(f"Weights are written as .safetensors, got --output {output.name}.")
    if form == "merge":
        if len(files) != 2:
            raise SettingsError(
                "--merge joins two files, a denoising UNet and its motion module, got "
                f"{len(files)}."
            )
        return [_Plan(output if is_file else output / _SPATIAL_FILE, tuple(files))]
    if form == "split":
        if len(files) != 1 or is_file:
            raise SettingsError(
                "--split takes one file and writes two: give one file, and a folder as --output, "
                f"got {len(files)} and {output.name}."
            )
        return [
            _Plan(output / _SPATIAL_FILE, tuple(files), "spatial"),
            _Plan(output / _TEMPORAL_FILE, tuple(files), "temporal"),
        ]
    if form != "keep":
        raise SettingsError(f"Forms are {', '.join(FORMS)}, got {form!r}.")
    if is_file and len(files) != 1:
        raise SettingsError(
            f"{len(files)} files do not fit into {output.name}: give a folder as --output, or "
            "--merge to join a denoising UNet and its motion module."
        )
    paths = [output] if is_file else [output / f"{file.stem}.safetensors" for file in files]
    twice = [path.name for path in paths if paths.count(path) > 1]
    if twice:
        raise SettingsError(f"Two files would become {twice[0]}. Convert them one by one.")
    return [_Plan(path, (file,)) for path, file in zip(paths, files, strict=True)]


def _check_disk(plans: list[_Plan], dtype: torch.dtype | None) -> None:
    """Raise MediaError if the disk is surely too small."""
    sources = {source for plan in plans for source in plan.sources}
    needed = sum(source.stat().st_size for source in sources)
    needed *= 2 if dtype is torch.float32 else 1  # from half precision, at most
    place = plans[0].path.absolute().parent
    while not place.is_dir():
        place = place.parent
    free = shutil.disk_usage(place).free
    if needed > free and dtype in (None, torch.float32):
        raise MediaError(
            f"{plans[0].path.parent} has {free / 1e9:.1f} GB free; up to {needed / 1e9:.1f} GB "
            "are needed. Free some, or choose another --output."
        )


def _convert_one(plan: _Plan, dtype: torch.dtype | None, half: Sequence[str]) -> Converted:
    names = " and ".join(source.name for source in plan.sources)
    weights, metadata = _read(plan)
    if plan.part == "temporal":
        weights = {key: tensor for key, tensor in weights.items() if is_temporal(key)}
    elif plan.part == "spatial":
        weights = {key: tensor for key, tensor in weights.items() if not is_temporal(key)}
    layout = recognise(weights)
    check_finite(layout.value, names, weights)
    if layout in _OURS:  # a name without parts, such as `epoch`, is no network's
        check_numbers(layout.value, names, {k: t for k, t in weights.items() if "." in k})
    if dtype is torch.float8_e4m3fn:
        weights = scaled(weights, half)
    elif dtype is not None:
        weights = cast_weights(weights, dtype, names)
    write_weights(plan.path, weights, metadata)
    _check_written(plan.path, with_scales(weights, names))
    return Converted(plan.path, layout, len(weights), plan.path.stat().st_size)


def _read(plan: _Plan) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a plan's sources as one set of weights and header entries."""
    parts = [(published_weights(read_weights(source)), source) for source in plan.sources]
    if len(parts) == 2:
        parts.sort(key=lambda part: recognise(part[0]) is Layout.MOTION_MODULE)
        (unet, unet_source), (motion, motion_source) = parts
        check_layout(unet, _UNETS, unet_source.name, "the UNet to merge")
        check_layout(motion, (Layout.MOTION_MODULE,), motion_source.name, "its temporal layers")
        spatial = {key: tensor for key, tensor in unet.items() if not is_temporal(key)}
        parts[0] = (spatial, unet_source)
    elif plan.part != "all":
        accepted = (Layout.DENOISING_UNET_WITH_MOTION,)
        check_layout(parts[0][0], accepted, plan.sources[0].name, "the UNet to split")
    weights: dict[str, Tensor] = {}
    metadata: dict[str, str] = {}
    settings: dict[str, object] = {}
    for part, source in parts:
        weights |= part
        metadata |= read_metadata(source)
        settings |= own_settings(source)
    if settings:
        metadata[METADATA_KEY] = json.dumps(settings)
    temporal = settings.get("temporal")
    if isinstance(temporal, dict) and table_length(weights) is None:
        weights = with_position_tables(weights, temporal["max_frames"])
    return weights, metadata


def _check_written(path: Path, weights: Mapping[str, Tensor]) -> None:
    """Raise CheckpointError unless the file holds exactly these tensors."""
    written = read_weights(path)
    wrong = set(written) ^ set(weights) or {
        key
        for key, tensor in weights.items()
        if tensor.dtype != written[key].dtype or not torch.equal(tensor, written[key])
    }
    if wrong:
        raise CheckpointError(
            f"{path} does not read back as it was written ({min(wrong)} differs). Check the disk."
        )
