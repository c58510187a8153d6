"""The shipped workflows on the built-in model: they run at once, and show what they should.

Looked at: the background is the character's, and where the pose has its trunk the frame has the colour
of the character's trunk, not of the background.
"""

import io

import av
import numpy as np
import pytest
from comfyui_harness import first_light as line
from comfyui_harness.workflow_prompt import find, read_workflow, to_prompt

from animate_anyone_core.checkpoints.builtin import (
    BUILT_IN_FOLDER,
    built_in_pose_networks,
    built_in_samples,
)
from animate_anyone_core.images import read_picture
from animate_anyone_core.pose.detection import load_pose_detector
from animate_anyone_core.pose.openpose_json import load_poses

if not (BUILT_IN_FOLDER / "denoising_unet.safetensors").is_file():
    pytest.skip("the built-in model is not in this checkout", allow_module_level=True)

FRAMES, STEPS = 12, 8
TRUNK = [1, 8, 11]  # neck and hips
WORKFLOWS = {"animate_character": 0, "stock_ksampler": 0, "animate_from_video": 0}


def video_of(server, entry):
    (file,) = [f for f in server.files(entry) if f["filename"].endswith(".mp4")]
    with av.open(io.BytesIO(server.fetch(file))) as container:
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])


def run(server, name):
    workflow = read_workflow(line.ROOT / "workflows" / f"{name}.json")
    find(workflow, "AnimateAnyone_BuiltinInputs")["widgets_values"][1] = FRAMES
    samplers = [n for n in workflow["nodes"] if n["type"] in ("KSampler", "AnimateAnyone_Sampler")]
    assert len(samplers) == 1
    samplers[0]["widgets_values"][2] = STEPS
    return video_of(server, server.run(to_prompt(workflow, server.object_info()), timeout=400))


def colours(picture, points):
    """Mean colour of small patches about points (N, 2)."""
    patches = [
        picture[max(int(y) - 3, 0) : int(y) + 4, max(int(x) - 3, 0) : int(x) + 4] for x, y in points
    ]
    return np.mean([patch.reshape(-1, 3).mean(axis=0) for patch in patches], axis=0)


def background(picture):
    """The upper corners, where nobody stands."""
    return np.concatenate([picture[:12, :12], picture[:12, -12:]]).reshape(-1, 3).mean(axis=0)


@pytest.fixture(scope="session")
def character():
    """The first shipped character and the middle of its trunk."""
    picture = np.asarray(read_picture(built_in_samples().characters[0]))
    poses, _ = load_pose_detector(*built_in_pose_networks(), "cpu").detect(picture[None])
    return picture, poses.points[0, 0, TRUNK].mean(axis=0)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_builtin_workflow_shows_the_character_in_the_pose(server, character, name):
    picture, trunk = character
    frames = run(server, name)
    assert len(frames) == FRAMES
    size = frames.shape[1:3]
    scale = np.array([size[1] / picture.shape[1], size[0] / picture.shape[0]])
    assert np.abs(background(frames.mean(axis=0)) - background(picture)).mean() < 40

    if name == "animate_from_video":
        return  # its poses are retargeted: the place of the trunk is not the driver's
    driving = load_poses(built_in_samples().poses)
    scale = np.array([size[1] / driving.width, size[0] / driving.height])
    points = driving.points[:FRAMES, 0, TRUNK].mean(axis=1) * scale
    wanted = colours(picture, [trunk])
    found = np.stack([colours(f, [p]) for f, p in zip(frames, points, strict=True)])
    to_trunk = np.abs(found - wanted).mean()
    to_background = np.abs(found - background(picture)).mean()
    assert to_trunk < to_background
