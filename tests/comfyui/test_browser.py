"""ComfyUI's web page opens the workflows, shows the help pages, speaks Chinese and lists the templates.

Needs a Chromium (`apt-get install chromium`, or CHROMIUM) and Playwright (`pip install playwright`);
skips without. BROWSER_SCREENSHOTS names a folder for pictures of what was seen: look at them.
"""

import importlib
import json
import os
from pathlib import Path

import pytest

from animate_anyone_core.images import read_picture
from animate_anyone_core.video import read_video

browsers = importlib.import_module("comfyui_harness.browser")
by_hand = importlib.import_module("comfyui_harness.by_hand")
line = importlib.import_module("comfyui_harness.first_light")
pages = importlib.import_module("comfyui_harness.pages")

WORKFLOWS = sorted((pages.REPOSITORY / "workflows").glob("*.json"))
BLUEPRINTS = sorted((pages.REPOSITORY / "subgraphs").glob("*.json"))
SAVED = sorted((pages.REPOSITORY / "tests" / "comfyui" / "saved_0_1").glob("*.json"))
SMALLEST_ZOOM = 0.75
SAMPLES = pages.REPOSITORY / "animate_anyone_core" / "builtin" / "samples"
FILES = {"skeletons.mp4": line.SKELETONS}
INPUTS = {"LoadImage": SAMPLES / "character_a.png", "LoadVideo": SAMPLES / "driving.mp4"}
#: Values for a run of a few seconds; names of files are those of a small model in the published layout.
SMALL = {
    "steps": 1,
    "num_frames": 3,
    "length": 3,
    "start_frame": 0,
    "end_frame": 1,
    "soft_frames": 0,
}
PUBLISHED = {
    "reference_net": "moore/reference_unet.safetensors",
    "denoising_unet": "moore/denoising_unet.safetensors",
    "motion_module": "moore/motion_module.safetensors",
    "pose_guider": "moore/pose_guider.safetensors",
    "vae": "moore/vae",
    "image_encoder": "moore/image_encoder",
    "width": 128,
    "height": 176,
}
#: Blueprint -> what a user puts beside it: nodes by a name, wires (from, output, to, input), where
#: `own` is the blueprint's node; and the result: its frames and their width and height.
BESIDE: dict[str, tuple[dict[str, tuple[str, dict[str, str]]], list[str], tuple[int, int, int]]] = {
    "Animate Character": (
        {"dance": ("AnimateAnyone_BuiltinInputs", {}), "save": ("SaveImage", {})},
        [
            "dance.character -> own.character",
            "dance.pose_keypoint -> own.pose_keypoint",
            "own.images -> save.images",
        ],
        (3, 128, 128),
    ),
    "Animate from Video": (
        {
            "picture": ("LoadImage", {"image": "character.png"}),
            "film": ("LoadVideo", {"file": "driving.mp4"}),
            "save": ("SaveVideo", {}),
        },
        [
            "picture.IMAGE -> own.character",
            "film.VIDEO -> own.video",
            "own.video -> save.video",
        ],
        (3, 128, 128),
    ),
    "Retargeted Poses": (
        {"dance": ("AnimateAnyone_BuiltinInputs", {}), "save": ("SaveImage", {})},
        [
            "dance.character -> own.character",
            "dance.driving -> own.driving",
            "own.skeletons -> save.images",
        ],
        (3, 256, 256),
    ),
    "Face Pass": (
        {
            "dance": ("AnimateAnyone_BuiltinInputs", {}),
            "set": ("AnimateAnyone_LoadModelSet", {"model_set": "built-in"}),
            "detector": (
                "AnimateAnyone_LoadPoseDetector",
                {"person_detector": "built-in", "pose_estimator": "built-in"},
            ),
            "save": ("SaveImage", {}),
        },
        [
            "dance.driving -> own.images",
            "dance.pose_keypoint -> own.pose_keypoint",
            "dance.character -> own.character",
            "detector.pose_detector -> own.pose_detector",
            "set.model -> own.model",
            "set.reference_net -> own.reference_net",
            "set.pose_guider -> own.pose_guider",
            "set.vae -> own.vae",
            "set.clip_vision -> own.clip_vision",
            "own.images -> save.images",
        ],
        (3, 256, 256),
    ),
}
#: Without these the workflow has its face model's own size and steps: minutes on a processor.
SMALL_FACES = {"crop_size": 64, "width": 64, "height": 64, "steps": 1}
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
    line.install_family(page_server, "aniportrait")
    for path in WORKFLOWS:
        for node in json.loads(path.read_text("utf-8"))["nodes"]:
            if node["type"] in INPUTS:
                name = node["widgets_values"][0]
                page_server.upload(name, FILES.get(name, INPUTS[node["type"]]))
            for model in node["properties"].get("models", []):
                file = page_server.base / "models" / model["directory"] / model["name"]
                file.parent.mkdir(parents=True, exist_ok=True)
                file.touch()
    line.install(page_server)  # and `character.png`
    page_server.upload("driving.mp4", INPUTS["LoadVideo"])
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
            values = saved[node["id"]].get("widgets_values", [])
            assert node["values"] == values, node["type"]


@pytest.mark.slow
@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_runs_from_the_page(page, keep, page_server, path):
    """Opened, set to few frames and steps, and the button Run pressed."""
    page.errors.clear()
    page.open_workflow(json.loads(path.read_text("utf-8")))
    page.press("Escape", times=2)
    page.set_values(SMALL | (PUBLISHED if path.stem == "animate_published_weights" else {}))
    if path.stem == "talking_face":
        page.set_values(SMALL_FACES, cut=True)

    entry = page_server.wait(page.press_run(), timeout=600)

    page.page.wait_for_timeout(1500)  # results come into the nodes
    keep(page, f"{path.stem} after a run")
    assert page_server.files(page_server.succeeded(entry)) != []
    assert page.errors == []
    assert page.overlapping_nodes() == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["animate_character", "animate_from_video"])
def test_the_form_of_app_mode_is_filled_in_and_run(page, keep, page_server, name):
    path = next(path for path in WORKFLOWS if path.stem == name)
    page.open_workflow(json.loads(path.read_text("utf-8")))
    page.press("Escape", times=2)
    page.set_values({"steps": 2})
    if not page.open_app():
        pytest.skip("this page knows no App mode")
    try:
        page.fill_in_app("num_frames" if name == "animate_character" else "length", "4")

        entry = page_server.wait(page.press_run(), timeout=600)

        page.page.get_by_test_id("linear-video-output").first.wait_for(timeout=browsers.PATIENCE)
        page.page.wait_for_timeout(1500)
        keep(page, f"{name} as an app")
    finally:
        page.run("Comfy.ToggleLinear")
    prompt = page_server.succeeded(entry)["prompt"][2]
    given = [entry["inputs"] for entry in prompt.values()]
    assert 4 in [i.get("num_frames", i.get("length")) for i in given]


def test_nodes_drawn_by_the_page_itself_do_not_overlap(page, keep):
    """The newer way to draw nodes, where they are higher and what is advanced is folded away."""
    page.draw_nodes(as_html=True)
    try:
        wrong = {}
        for path in WORKFLOWS:
            page.open_workflow(json.loads(path.read_text("utf-8")))
            page.press("Escape", times=2)
            page.page.wait_for_timeout(1500)
            if not page.page.locator("[data-node-id]").count():
                pytest.skip("this page draws nodes on its canvas only")
            keep(page, f"{path.stem} drawn by the page")
            pairs = page.overlapping_html_nodes()
            if pairs or page.errors:
                wrong[path.stem] = pairs, list(page.errors)
        assert wrong == {}
    finally:
        page.draw_nodes(as_html=False)


def test_workflows_can_be_read_as_they_open(page):
    """Fitted to a full-HD screen, with the sizes that nodes have there: text is drawn, no node lies
    on another or outside its group, and no wire runs under a node it does not belong to."""
    wrong = {}
    for path in WORKFLOWS:
        page.open_workflow(json.loads(path.read_text("utf-8")))
        seen = {
            "overlap": page.overlapping_nodes(),
            "outside": page.nodes_outside_groups(),
            "under": page.wires_under_nodes(),
            "zoom": [] if page.zoom() >= SMALLEST_ZOOM else [page.zoom()],
        }
        if any(seen.values()):
            wrong[path.stem] = seen
    assert wrong == {}


@pytest.mark.parametrize("path", SAVED, ids=lambda path: path.stem)
def test_a_workflow_of_version_0_1_opens_unchanged(page, path):
    """`test_saved_workflows.py` runs the same files."""
    page.errors.clear()
    workflow = json.loads(path.read_text("utf-8"))["workflow"]

    seen = page.open_workflow(workflow)

    page.press("Escape", times=2)
    assert seen["unknown"] == []
    assert page.errors == []
    saved = {str(node["id"]): node for node in workflow["nodes"]}
    for node in seen["nodes"]:
        values = saved[str(node["id"])].get("widgets_values", [])
        if node["type"].startswith("AnimateAnyone_"):
            assert node["values"][: len(values)] == values, node["type"]


@pytest.mark.parametrize("path", BLUEPRINTS, ids=lambda path: path.stem)
def test_a_blueprint_opens_with_its_settings(page, keep, path):
    page.errors.clear()
    blueprint = json.loads(path.read_text("utf-8"))

    seen = page.open_workflow(blueprint)

    page.press("Escape", times=2)
    keep(page, f"blueprint {path.stem}")
    assert seen["unknown"] == []
    assert page.errors == []
    (host,) = blueprint["nodes"]
    settings = [slot["name"] for slot in host["inputs"] if "widget" in slot]
    assert page.settings_of(1) == settings


@pytest.mark.slow
@pytest.mark.parametrize("path", BLUEPRINTS, ids=lambda path: path.stem)
def test_a_blueprint_is_found_wired_and_run(page, keep, page_server, path):
    """Typed into the search for nodes, put down, wired with the mouse, and the button Run pressed."""
    beside, wires, result = BESIDE[path.stem]
    page.errors.clear()
    by_hand.open_empty(page)
    nodes = {"own": by_hand.add_by_search(page, path.stem, (0, 0))}
    down = 0
    for name, (node_type, values) in beside.items():
        at = (500, 0) if name == "save" else (-500, down)
        nodes[name] = by_hand.add_node(page, node_type, at, **values)
        down += 400 if values else 250
    ends = [[end.split(".") for end in wire.split(" -> ")] for wire in wires]
    wanted = [(nodes[a], output, nodes[b], socket) for (a, output), (b, socket) in ends]

    by_hand.draw_wires(page, wanted)
    assert by_hand.wires_of(page) == set(wanted)
    page.set_values(SMALL)
    entry = page_server.wait(page.press_run(), timeout=600)

    page.page.wait_for_timeout(1500)
    keep(page, f"blueprint {path.stem} after a run")
    files = page_server.files(page_server.succeeded(entry), str(nodes["save"]))
    assert page.errors == []
    assert page.messages() == []
    if path.stem == "Animate from Video":
        count, height, width, _ = read_video(page_server.path_of(files[0])).frames.shape
    else:
        count, (width, height) = len(files), read_picture(page_server.path_of(files[0])).size
    assert (count, width, height) == result


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
