"""Where ComfyUI's page draws nodes, sockets and wires of a saved workflow, computed from its JSON.

Convention: pixels of the graph, (x, y) from the top left; a box is (left, top, right, bottom). The
numbers are LiteGraph's: a title is 30 high, a row of sockets 20, a widget 24; wires are cubic splines
whose handles are a quarter of the distance long, at reroutes at most 20. `test_browser.py` holds them
against the real page.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

TITLE, ROW, WIDGET = 30, 20, 24
BADGE = 22  # the pack's name, above a title
GROUP_TITLE = 34
FIT_SHARE, FIT_BORDER = 0.75, 10  # how much of the screen "fit view" fills, and its border
LONGEST_HANDLE = 20
SAMPLES = 40

Point = tuple[float, float]


class Box(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: Box) -> bool:
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )

    def holds(self, other: Box) -> bool:
        return (
            self.left <= other.left
            and self.top <= other.top
            and other.right <= self.right
            and other.bottom <= self.bottom
        )

    def has(self, point: Point) -> bool:
        return self.left < point[0] < self.right and self.top < point[1] < self.bottom


def node_box(node: dict[str, Any]) -> Box:
    """A node with its title."""
    (x, y), (width, height) = node["pos"], node["size"]
    return Box(x, y - TITLE, x + width, y + height)


def badge_box(node: dict[str, Any]) -> Box:
    """Where the badge of a pack's node may be drawn."""
    x, y = node["pos"]
    return Box(x, y - TITLE - BADGE, x + node["size"][0], y - TITLE)


def group_box(group: dict[str, Any]) -> Box:
    left, top, width, height = group["bounding"]
    return Box(left, top, left + width, top + height)


def bounds(workflow: dict[str, Any]) -> Box:
    """Everything that is drawn."""
    boxes = [*map(node_box, workflow["nodes"]), *map(group_box, workflow.get("groups", []))]
    return Box(
        min(b.left for b in boxes),
        min(b.top for b in boxes),
        max(b.right for b in boxes),
        max(b.bottom for b in boxes),
    )


def fitted_zoom(workflow: dict[str, Any], width: int = 1920, height: int = 1080) -> float:
    """The zoom that "fit view" chooses on a screen of this size."""
    box = bounds(workflow)
    across, down = box.right - box.left + 2 * FIT_BORDER, box.bottom - box.top + 2 * FIT_BORDER
    return FIT_SHARE * min(width / across, height / down)


def socket_rows(node: dict[str, Any]) -> int:
    """Rows of sockets above the widgets."""
    sockets = [slot for slot in node.get("inputs", []) if "widget" not in slot]
    return max(len(sockets), len(node.get("outputs", [])))


def input_point(node: dict[str, Any], slot: int, widgets: list[str]) -> Point:
    """Where a wire arrives.

    Args:
        node: The node.
        slot: Index into its inputs.
        widgets: Names of all its widgets, in order; a wired widget's socket lies beside it.
    """
    x, y = node["pos"]
    entry = node["inputs"][slot]
    if "widget" in entry:
        place = widgets.index(entry["widget"]["name"])
        return x + 10, y + ROW * socket_rows(node) + 6 + WIDGET * place + 10
    row = [e["name"] for e in node["inputs"] if "widget" not in e].index(entry["name"])
    return x + 10, y + 14 + ROW * row


def output_point(node: dict[str, Any], slot: int) -> Point:
    """Where a wire begins."""
    (x, y), (width, _) = node["pos"], node["size"]
    return x + width - 9, y + 14 + ROW * slot


def reroutes_of(workflow: dict[str, Any], link_id: int) -> list[Point]:
    """The points that a link is led through, in order."""
    extra = workflow.get("extra", {})
    points = {entry["id"]: entry for entry in extra.get("reroutes", [])}
    parents = {entry["id"]: entry["parentId"] for entry in extra.get("linkExtensions", [])}
    chain: list[Point] = []
    following = parents.get(link_id)
    while following is not None:
        chain.insert(0, tuple(points[following]["pos"]))
        following = points[following].get("parentId")
    return chain


def wire(start: Point, through: list[Point], end: Point) -> Iterator[Point]:
    """Points along a wire as the page draws it."""
    stops = [start, *through, end]
    directions = [_direction(*stops[i - 1 : i + 2]) for i in range(1, len(stops) - 1)]
    for i, (a, b) in enumerate(pairwise(stops)):
        quarter = 0.25 * math.dist(a, b)
        short = min(LONGEST_HANDLE, quarter)
        leaving = (quarter, 0.0) if i == 0 else _scaled(directions[i - 1], short)
        arriving = (quarter, 0.0) if i == len(through) else _scaled(directions[i], short)
        yield from _spline(
            a, (a[0] + leaving[0], a[1] + leaving[1]), (b[0] - arriving[0], b[1] - arriving[1]), b
        )


def _direction(before: Point, here: Point, after: Point) -> float:
    """The angle at which a wire passes a reroute: the mean of where it comes from and goes to."""
    arriving = math.atan2(here[1] - before[1], here[0] - before[0])
    leaving = math.atan2(after[1] - here[1], after[0] - here[0])
    turn = (arriving - leaving) * 0.5
    return arriving - (turn + math.pi if abs(turn) > math.pi / 2 else turn)


def _scaled(angle: float, length: float) -> Point:
    return length * math.cos(angle), length * math.sin(angle)


def _spline(a: Point, b: Point, c: Point, d: Point) -> Iterator[Point]:
    for i in range(SAMPLES + 1):
        t = i / SAMPLES
        weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
        yield tuple(
            sum(w * p[axis] for w, p in zip(weights, (a, b, c, d), strict=True)) for axis in (0, 1)
        )


def wires_under_nodes(
    workflow: dict[str, Any], widgets: dict[str, list[str]]
) -> list[tuple[str, str, str]]:
    """Wires that run under a node they do not belong to: (from, to, under), by title.

    Args:
        workflow: The saved workflow.
        widgets: Node type -> names of its widgets, in order.
    """
    nodes = {node["id"]: node for node in workflow["nodes"]}
    found = []
    for link, source, output, target, slot, _ in workflow["links"]:
        start = output_point(nodes[source], output)
        end = input_point(nodes[target], slot, widgets.get(nodes[target]["type"], []))
        points = list(wire(start, reroutes_of(workflow, link), end))
        for other in workflow["nodes"]:
            if other["id"] not in (source, target) and any(map(node_box(other).has, points)):
                found.append((title(nodes[source]), title(nodes[target]), title(other)))
    return found


def title(node: dict[str, Any]) -> str:
    return node.get("title") or node["type"]
