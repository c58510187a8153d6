"""Every shipped workflow fits the nodes, and runs over HTTP."""

import io

import av
import pytest
from comfyui_harness import first_light as line
from comfyui_harness.workflow_prompt import find, read_workflow, to_prompt

WORKFLOWS = sorted((line.ROOT / "workflows").glob("*.json"))


@pytest.fixture(scope="session")
def names(server):
    if not line.MODEL.is_dir():
        pytest.skip("no ../shared/fixtures: no model to run the workflow on")
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
        assert float(stream.average_rate) == 30
    assert len(frames) == line.FRAMES
    assert (frames[0].width, frames[0].height) == (line.WIDTH, line.HEIGHT)
