"""A second run with only the seed changed takes everything before the sampler from ComfyUI's cache."""

import json

from comfyui_harness import first_light as line
from comfyui_harness.workflow_prompt import find, to_prompt

AGAIN = {
    "AnimateAnyone_Sampler",
    "AnimateAnyone_DecodeVideo",
    "CreateVideo",
    "SaveVideo",
}


def cached(entry):
    """Ids of the nodes that a run did not execute."""
    return set(dict(entry["status"]["messages"])["execution_cached"]["nodes"])


def test_another_seed_reuses_reference_and_poses(server):
    saved = line.ROOT / "tests" / "comfyui" / "saved_0_1" / "animate_from_video.json"
    workflow = json.loads(saved.read_text("utf-8"))["workflow"]
    find(workflow, "AnimateAnyone_BuiltinInputs")["widgets_values"][1] = 5
    sampler = find(workflow, "AnimateAnyone_Sampler")["widgets_values"]
    sampler[2] = 1
    prompts = []
    for seed in (424_242, 424_243):
        sampler[0] = seed
        prompts.append(to_prompt(workflow, server.object_info()))
    first, second = prompts
    kinds = {key: entry["class_type"] for key, entry in second.items()}
    assert {key for key in first if first[key] != second[key]} == {
        key for key, kind in kinds.items() if kind == "AnimateAnyone_Sampler"
    }

    server.run(first, timeout=300)
    reused = cached(server.run(second, timeout=300))
    named = {kinds[key] for key in reused}
    for kind in ("EncodeReference", "EncodePose", "DetectPose", "RetargetPose", "LoadUNet3D"):
        assert f"AnimateAnyone_{kind}" in named
    assert {kinds[key] for key in set(kinds) - reused} == AGAIN

    everything = cached(server.run(second, timeout=300))
    assert everything == set(kinds)
