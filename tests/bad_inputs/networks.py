"""Networks that find poses: files that are none, and what they hand over."""

from collections.abc import Iterator

import numpy as np
import torch
from bad_inputs.harness import Case
from bad_inputs.material import Material, boxes, constant_network, simcc
from onnx import TensorProto, helper


def _spoilt(value: float, *shape: int) -> np.ndarray:
    array = np.full(shape, 0.2, np.float32)
    array.reshape(-1)[7 % array.size] = value
    return array


def estimator_not_finite(m: Material) -> Iterator[Case]:
    for value in (np.nan, np.inf, -np.inf):
        good = _spoilt(0.5, 1, 133, 96), _spoilt(0.5, 1, 133, 128)
        bad = _spoilt(value, 1, 133, 96), _spoilt(value, 1, 133, 128)
        for name, outputs in {"x": (bad[0], good[1]), "y": (good[0], bad[1]), "both": bad}.items():
            network = m.network(simcc(outputs=outputs))
            yield m.detect(f"simcc {name} {value}", m.picture, estimator=network)
        heat = constant_network([_spoilt(value, 1, 133, 16, 12)], [1, 3, 64, 48])
        yield m.detect(f"heat map {value}", m.picture, estimator=m.network(heat))
        everything = [np.full((1, 133, side), value, np.float32) for side in (96, 128)]
        yield m.retarget(
            f"all {value}", reference=m.picture, estimator=m.network(simcc(outputs=everything))
        )


def detector_not_finite(m: Material) -> Iterator[Case]:
    for value in (np.nan, np.inf, -np.inf):
        for name, row in {
            "corner": [value, 2, 50, 60, 0.9],
            "score": [2, 2, 50, 60, value],
            "all": [value] * 5,
        }.items():
            network = boxes(np.array([[row]], np.float32))
            yield m.detect(f"{name} {value}", m.picture, detector=m.network(network))
        rows = np.full((1, 84, 85), value, np.float32)
        yield m.detect(f"yolox {value}", m.video, detector=m.network(boxes(rows)))


def estimator_shapes(m: Material) -> Iterator[Case]:
    for name, shapes in {
        "no outputs": [],
        "one of two": [(1, 133, 96)],
        "three": [(1, 133, 96)] * 3,
        "other bins": [(1, 133, 95), (1, 133, 128)],
        "swapped": [(1, 133, 128), (1, 133, 96)],
        "unlike": [(1, 133, 96), (1, 17, 128)],
        "keypoints": [(1, 99, 96), (1, 99, 128)],
        "batch": [(3, 133, 96), (3, 133, 128)],
        "flat": [(133, 96), (133, 128)],
        "scalar": [(), ()],
        "empty": [(0, 133, 96), (0, 133, 128)],
        "heat map": [(1, 133, 15, 12)],
        "heat map of batch": [(5, 133, 16, 12)],
        "heat map flat": [(1, 133, 192)],
        "boxes": [(1, 1, 5)],
        "many sides": [(1, 1, 1, 1, 133, 96), (1, 133, 128)],
    }.items():
        network = simcc(
            outputs=[np.zeros(shape, np.float32) for shape in shapes] or [np.zeros(1, np.float32)]
        )
        yield m.detect(name, m.picture, estimator=m.network(network))


def detector_shapes(m: Material) -> Iterator[Case]:
    for name, shapes in {
        "one number": [(1,)],
        "scalar": [()],
        "flat": [(9, 5)],
        "four columns": [(1, 9, 4)],
        "batch": [(2, 9, 5)],
        "no batch": [(0, 9, 5)],
        "labels of others": [(1, 9, 5), (1, 8)],
        "masks": [(1, 9, 5), (1, 9), (1, 9, 8, 8)],
        "yolox of another size": [(1, 99, 86)],  # 85 are the candidates of a "p6" network
        "yolov8 of another size": [(1, 80, 99)],
        "an estimator's": [(1, 133, 96), (1, 133, 128)],
        "nas without scores": [(1, 1), (1, 9, 4), (1, 9)],
        "nas of others": [(1, 1), (1, 9, 4), (1, 8), (1, 9)],
        "nas of a batch": [(1, 1), (3, 9, 4), (1, 9), (1, 9)],
    }.items():
        network = constant_network([np.zeros(s, np.float32) for s in shapes], [1, 3, 64, 64])
        yield m.detect(name, m.picture, detector=m.network(network))
    for kind in (np.int64, np.bool_):
        network = constant_network([np.zeros((1, 9, 4), kind)], [1, 3, 64, 64])
        yield m.detect(f"{kind.__name__}", m.picture, detector=m.network(network))


def inputs(m: Material) -> Iterator[Case]:
    for name, shape in {
        "billion": [1, 3, 10**9, 48],
        "wide": [1, 3, 64, 10**6],
        "batch": [10**9, 3, 64, 48],
        "one channel": [1, 1, 64, 48],
        "four channels": [1, 4, 64, 48],
        "flat": [1, 3],
        "video": [1, 3, 4, 64, 48],
        "channels last": [1, 64, 48, 3],
        "number": [1],
    }.items():
        yield m.detect(f"estimator: {name}", m.picture, estimator=m.network(simcc(shape=shape)))
        yield m.detect(f"detector: {name}", m.picture, detector=m.network(boxes(shape=shape)))
    for name, kind in {
        "int64": TensorProto.INT64,
        "text": TensorProto.STRING,
        "double": TensorProto.DOUBLE,
    }.items():
        yield m.detect(f"of {name}", m.picture, estimator=m.network(simcc(kind=kind)))
    yield m.detect("two inputs", m.picture, estimator=m.network(simcc(extra_inputs=1)))
    yield m.detect("two inputs to detect", m.picture, detector=m.network(boxes(extra_inputs=1)))


def other_values(m: Material) -> Iterator[Case]:
    texts = constant_network([np.array([["a"]], object)], [1, 3, 64, 48])
    yield m.detect("texts", m.picture, estimator=m.network(texts))
    yield m.detect("texts from a detector", m.picture, detector=m.network(texts))
    for role in ("estimator", "detector"):
        yield m.detect(f"a list from a {role}", m.picture, **{role: m.network(_sequence())})


def _sequence():
    """A network that hands over a list of tensors."""
    node = helper.make_node("SequenceConstruct", ["in0"], ["out"])
    picture = helper.make_tensor_value_info("in0", TensorProto.FLOAT, [1, 3, 64, 48])
    result = helper.make_tensor_sequence_value_info("out", TensorProto.FLOAT, None)
    graph = helper.make_graph([node], "list", [picture], [result])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


class _Loops(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        while x.numel() > 0:
            x = x + 1
        return x


class _Fails(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise ValueError("no")


class _HandsOver(torch.nn.Module):
    def __init__(self, value: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("value", value)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"a": self.value}


def _script(m: Material, module: torch.nn.Module):
    path = m.path(".torchscript.pt")
    torch.jit.script(module).save(str(path))
    return path


def torchscript(m: Material) -> Iterator[Case]:
    """Code: refused unless it is allowed."""
    for name, module in {
        "a loop": _Loops(),
        "a failure": _Fails(),
        "a dict": _HandsOver(torch.ones(2)),
    }.items():
        path = _script(m, module)
        yield m.detect(f"{name} as estimator", m.picture, estimator=path)
        yield m.detect(f"{name} as detector", m.picture, detector=path)
        yield m.animate(f"{name} for driving", poses=None, driving=m.video, estimator=path)
    renamed = m.write(_script(m, _Loops()).read_bytes(), ".onnx")
    yield m.detect("a loop named .onnx", m.picture, estimator=renamed)


def allowed_torchscript(m: Material) -> Iterator[Case]:
    import animate_anyone_core.commands.pose_networks as options

    allowed = (
        {"allow-torchscript": True}
        if "--allow-torchscript" in str(options.__loader__.get_source(options.__name__))
        else {}
    )
    constants = {
        "nan": torch.full((1, 133, 768), float("nan")),
        "a number": torch.tensor(3.0),
        "nothing": torch.zeros(0),
        "complex": torch.zeros(1, 133, 768, dtype=torch.complex64),
        "another shape": torch.zeros(5, 133, 7),
        "boxes": torch.zeros(1, 9, 5),
    }

    class Constant(torch.nn.Module):
        def __init__(self, value: torch.Tensor) -> None:
            super().__init__()
            self.register_buffer("value", value)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.value

    for name, value in constants.items():
        path = _script(m, Constant(value))
        yield m.detect(name, m.picture, estimator=path, **allowed)
    for name, module in {"a dict": _HandsOver(torch.ones(2)), "a failure": _Fails()}.items():
        yield m.detect(name, m.picture, estimator=_script(m, module), **allowed)


def no_networks(m: Material) -> Iterator[Case]:
    weights = m.path(".pth")
    torch.save({"a": torch.ones(2)}, weights)
    for name, body in {
        "text": b"network",
        "empty": b"",
        "zeros": b"\0" * 900,
        "html": b"<!doctype html><html></html>",
        "lfs pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n",
        "cut": m.estimator.read_bytes()[:2000],
        "noise": bytes(range(256)) * 9,
        "zip": b"PK\x03\x04abc",
        "plain weights": weights.read_bytes(),
        "safetensors": (m.model / "pose_guider.safetensors").read_bytes(),
        "picture": m.picture.read_bytes(),
        "video": m.video.read_bytes(),
        "json": b'{"a": 1}',
    }.items():
        yield m.detect(f"estimator: {name}", m.picture, estimator=m.write(body, ".onnx"))
        yield m.detect(f"detector: {name}", m.picture, detector=m.write(body, ".onnx"))


def not_there(m: Material) -> Iterator[Case]:
    nowhere = m.folder / "nowhere.onnx"
    for option in ("estimator", "detector"):
        yield m.detect(f"{option} in detect-pose", m.picture, **{option: nowhere})
        yield m.animate(f"{option} beside skeletons", **{"estimator": m.estimator, option: nowhere})
        yield m.retarget(f"{option} beside poses", **{"estimator": m.estimator, option: nowhere})
    yield m.animate("a detector alone", detector=m.detector)
    yield m.retarget("a detector alone beside poses", detector=m.detector)
    for kind in ("x", "", "yolo", "RTMDET", "1"):
        yield m.detect(f"kind {kind}", m.picture, detector=m.detector, detector_kind=kind)


def special_files(m: Material) -> Iterator[Case]:
    for name, path in m.specials():
        yield m.detect(f"estimator: {name}", m.picture, estimator=path)
        yield m.detect(f"detector: {name}", m.picture, detector=path)


KINDS = {
    "estimators: not finite": estimator_not_finite,
    "detectors: not finite": detector_not_finite,
    "estimators: shapes": estimator_shapes,
    "detectors: shapes": detector_shapes,
    "networks of other inputs": inputs,
    "networks that hand over something else": other_values,
    "TorchScript not allowed": torchscript,
    "TorchScript that is no pose network": allowed_torchscript,
    "networks of other formats": no_networks,
    "networks that are not there": not_there,
    "special files as networks": special_files,
}
