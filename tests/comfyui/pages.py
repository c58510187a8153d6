"""Help pages and translations beside the nodes they speak of: what both must contain.

The words are those of `locales/`, written by hand; the schemas take theirs from `locales/en`. The lists
of inputs and outputs on the help pages follow from both. After a change to a schema or to its words,

    WRITE_PAGES=1 pytest tests/comfyui/test_pages.py

writes these lists, and the test names the words that lack.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .workflow_prompt import DYNAMIC

REPOSITORY = Path(__file__).parent.parent.parent
DOCS = REPOSITORY / "web" / "docs"
LOCALES = REPOSITORY / "locales"
LANGUAGES = ("en", "zh")

# Longer lists, and lists of files, differ from machine to machine and between ComfyUI's versions.
MOST_CHOICES = 8
WEIGHT_FILES = (".safetensors", ".pth", ".pt", ".ckpt", ".bin", ".onnx")
# Larger limits, such as a seed's, tell a reader nothing.
LARGEST_SHOWN = 1_000_000
WORDS = {
    "en": {
        "inputs": "Inputs",
        "outputs": "Outputs",
        "choice": "a choice",
        "file": "a file",
        "text": "text",
        "switch": {True: "on", False: "off"},
        "item": "* {} ({}): {}",
        "range": "{default}, from {low} to {high}",
        "optional": ", optional",
        "or": ", ",
    },
    "zh": {
        "inputs": "输入",
        "outputs": "输出",
        "choice": "选项",
        "file": "文件",
        "text": "文本",
        "switch": {True: "开", False: "关"},
        "item": "* {}（{}）：{}",
        "range": "{default}，{low} 到 {high}",
        "optional": "，可选",
        "or": "、",
    },
}


def inputs_of(info: dict[str, Any]) -> Iterator[tuple[str, Any, dict[str, Any], bool]]:
    """(name, type, options, is optional) of every input of a node of /object_info.

    After a choice with fields of its own come these, under `choice.field`.
    """
    yield from _inputs_in(info["input"], "")


def _inputs_in(
    inputs: dict[str, Any], prefix: str
) -> Iterator[tuple[str, Any, dict[str, Any], bool]]:
    for group in ("required", "optional"):
        for name, (kind, *rest) in inputs.get(group, {}).items():
            options = rest[0] if rest else {}
            yield prefix + name, kind, options, group == "optional"
            if kind == DYNAMIC:
                for choice in options["options"]:
                    yield from _inputs_in(choice["inputs"], f"{prefix}{name}.")


def locale_key(name: str) -> str:
    """How the page looks for the words of an input: it reads a dot as a step into a branch."""
    return name.replace(".", "_")


def english(info: dict[str, Any]) -> dict[str, Any]:
    """A node's entry of `nodeDefs.json` as its schema has it; without a word that is not there."""
    tooltips = info["output_tooltips"] or []
    return {
        "display_name": info["display_name"],
        "description": info["description"],
        "inputs": {
            locale_key(name): {
                "name": options.get("display_name") or name.rpartition(".")[2],
                "tooltip": options.get("tooltip"),
            }
            for name, _, options, _ in inputs_of(info)
        },
        "outputs": {
            str(index): {"name": name, "tooltip": tooltip}
            for index, (name, tooltip) in enumerate(zip(info["output_name"], tooltips, strict=True))
        },
    }


def read_locale(language: str) -> dict[str, Any]:
    """The translations of all nodes."""
    return json.loads((LOCALES / language / "nodeDefs.json").read_text("utf-8"))


def page_path(node_id: str, language: str) -> Path:
    """The file that ComfyUI's help panel asks for."""
    return DOCS / f"{node_id}.md" if language == "en" else DOCS / node_id / f"{language}.md"


def lists(info: dict[str, Any], texts: dict[str, Any], language: str) -> dict[str, str]:
    """The bodies of a page's sections on inputs and outputs, by heading.

    Lists, because ComfyUI's help panel is too narrow for tables.
    """
    words = WORDS[language]
    inputs = [
        (
            f"`{name}`"
            if language == "en"
            else f"{texts['inputs'][locale_key(name)]['name']} `{name}`",
            _value(kind, options, is_optional, words),
            texts["inputs"][locale_key(name)]["tooltip"],
        )
        for name, kind, options, is_optional in inputs_of(info)
    ]
    outputs = [
        (f"`{text['name']}`" if language == "en" else text["name"], kind, text["tooltip"])
        for text, kind in zip(texts["outputs"].values(), info["output"], strict=True)
    ]
    return {
        words["inputs"]: "\n".join(words["item"].format(*item) for item in inputs),
        words["outputs"]: "\n".join(words["item"].format(*item) for item in outputs),
    }


def with_lists(page: str, bodies: dict[str, str]) -> str:
    """A page with the bodies of these sections exchanged; sections that lack are added."""
    for heading, body in bodies.items():
        section = f"## {heading}\n\n{body}\n"
        pattern = rf"^## {heading}\n.*?(?=^## |\Z)"
        if re.search(pattern, page, re.MULTILINE | re.DOTALL):
            following = section + "\n"
            flags = re.MULTILINE | re.DOTALL
            page = re.sub(pattern, lambda _, s=following: s, page, count=1, flags=flags)
        elif body:
            page = page.rstrip("\n") + "\n\n" + section
    return page.rstrip("\n") + "\n"


def _value(kind: Any, options: dict[str, Any], is_optional: bool, words: dict[str, Any]) -> str:
    choices = kind if isinstance(kind, list) else options.get("options")
    default = options.get("default")
    if kind == DYNAMIC:
        value = _choice([choice["key"] for choice in choices], words)
    elif choices is not None or kind == "COMBO":
        value = _choice([str(choice) for choice in choices or []], words)
    elif kind in ("INT", "FLOAT"):
        value = _number(default)
        if options["max"] <= LARGEST_SHOWN:
            low, high = _number(options["min"]), _number(options["max"])
            value = words["range"].format(default=value, low=low, high=high)
    elif kind == "BOOLEAN":
        value = words["switch"][bool(default)]
    elif kind == "STRING":
        value = words["text"]
    else:
        value = f"{kind}{words['optional']}" if is_optional else str(kind)
    return value


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"


def _choice(choices: list[str], words: dict[str, Any]) -> str:
    if not choices or "built-in" in choices or any(c.endswith(WEIGHT_FILES) for c in choices):
        return words["file"]
    return (
        words["choice"]
        if len(choices) > MOST_CHOICES
        else words["or"].join(f"`{c}`" for c in choices)
    )
