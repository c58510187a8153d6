"""A node's schema: what it takes and gives stands in its module, its words in `locales/en`."""

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

from comfy_api.latest import io

from .sockets import CATEGORY

WORDS = Path(__file__).parent.parent / "locales" / "en" / "nodeDefs.json"

logger = logging.getLogger("animate_anyone")


def schema(
    node_id: str,
    aliases: Sequence[str],
    inputs: list[Any],
    outputs: list[Any],
    category: str = CATEGORY,
    **how: Any,
) -> io.Schema:
    """The schema of a node, with its name, its description and all tooltips.

    Words that an installation lacks are left out: a node works without them.

    Args:
        node_id: The id in workflows, frozen for ever; by it `locales/` knows the node.
        aliases: What people may type to find it: other packs' names of the node, names of the files
            it reads. Left out where ComfyUI knows no search aliases (before 0.10): there an unknown
            keyword would keep the whole pack from loading.
        inputs: In order; without tooltips.
        outputs: In order; without tooltips.
        category: Where the menu has it.
        how: Anything else that schemas know.
    """
    words = _english().get(node_id, {})
    for key, item in _keyed(inputs):
        item.tooltip = _tooltip(words, "inputs", key)
    for place, item in enumerate(outputs):
        item.tooltip = _tooltip(words, "outputs", str(place))
    known = {field.name for field in fields(io.Schema)}
    found_by = {"search_aliases": list(aliases)} if "search_aliases" in known else {}
    return io.Schema(
        node_id=node_id,
        display_name=words.get("display_name", node_id),
        description=words.get("description", ""),
        category=category,
        inputs=inputs,
        outputs=outputs,
        **found_by,
        **how,
    )


def _keyed(inputs: Sequence[Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Inputs and the keys of their words; the fields of a choice's options come under the choice."""
    for item in inputs:
        key = before + item.id
        yield key, item
        if isinstance(item, io.DynamicCombo.Input):
            for option in item.options:
                yield from _keyed(option.inputs, f"{key}_")
        elif isinstance(item, io.Autogrow.Input):
            yield key, item.template.input  # one word for all that grow


def _tooltip(words: dict[str, Any], group: str, key: str) -> str | None:
    return words.get(group, {}).get(key, {}).get("tooltip")


@cache
def _english() -> dict[str, Any]:
    try:
        return json.loads(WORDS.read_text("utf-8"))
    except (OSError, ValueError) as error:
        logger.warning(
            "Animate Anyone: nodes are without tooltips, because of %s: %s", WORDS, error
        )
        return {}
