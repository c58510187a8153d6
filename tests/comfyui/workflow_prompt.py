"""A saved workflow (the web page's format) to a prompt (the server's), as the web page does it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

WIDGET_TYPES = {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"}
FRONTEND_NODES = {"MarkdownNote", "Note", "Reroute", "PrimitiveNode"}
DYNAMIC = "COMFY_DYNAMICCOMBO_V3"
# Beside these widgets the web page keeps a value of its own in the saved list.
SEEDS = {"seed", "noise_seed"}
# In a subgraph, the nodes that stand for its own inputs and outputs.
INPUTS, OUTPUTS = -10, -20


def read_workflow(path: Path) -> dict[str, Any]:
    """A saved workflow; what stands in its subgraphs stands beside the rest, as the page sends it."""
    return flattened(json.loads(path.read_text(encoding="utf-8")))


def flattened(workflow: dict[str, Any]) -> dict[str, Any]:
    """Put the inner nodes of subgraphs in their place, with ids as the page gives them (`7:2`)."""
    kinds = {sub["id"]: sub for sub in workflow.get("definitions", {}).get("subgraphs", [])}
    hosts = {n["id"]: kinds[n["type"]] for n in workflow["nodes"] if n["type"] in kinds}
    links = {link[0]: list(link) for link in workflow["links"]}
    nodes = [node for node in workflow["nodes"] if node["id"] not in hosts]
    sources: dict[tuple[Any, int], tuple[Any, int]] = {}
    for host in (node for node in workflow["nodes"] if node["id"] in hosts):
        inner = _inner_links(host, hosts[host["id"]], links, sources)
        for node in json.loads(json.dumps(hosts[host["id"]]["nodes"])):
            for slot in node.get("inputs", []):
                slot["link"] = slot["link"] and f"{host['id']}:{slot['link']}"
                slot["link"] = slot["link"] if slot["link"] in inner else None
            nodes.append({**node, "id": f"{host['id']}:{node['id']}"})
        links |= inner
    kept = [link for link in links.values() if link[3] not in hosts]
    for link in kept:
        link[1], link[2] = sources.get((link[1], link[2]), (link[1], link[2]))
    return {**workflow, "nodes": nodes, "links": kept}


def _inner_links(
    host: dict[str, Any],
    subgraph: dict[str, Any],
    outer: dict[Any, list[Any]],
    sources: dict[tuple[Any, int], tuple[Any, int]],
) -> dict[str, list[Any]]:
    """The links inside a subgraph; where its outputs come from is noted in `sources`."""
    wired = {slot["name"]: slot["link"] for slot in host["inputs"]}
    found = {}
    for link in subgraph["links"]:
        name, kind = f"{host['id']}:{link['id']}", link["type"]
        source = [f"{host['id']}:{link['origin_id']}", link["origin_slot"]]
        if link["target_id"] == OUTPUTS:
            sources[host["id"], link["target_slot"]] = (source[0], source[1])
            continue
        if link["origin_id"] == INPUTS:
            coming = wired[subgraph["inputs"][link["origin_slot"]]["name"]]
            if coming is None:
                continue
            source = outer[coming][1:3]
        target = f"{host['id']}:{link['target_id']}"
        found[name] = [name, *source, target, link["target_slot"], kind]
    return found


def widget_values(inputs: dict[str, Any], values: list[Any], prefix: str = "") -> dict[str, Any]:
    """Take a node's saved values, in the order of its inputs, off the front of a list.

    Args:
        inputs: The node's inputs by group, as /object_info tells them.
        values: Saved values; those that are used are taken off.
        prefix: Of the names, for the inputs of a choice within a choice.
    """
    taken: dict[str, Any] = {}
    for group in ("required", "optional"):
        for name, (kind, *rest) in inputs.get(group, {}).items():
            options = rest[0] if rest else {}
            is_widget = isinstance(kind, list) or kind in (*WIDGET_TYPES, DYNAMIC)
            if not is_widget or options.get("forceInput") or options.get("hidden") or not values:
                continue
            value = taken[prefix + name] = values.pop(0)
            if kind == DYNAMIC:  # the inputs of the option that is chosen follow
                chosen = next(o for o in options["options"] if o["key"] == value)
                taken |= widget_values(chosen["inputs"], values, f"{prefix}{name}.")
            if name in SEEDS or options.get("control_after_generate"):
                values.pop(0)
            if options.get("image_upload") or options.get("video_upload"):
                values.pop(0)
    return taken


def to_prompt(workflow: dict[str, Any], object_info: dict[str, Any]) -> dict[str, Any]:
    """Convert a workflow; node ids become the prompt's keys."""
    links = {link[0]: link for link in workflow["links"]}
    prompt = {}
    for node in workflow["nodes"]:
        if node["type"] in FRONTEND_NODES or node["mode"] in (2, 4):
            continue
        info = object_info[node["type"]]
        values = list(node.get("widgets_values", []))
        inputs = widget_values(info["input"], values)
        assert not values, f"{node['type']} has no place for {values}"
        for slot in node.get("inputs", []):
            if slot["link"] is not None:
                _, source, output, *_ = links[slot["link"]]
                inputs[slot["name"]] = [str(source), output]
        prompt[str(node["id"])] = {"class_type": node["type"], "inputs": inputs}
    return prompt


def find(workflow: dict[str, Any], node_type: str, title: str | None = None) -> dict[str, Any]:
    """The only node of a type (and title)."""
    found = [
        node
        for node in workflow["nodes"]
        if node["type"] == node_type and (title is None or node.get("title") == title)
    ]
    assert len(found) == 1, (node_type, title, len(found))
    return found[0]
