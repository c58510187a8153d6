"""Smoothing and retargeting in a real ComfyUI give what the core gives."""

import io

import numpy as np
import pytest
from comfyui_harness.first_light import node, ours
from comfyui_harness.server import PromptFailedError
from PIL import Image

from animate_anyone_core.lab.benchmarks.retarget_cases import make_retarget_case
from animate_anyone_core.pose.drawing import draw_poses
from animate_anyone_core.pose.overlay import draw_overlay
from animate_anyone_core.pose.pose_keypoint import from_pose_keypoint, to_pose_keypoint
from animate_anyone_core.pose.retarget import retarget_poses
from animate_anyone_core.pose.retarget_settings import RetargetSettings
from animate_anyone_core.pose.smoothing import smooth_poses

case = make_retarget_case("dance", "chibi", 1.0, 10)
DRIVER, REFERENCE = to_pose_keypoint(case.driver), to_pose_keypoint(case.reference)
SMOOTHING = {
    "window": 7,
    "detail_window": 5,
    "gate": 0.45,
    "max_gap": 8,
    "show_score": 0.35,
    "hide_score": 0.25,
}
RETARGETING = {
    "ratio_mode": "auto",
    "root_mode": "contact",
    "zoom_mode": "keep",
    "multipliers": "",
    "hide_missing": False,
    "fit_inside": False,
    "align_frame": 0,
    "strength": 1.0,
    "offset_x": 0.0,
    "offset_y": 0.0,
    "scale": 1.0,
    "person": 0,
    "overlay_frame": -1,
}


def graph(reference_image=None, **changes):
    """The driver's poses smoothed, given to the character, drawn; texts and overlay beside.

    A list in a prompt is a link, so the driver's frames come wrapped in `__value__`.
    """
    image = {} if reference_image is None else {"reference_image": ["picture", 0]}
    steps = {
        "smooth": ours("SmoothPose", pose_keypoint={"__value__": DRIVER}, **SMOOTHING),
        "smoothing": node("PreviewAny", source=["smooth", 1]),
        "retarget": ours(
            "RetargetPose",
            driver=["smooth", 0],
            reference=REFERENCE[0],
            **image,
            **{**RETARGETING, **changes},
        ),
        "ratios": node("PreviewAny", source=["retarget", 2]),
        "draw": ours(
            "DrawPose",
            pose_keypoint=["retarget", 0],
            style="moore",
            width=0,
            height=0,
            fit="pad",
            body=True,
            hands=True,
            face="by style",
            feet=False,
            people="by style",
        ),
        "save": node("SaveImage", images=["draw", 0], filename_prefix="retargeted"),
        "overlay": node("SaveImage", images=["retarget", 1], filename_prefix="overlay"),
    }
    if reference_image is not None:
        steps["picture"] = node("LoadImage", image=reference_image)
    return steps


def saved(server, entry, name):
    pictures = [Image.open(io.BytesIO(server.fetch(f))) for f in server.files(entry, name)]
    return np.stack([np.asarray(picture.convert("RGB")) for picture in pictures]).astype(int)


def from_core(settings=None):
    smooth, _ = smooth_poses(from_pose_keypoint(DRIVER))
    # Between two nodes poses are a POSE_KEYPOINT.
    driver = from_pose_keypoint(to_pose_keypoint(smooth))
    return retarget_poses(driver, from_pose_keypoint(REFERENCE), settings)


def test_the_nodes_give_what_the_core_gives(server):
    entry = server.run(graph())
    expected = from_core()
    found = saved(server, entry, "save")
    assert found.shape == (10, 1024, 768, 3)
    assert np.abs(found - draw_poses(expected.poses, "moore")).max() <= 1
    black = np.zeros((1024, 768, 3), np.uint8)
    assert np.abs(saved(server, entry, "overlay")[0] - draw_overlay(black, expected)).max() <= 1
    assert entry["outputs"]["ratios"]["text"][0] == expected.to_text()
    assert entry["outputs"]["smoothing"]["text"][0].startswith("moved by")


def test_settings_and_the_reference_picture_arrive(server, tmp_path):
    Image.new("RGB", (768, 1024), (200, 180, 160)).save(tmp_path / "character.png")
    name = server.upload("retarget_character.png", tmp_path / "character.png")
    changes = {"root_mode": "scaled", "strength": 0.5, "scale": 0.8, "align_frame": 4}
    entry = server.run(graph(name, multipliers="head=1.2\nshin=0.9", overlay_frame=7, **changes))
    settings = RetargetSettings(multipliers={"head": 1.2, "shin": 0.9}, **changes)
    expected = from_core(settings)
    picture = np.full((1024, 768, 3), (200, 180, 160), np.uint8)
    overlay = draw_overlay(picture, expected, 7)
    assert np.abs(saved(server, entry, "overlay")[0] - overlay).max() <= 1
    assert entry["outputs"]["ratios"]["text"][0] == expected.to_text()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"align_frame": 50}, "align_frame must be one of the driver's frames 0 to 9, got 50"),
        ({"person": 3}, "The driver has 1 person"),
    ],
)
def test_wrong_settings_are_explained(server, changes, message):
    with pytest.raises(PromptFailedError, match=message):
        server.run(graph(**changes))


@pytest.mark.parametrize("name", ["SmoothPose", "RetargetPose"])
def test_every_input_and_output_has_a_tooltip(server, name):
    info = server.node_info(f"AnimateAnyone_{name}")
    groups = [info["input"].get(kind, {}) for kind in ("required", "optional")]
    for group in groups:
        for key, value in group.items():
            assert value[1].get("tooltip"), key
    assert all(info["output_tooltips"])
