"""Workflows saved by version 0.1 open and run unchanged.

`saved_0_1/` holds the eleven workflows that version shipped, as its users have saved them: what the web
page reads (`workflow`), and what our nodes were then sent (`prompt`, made by that version). Nothing in
that folder ever changes. `test_browser.py` opens the same files in the real page.
"""

import json

import pytest
from comfyui_harness import first_light as line
from comfyui_harness.workflow_prompt import to_prompt

from animate_anyone_core.checkpoints.builtin import BUILT_IN_FOLDER, built_in_samples

SAVED = sorted((line.ROOT / "tests" / "comfyui" / "saved_0_1").glob("*.json"))
OURS = "AnimateAnyone_"
FRAMES, LARGEST = 3, 256
SMALL = {
    "steps": 1,
    "num_frames": FRAMES,
    "length": FRAMES,
    "start_frame": 0,
    "end_frame": 1,
    "soft_frames": 0,
}
SMALL_MODEL = {
    "reference_unet.pth": "moore/reference_unet.safetensors",
    "denoising_unet.pth": "moore/denoising_unet.safetensors",
    "motion_module.pth": "moore/motion_module.safetensors",
    "pose_guider.pth": "moore/pose_guider.safetensors",
    "diffusion_pytorch_model.safetensors": "moore/vae",
    "pytorch_model.bin": "moore/image_encoder",
}


@pytest.fixture(scope="session")
def files(server):
    """Names in the saved workflows -> what this server has in their place."""
    line.install(server)
    driving = server.upload("driving.mp4", built_in_samples().driving)
    videos = {"dance.mp4": driving, "skeletons.mp4": driving}
    return {"character.png": server.upload("character.png", line.PICTURE), **videos, **SMALL_MODEL}


def read_saved(path):
    saved = json.loads(path.read_text("utf-8"))
    return saved["workflow"], saved["prompt"]


def test_there_are_all_eleven():
    assert len(SAVED) == 11


@pytest.mark.parametrize("path", SAVED, ids=lambda path: path.stem)
def test_a_saved_workflow_means_what_it_meant(server, path):
    """Read with today's nodes, it asks of each of ours what version 0.1 asked of it."""
    workflow, prompt = read_saved(path)
    now = to_prompt(workflow, server.object_info())
    assert {k: v for k, v in now.items() if v["class_type"].startswith(OURS)} == prompt


@pytest.mark.parametrize("path", SAVED, ids=lambda path: path.stem)
def test_a_saved_prompt_runs(server, files, path):
    """As version 0.1 sent it, on few frames and steps; stock nodes as this ComfyUI writes them."""
    if not (BUILT_IN_FOLDER / "denoising_unet.safetensors").is_file():
        pytest.skip("the built-in model is not in this checkout")
    workflow, ours = read_saved(path)
    prompt = {**to_prompt(workflow, server.object_info()), **ours}
    for entry in prompt.values():
        entry["inputs"] = {k: shortened(k, v, files) for k, v in entry["inputs"].items()}

    entry = server.run(prompt, timeout=400)

    assert server.files(entry) != []


def shortened(name, value, files):
    """An input's value for a small run."""
    if isinstance(value, list):
        return value
    if name in SMALL:
        return SMALL[name]
    if name in ("width", "height") and value > LARGEST:
        return line.WIDTH
    return files.get(value, value)
