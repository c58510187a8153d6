"""Networks from files: ONNX by ONNX Runtime, TorchScript by torch, one interface for both.

A file is told by its first bytes, never by its name. Both runtimes are optional and imported when a
file needs them.
"""

import logging
import threading
import zipfile
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..borders import limits
from ..borders.files import check_file
from ..errors import CheckpointError, MissingDependencyError
from ..files import check_download

Shape = tuple[int | None, ...]

log = logging.getLogger("animate_anyone")

# Device word -> ONNX Runtime's names, best first. TensorRT is left out: it compiles for minutes.
_PROVIDERS = {
    "cuda": ("CUDAExecutionProvider", "ROCMExecutionProvider", "MIGraphXExecutionProvider"),
    "mps": ("CoreMLExecutionProvider",),
    "privateuseone": ("DmlExecutionProvider",),
    "dml": ("DmlExecutionProvider",),
    "xpu": ("OpenVINOExecutionProvider",),
    "cpu": (),
}
_CPU = "CPUExecutionProvider"
_NUMPY_TYPES: dict[str, np.dtype] = {
    "tensor(float)": np.dtype(np.float32),
    "tensor(float16)": np.dtype(np.float16),
    "tensor(uint8)": np.dtype(np.uint8),
}
_MISSING_ONNXRUNTIME = (
    "{name} is an ONNX file and needs ONNX Runtime, which cannot be imported ({error}). Run `pip "
    "install onnxruntime`, or `pip install onnxruntime-gpu` for an NVIDIA GPU (never both: they "
    "overwrite each other), or choose the TorchScript files, which run on torch."
)


class Network(Protocol):
    """A network with one input (N, C, H, W).

    Attributes:
        name: File name, for messages.
        input_shape: Declared shape of the input; None where it is free or unknown.
        input_type: What the input wants: float32, float16 or uint8.
        provider: What it really runs on.
        calls: How often it ran.
    """

    name: str
    input_shape: Shape
    input_type: np.dtype
    provider: str
    calls: int

    def run(self, batch: np.ndarray) -> list[np.ndarray]:
        """Return the outputs for a batch (N, C, H, W) of `input_type`."""

    def release(self) -> None:
        """Give the memory back; the next `run` takes it again."""


def open_network(
    path: str | Path,
    device: str = "auto",
    allow_torchscript: bool = False,
    num_threads: int = 0,
) -> Network:
    """Open a network of an ONNX or TorchScript file.

    Args:
        path: The file.
        device: "auto", a torch device ("cpu", "cuda", "cuda:1", "mps", "xpu"), "dml", or the name
            of an ONNX Runtime provider. What cannot be had falls back to the CPU, which `provider`
            then says.
        allow_torchscript: Whether a TorchScript file may be run. It is a program, not only
            numbers: it can compute anything, for ever.
        num_threads: Threads of ONNX Runtime on the CPU; 0 leaves them to it, which takes all cores.

    Raises:
        CheckpointError: If the file does not exist, is no network, or is TorchScript that is not
            allowed.
        MissingDependencyError: If the runtime for this kind of file is not installed.
    """
    path = Path(path)
    if _kind_of_file(path) == "onnx":
        return OnnxNetwork(path, device, num_threads)
    check_torchscript(path, allow_torchscript)
    return TorchScriptNetwork(path, device)


def check_torchscript(path: Path, is_allowed: bool) -> None:
    """Raise CheckpointError for a TorchScript file that the user has not allowed."""
    if not is_allowed:
        raise CheckpointError(
            f"{path.name} is a TorchScript file: a program, which is run as it is. If you trust "
            "where it comes from, allow it: --allow-torchscript, in ComfyUI allow_torchscript. An "
            "ONNX file needs no permission."
        )


def _kind_of_file(path: Path) -> str:
    """Return "onnx" or "torchscript"; raise CheckpointError for what is neither."""
    check_file(path, CheckpointError, f"There is no file {path}.")
    head = check_download(path, "network", CheckpointError)
    if head.startswith(b"PK\x03\x04"):
        return _kind_of_zip(path)
    text = bytes(range(32, 127)) + b"\t\r\n"
    if not head.translate(None, text):
        start = " ".join(head.decode("ascii").split())[:40]
        raise CheckpointError(
            f"{path.name} is a text file ({start!r}...), not a network. Often that is an "
            "answer saved in place of the file; download it again."
        )
    return "onnx"


def _kind_of_zip(path: Path) -> str:
    """Tell a TorchScript archive from other zip files."""
    try:
        with zipfile.ZipFile(path) as archive:
            folders = {part for name in archive.namelist() for part in name.split("/")[1:2]}
    except zipfile.BadZipFile as error:
        raise CheckpointError(f"{path.name} is cut off or damaged. Download it again.") from error
    if "code" in folders:
        return "torchscript"
    raise CheckpointError(
        f"{path.name} holds plain weights, expected a whole network: an .onnx file, or a "
        ".torchscript.pt file."
    )


def _first_line(error: BaseException) -> str:
    """Return the text of an error in one line of bearable length."""
    return " ".join(str(error).split())[:200]


class OnnxNetwork:
    """A network run by ONNX Runtime."""

    def __init__(self, path: Path, device: str = "auto", num_threads: int = 0) -> None:
        self.name = path.name
        self.calls = 0
        self.provider = ""
        self._path = path
        self._num_threads = num_threads
        self._requested = _providers_for(device, path.name)
        self._session: Any = self._open(self._requested)
        inputs = self._session.get_inputs()
        if len(inputs) != 1:
            names = ", ".join(f"{i.name} {i.shape}" for i in inputs)
            raise CheckpointError(f"{path.name} must have one input, a picture; it has: {names}.")
        self.input_shape: Shape = tuple(
            size if isinstance(size, int) and size > 0 else None for size in inputs[0].shape
        )
        _check_input(path.name, self.input_shape)
        if inputs[0].type not in _NUMPY_TYPES:
            raise CheckpointError(
                f"{path.name} takes {inputs[0].type}; pose networks take {', '.join(_NUMPY_TYPES)}."
            )
        self.input_type = _NUMPY_TYPES[inputs[0].type]
        self._input_name = inputs[0].name

    def run(self, batch: np.ndarray) -> list[np.ndarray]:
        """Return the outputs for a batch; a GPU that fails is replaced by the CPU."""
        self.calls += 1
        if self._session is None:
            self._session = self._open(self._requested)
        feed = {self._input_name: np.ascontiguousarray(batch)}
        try:
            return checked_outputs(self.name, self._run_in_time(feed))
        except CheckpointError:
            raise
        except Exception as error:
            if self.provider == _CPU:
                raise CheckpointError(
                    f"{self.name} fails on a picture of shape {batch.shape}: {_first_line(error)}"
                ) from error
            log.warning(
                "%s fails on %s, continuing on the CPU: %s",
                self.name,
                self.provider,
                _first_line(error),
            )
        self._requested, self._session = [_CPU], None
        return self.run(batch)

    def _run_in_time(self, feed: dict[str, np.ndarray]) -> list[Any]:
        """Run; the first time not for ever, as a file may hold loops without end."""
        if self.calls > 1:
            return self._session.run(None, feed)
        options = _import_onnxruntime(self.name).RunOptions()
        late = threading.Event()

        def stop() -> None:
            late.set()
            options.terminate = True

        watch = threading.Timer(limits.FIRST_RUN_SECONDS, stop)
        watch.daemon = True
        watch.start()
        try:
            return self._session.run(None, feed, options)
        except Exception as error:
            if late.is_set():
                raise CheckpointError(
                    f"{self.name} was still at its first picture after "
                    f"{limits.FIRST_RUN_SECONDS:.0f} seconds. It may hold a loop without end; "
                    "choose another file."
                ) from error
            raise
        finally:
            watch.cancel()

    def release(self) -> None:
        """Close the session."""
        self._session = None

    def _open(self, providers: list[Any]) -> Any:
        """Open a session with the first providers that work."""
        ort = _import_onnxruntime(self.name)
        options = ort.SessionOptions()
        options.log_severity_level = 3  # a provider that is not there is reported by us
        options.intra_op_num_threads = self._num_threads
        try:
            session = ort.InferenceSession(str(self._path), options, providers=providers)
        except Exception as error:
            if providers != [_CPU]:
                log.warning(
                    "%s cannot run on %s, using the CPU: %s",
                    self.name,
                    providers[0],
                    _first_line(error),
                )
                return self._open([_CPU])
            raise CheckpointError(
                f"{self.name} is not a readable ONNX network; it may be cut off or another kind "
                f"of file. Download it again. ({_first_line(error)})"
            ) from error
        self.provider = session.get_providers()[0]
        return session


def _check_input(name: str, shape: Shape) -> None:
    """Raise CheckpointError unless a network takes pictures (N, 3, H, W) of a bearable size."""
    batch, channels, *sides = (*shape, None, None)[: max(len(shape), 2)]
    is_picture = len(shape) in (0, 4) and channels in (None, 3)
    is_small = (batch or 1) <= limits.NETWORK_BATCH and all(
        (side or 1) <= limits.NETWORK_SIDE for side in sides
    )
    if not is_picture or not is_small:
        raise CheckpointError(
            f"{name} must take RGB pictures (N, 3, H, W), at most {limits.NETWORK_BATCH} of "
            f"{limits.NETWORK_SIDE} pixels a side; it takes {shape}."
        )


def checked_outputs(name: str, outputs: Any) -> list[np.ndarray]:
    """Return what a network handed over, if it is numbers, finite and not too many.

    Raises:
        CheckpointError: If it is anything else.
    """
    if not isinstance(outputs, list | tuple):
        raise CheckpointError(
            f"{name} must hand over tensors, got {type(outputs).__name__}. It is no pose network."
        )
    total = 0
    for number, output in enumerate(outputs):
        if not isinstance(output, np.ndarray) or output.dtype.kind not in "fiub":
            kind = output.dtype if isinstance(output, np.ndarray) else type(output).__name__
            raise CheckpointError(
                f"{name} must hand over numbers, its output {number} is {kind}. It is no pose "
                "network."
            )
        total += output.size
        if total > limits.NETWORK_NUMBERS:
            raise CheckpointError(
                f"{name} hands over more than {limits.NETWORK_NUMBERS} numbers for a run. It is no "
                "pose network."
            )
        if output.dtype.kind == "f" and not np.isfinite(output).all():
            raise CheckpointError(
                f"{name} hands over NaN or infinite numbers (output {number}). The file is damaged, "
                "or does not work in this precision; choose another file."
            )
    return list(outputs)


def _import_onnxruntime(name: str) -> Any:
    """Return ONNX Runtime, or say what to install for the file `name`."""
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingDependencyError(_MISSING_ONNXRUNTIME.format(name=name, error=error)) from error
    return onnxruntime


def _providers_for(device: str, name: str) -> list[Any]:
    """Return the providers to try in order, the CPU last."""
    ort = _import_onnxruntime(name)
    word, _, number = device.partition(":")
    if device == "auto":
        requested = [provider for providers in _PROVIDERS.values() for provider in providers]
    elif word in _PROVIDERS:
        requested = list(_PROVIDERS[word])
    else:
        requested = [device]
    available = ort.get_available_providers()
    providers: list[Any] = []
    for provider in dict.fromkeys(requested):
        if provider not in available or provider == _CPU:
            continue
        options: dict[str, Any] = {"device_id": int(number)} if number.isdigit() else {}
        if provider == "CUDAExecutionProvider":
            # The default searches anew for every new batch size, which takes seconds.
            options["cudnn_conv_algo_search"] = "HEURISTIC"
            if hasattr(ort, "preload_dlls"):
                ort.preload_dlls()  # finds the CUDA libraries that came with torch
        providers.append((provider, options) if options else provider)
    return [*providers, _CPU]


class TorchScriptNetwork:
    """A network run by torch, with no ONNX Runtime at all."""

    def __init__(self, path: Path, device: str = "auto") -> None:
        try:
            import torch
        except ImportError as error:
            raise MissingDependencyError(
                f"{path.name} is a TorchScript file and needs torch: `pip install torch`."
            ) from error
        self.name = path.name
        self.calls = 0
        self.input_shape: Shape = (None, 3, None, None)
        self._torch = torch
        self._device = _torch_device(torch, device)
        try:
            self._module = torch.jit.load(str(path), map_location="cpu").eval()
        except RuntimeError as error:
            raise CheckpointError(
                f"{path.name} is not a readable TorchScript network; it may be cut off. Download "
                f"it again. ({_first_line(error)})"
            ) from error
        if self._device.type == "cpu":
            self._module.float()  # half precision is slow or missing on CPUs
        kinds = [p.dtype for p in self._module.parameters() if p.is_floating_point()]
        is_half = bool(kinds) and kinds[0] == torch.float16
        self.input_type = np.dtype(np.float16 if is_half else np.float32)
        self.provider = f"torch {self._device}"

    def run(self, batch: np.ndarray) -> list[np.ndarray]:
        """Return the outputs for a batch as float32."""
        torch = self._torch
        self.calls += 1
        self._module.to(self._device)
        with torch.inference_mode():
            try:
                outputs = self._module(torch.from_numpy(batch).to(self._device))
            except Exception as error:  # a program can fail in any way
                lines = str(error).strip().splitlines() or [type(error).__name__]
                raise CheckpointError(
                    f"{self.name} fails on a picture of shape {batch.shape}: {lines[-1][:200]}"
                ) from error
        if isinstance(outputs, torch.Tensor):
            outputs = [outputs]
        if isinstance(outputs, list | tuple):
            outputs = [_to_numpy(torch, output) for output in outputs]
        return checked_outputs(self.name, outputs)

    def release(self) -> None:
        """Move the weights to the CPU."""
        self._module.to("cpu")


def _to_numpy(torch: Any, output: Any) -> Any:
    """A tensor's numbers as float32; what is no tensor of numbers stays as it is."""
    if not isinstance(output, torch.Tensor) or output.is_complex() or output.is_sparse:
        return output
    return output.float().cpu().numpy()


def _torch_device(torch: Any, device: str) -> Any:
    """Return a torch device that exists, for a device word."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        requested = torch.device("cpu" if device.endswith("ExecutionProvider") else device)
        torch.empty(0, device=requested)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        log.warning("torch cannot use %s, using the CPU: %s", device, _first_line(error))
        return torch.device("cpu")
    return requested
