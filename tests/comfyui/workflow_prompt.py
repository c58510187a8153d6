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


def read_workflow(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


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
