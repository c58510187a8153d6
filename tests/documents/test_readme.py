"""What the README says of the pack is so: its commands, tables, pictures and messages."""

import json
import re
from pathlib import Path

import pytest
from PIL import Image

from animate_anyone_core.commands import COMMANDS
from animate_anyone_core.lab.commands import COMMANDS as LAB_COMMANDS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
LARGEST_PICTURE = 3_000_000
START = "python3 -m venv .venv && .venv/bin/pip install -c constraints.txt -e "
NEWCOMERS = (
    START + '".[standalone]" && .venv/bin/python -m animate_anyone_core demo',
    START + '".[test]" && .venv/bin/pytest',
)


def table(head: str) -> list[list[str]]:
    """Cells of the table whose head begins so, without the head."""
    start = README.index(f"| {head} |")
    rows = README[start:].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]


def test_a_moving_picture_comes_first():
    first = re.search(r"!\[[^\]]+\]\(([^)]+)\)", README)
    assert README[: first.start()].count("\n") < 5
    path = ROOT / first[1]
    assert path.stat().st_size < LARGEST_PICTURE
    with Image.open(path) as picture:
        assert picture.n_frames > 20
        assert picture.width >= 800, "words in it must be readable"


def test_then_how_to_install_it_in_comfyui_then_the_two_commands():
    clone = README.index("git clone https://github.com/")
    demo, tests = (README.index(f"```sh\n{command}\n```") for command in NEWCOMERS)
    assert README.index("![") < clone < demo < tests < README.index("docs/demo.png")


def test_the_table_of_nodes_lists_every_node():
    texts = json.loads((ROOT / "locales" / "en" / "nodeDefs.json").read_text("utf-8"))
    names = {text["display_name"].removesuffix(" (Animate Anyone)") for text in texts.values()}
    listed = [name.strip() for row in table("node") for name in row[0].split("·")]
    assert sorted(listed) == sorted(names)


def test_the_table_of_workflows_lists_every_workflow():
    listed = [row[0].strip("`") for row in table("workflow")]
    assert sorted(listed) == sorted(path.stem for path in (ROOT / "workflows").glob("*.json"))


def test_the_table_of_commands_lists_every_command():
    listed = [name.strip(" `") for row in table("command") for name in row[0].split("·")]
    assert sorted(listed) == sorted({**COMMANDS, **LAB_COMMANDS})


def product_text() -> str:
    """All strings of the product, as one; adjacent literals are joined."""
    files = [*(ROOT / "nodes").rglob("*.py"), *(ROOT / "animate_anyone_core").rglob("*.py")]
    text = "\n".join(path.read_text("utf-8") for path in files)
    return re.sub(r'"\s*\n\s*f?"', "", text)


@pytest.mark.parametrize(
    "message", [row[0] for row in table("message") if row[0].startswith("`")], ids=lambda m: m
)
def test_a_message_that_is_explained_is_one_that_the_pack_says(message):
    parts = [part for part in re.split(r"…|\bN\b", message.strip("`")) if len(part.strip()) > 3]
    text = product_text()
    assert parts
    for part in parts:
        assert part.strip() in text, part
