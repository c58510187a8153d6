"""A saved workflow (the web page's format) to a prompt (the server's), as the web page does it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

WIDGET_TYPES = {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"}
FRONTEND_NODES = {"MarkdownNote", "Note", "Reroute", "PrimitiveNode"}
# Beside these widgets the web page keeps a value of its own in the saved list.
SEEDS = {"seed", "noise_seed"}


def read_workflow(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def widget_names(info: dict[str, Any]) -> list[str]:
    """The saved values of a node, in order; names that begin with "+" belong to the web page."""
    names = []
    for group in ("required", "optional"):
        for name in info["input_order"].get(group, []):
            kind, *rest = info["input"][group][name]
            options = rest[0] if rest else {}
            if not (isinstance(kind, list) or kind in WIDGET_TYPES) or options.get("forceInput"):
                continue
            names.append(name)
            if name in SEEDS or options.get("control_after_generate"):
                names.append(f"+control of {name}")
            if options.get("image_upload") or options.get("video_upload"):
                names.append(f"+upload of {name}")
    return names


def to_prompt(workflow: dict[str, Any], object_info: dict[str, Any]) -> dict[str, Any]:
    """Convert a workflow; node ids become the prompt's keys."""
    links = {link[0]: link for link in workflow["links"]}
    prompt = {}
    for node in workflow["nodes"]:
        if node["type"] in FRONTEND_NODES or node["mode"] in (2, 4):
            continue
        info = object_info[node["type"]]
        names = widget_names(info)
        values = node.get("widgets_values", [])
        assert len(values) <= len(names), f"{node['type']}: {values} for {names}"
        inputs = {name: value for name, value in zip(names, values, strict=False) if name[0] != "+"}
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
