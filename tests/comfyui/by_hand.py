"""Make a graph on ComfyUI's page as a user does: find nodes, put them down, drag wires."""

from __future__ import annotations

from typing import Any

from .browser import PATIENCE, VIEWPORT, ComfyPage

NodeId = int | str
Place = tuple[int, int]
Wire = tuple[NodeId, str, NodeId, str]

NODE_IDS = "() => window.app.graph.nodes.map(node => node.id)"
NEW_NODE = "known => window.app.graph.nodes.find(n => !known.includes(n.id))?.id ?? null"
CENTER = VIEWPORT["width"] // 2, VIEWPORT["height"] // 2


def open_empty(page: ComfyPage) -> None:
    """Open a graph without nodes."""
    page.page.evaluate(
        """async () => {
            window.app.extensionManager.toast.removeAll();
            await window.app.loadGraphData({
                version: 0.4, last_node_id: 0, last_link_id: 0, nodes: [], links: [],
            });
        }"""
    )
    page.page.wait_for_timeout(500)
    page.press("Escape", times=2)


def add_by_search(page: ComfyPage, title: str, at: Place) -> NodeId:
    """Type a title into the search for nodes and blueprints, take what it marks; returns the id."""
    known = page.page.evaluate(NODE_IDS)
    page.run("Workspace.SearchBox.Toggle")
    page.page.locator("input:focus").fill(title, timeout=PATIENCE)
    page.page.get_by_text(title, exact=True).last.wait_for(timeout=PATIENCE)
    page.page.wait_for_timeout(500)
    page.press("Enter")
    node_id = page.page.wait_for_function(NEW_NODE, arg=known, timeout=PATIENCE).json_value()
    page.page.wait_for_timeout(1000)  # the search fades away
    # On newer pages the node hangs on the pointer until a click puts it down.
    page.page.mouse.move(CENTER[0] // 2, CENTER[1])
    page.page.mouse.click(*CENTER)
    page.page.evaluate(
        "([id, pos]) => { window.app.graph.getNodeById(id).pos = pos; }", [node_id, at]
    )
    return node_id


def add_node(page: ComfyPage, node_type: str, at: Place, **values: Any) -> NodeId:
    """Put a new node with these settings on the graph; returns its id."""
    return page.page.evaluate(
        """([type, pos, values]) => {
            const node = window.LiteGraph.createNode(type);
            window.app.graph.add(node);
            node.pos = pos;
            for (const [name, value] of Object.entries(values)) {
                const widget = node.widgets.find(w => w.name === name);
                widget.value = value;
                widget.callback?.(value);
            }
            return node.id;
        }""",
        [node_type, at, values],
    )


def draw_wires(page: ComfyPage, wires: list[Wire]) -> None:
    """Drag each wire with the mouse: (from, output, to, input), on a graph fitted to the screen."""
    page.page.evaluate("() => window.app.canvas.deselectAll()")  # or only what is chosen is fitted
    page.run("Comfy.Canvas.FitView")
    page.page.wait_for_timeout(1000)
    for wire in wires:
        start, end = page.page.evaluate(
            """([source, output, target, input]) => {
                const { graph, canvas } = window.app;
                const from = graph.getNodeById(source), to = graph.getNodeById(target);
                const frame = canvas.canvas.getBoundingClientRect();
                const onPage = point => {
                    const [left, top] = canvas.ds.convertOffsetToCanvas(point);
                    return [frame.left + left, frame.top + top];
                };
                return [
                    onPage(from.getOutputPos(from.outputs.findIndex(o => o.name === output))),
                    onPage(to.getInputPos(to.inputs.findIndex(i => i.name === input))),
                ];
            }""",
            list(wire),
        )
        page.page.mouse.move(*start)
        page.page.mouse.down()
        page.page.mouse.move((start[0] + end[0]) / 2, (start[1] + end[1]) / 2, steps=4)
        page.page.mouse.move(*end, steps=4)
        page.page.wait_for_timeout(100)
        page.page.mouse.up()
        page.page.wait_for_timeout(100)


def wires_of(page: ComfyPage) -> set[Wire]:
    """The wires that are there."""
    found = page.page.evaluate(
        """() => {
            const graph = window.app.graph;
            return [...(graph.links?.values?.() ?? graph._links.values())].map(link => [
                link.origin_id,
                graph.getNodeById(link.origin_id).outputs[link.origin_slot].name,
                link.target_id,
                graph.getNodeById(link.target_id).inputs[link.target_slot].name,
            ]);
        }"""
    )
    return {tuple(wire) for wire in found}
