"""The shipped workflows on the built-in model: they run at once, and show what they should.

Looked at: the background is the character's, and where the pose has its trunk the frame has the color
of the character's trunk, not of the background; and what each workflow adds to that.
"""

import io
import re

import av
import cv2
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
from animate_anyone_core.pose.drawing import draw_poses
from animate_anyone_core.pose.face_boxes import find_face_boxes
from animate_anyone_core.pose.openpose_json import load_poses
from animate_anyone_core.pose.retarget import retarget_poses
from animate_anyone_core.pose.skeleton import PoseSequence
from animate_anyone_core.replacement.region import boxes_of_poses, masks_of_boxes
from animate_anyone_core.video import read_video, write_video

if not (BUILT_IN_FOLDER / "denoising_unet.safetensors").is_file():
    pytest.skip("the built-in model is not in this checkout", allow_module_level=True)

FRAMES, STEPS = 6, 6
TRUNK = [1, 8, 11]  # neck and hips
SAMPLERS = ("KSampler", "AnimateAnyone_Sampler")
OWN = {
    "LoadImage": built_in_samples().characters[0],
    "LoadVideo": built_in_samples().driving,
}
#: Workflow -> start of its video's name; the character must be seen where the driving poses are.
SHOWS_CHARACTER = {
    "animate_character": "animate_anyone",
    "stock_ksampler": "animate_anyone",
    "animate_from_video": "animate_anyone",
    "video_to_video": "animate_anyone_v2v",
}


def frames_of(server, file):
    with av.open(io.BytesIO(server.fetch(file))) as container:
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])


def run(server, name, change=None):
    """Run a workflow on few frames and steps; returns its videos by name, and its texts."""
    workflow = read_workflow(line.ROOT / "workflows" / f"{name}.json")
    for node in workflow["nodes"]:
        if node["type"] == "AnimateAnyone_BuiltinInputs":
            node["widgets_values"][1] = FRAMES
        elif node["type"] in OWN:  # where users choose theirs
            node["widgets_values"][0] = server.upload(OWN[node["type"]].name, OWN[node["type"]])
        elif node["type"] == "ImageFromBatch" and node.get("title") == "How many frames":
            node["widgets_values"][1] = FRAMES
    for sampler in (n for n in workflow["nodes"] if n["type"] in SAMPLERS):
        sampler["widgets_values"][2] = STEPS
    if change is not None:
        change(workflow)
    entry = server.run(to_prompt(workflow, server.object_info()), timeout=400)
    files = [f for f in server.files(entry) if f["filename"].endswith(".mp4")]
    videos = {re.sub(r"_\d+_?\.mp4$", "", f["filename"]): frames_of(server, f) for f in files}
    texts = [t for output in entry["outputs"].values() for t in output.get("text", [])]
    return videos, texts


def colors(picture, points):
    """Mean color of small patches about points (N, 2)."""
    patches = [
        picture[max(int(y) - 3, 0) : int(y) + 4, max(int(x) - 3, 0) : int(x) + 4] for x, y in points
    ]
    return np.mean([patch.reshape(-1, 3).mean(axis=0) for patch in patches], axis=0)


def background(picture):
    """The upper corners, where nobody stands."""
    return np.concatenate([picture[:12, :12], picture[:12, -12:]]).reshape(-1, 3).mean(axis=0)


@pytest.fixture(scope="session")
def character():
    """The first shipped character and its pose."""
    picture = np.asarray(read_picture(built_in_samples().characters[0]))
    poses, _ = load_pose_detector(*built_in_pose_networks(), "cpu").detect(picture[None])
    return picture, poses


@pytest.fixture(scope="session")
def driving():
    """The poses of the shipped dance."""
    poses = load_poses(built_in_samples().poses)
    return PoseSequence(poses.points[:FRAMES], poses.scores[:FRAMES], poses.width, poses.height)


def assert_shows(frames, character, poses):
    """The character's background, and its trunk's color where the poses have the trunk."""
    picture, reference = character
    assert len(frames) == FRAMES
    assert np.abs(background(frames.mean(axis=0)) - background(picture)).mean() < 40
    scale = np.array([frames.shape[2] / poses.width, frames.shape[1] / poses.height])
    points = poses.points[:, 0, TRUNK].mean(axis=1) * scale
    wanted = colors(picture, [reference.points[0, 0, TRUNK].mean(axis=0)])
    found = np.stack([colors(f, [p]) for f, p in zip(frames, points, strict=True)])
    to_trunk = np.abs(found - wanted).mean()
    to_background = np.abs(found - background(picture)).mean()
    assert to_trunk < to_background


@pytest.mark.parametrize("name", SHOWS_CHARACTER)
def test_the_character_is_seen_in_the_pose(server, character, driving, name):
    videos, _ = run(server, name)
    if name == "animate_from_video":  # the trunk stands where retargeting puts it
        driving = retarget_poses(driving, character[1]).poses
    assert_shows(videos[SHOWS_CHARACTER[name]], character, driving)


def test_drawn_skeletons_are_read_back_and_move_the_character(server, character, driving):
    """The shipped dance, drawn by another program's rules, has the character's bones in the end."""

    def a_skeleton_video(workflow):
        video = line.MATERIAL / "dance_as_openpose.mp4"
        write_video(video, draw_poses(driving, "openpose", (256, 256)), 12)
        name = server.upload("dance_as_openpose.mp4", video)
        find(workflow, "LoadVideo")["widgets_values"][0] = name

    videos, _ = run(server, "read_skeletons", a_skeleton_video)
    on_the_character = retarget_poses(driving, character[1]).poses
    assert_shows(videos["animate_anyone_skeletons"], character, on_the_character)


def test_a_long_clip_is_checked_made_in_windows_and_made_again_in_part(server, character, driving):
    def short_windows(workflow):
        find(workflow, "AnimateAnyone_FrameRange")["widgets_values"] = [2, 3, 0]
        for kind in ("AnimateAnyone_Preflight", "AnimateAnyone_Sampler"):
            for node in (n for n in workflow["nodes"] if n["type"] == kind):
                start = node["widgets_values"].index("open") - 2
                node["widgets_values"][start : start + 2] = [4, 1]

    videos, texts = run(server, "long_clip", short_windows)
    assert_shows(videos["animate_anyone_long"], character, driving)
    (report,) = {text for text in texts if "window evaluations" in text}
    assert report.startswith("No problems found."), report
    assert "2 windows of 4 frames, sharing 1 or more." in report
    before, after = halves(videos["animate_anyone_long_compared"])
    change = np.abs(before - after).mean(axis=(1, 2, 3))
    again = [2, 3]
    assert change[again].min() > 2 * np.delete(change, again).max(), change


def test_the_second_pass_is_larger_and_shows_the_same(server, character, driving):
    videos, _ = run(server, "upscale")
    large = videos["animate_anyone_large"]
    assert large.shape == (FRAMES, 192, 192, 3)
    assert_shows(large, character, driving)
    before, after = halves(videos["animate_anyone_large_compared"])
    assert np.abs(coarse(before) - coarse(after)).mean() < 25
    assert np.abs(before - after).mean() > 1


def test_the_face_pass_changes_faces_only(server, character, driving):
    videos, _ = run(server, "face_pass")
    assert videos["animate_anyone_faces"].shape == (FRAMES, 256, 256, 3)
    assert_shows(videos["animate_anyone_faces"], character, driving)
    before, after = halves(videos["animate_anyone_faces_compared"])
    boxes = find_face_boxes(driving, padding=3.0).on_canvas(256, 256)
    columns, rows = np.arange(256)[None], np.arange(256)[:, None]
    for index in range(FRAMES):
        (left, top), side = boxes.corners[index], boxes.sides[index]
        margin = 16  # a video spreads a change over its blocks
        near = (columns > left - margin) & (columns < left + side + margin)
        near = near & (rows > top - margin) & (rows < top + side + margin)
        inner = (np.abs(columns - boxes.centers[index, 0]) < 0.3 * side) & (
            np.abs(rows - boxes.centers[index, 1]) < 0.3 * side
        )
        change = np.abs(before[index] - after[index]).mean(axis=-1)
        assert change[~near].mean() < 4  # the video's own: two halves are compressed apart
        assert change[inner].mean() > 2 * change[~near].mean()


def test_the_background_plate_stays_put_under_all_controls(server, character, driving):
    videos, _ = run(server, "sampling_controls")
    frames = videos["animate_anyone_controls"]
    assert_shows(frames, character, driving)
    corners = np.concatenate([frames[:, :12, :12], frames[:, :12, -12:]], axis=2).astype(float)
    assert corners.std(axis=0).mean() < 2  # over time; what is left is the video's own
    assert np.abs(background(frames.mean(axis=0)) - background(character[0])).mean() < 15


def test_video_to_video_keeps_as_much_as_asked(server):
    def little(workflow):
        find(workflow, "AnimateAnyone_Sampler")["widgets_values"][6] = 0.2

    far, _ = run(server, "video_to_video")
    near, _ = run(server, "video_to_video", little)
    name = "animate_anyone_v2v_compared"
    distances = [
        np.abs(np.subtract(*map(coarse, halves(clips[name])))).mean() for clips in (near, far)
    ]
    assert distances[0] < 0.7 * distances[1]


def test_the_comparison_measures_a_known_clip(server):
    videos, texts = run(server, "compare")
    (report,) = texts
    quality = float(re.search(r"^psnr +(\d+\.\d+) dB", report, re.MULTILINE)[1])
    assert 12 < quality < 60, report
    assert re.search(r"^pose_body +\d+\.\d+ %", report, re.MULTILINE), report
    height, width = videos["animate_anyone_scores"].shape[1:3]
    assert (height >= 128, width >= 4 * 128) == (True, True)


def halves(frames):
    """Left and right half of clips side by side, as numbers that can be subtracted."""
    middle = frames.shape[2] // 2
    return frames[:, :256, :middle].astype(int), frames[:, :256, middle:].astype(int)


def coarse(frames):
    """Means of blocks of 8 x 8 pixels."""
    count, height, width = (frames.shape[0], frames.shape[1] // 8, frames.shape[2] // 8)
    whole = frames[:, : 8 * height, : 8 * width]
    return whole.reshape(count, height, 8, width, 8, 3).mean(axis=(2, 4))


def test_a_person_is_replaced_and_the_rest_of_the_video_stays(server, character, driving):
    """In the box around the poses the character's colors; far from it the video's own pixels."""
    videos, _ = run(server, "replace_character")
    frames = videos["animate_anyone_replaced"]
    target = read_video(built_in_samples().driving, FRAMES).frames
    assert frames.shape == target.shape
    near = masks_of_boxes(boxes_of_poses(driving), (256, 256))
    near = np.stack([cv2.dilate(mask.astype(np.uint8), np.ones((61, 61))) > 0 for mask in near])
    change = np.abs(frames.astype(int) - target).mean(axis=-1)
    assert change[~near].mean() < 3  # the video's own; it was compressed once more
    points = driving.points[:, 0, TRUNK].mean(axis=1)
    picture, reference = character
    wanted = colors(picture, [reference.points[0, 0, TRUNK].mean(axis=0)])
    pairs = zip(frames, target, points, strict=True)
    found, before = np.array([(colors(f, [p]), colors(t, [p])) for f, t, p in pairs]).swapaxes(0, 1)
    assert np.abs(found - wanted).mean() < 0.7 * np.abs(before - wanted).mean()


def test_two_characters_dance_side_by_side(server):
    """Each half of the clip has the trunk's color of one of the two, and not of the same."""
    videos, _ = run(server, "two_characters")
    frames = videos["animate_anyone_two"]
    assert frames.shape == (FRAMES, 128, 256, 3)
    poses = load_poses(built_in_samples().poses)
    trunk = poses.points[:FRAMES, 0, TRUNK].mean(axis=1) / 2
    seen = [
        np.mean([colors(f, [p]) for f, p in zip(frames, trunk + shift, strict=True)], axis=0)
        for shift in ((0, 0), (128, 0))
    ]
    detector = load_pose_detector(*built_in_pose_networks(), "cpu")
    wanted = []
    for path in built_in_samples().characters[:2]:
        picture = np.asarray(read_picture(path))
        found, _ = detector.detect(picture[None])
        wanted.append(colors(picture, [found.points[0, 0, TRUNK].mean(axis=0)]))
    gaps = np.array([[np.abs(s - w).mean() for w in wanted] for s in seen])
    together = min(gaps[0, 0] + gaps[1, 1], gaps[0, 1] + gaps[1, 0])
    same = min(gaps[:, 0].sum(), gaps[:, 1].sum())
    assert together < 0.7 * same, gaps


def test_a_face_is_animated_by_another_family_and_put_back(server, character, driving):
    """AniPortrait in its published layout, tiny and untrained, behind the built-in body."""
    line.install_family(server, "aniportrait")

    def small_faces(workflow):
        for node in workflow["nodes"]:
            for slot in node.get("inputs", []):
                if slot["name"] in ("crop_size", "steps"):
                    slot["link"] = None
            if node["type"] == "AnimateAnyone_FaceCrop":
                node["widgets_values"][0] = 64
        find(workflow, "AnimateAnyone_EncodeReference", "The character's face")["widgets_values"][
            :2
        ] = [64, 64]

    videos, _ = run(server, "talking_face", small_faces)
    frames = videos["animate_anyone_talking"]
    assert frames.shape == (FRAMES, 512, 512, 3)
    assert_shows(frames, character, driving)
    boxes = find_face_boxes(driving, padding=3.0).on_canvas(512, 512)
    picture = read_picture(built_in_samples().characters[0]).resize((512, 512))
    for index, (left, top) in enumerate(boxes.corners.astype(int)):
        side = int(boxes.sides[index])
        inner = (
            slice(top + side // 3, top + 2 * side // 3),
            slice(left + side // 3, left + side // 2),
        )
        assert np.abs(frames[index][inner] - np.asarray(picture)[inner].astype(float)).mean() > 15
