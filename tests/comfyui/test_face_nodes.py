"""Faces out of a clip and back in a real ComfyUI, on the clip that ships with the pack."""

import io

import numpy as np
import pytest
import torch
from comfyui_harness.first_light import node, ours
from comfyui_harness.server import PromptFailedError
from PIL import Image

from animate_anyone_core.checkpoints.builtin import built_in_samples
from animate_anyone_core.face_pass import crop_faces
from animate_anyone_core.pose.face_boxes import find_face_boxes
from animate_anyone_core.pose.openpose_json import load_poses
from animate_anyone_core.pose.pose_keypoint import from_pose_keypoint, to_pose_keypoint
from animate_anyone_core.video import read_video

FRAMES, SIDE, PADDING = 6, 160, 2.0


def graph(**changes):
    """Cut out, turned to their negative, and put back; the unchanged crops are put back beside it."""
    crop = {"crop_size": SIDE, "padding": PADDING, "smoothing": 9, "person": 0, **changes}
    paste = {"images": ["inputs", 1], "faces": ["crop", 1], "feather": 0.2, "strength": 1.0}
    return {
        "inputs": ours("BuiltinInputs", character="character_a", num_frames=FRAMES),
        "crop": ours("FaceCrop", images=["inputs", 1], pose_keypoint=["inputs", 2], **crop),
        "negative": node("ImageInvert", image=["crop", 0]),
        "same": ours("FacePaste", crops=["crop", 0], **paste),
        "changed": ours("FacePaste", crops=["negative", 0], **paste),
        "save_crops": node("SaveImage", images=["crop", 0], filename_prefix="crops"),
        "save_same": node("SaveImage", images=["same", 0], filename_prefix="same"),
        "save_changed": node("SaveImage", images=["changed", 0], filename_prefix="changed"),
    }


def saved(server, entry, name):
    pictures = [Image.open(io.BytesIO(server.fetch(f))) for f in server.files(entry, name)]
    return np.stack([np.asarray(picture.convert("RGB")) for picture in pictures]).astype(int)


def test_faces_are_cut_out_and_put_back(server):
    entry = server.run(graph())
    files = built_in_samples()
    frames = read_video(files.driving, FRAMES).frames
    poses = load_poses(files.poses)
    poses = from_pose_keypoint(to_pose_keypoint(poses)[:FRAMES])
    boxes = find_face_boxes(poses, padding=PADDING)

    wanted = crop_faces(torch.from_numpy(frames).float() / 255, boxes, SIDE)
    crops = saved(server, entry, "save_crops")
    assert crops.shape == (FRAMES, SIDE, SIDE, 3)
    assert np.abs(crops - (255 * wanted.numpy())).max() <= 1
    assert np.abs(saved(server, entry, "save_same") - frames).max() <= 1

    changed = saved(server, entry, "save_changed") != frames
    here = boxes.on_canvas(frames.shape[2], frames.shape[1])
    for index in range(FRAMES):
        rows, columns = np.nonzero(changed[index].any(axis=-1))
        (left, top), side = here.corners[index], here.sides[index]
        assert left - 1 < columns.min()
        assert columns.max() < left + side
        assert top - 1 < rows.min()
        assert rows.max() < top + side
        assert len(rows) > 0.5 * side**2


def test_wrong_wiring_is_explained(server):
    with pytest.raises(PromptFailedError, match="There is no person 3: the poses have 1"):
        server.run(graph(person=3))
    other = graph()
    other["more"] = ours("BuiltinInputs", character="character_a", num_frames=FRAMES + 2)
    other["crop"]["inputs"]["pose_keypoint"] = ["more", 2]
    with pytest.raises(PromptFailedError, match="There are 8 face boxes, but the clip is"):
        server.run(other)


@pytest.mark.parametrize("name", ["FaceCrop", "FacePaste", "Compare", "Preflight"])
def test_every_input_and_output_has_a_tooltip(server, name):
    info = server.node_info(f"AnimateAnyone_{name}")
    for group in ("required", "optional"):
        for key, value in info["input"].get(group, {}).items():
            assert value[1].get("tooltip"), key
    assert all(info["output_tooltips"])
    assert info["description"]
