"""ComfyUI's web page opens the workflows, shows the help pages, speaks Chinese and lists the templates.

Needs a Chromium (`apt-get install chromium`, or CHROMIUM) and Playwright (`pip install playwright`);
skips without. BROWSER_SCREENSHOTS names a folder for pictures of what was seen: look at them.
"""

import importlib
import json
import os
from pathlib import Path

import pytest

browsers = importlib.import_module("comfyui_harness.browser")
pages = importlib.import_module("comfyui_harness.pages")

WORKFLOWS = sorted((pages.REPOSITORY / "workflows").glob("*.json"))
SAMPLES = pages.REPOSITORY / "animate_anyone_core" / "builtin" / "samples"
INPUTS = {"LoadImage": SAMPLES / "character_a.png", "LoadVideo": SAMPLES / "driving.mp4"}
EXAMPLE = next(path for path in WORKFLOWS if path.stem == "animate_character")


@pytest.fixture(scope="module")
def browser():
    try:
        with browsers.open_browser() as running:
            yield running
    except browsers.NoBrowserError as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def page(browser, page_server):
    """The page of a ComfyUI whose user has the files that the workflows name."""
    for path in WORKFLOWS:
        for node in json.loads(path.read_text("utf-8"))["nodes"]:
            if node["type"] in INPUTS:
                page_server.upload(node["widgets_values"][0], INPUTS[node["type"]])
            for model in node["properties"].get("models", []):
                file = page_server.base / "models" / model["directory"] / model["name"]
                file.parent.mkdir(parents=True, exist_ok=True)
                file.touch()
    opened = browsers.ComfyPage(browser, page_server.port)
    yield opened
    opened.close()


@pytest.fixture
def keep(page_server):
    """Save a picture of a page, if BROWSER_SCREENSHOTS asks for it."""

    def save(page, name):
        folder = os.environ.get("BROWSER_SCREENSHOTS")
        if folder:
            page.screenshot(Path(folder) / page_server.checkout.version / f"{name}.png")

    return save


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_opens_as_it_was_saved(page, keep, path):
    page.errors.clear()
    workflow = json.loads(path.read_text("utf-8"))

    seen = page.open_workflow(workflow)

    page.press("Escape", times=2)
    keep(page, path.stem)
    assert seen["unknown"] == []
    assert seen["red"] == []
    assert page.errors == []
    assert page.messages() == []
    saved = {node["id"]: node for node in workflow["nodes"]}
    assert {node["id"] for node in seen["nodes"]} == set(saved)
    for node in seen["nodes"]:
        if node["type"].startswith("AnimateAnyone_"):
            assert node["values"] == saved[node["id"]].get("widgets_values", []), node["type"]


def test_no_node_of_a_workflow_lies_on_another(page):
    """As the page lays them out, with the sizes its widgets need."""
    on_each_other = {}
    for path in WORKFLOWS:
        page.open_workflow(json.loads(path.read_text("utf-8")))
        if pairs := page.overlapping_nodes():
            on_each_other[path.stem] = pairs
    assert on_each_other == {}


def test_the_help_panel_shows_our_page_with_its_picture(page, keep):
    page.open_workflow(json.loads(EXAMPLE.read_text("utf-8")))
    page.press("Escape", times=2)

    shown = page.help_of("AnimateAnyone_Sampler")

    keep(page, "help")
    assert "conditioning, windows and sampling in one node" in shown["text"]
    assert "Tips" in shown["text"]
    assert [picture for picture in shown["pictures"] if picture["width"] > 0] == shown["pictures"]
    assert len(shown["pictures"]) == 1


def test_the_template_browser_lists_our_workflows(page, keep, page_server):
    page.run("Comfy.BrowseTemplates")
    page.choose_template_source(page_server.installed_pack.name)

    text = page.page.inner_text("body").replace("_", " ").lower()

    keep(page, "templates")
    page.press("Escape", times=2)
    assert [path.stem for path in WORKFLOWS if path.stem.replace("_", " ") not in text] == []


def test_the_page_speaks_chinese_of_our_nodes(browser, page_server, keep):
    chinese = browsers.ComfyPage(browser, page_server.port, "zh")
    try:
        chinese.open_workflow(json.loads(EXAMPLE.read_text("utf-8")))
        chinese.press("Escape", times=2)
        help_text = chinese.help_of("AnimateAnyone_Sampler")["text"]
        keep(chinese, "chinese")
        for node_id, texts in pages.read_locale("zh").items():
            shown = chinese.words_on(node_id)
            assert shown["title"] == texts["display_name"]
            assert shown["outputs"] == [text["name"] for text in texts["outputs"].values()]
            assert set(shown["widgets"]) <= {text["name"] for text in texts["inputs"].values()}
    finally:
        chinese.close()
    assert "提示" in help_text
