"""Other words by which people look for a node."""

from dataclasses import fields

from comfy_api.latest import io


def aliases(*words: str) -> dict[str, list[str]]:
    """Keywords for `io.Schema(...)` by which a node is also found.

    Empty where ComfyUI does not know search aliases (before 0.10): there it searches in a node's name
    only, and an unknown keyword would keep the whole pack from loading.

    Args:
        words: What people may type: other packs' names of the node, names of the files it reads.
    """
    field_names = {field.name for field in fields(io.Schema)}
    return {"search_aliases": list(words)} if "search_aliases" in field_names else {}
