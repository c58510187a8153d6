"""Stand-ins for detector and estimator files: tiny networks with real names, shapes and types.

They read drawn people exactly: a person is a rectangle in one of `KEY_COLORS` (that is the box) with
a dot in `JOINT_COLORS[k]` for keypoint k. Colors are looked up in the channel order the real
networks were trained with (detector BGR, estimator RGB), so a wrong order finds nothing or the
wrong joint. A rectangle in `DOG_COLOR` is an object of another class.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

KEY_COLORS = ((28, 140, 230), (230, 25, 128), (140, 215, 25))
DOG_COLOR = (200, 80, 25)
BACKGROUND = (77, 77, 77)
LEVELS = np.arange(0, 256, 51)


def _joint_colors():
    """133 colors with red unlike blue, in an order in which neighbours look different."""
    grid = [(r, g, b) for r in LEVELS for g in LEVELS for b in LEVELS if r != b]
    order = np.random.default_rng(3).permutation(len(grid))
    return tuple(tuple(int(v) for v in grid[i]) for i in order[:133])


JOINT_COLORS = _joint_colors()
MEAN = np.array([123.675, 116.28, 103.53], np.float32)
STD = np.array([58.395, 57.12, 57.375], np.float32)
_ELEMENT = {
    "float32": TensorProto.FLOAT,
    "float16": TensorProto.FLOAT16,
    "uint8": TensorProto.UINT8,
}


class Graph:
    """Collects ONNX nodes; `g.Add(a, b)` returns the name of the result."""

    def __init__(self):
        self.nodes, self.constants, self.count = [], [], 0

    def const(self, value):
        name = f"c{len(self.constants)}"
        value = np.asarray(value)
        if value.dtype == np.float64:
            value = value.astype(np.float32)
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def __getattr__(self, kind):
        def add(*inputs, out=None, **attributes):
            self.count += 1
            name = out or f"n{self.count}"
            inputs = [i if isinstance(i, str) else self.const(i) for i in inputs]
            self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
            return name

        return add

    def save(self, path, input_info, outputs):
        graph = helper.make_graph(
            self.nodes,
            "standin",
            [helper.make_tensor_value_info(input_info[0], _ELEMENT[input_info[1]], input_info[2])],
            [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in outputs],
            self.constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model)
        onnx.save(model, str(path))
        return Path(path)


def _found_boxes(g, picture, size, order):
    """Corners (M, 4) and presence (M, 1) of the key colors, the dog last, in input pixels."""
    colors = np.array([*KEY_COLORS, DOG_COLOR], np.float32)
    if order == "bgr":
        colors = colors[:, ::-1].copy()
    far = g.ReduceMax(
        g.Abs(g.Sub(picture, colors[:, :, None, None])), axes=[1], keepdims=0
    )  # (M, H, W)
    mask = g.Unsqueeze(g.Cast(g.Less(far, np.float32(12)), to=TensorProto.FLOAT), np.array([0]))
    # Borders between two other colors can look like a key, but never five pixels wide.
    pool = {"kernel_shape": [5, 5], "pads": [2, 2, 2, 2]}
    mask = g.Squeeze(g.Neg(g.MaxPool(g.Neg(mask), **pool)), np.array([0]))
    height, width = size
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)

    def reach(values):
        return g.ReduceMax(g.Mul(mask, values), axes=[1, 2], keepdims=0)

    left = g.Sub(np.float32(width), reach((width - x)[None, None]))
    top = g.Sub(np.float32(height), reach((height - y)[None, :, None]))
    right, bottom = reach((x + 1)[None, None]), reach((y + 1)[None, :, None])
    present = g.ReduceMax(mask, axes=[1, 2], keepdims=0)
    left, top = g.Sub(left, np.float32(2)), g.Sub(top, np.float32(2))
    right, bottom = g.Add(right, np.float32(2)), g.Add(bottom, np.float32(2))
    columns = [g.Unsqueeze(v, np.array([1])) for v in (left, top, right, bottom, present)]
    return g.Concat(*columns[:4], axis=1), columns[4]


def _classes(num_classes):
    """One-hot classes of what is found: people are 0, the dog is 16 (or the last one)."""
    rows = np.zeros((len(KEY_COLORS) + 1, num_classes), np.float32)
    rows[:-1, 0] = 1
    rows[-1, min(16, num_classes - 1)] = 1
    return rows


def make_detector(path, kind="yolox", size=(640, 640), dtype="float32", name="images"):
    """Write a detector of one of the kinds in `detector_models`."""
    g, count = Graph(), len(KEY_COLORS) + 1
    order = "bgr" if kind in ("yolox", "nms-inside", "nms-inside-bare", "rtmdet") else "rgb"
    picture = g.Cast(name, to=TensorProto.FLOAT)
    if kind in ("yolov8", "yolov10", "rt-detr", "rt-detr-logits"):
        picture = g.Mul(picture, np.float32(255))
    if kind == "rtmdet":
        picture = g.Add(
            g.Mul(picture, STD[::-1].reshape(1, 3, 1, 1).copy()),
            MEAN[::-1].reshape(1, 3, 1, 1).copy(),
        )
    corners, present = _found_boxes(g, picture, size, order)
    low = g.Slice(corners, np.array([0]), np.array([2]), np.array([1]))
    high = g.Slice(corners, np.array([2]), np.array([4]), np.array([1]))
    centre = g.Mul(g.Add(low, high), np.float32(0.5))
    side = g.Max(g.Sub(high, low), np.float32(1))
    score = g.Mul(present, np.float32(0.9))
    element = _ELEMENT["float16" if dtype == "float16" else "float32"]
    anchors = sum((size[0] // s) * (size[1] // s) for s in (8, 16, 32))
    head = (g, centre, side, corners, score, count, size, anchors, element)
    outputs = {
        "yolox": _yolox_head,
        "yolov8": _yolov8_head,
        "yolov10": _yolov10_head,
        "rt-detr": _rt_detr_head,
        "rt-detr-logits": _rt_detr_logits_head,
        "yolo-nas": _yolo_nas_head,
        "nms-inside": _nms_head,
        "rtmdet": _nms_head,
        "nms-inside-bare": _bare_nms_head,
    }[kind](*head)
    return g.save(path, (name, dtype, [1, 3, *size]), outputs)


def _yolox_head(g, centre, side, corners, score, count, size, anchors, element):
    """Offsets to the last cells of stride 32; every box twice, and once more too weak to count."""
    cells_x = size[1] // 32
    rows = []
    for copy, weight in enumerate((1.0, 0.8, 0.2)):
        index = np.arange(copy * count, (copy + 1) * count)
        cell = np.stack([cells_x - 1 - index % cells_x, size[0] // 32 - 1 - index // cells_x], -1)
        shifted = g.Add(centre, np.float32(2 * copy))
        offset = g.Sub(g.Div(shifted, np.float32(32)), cell.astype(np.float32))
        log_side = g.Log(g.Div(side, np.float32(32)))
        objectness = g.Mul(score, np.float32(weight))
        rows.append(g.Concat(offset, log_side, objectness, _classes(80), axis=1))
    # Rows count up with x: the last cell comes last.
    found = g.Gather(g.Concat(*rows, axis=0), np.arange(3 * count)[::-1].copy(), axis=0)
    blank = g.Expand(np.zeros((1, 1), np.float32), np.array([anchors - 3 * count, 85]))
    table = g.Unsqueeze(g.Concat(blank, found, axis=0), np.array([0]))
    g.Cast(table, to=element, out="output")
    return [("output", element, [1, anchors, 85])]


def _yolov8_head(g, centre, side, corners, score, count, size, anchors, element):
    rows = []
    for copy, weight in enumerate((1.0, 0.8, 0.2)):
        classes = g.Mul(g.Mul(score, np.float32(weight)), _classes(80))
        rows.append(g.Concat(g.Add(centre, np.float32(2 * copy)), side, classes, axis=1))
    blank = g.Expand(np.zeros((1, 1), np.float32), np.array([anchors - 3 * count, 84]))
    table = g.Transpose(g.Concat(blank, *rows, axis=0), perm=[1, 0])
    g.Cast(g.Unsqueeze(table, np.array([0])), to=element, out="output0")
    return [("output0", element, [1, 84, anchors])]


def _yolov10_head(g, centre, side, corners, score, count, size, anchors, element):
    label = _classes(80).argmax(axis=1)[:, None].astype(np.float32)
    found = g.Concat(corners, score, label, axis=1)
    table = g.Concat(found, np.zeros((300 - count, 6), np.float32), axis=0)
    g.Cast(g.Unsqueeze(table, np.array([0])), to=element, out="output0")
    return [("output0", element, [1, 300, 6])]


def _shares(g, centre, side, size):
    """Centre and side (M, 4) as shares of the input."""
    sides = np.array([[size[1], size[0]]], np.float32)
    return g.Concat(g.Div(centre, sides), g.Div(side, sides), axis=1)


def _rt_detr_head(g, centre, side, corners, score, count, size, anchors, element):
    found = g.Concat(_shares(g, centre, side, size), g.Mul(score, _classes(80)), axis=1)
    table = g.Concat(found, np.zeros((300 - count, 84), np.float32), axis=0)
    g.Cast(g.Unsqueeze(table, np.array([0])), to=element, out="output0")
    return [("output0", element, [1, 300, 84])]


def _rt_detr_logits_head(g, centre, side, corners, score, count, size, anchors, element):
    logits = g.Sub(g.Mul(g.Mul(score, _classes(80)), np.float32(10)), np.float32(5))
    logits = g.Concat(logits, np.full((300 - count, 80), -5, np.float32), axis=0)
    boxes = g.Concat(
        _shares(g, centre, side, size), np.full((300 - count, 4), 0.5, np.float32), axis=0
    )
    g.Cast(g.Unsqueeze(logits, np.array([0])), to=element, out="logits")
    g.Cast(g.Unsqueeze(boxes, np.array([0])), to=element, out="pred_boxes")
    return [("logits", element, [1, 300, 80]), ("pred_boxes", element, [1, 300, 4])]


def make_one_stage(path, kind="yolo-pose", size=(640, 640)):
    """Write a network that finds one drawn person and its 17 joints in one run.

    Its colors are told apart as in the other stand-ins: people by `KEY_COLORS`, joints by
    `JOINT_COLORS`; all people share the joints, so there must be only one.
    """
    g, count = Graph(), len(KEY_COLORS)
    name = "input" if kind == "rtmo" else "images"
    picture = g.Cast(name, to=TensorProto.FLOAT)
    if kind == "rtmo":
        rgb = g.Gather(picture, np.array([2, 1, 0]), axis=1)
    else:
        rgb = picture = g.Mul(picture, np.float32(255))
    corners, present = _found_boxes(g, picture, size, "bgr" if kind == "rtmo" else "rgb")
    corners = g.Slice(corners, np.array([0]), np.array([count]), np.array([0]))
    present = g.Slice(present, np.array([0]), np.array([count]), np.array([0]))
    score = g.Mul(present, np.float32(0.9))
    normalized = g.Div(g.Sub(rgb, MEAN.reshape(1, 3, 1, 1)), STD.reshape(1, 3, 1, 1))
    x, y, height = _found_joints(g, normalized, size, 17)
    stacked = g.Concat(*(g.Unsqueeze(v, np.array([2])) for v in (x, y, height)), axis=2)
    if kind == "rtmo":
        g.Unsqueeze(g.Concat(corners, score, axis=1), np.array([0]), out="dets")
        g.Unsqueeze(g.Expand(stacked, np.array([count, 17, 3])), np.array([0]), out="keypoints")
        return g.save(
            path,
            (name, "float32", ["batch", 3, *size]),
            [
                ("dets", TensorProto.FLOAT, [1, None, 5]),
                ("keypoints", TensorProto.FLOAT, [1, None, 17, 3]),
            ],
        )
    joints = g.Expand(g.Reshape(stacked, np.array([1, 51])), np.array([count, 51]))
    if kind == "yolo-pose":
        low = g.Slice(corners, np.array([0]), np.array([2]), np.array([1]))
        high = g.Slice(corners, np.array([2]), np.array([4]), np.array([1]))
        centre, side = g.Mul(g.Add(low, high), np.float32(0.5)), g.Sub(high, low)
        anchors = sum((size[0] // s) * (size[1] // s) for s in (8, 16, 32))
        found = g.Concat(centre, side, score, joints, axis=1)
        blank = np.zeros((anchors - 2 * count, 56), np.float32)
        table = g.Transpose(g.Concat(blank, found, found, axis=0), perm=[1, 0])
        shape = [1, 56, anchors]
    else:
        found = g.Concat(corners, score, np.zeros((count, 1), np.float32), joints, axis=1)
        table = g.Concat(found, np.zeros((300 - count, 57), np.float32), axis=0)
        shape = [1, 300, 57]
    g.Unsqueeze(table, np.array([0]), out="output0")
    return g.save(path, (name, "float32", [1, 3, *size]), [("output0", TensorProto.FLOAT, shape)])


def _nms_head(g, centre, side, corners, score, count, size, anchors, element):
    g.Cast(g.Unsqueeze(g.Concat(corners, score, axis=1), np.array([0])), to=element, out="dets")
    g.Identity(_classes(80).argmax(axis=1)[None].astype(np.int64), out="labels")
    return [("dets", element, [1, None, 5]), ("labels", TensorProto.INT64, [1, None])]


def _bare_nms_head(g, centre, side, corners, score, count, size, anchors, element):
    people = g.Slice(
        g.Concat(corners, score, axis=1), np.array([0]), np.array([count - 1]), np.array([0])
    )
    g.Cast(g.Unsqueeze(people, np.array([0])), to=element, out="dets")
    return [("dets", element, [1, None, 5])]


def _yolo_nas_head(g, centre, side, corners, score, count, size, anchors, element):
    g.Identity(np.array([[count]], np.int64), out="num_predictions")
    g.Unsqueeze(corners, np.array([0]), out="pred_boxes")
    g.Transpose(score, perm=[1, 0], out="pred_scores")
    g.Identity(_classes(80).argmax(axis=1)[None].astype(np.int64), out="pred_classes")
    return [
        ("num_predictions", TensorProto.INT64, [1, 1]),
        ("pred_boxes", TensorProto.FLOAT, [1, count, 4]),
        ("pred_scores", TensorProto.FLOAT, [1, count]),
        ("pred_classes", TensorProto.INT64, [1, count]),
    ]


def _code_table(num_keypoints):
    """Color code 36 r + 6 g + b of the levels -> keypoint; all others and 216 -> the last one."""
    table = np.full(217, num_keypoints, np.int64)
    for keypoint, color in enumerate(JOINT_COLORS[:num_keypoints]):
        r, g, b = (value // 51 for value in color)
        table[36 * r + 6 * g + b] = keypoint
    return table


def _found_joints(g, name, size, num_keypoints):
    """Centres (N, K) x and y in input pixels, and presence (N, K) from 0 to 1."""
    picture = g.Cast(name, to=TensorProto.FLOAT)
    values = g.Add(g.Mul(picture, STD.reshape(1, 3, 1, 1)), MEAN.reshape(1, 3, 1, 1))
    level = g.Clip(g.Round(g.Div(values, np.float32(51))), np.float32(0), np.float32(5))
    far = g.ReduceMax(g.Abs(g.Sub(values, g.Mul(level, np.float32(51)))), axes=[1])
    weights = np.array([36, 6, 1], np.float32).reshape(1, 3, 1, 1)
    code = g.ReduceSum(g.Mul(level, weights), np.array([1]))
    code = g.Where(g.Less(far, np.float32(6)), code, np.float32(216))
    # Only pixels whose neighbours have the same code count: blended borders do not.
    pool = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    highest, lowest = g.MaxPool(code, **pool), g.Neg(g.MaxPool(g.Neg(code), **pool))
    code = g.Where(g.Equal(highest, lowest), code, np.float32(216))
    flat = g.Cast(g.Reshape(code, np.array([0, -1])), to=TensorProto.INT64)
    keypoint = g.Gather(_code_table(num_keypoints), flat, axis=0)  # (N, HW)
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32).reshape(2, 1, -1)
    shape = g.Shape(flat)
    batch = g.Gather(shape, np.array([0]), axis=0)
    blank = g.Expand(np.zeros((1, num_keypoints + 1), np.float32), g.Concat(batch, [1], axis=0))

    def total(values):
        values = g.Expand(values, shape)
        added = g.ScatterElements(blank, keypoint, values, axis=1, reduction="add")
        return g.Slice(added, np.array([0]), np.array([num_keypoints]), np.array([1]))

    count = total(np.ones((1, 1), np.float32))
    share = g.Div(np.float32(1), g.Max(count, np.float32(1)))
    present = g.Clip(g.Div(count, np.float32(3)), np.float32(0), np.float32(1))
    # A hidden joint is guessed somewhere, with a low score, as real networks do.
    away = g.Mul(g.Sub(np.float32(1), g.Min(count, np.float32(1))), np.float32(40))
    return (
        g.Add(g.Mul(total(x), share), away),
        g.Add(g.Mul(total(y), share), away),
        g.Add(g.Mul(present, np.float32(0.9)), np.float32(0.05)),
    )


def _bumps(g, centre, length, factor, spread):
    """Bell curves (N, K, L) around centre * factor."""
    bins = np.arange(length, dtype=np.float32).reshape(1, 1, -1)
    place = g.Unsqueeze(g.Mul(centre, np.float32(factor)), np.array([2]))
    distance = g.Div(g.Sub(bins, place), np.float32(spread))
    return g.Exp(g.Mul(g.Mul(distance, distance), np.float32(-0.5)))


def make_estimator(
    path, kind="simcc", size=(384, 288), num_keypoints=133, dtype="float32", batch="batch"
):
    """Write a SimCC or heat-map estimator; `size` is (height, width)."""
    g, element = Graph(), _ELEMENT[dtype]
    x, y, height = _found_joints(g, "input", size, num_keypoints)
    shape = [batch, num_keypoints]
    if kind in ("simcc", "simcc-3d"):
        tall = g.Unsqueeze(height, np.array([2]))
        for name, centre, side in (("simcc_x", x, size[1]), ("simcc_y", y, size[0])):
            curve = _bumps(g, centre, 2 * side, 2.0, 6.0 * np.sqrt(side / 288))
            g.Cast(g.Mul(curve, tall), to=element, out=name)
        outputs = [
            ("simcc_x", element, [*shape, 2 * size[1]]),
            ("simcc_y", element, [*shape, 2 * size[0]]),
        ]
        if kind == "simcc-3d":
            g.Identity("simcc_x", out="simcc_z")
            outputs.append(("simcc_z", element, [*shape, 2 * size[1]]))
    else:
        h, w = size[0] // 4, size[1] // 4
        across = _bumps(g, x, w, (w - 1) / (size[1] - 1), 2.0)
        down = _bumps(g, y, h, (h - 1) / (size[0] - 1), 2.0)
        tall = g.Unsqueeze(height, np.array([2, 3]))
        product = g.Mul(g.Unsqueeze(across, np.array([2])), g.Unsqueeze(down, np.array([3])))
        g.Cast(g.Mul(product, tall), to=element, out="output")
        outputs = [("output", element, [*shape, h, w])]
    return g.save(path, ("input", dtype, [batch, 3, *size]), outputs)


def make_torchscript_pair(detector_path, estimator_path):
    """Write `yolox_l.torchscript.pt` and `dw-ll_ucoco_384_bs5.torchscript.pt` (batch fixed to 5)."""
    import torch

    class Detector(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.unit = torch.nn.Parameter(torch.ones(1))
            colors = torch.tensor([*KEY_COLORS, DOG_COLOR]).float().flip(1)
            self.register_buffer("colors", colors[:, :, None, None])
            self.register_buffer("classes", torch.from_numpy(_classes(80)))

        def forward(self, picture: torch.Tensor) -> torch.Tensor:
            mask = ((picture - self.colors).abs().amax(1) < 12).float()
            mask = -torch.nn.functional.max_pool2d(-mask[None], 5, 1, 2)[0]
            out = torch.zeros(1, 8400, 85, device=picture.device)
            for k in range(4):
                rows, columns = torch.where(mask[k] > 0)
                if rows.numel() > 0:
                    low = torch.stack([columns.min(), rows.min()]).float() - 2
                    high = torch.stack([columns.max(), rows.max()]).float() + 3
                    cell = torch.tensor([19.0 - k, 19.0], device=picture.device)
                    out[0, 8399 - k, :2] = (low + high) / 64 - cell
                    out[0, 8399 - k, 2:4] = ((high - low) / 32).log()
                    out[0, 8399 - k, 4] = 0.9
                    out[0, 8399 - k, 5:] = self.classes[k]
            return out * self.unit

    class Estimator(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.unit = torch.nn.Parameter(torch.ones(1))
            self.register_buffer("mean", torch.from_numpy(MEAN.reshape(1, 3, 1, 1)))
            self.register_buffer("std", torch.from_numpy(STD.reshape(1, 3, 1, 1)))
            self.register_buffer("table", torch.from_numpy(_code_table(133)))
            self.register_buffer("weights", torch.tensor([36.0, 6.0, 1.0]).view(1, 3, 1, 1))

        def bumps(self, centre: torch.Tensor, length: int, spread: float) -> torch.Tensor:
            bins = torch.arange(length, device=centre.device).float()
            return torch.exp(-(((bins - 2 * centre[:, :, None]) / spread) ** 2) / 2)

        def forward(self, picture: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            picture = picture.view(5, 3, 384, 288)  # as the published file: no other batch
            values = picture * self.std + self.mean
            level = (values / 51).round().clamp(0, 5)
            far = (values - 51 * level).abs().amax(1, keepdim=True)
            code = (level * self.weights).sum(1, keepdim=True)
            code = torch.where(far < 6, code, torch.full_like(code, 216.0))
            high = torch.nn.functional.max_pool2d(code, 3, 1, 1)
            low = -torch.nn.functional.max_pool2d(-code, 3, 1, 1)
            code = torch.where(high == low, code, torch.full_like(code, 216.0))
            keypoint = self.table[code.flatten(1).long()]
            pixels = torch.arange(384 * 288, device=picture.device).float().expand(5, -1)
            blank = torch.zeros(5, 134, device=picture.device)
            count = blank.scatter_add(1, keypoint, torch.ones_like(pixels))[:, :133]
            rows = torch.floor(pixels / 288)
            y = blank.scatter_add(1, keypoint, rows)[:, :133] / count.clamp(min=1)
            x = blank.scatter_add(1, keypoint, pixels - 288 * rows)[:, :133] / count.clamp(min=1)
            height = ((count / 3).clamp(max=1) * 0.9 + 0.05)[:, :, None] * self.unit
            return self.bumps(x, 576, 6.0) * height, self.bumps(y, 768, 6.93) * height

    torch.jit.script(Detector()).save(str(detector_path))
    torch.jit.script(Estimator()).save(str(estimator_path))
    return Path(detector_path), Path(estimator_path)


class DrawnPerson:
    """A rectangle with dots: what the stand-ins can read.

    Args:
        box: (left, top, right, bottom) in whole pixels.
        key: Which of `KEY_COLORS`.
        joints: Estimator keypoint -> (x, y) in whole pixels; None spreads all 133 over the box.
    """

    def __init__(self, box, key=0, joints=None):
        self.box, self.key = box, key
        self.joints = spread_joints(box) if joints is None else joints

    def moved(self, dx, dy):
        left, top, right, bottom = self.box
        joints = {k: (x + dx, y + dy) for k, (x, y) in self.joints.items()}
        return DrawnPerson((left + dx, top + dy, right + dx, bottom + dy), self.key, joints)


def spread_joints(box, keypoints=range(133)):
    """Lay keypoints out in rows inside a box, in whole pixels."""
    left, top, right, bottom = box
    keypoints = list(keypoints)
    columns = int(np.ceil(np.sqrt(len(keypoints) * (right - left) / (bottom - top))))
    rows = -(-len(keypoints) // columns)
    xs = np.linspace(left + 8, right - 8, columns).round().astype(int)
    ys = np.linspace(top + 8, bottom - 8, rows).round().astype(int)
    return {k: (int(xs[i % columns]), int(ys[i // columns])) for i, k in enumerate(keypoints)}


#: Where the 17 body joints of a standing figure are, as shares of its box.
FIGURE = {
    0: (0.5, 0.1), 1: (0.54, 0.07), 2: (0.46, 0.07), 3: (0.6, 0.09), 4: (0.4, 0.09),
    5: (0.68, 0.22), 6: (0.32, 0.22), 7: (0.82, 0.37), 8: (0.18, 0.37), 9: (0.9, 0.52),
    10: (0.1, 0.52), 11: (0.6, 0.52), 12: (0.4, 0.52), 13: (0.62, 0.73), 14: (0.38, 0.73),
    15: (0.64, 0.93), 16: (0.36, 0.93),
}  # fmt: skip


def standing_joints(box):
    """Return the 17 body joints of a standing figure in a box, in whole pixels."""
    left, top, right, bottom = box
    return {
        k: (round(left + x * (right - left)), round(top + y * (bottom - top)))
        for k, (x, y) in FIGURE.items()
    }


def draw_people(size, people, radius=3, dog=None):
    """Draw people, later ones in front, in an RGB picture of (height, width)."""
    import cv2

    picture = np.full((*size, 3), BACKGROUND, np.uint8)
    if dog is not None:
        left, top, right, bottom = dog
        picture[top:bottom, left:right] = DOG_COLOR
    for person in people:
        left, top, right, bottom = person.box
        picture[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = KEY_COLORS[person.key]
        for keypoint, place in person.joints.items():
            cv2.circle(picture, place, radius, JOINT_COLORS[keypoint], -1)
    return picture
