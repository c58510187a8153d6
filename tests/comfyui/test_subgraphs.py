"""The blueprints are offered by ComfyUI and run, each wired as a user would wire it."""

import json

import pytest
from comfyui_harness import first_light as line
from comfyui_harness.workflow_prompt import flattened, to_prompt

from animate_anyone_core.checkpoints.builtin import BUILT_IN_FOLDER, built_in_samples
from animate_anyone_core.video import read_video

BLUEPRINTS = {path.stem: path for path in (line.ROOT / "subgraphs").glob("*.json")}
FRAMES = 3

if not (BUILT_IN_FOLDER / "denoising_unet.safetensors").is_file():
    pytest.skip("the built-in model is not in this checkout", allow_module_level=True)


def prompt_of(server, name, **values):
    """A blueprint as a prompt: its inner nodes, with these values of its settings.

    Returns:
        The prompt; input name -> where it goes; output name -> where it comes from.
    """
    blueprint = json.loads(BLUEPRINTS[name].read_text("utf-8"))
    (graph,) = blueprint["definitions"]["subgraphs"]
    prompt = to_prompt(flattened(blueprint), server.object_info())
    goes, comes = {}, {}
    for link in graph["links"]:
        if link["origin_id"] == -10:
            node = next(n for n in graph["nodes"] if n["id"] == link["target_id"])
            place = (f"1:{node['id']}", node["inputs"][link["target_slot"]]["name"])
            goes.setdefault(graph["inputs"][link["origin_slot"]]["name"], []).append(place)
        if link["target_id"] == -20:
            output = graph["outputs"][link["target_slot"]]["name"]
            comes[output] = [f"1:{link['origin_id']}", link["origin_slot"]]
    for name, value in values.items():
        for node, key in goes[name]:
            prompt[node]["inputs"][key] = value
    return prompt, comes


@pytest.fixture(scope="session")
def video(server):
    return server.upload("driving.mp4", built_in_samples().driving)


def dance():
    return {"in": line.ours("BuiltinInputs", character="character_a", num_frames=FRAMES)}


def size_of(server, graph, images):
    graph["save"] = line.node("SaveImage", images=images, filename_prefix="blueprint")
    entry = server.run(graph, timeout=300)
    files = server.files(entry, "save")
    return len(files), line.Image.open(server.path_of(files[0])).size


def test_comfyui_offers_them(server, checkout):
    if not (checkout.path / "app" / "subgraph_manager.py").is_file():
        pytest.skip("this ComfyUI knows no blueprints")
    offered = json.loads(server.get("/global_subgraphs")).values()
    ours = {e["name"] for e in offered if server.installed_pack.name in e["info"]["node_pack"]}
    assert ours == set(BLUEPRINTS)


@pytest.mark.parametrize("motion", [{"pose_keypoint": ["in", 2]}, {"skeletons": ["drawn", 0]}])
def test_animate_character_makes_a_frame_a_pose(server, motion):
    values = {"steps": 1, "width": 96, "height": 128}
    graph, comes = prompt_of(server, "Animate Character", character=["in", 0], **motion, **values)
    drawn = {"width": 0, "height": 0, "fit": "pad", "body": True, "hands": True, "feet": False}
    graph |= dance()
    graph["drawn"] = line.ours(
        "DrawPose",
        pose_keypoint=["in", 2],
        style="moore",
        face="by style",
        people="by style",
        **drawn,
    )
    assert size_of(server, graph, comes["images"]) == (FRAMES, (96, 128))


def test_animate_from_video_keeps_the_frame_rate(server, video):
    graph, comes = prompt_of(
        server, "Animate from Video", character=["in", 0], video=["file", 0], length=2, steps=1
    )
    graph |= {**dance(), "file": line.node("LoadVideo", file=video)}
    graph["parts"] = line.node("GetVideoComponents", video=comes["video"])
    graph["fps"] = line.node("PreviewAny", source=["parts", 2])
    entry = server.run(graph, timeout=300)
    assert float(entry["outputs"]["fps"]["text"][0]) == read_video(built_in_samples().driving).fps
    assert size_of(server, graph, comes["images"]) == (2, (128, 128))


def test_retargeted_poses_are_skeletons(server):
    graph, comes = prompt_of(server, "Retargeted Poses", character=["in", 0], driving=["in", 1])
    count, size = size_of(server, graph | dance(), comes["skeletons"])
    assert count == FRAMES
    assert size == line.Image.open(line.PICTURE).size


def test_face_pass_keeps_the_size(server):
    parts = ("model", "reference_net", "pose_guider", "vae", "clip_vision")
    wired = {name: ["set", index] for index, name in enumerate(parts)}
    graph, comes = prompt_of(
        server,
        "Face Pass",
        images=["in", 1],
        pose_keypoint=["in", 2],
        character=["in", 0],
        pose_detector=["det", 0],
        steps=1,
        **wired,
    )
    graph |= dance()
    graph["set"] = line.ours("LoadModelSet", model_set="built-in", family="auto", dtype="default")
    graph["det"] = line.ours(
        "LoadPoseDetector", person_detector="built-in", pose_estimator="built-in", device="auto"
    )
    count, size = size_of(server, graph, comes["images"])
    assert count == FRAMES
    assert size == (256, 256)  # the dance's own
