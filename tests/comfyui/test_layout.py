"""The shipped workflows and blueprints can be read as they open: computed from their JSON.

`test_browser.py` holds the same against the real page, on both versions.
"""

import json
import re

import pytest
from comfyui_harness import first_light as line
from comfyui_harness import layout

WORKFLOWS = sorted((line.ROOT / "workflows").glob("*.json"))
BLUEPRINTS = sorted((line.ROOT / "subgraphs").glob("*.json"))
SMALLEST_ZOOM = 0.75
LONGEST_NOTE = 620  # characters; a note is read, not studied
ROOM_FOR_A_VIDEO = 90  # below Save Video, which grows by what it shows


def graphs():
    """Every graph that a user opens: the workflows, and what stands in the blueprints."""
    for path in WORKFLOWS:
        yield path.stem, json.loads(path.read_text("utf-8"))
    for path in BLUEPRINTS:
        for graph in json.loads(path.read_text("utf-8"))["definitions"]["subgraphs"]:
            links = [
                [x[k] for k in ("id", "origin_id", "origin_slot", "target_id", "target_slot")]
                for x in graph["links"]
                if x["origin_id"] > 0 and x["target_id"] > 0
            ]
            yield path.stem, {**graph, "links": [[*link, "*"] for link in links]}


GRAPHS = dict(graphs())
each = pytest.mark.parametrize("name", GRAPHS)


@pytest.fixture(scope="session")
def widgets(server):
    """Node type -> names of its widgets in order, with the seed's own beside it."""
    from comfyui_harness.workflow_prompt import DYNAMIC, SEEDS, WIDGET_TYPES

    found = {}
    for node_type, info in server.object_info().items():
        names = found[node_type] = []
        for group in ("required", "optional"):
            for name, (kind, *rest) in info["input"].get(group, {}).items():
                options = rest[0] if rest else {}
                is_widget = isinstance(kind, list) or kind in (*WIDGET_TYPES, DYNAMIC)
                if is_widget and not options.get("forceInput"):
                    names += [name, "control"] if name in SEEDS else [name]
    for path in WORKFLOWS + BLUEPRINTS:
        kinds = json.loads(path.read_text("utf-8")).get("definitions", {}).get("subgraphs", [])
        for graph in kinds:  # its own widgets are those that lead to a widget
            inner = {(n["id"], i): "widget" in s for n in graph["nodes"] for i, s in slots(n)}
            leads = {
                x["origin_slot"]
                for x in graph["links"]
                if x["origin_id"] == -10 and inner[x["target_id"], x["target_slot"]]
            }
            found[graph["id"]] = [e["name"] for i, e in enumerate(graph["inputs"]) if i in leads]
    return found


def slots(node):
    return enumerate(node.get("inputs", []))


@each
def test_fitted_to_a_full_hd_screen_it_can_be_read(name):
    assert layout.fitted_zoom(GRAPHS[name]) >= SMALLEST_ZOOM


@each
def test_no_node_lies_on_another_or_on_its_badge(name):
    nodes = GRAPHS[name]["nodes"]
    for one in nodes:
        for other in nodes:
            if one is not other:
                box = layout.node_box(other)
                assert not layout.node_box(one).overlaps(box), (one["type"], other["type"])
                assert not layout.badge_box(one).overlaps(box), (one["type"], other["type"])


@each
def test_no_wire_runs_under_a_foreign_node(name, widgets):
    assert layout.wires_under_nodes(GRAPHS[name], widgets) == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_node_stands_in_a_group_under_its_title(path):
    workflow = GRAPHS[path.stem]
    boxes = [layout.group_box(group) for group in workflow["groups"]]
    for node in workflow["nodes"]:
        inside = [box for box in boxes if box.holds(layout.node_box(node))]
        assert len(inside) == 1, layout.title(node)
        assert layout.badge_box(node).top >= inside[0].top + layout.GROUP_TITLE, layout.title(node)
        if node["type"] == "SaveVideo":
            below = inside[0].bottom - layout.node_box(node).bottom
            others = [layout.node_box(n) for n in workflow["nodes"] if n is not node]
            grown = layout.node_box(node)._replace(
                bottom=layout.node_box(node).bottom + ROOM_FOR_A_VIDEO
            )
            assert below >= ROOM_FOR_A_VIDEO, layout.title(node)
            assert not any(grown.overlaps(box) for box in others), layout.title(node)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_notes_are_short(path):
    for node in GRAPHS[path.stem]["nodes"]:
        if node["type"] == "MarkdownNote":
            shown = re.sub(r"\]\([^)]*\)", "]", node["widgets_values"][0])
            assert len(shown) <= LONGEST_NOTE, len(shown)


def test_the_smallest_workflow_has_at_most_8_nodes():
    nodes = [n for n in GRAPHS["animate_character"]["nodes"] if n["type"] != "MarkdownNote"]
    assert len(nodes) <= 8


def test_two_kinds_of_wires_are_computed_as_the_page_draws_them():
    """A spline's middle is the middle of its ends; a flat wire through reroutes stays flat."""
    points = list(layout.wire((0, 0), [], (100, 40)))
    assert points[0] == (0, 0)
    assert points[-1] == (100, 40)
    assert points[len(points) // 2] == pytest.approx((50, 20))
    flat = list(layout.wire((0, 5), [(30, 5), (60, 5)], (90, 5)))
    assert [y for _, y in flat] == pytest.approx([5] * len(flat))
    assert [x for x, _ in flat] == sorted(x for x, _ in flat)


@pytest.mark.parametrize("name", ["animate_character", "animate_from_video"])
def test_the_form_of_app_mode_shows_settings_that_exist(name, widgets):
    """`linearData` names nodes, their settings, and where the result is shown."""
    nodes = {str(node["id"]): node for node in GRAPHS[name]["nodes"]}
    form = GRAPHS[name]["extra"]["linearData"]
    for node, setting in form["inputs"]:
        assert setting in widgets[nodes[node]["type"]], (node, setting)
        wired = [s["name"] for s in nodes[node]["inputs"] if s["link"] is not None]
        assert setting not in wired, setting
    assert [nodes[node]["type"] for node in form["outputs"]] == ["SaveVideo"]
