"""A skeleton video into a real ComfyUI, and out of it drawn in another style."""

import io

import numpy as np
import pytest
from comfyui_harness.first_light import node, ours
from comfyui_harness.server import PromptFailedError
from PIL import Image

from animate_anyone_core.checkpoints.builtin import built_in_samples
from animate_anyone_core.pose.drawing import draw_poses
from animate_anyone_core.pose.openpose_json import load_poses

SIZE = (384, 384)


@pytest.fixture(scope="module")
def poses():
    return load_poses(built_in_samples().poses).at(slice(0, 2))


@pytest.fixture(scope="module")
def uploaded(server, poses, tmp_path_factory):
    """Name under which the server knows skeletons in SDPose's style."""
    path = tmp_path_factory.mktemp("skeletons") / "skeletons.png"
    first, second = (Image.fromarray(frame) for frame in draw_poses(poses, "sdpose", SIZE))
    first.save(path, save_all=True, append_images=[second])
    return server.upload("skeletons.png", path)


def prompt(uploaded, style):
    return {
        "frames": node("LoadImage", image=uploaded),
        "read": ours("ReadSkeletons", images=["frames", 0], style=style, most_people=2),
        "report": node("PreviewAny", source=["read", 1]),
        "draw": ours(
            "DrawPose",
            pose_keypoint=["read", 0],
            style="openpose",
            width=0,
            height=0,
            fit="pad",
            body=True,
            hands=False,
            face="no",
            feet=False,
            people="all",
        ),
        "save": node("SaveImage", images=["draw", 0], filename_prefix="read"),
    }


def test_skeletons_come_out_in_another_style(server, uploaded, poses):
    entry = server.run(prompt(uploaded, "find out"))
    assert "2 frames in the style sdpose, 1 person." in entry["outputs"]["report"]["text"][0]
    saved = [Image.open(io.BytesIO(server.fetch(f))) for f in server.files(entry, "save")]
    ours_now = np.stack([np.asarray(picture.convert("RGB")) for picture in saved]).astype(int)
    expected = draw_poses(poses, "openpose", SIZE).astype(int)
    limbs = (expected.max(axis=-1) > 0) & (expected.max(axis=-1) <= 153)
    near = np.abs(ours_now - expected).max(axis=-1) < 60
    assert near[limbs].mean() > 0.7


def test_another_style_stops_with_a_sentence(server, uploaded):
    with pytest.raises(PromptFailedError, match="not drawn in the style musepose but in sdpose"):
        server.run(prompt(uploaded, "musepose"))
