"""Every shipped workflow fits the nodes, and runs over HTTP.

Migration: a saved workflow keeps its widget values in the order of the node's inputs and its links by
number. What is frozen (`frozen_schema.json`) may therefore only grow at its end; a workflow or a
prompt saved with an older release goes on working.
"""

import io
import json
import re

import av
import pytest
from comfyui_harness import first_light as line
from comfyui_harness.workflow_prompt import (
    DYNAMIC,
    FRONTEND_NODES,
    WIDGET_TYPES,
    find,
    read_workflow,
    to_prompt,
)

from animate_anyone_core.checkpoints.builtin import BUILT_IN, BUILT_IN_REPLACE
from animate_anyone_core.checkpoints.published_files import POSE_FILES
from animate_anyone_core.video import read_video

WORKFLOWS = sorted((line.ROOT / "workflows").glob("*.json"))
FROZEN = json.loads((line.ROOT / "tests" / "comfyui" / "frozen_schema.json").read_text())
#: Values of these are files of the user's.
FILE_INPUTS = {"LoadImage": "image", "LoadVideo": "file"}
LARGEST_THUMBNAIL, LARGEST_THUMBNAILS = 60_000, 500_000


@pytest.fixture(scope="session")
def names(server):
    names = line.install(server)
    names["video"] = server.upload("skeletons.mp4", line.SKELETONS)
    return names


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflow_fits_the_nodes(server, path):
    """Types, sockets and values are those of the nodes, link by link."""
    workflow = read_workflow(path)
    info = server.object_info()
    nodes = {node["id"]: node for node in workflow["nodes"]}
    prompt = to_prompt(workflow, info)
    for _, source, output, target, slot, kind in workflow["links"]:
        produced = info[nodes[source]["type"]]["output"][output]
        wanted = info[nodes[target]["type"]]["input"]
        name = nodes[target]["inputs"][slot]["name"]
        accepted = {**wanted.get("required", {}), **wanted.get("optional", {})}[name][0]
        assert kind in (produced, "*") or produced == "*", (name, kind, produced)
        assert accepted in (produced, "*") or produced in accepted.split(","), (name, produced)
    for entry in prompt.values():
        wanted = info[entry["class_type"]]["input"]
        missing = set(wanted.get("required", {})) - set(entry["inputs"])
        assert not missing, (entry["class_type"], missing)
        known = {**wanted.get("required", {}), **wanted.get("optional", {})}
        assert {name.partition(".")[0] for name in entry["inputs"]} <= set(known)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_saved_value_is_one_the_node_offers(server, path):
    """Numbers in range, choices on the list; files only where the workflow tells their address."""
    workflow = read_workflow(path)
    info = server.object_info()
    files = {m["name"] for node in workflow["nodes"] for m in models_of(node)}
    offered = files | {name.rpartition("/")[0] for name in files} - {""}  # or their folder
    for entry in to_prompt(workflow, info).values():
        kind, wanted = entry["class_type"], info[entry["class_type"]]["input"]
        for name, (choices, *rest) in {**wanted["required"], **wanted.get("optional", {})}.items():
            value, options = entry["inputs"].get(name), rest[0] if rest else {}
            if value is None or isinstance(value, list) or FILE_INPUTS.get(kind) == name:
                continue
            choices = choices if isinstance(choices, list) else options.get("options")
            if isinstance(choices, list) and not any(isinstance(c, dict) for c in choices):
                assert value in choices or value in offered, (kind, name, value)
            elif isinstance(value, (int, float)) and not isinstance(value, bool):
                assert options.get("min", value) <= value <= options.get("max", value), (kind, name)


def models_of(node):
    return node["properties"].get("models", [])


BLUEPRINTS = sorted((line.ROOT / "subgraphs").glob("*.json"))


def test_published_weights_can_be_fetched_from_the_missing_models_dialog(server):
    """Every file of the published model has an address on the publishers' hub and a folder of ComfyUI:
    where a loader names it, and wherever a model set is chosen."""
    workflow = read_workflow(line.ROOT / "workflows" / "animate_published_weights.json")
    folders = set(json.loads(server.get("/models")))
    named = []
    for node in workflow["nodes"]:
        if not node["type"].startswith("AnimateAnyone_Load"):
            continue
        for value in node["widgets_values"]:
            if not re.search(r"\.(pth|bin|safetensors)$", value):
                continue
            (model,) = [m for m in models_of(node) if m["name"] == value]
            assert model["url"].startswith("https://huggingface.co/")
            assert "/resolve/main/" in model["url"]
            assert model["url"].endswith("/" + value)
            assert model["directory"] in folders
            named.append(model)
    assert len(named) == 6
    sets = 0
    for path in WORKFLOWS + BLUEPRINTS:
        for node in read_workflow(path)["nodes"]:
            if node["type"] != "AnimateAnyone_LoadModelSet":
                continue
            chosen, models = node["widgets_values"][0], models_of(node)
            if chosen == BUILT_IN:
                assert models == named, path.name
                sets += 1
            elif (
                chosen != BUILT_IN_REPLACE
            ):  # another family's folder, with the same VAE and encoder
                files = [f"{chosen}/{model['name']}" for model in named[:4]]
                assert [model["name"] for model in models[:4]] == files
                assert {model["directory"] for model in models[:4]} == {"animate_anyone"}
                assert all("/resolve/main/" in model["url"] for model in models)
                assert models[4:] == named[4:]
    assert sets >= 11


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_the_rate_and_the_sound_of_what_is_loaded_reach_every_video(server, path):
    """What makes a video has the rate of what was loaded wired in; and its sound, if it has any."""
    workflow = read_workflow(path)
    prompt = to_prompt(workflow, server.object_info())
    makers = [
        prompt[entry["inputs"]["video"][0]]["inputs"]
        for entry in prompt.values()
        if entry["class_type"] == "SaveVideo"
    ]
    assert makers or path.stem == "pose_from_video"
    has_sound = any(e["class_type"] == "GetVideoComponents" for e in prompt.values())
    for maker in makers:
        source, output = maker["fps"]
        kind = prompt[source]["class_type"]
        assert (kind, output) in (("AnimateAnyone_BuiltinInputs", 3), ("GetVideoComponents", 2))
        if has_sound:
            assert prompt[maker["audio"][0]]["class_type"] == "GetVideoComponents"


def test_pose_networks_for_real_people_can_be_fetched_wherever_poses_are_detected(server):
    """Every Load Pose Detector names DWPose's files, and the note says what they are for."""
    folders = set(json.loads(server.get("/models")))
    counted = 0
    for path in WORKFLOWS:
        nodes = read_workflow(path)["nodes"]
        for loader in (n for n in nodes if n["type"] == "AnimateAnyone_LoadPoseDetector"):
            offered = models_of(loader)
            assert tuple(model["name"] for model in offered) == POSE_FILES
            for model in offered:
                page = "https://huggingface.co/yzd-v/DWPose/resolve/main/"
                assert model["url"] == page + model["name"]
                assert model["directory"] in folders
            notes = [n["widgets_values"][0] for n in nodes if n["type"] == "MarkdownNote"]
            assert any("**Real people** need DWPose" in note for note in notes), path.name
            counted += 1
    assert counted == 9


@pytest.mark.parametrize("node_id", FROZEN)
def test_saved_workflows_go_on_working(server, node_id):
    """Inputs and outputs of released nodes are as they were; new ones are optional and stand last."""
    frozen, now = FROZEN[node_id], schema_of(server.object_info()[node_id])
    assert now["widgets"][: len(frozen["widgets"])] == frozen["widgets"]
    for name, kind in frozen["sockets"].items():  # a socket may take more kinds than it did
        assert kind in now["sockets"][name].split(","), name
    assert now["outputs"][: len(frozen["outputs"])] == frozen["outputs"]
    assert set(now["required"]) <= set(frozen["required"]), "would break saved prompts"


def schema_of(info):
    """What saved workflows and prompts rely on, of a node in /object_info."""
    widgets, sockets = [], {}
    for group in ("required", "optional"):
        for name, (kind, *rest) in info["input"].get(group, {}).items():
            options = rest[0] if rest else {}
            is_widget = isinstance(kind, list) or kind in (*WIDGET_TYPES, DYNAMIC)
            if is_widget and not options.get("forceInput"):
                widgets.append(name)
            else:
                sockets[name] = kind
    required = list(info["input"].get("required", {}))
    return {
        "widgets": widgets,
        "sockets": sockets,
        "outputs": info["output"],
        "required": required,
    }


def test_every_node_of_the_pack_is_frozen_once_a_workflow_uses_it():
    used = {node["type"] for path in WORKFLOWS for node in read_workflow(path)["nodes"]}
    ours = {name for name in used - FRONTEND_NODES if name.startswith("AnimateAnyone_")}
    assert ours <= set(FROZEN), sorted(ours - set(FROZEN))


def test_thumbnails_are_small():
    """ComfyUI's template browser shows <name>.jpg beside <name>.json."""
    pictures = sorted((line.ROOT / "workflows").glob("*.jpg"))
    assert [p.stem for p in pictures] == [p.stem for p in WORKFLOWS]
    sizes = [p.stat().st_size for p in pictures]
    assert max(sizes) < LARGEST_THUMBNAIL
    assert sum(sizes) < LARGEST_THUMBNAILS


def test_the_template_browser_finds_the_workflows(server):
    """The server lists them under the name of the pack's folder."""
    listed = json.loads(server.get("/workflow_templates"))
    assert sorted(listed[server.installed_pack.name]) == [p.stem for p in WORKFLOWS]


def test_published_weights_workflow_runs(server, names):
    """The first workflow, pointed at real inputs and small weights of the published layout."""
    workflow = read_workflow(line.ROOT / "workflows" / "animate_published_weights.json")
    values = {
        "AnimateAnyone_LoadReferenceNet": ["moore/reference_unet.safetensors", "default"],
        "AnimateAnyone_LoadUNet3D": [
            "moore/denoising_unet.safetensors",
            "moore/motion_module.safetensors",
            "auto",
            "default",
        ],
        "AnimateAnyone_LoadPoseGuider": ["moore/pose_guider.safetensors"],
        "AnimateAnyone_LoadVAE": ["moore/vae"],
        "AnimateAnyone_LoadImageEncoder": ["moore/image_encoder"],
        "AnimateAnyone_EncodeReference": [line.WIDTH, line.HEIGHT, "crop"],
        "LoadImage": [names["picture"], "image"],
        "LoadVideo": [names["video"], "image"],
        "ImageFromBatch": [0, line.FRAMES],
    }
    for node_type, new in values.items():
        find(workflow, node_type)["widgets_values"] = new
    sampler = find(workflow, "AnimateAnyone_Sampler")["widgets_values"]
    sampler[2] = 2
    entry = server.run(to_prompt(workflow, server.object_info()), timeout=300)
    (file,) = [f for f in server.files(entry) if f["filename"].endswith(".mp4")]
    with av.open(io.BytesIO(server.fetch(file))) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        assert float(stream.average_rate) == read_video(line.SKELETONS).fps
    assert len(frames) == line.FRAMES
    assert (frames[0].width, frames[0].height) == (line.WIDTH, line.HEIGHT)
