"""Reading and writing files of tensors: safetensors first, pickles weights-only, both mapped."""

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..borders import limits
from ..borders.files import check_file
from ..borders.json_text import parse_json
from ..errors import CheckpointError
from ..files import check_download, whole_file
from .pickled import named_tensors
from .scaled_weights import with_scales

_SAFETENSORS_ERRORS = (
    SafetensorError,
    ValueError,
    TypeError,
    KeyError,
    RuntimeError,
    OverflowError,
)
PICKLE_SUFFIXES = (".pth", ".pt", ".bin", ".ckpt")
SUFFIXES = (".safetensors", *PICKLE_SUFFIXES)


def read_weights(path: Path | str) -> dict[str, Tensor]:
    """Read a file of named tensors without copying it into memory where the format allows.

    Args:
        path: A `.safetensors` file, or a pickle (`.pth`, `.pt`, `.bin`, `.ckpt`), read with
            PyTorch's weights-only loader: code in a pickle is never run.

    Returns:
        Tensors by name, on the CPU, in the file's dtypes; scaled fp8 times its scales, see
        `scaled_weights`. What a pickle holds besides tensors is named in the log and left aside.

    Raises:
        CheckpointError: If the file is missing, not what its name says, cut short, a git-lfs
            pointer, a pickle that holds no tensors by name, or holds tensors without numbers of
            their own (meta, sparse, quantised, expanded).
    """
    path = Path(path)
    _check_is_weights(path)
    weights = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)
    _check_tensors(path, weights)
    return with_scales(weights, path.name)


def read_metadata(path: Path | str) -> dict[str, str]:
    """Read the text entries in a safetensors file's header; empty for other formats."""
    path = Path(path)
    if path.suffix != ".safetensors":
        return {}
    _check_is_weights(path)
    _check_safetensors_header(path)
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}
    except _SAFETENSORS_ERRORS as error:
        raise _damaged(path, error) from error


def write_weights(
    path: Path | str, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write a safetensors file; a file of that name is replaced only when the new one is complete.

    Args:
        path: Ends in `.safetensors`.
        tensors: Tensors by name.
        metadata: Text entries for the header.

    Raises:
        CheckpointError: If the name has another ending.
        MediaError: If the disk is full or read-only.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise CheckpointError(f"Weights are written as .safetensors, got the name {path.name}.")
    content: dict[str, Tensor] = {}
    written = set()
    for name, tensor in tensors.items():
        content[name] = tensor.detach().contiguous().cpu()
        place = content[name].untyped_storage().data_ptr()
        if place in written:  # the format has no tied tensors: each gets its own copy
            content[name] = content[name].clone()
        written.add(place)
    with whole_file(path, (SafetensorError,)) as part:
        save_file(content, part, metadata=dict(metadata or {}))


def check_numbers(network: str, files: str, weights: Mapping[str, Tensor]) -> None:
    """Raise CheckpointError unless all weights are floating, not empty and finite.

    Args:
        network: Whose weights they are, for the message.
        files: Names of the files they are from, for the message.
        weights: Those that the network takes.
    """
    for key, tensor in weights.items():
        kind = str(tensor.dtype).removeprefix("torch.")
        if kind not in limits.WEIGHT_TYPES:
            raise CheckpointError(
                f"{network}: {key} in {files} holds {kind} numbers; weights are "
                f"{', '.join(limits.WEIGHT_TYPES)}. Quantised files cannot be used: get the file "
                "as it was trained."
            )
        if not tensor.numel():
            raise CheckpointError(
                f"{network}: {key} in {files} is empty, shape {tuple(tensor.shape)}. The file is "
                "damaged."
            )
    check_finite(network, files, weights)


def check_finite(network: str, files: str, weights: Mapping[str, Tensor]) -> None:
    """Raise CheckpointError if any weight is NaN or infinite; `files` names them in the message."""
    for key, tensor in weights.items():
        if tensor.is_meta or not tensor.is_floating_point() or not tensor.numel():
            continue
        if tensor.itemsize == 1:  # 8-bit floats have no aminmax
            tensor = tensor.float()
        low, high = tensor.aminmax()  # NaN comes through; no copy is made
        if not (torch.isfinite(low) and torch.isfinite(high)):
            raise CheckpointError(
                f"{network}: {key} in {files} holds NaN or infinite numbers. The file is damaged, "
                "or the training that wrote it had diverged."
            )


def _check_is_weights(path: Path) -> None:
    check_file(path, CheckpointError, f"There is no file {path}.")
    if path.suffix not in SUFFIXES:
        raise CheckpointError(
            f"{path.name}: weights end in {', '.join(SUFFIXES)}, got {path.suffix or 'no ending'}."
        )
    check_download(path, "weights", CheckpointError)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    _check_safetensors_header(path)
    try:
        with safe_open(path, framework="pt") as file:
            # get_tensor maps the file: pages are read when a tensor is first used
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except _SAFETENSORS_ERRORS as error:
        raise _damaged(path, error) from error


def _check_safetensors_header(path: Path) -> None:
    """Tell a file of another kind from one that is cut short."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 10 or length > min(size * 64, 100_000_000):
            raise CheckpointError(
                f"{path.name} is not a safetensors file, whatever its name says (its header would "
                f"be {length} bytes long). Get the right file; if it is a pickle, name it .pth."
            )
        header = file.read(length)
    if len(header) < length:
        raise CheckpointError(
            f"{path.name} is cut short: {size} bytes are less than its header. Download it again."
        )
    entries = parse_json(
        header, f"{path.name} is not a safetensors file: its header", CheckpointError
    )
    try:
        end = max(
            (int(e["data_offsets"][1]) for k, e in entries.items() if k != "__metadata__"),
            default=0,
        )
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError) as error:
        raise CheckpointError(
            f"{path.name} is not a safetensors file: its header cannot be read ({error})."
        ) from error
    if size < 8 + length + end:
        raise CheckpointError(
            f"{path.name} is cut short: {8 + length + end} bytes expected, {size} there. "
            "Download it again."
        )


def _check_tensors(path: Path, weights: Mapping[str, Tensor]) -> None:
    """Raise CheckpointError for tensors that are not plain numbers, all of them in the file."""
    if len(weights) > limits.TENSORS:
        raise CheckpointError(
            f"{path.name} holds {len(weights)} tensors, at most {limits.TENSORS} are read. It is no "
            "network of this kind."
        )
    size = path.stat().st_size
    for key, tensor in weights.items():
        if len(key) > limits.TENSOR_NAME:
            raise CheckpointError(
                f"{path.name}: a tensor's name has {len(key)} characters, at most "
                f"{limits.TENSOR_NAME} are read. The file is damaged."
            )
        what = _not_plain(tensor)
        if what is None and tensor.numel() * tensor.itemsize > size:
            what = f"is said to be larger than its file ({tuple(tensor.shape)}, {size} bytes)"
        if what is not None:
            raise CheckpointError(
                f"{path.name}: {key} {what}; weights are plain tensors. Load it where it was made, "
                "and save its tensors with .to_dense().contiguous()."
            )
    claimed = sum(tensor.numel() * tensor.itemsize for tensor in weights.values())
    if claimed > 4 * size:
        raise CheckpointError(
            f"{path.name} says it holds {claimed} bytes of numbers and is {size} bytes long: its "
            "tensors lie over each other. Load it where it was made, and save clones of them."
        )


def _not_plain(tensor: Tensor) -> str | None:
    """What keeps a tensor from holding its own numbers in memory, None if nothing does."""
    if tensor.is_meta:
        return "is a meta tensor, without numbers"
    if tensor.is_quantized:
        return "is quantised"
    if tensor.layout is not torch.strided or tensor.is_nested:
        return f"is {'nested' if tensor.is_nested else str(tensor.layout).removeprefix('torch.')}"
    if tensor.numel() * tensor.itemsize > tensor.untyped_storage().nbytes():
        return "repeats fewer numbers than it has places (strides of 0)"
    return None


def _damaged(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"{path.name} cannot be read as safetensors: {error}. Download it again."
    )


def _read_pickle(path: Path) -> dict[str, Tensor]:
    _check_pickle_start(path)
    try:
        is_zip = zipfile.is_zipfile(path)
        if is_zip:
            _check_archive(path)
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except CheckpointError:
        raise
    except Exception as error:  # damage can make the unpickler fail in any way
        request = re.search(r"GLOBAL (\S+)", str(error))
        if request:
            raise CheckpointError(
                f"{path.name} is a pickle that asks to run code ({request[1]}), which is refused. "
                "Get the weights as safetensors, or re-save only the tensors."
            ) from error
        raise CheckpointError(
            f"{path.name} cannot be read as a PyTorch file: {_first_sentence(error)}. It is "
            "damaged or cut short. Download it again."
        ) from error
    return named_tensors(content, path.name)


def _check_archive(path: Path) -> None:
    """Refuse a zip file that would unpack to more than it is; PyTorch stores without packing."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    unpacked, size = sum(entry.file_size for entry in entries), path.stat().st_size
    if unpacked > size or len(entries) > 2 * limits.TENSORS:
        raise CheckpointError(
            f"{path.name} is packed: {size} bytes would become {unpacked} in {len(entries)} parts. "
            "PyTorch files are not; load it where it was made and save it again."
        )


def _check_pickle_start(path: Path) -> None:
    """Tell a file of another kind from a damaged one."""
    with path.open("rb") as file:
        head = file.read(9)
    if head.startswith((b"PK", b"\x80")):
        return
    if head[8:] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size:
        raise CheckpointError(f"{path.name} is a safetensors file. Name it .safetensors.")
    raise CheckpointError(
        f"{path.name} is not a PyTorch file, whatever its name says. Get the right file."
    )


def _first_sentence(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].partition(". ")[0].rstrip(".")
