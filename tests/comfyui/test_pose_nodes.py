"""Video frames to poses to skeletons in a real ComfyUI, with stand-ins for the networks."""

import importlib.util
import io
from pathlib import Path

import av
import numpy as np
import pytest
from comfyui_harness.first_light import ROOT, node, ours
from comfyui_harness.server import PromptFailedError
from comfyui_harness.workflow_prompt import find, read_workflow, to_prompt
from PIL import Image

from animate_anyone_core.pose.detection import load_pose_detector
from animate_anyone_core.pose.drawing import draw_poses
from animate_anyone_core.pose.plausibility import DRAWN_ONLY

SIZE = (180, 320)  # height, width
FRAMES = 10


def load_standins():
    path = Path(__file__).parents[1] / "pose" / "standins.py"
    spec = importlib.util.spec_from_file_location("pose_standins_for_comfyui", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def clip():
    """Frames of a walking figure."""
    standins = load_standins()
    box = (20, 20, 90, 160)
    person = standins.DrawnPerson(box, 0, standins.standing_joints(box))
    return [standins.draw_people(SIZE, [person.moved(4 * f, 0)]) for f in range(FRAMES)]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    standins = load_standins()
    folder = tmp_path_factory.mktemp("networks")
    return (
        standins.make_detector(folder / "yolox_l.onnx", size=(416, 416)),
        standins.make_estimator(folder / "dw.onnx", size=(256, 192), num_keypoints=17),
    )


@pytest.fixture(scope="module")
def installed(server, files, clip, tmp_path_factory):
    """Names under which a server knows the networks and the clip (a lossless moving picture)."""
    target = server.base / "models" / "animate_anyone" / "pose"
    target.mkdir(parents=True, exist_ok=True)
    for file in files:
        (target / file.name).write_bytes(file.read_bytes())
    moving = tmp_path_factory.mktemp("clip") / "walk.png"
    first, *others = (Image.fromarray(frame) for frame in clip)
    first.save(moving, save_all=True, append_images=others)
    return {"clip": server.upload("walk.png", moving)}


def detection(installed, **changes):
    values = {
        "person": "largest",
        "person_index": 0,
        "point_x": 0,
        "point_y": 0,
        "point_frame": 0,
        "interval": 8,
        "batch_size": 8,
        "seen_score": 0.3,
        **changes,
    }
    return {
        "frames": node("LoadImage", image=installed["clip"]),
        "detector": ours(
            "LoadPoseDetector",
            person_detector="pose/yolox_l.onnx",
            pose_estimator="pose/dw.onnx",
            device="auto",
        ),
        "poses": ours("DetectPose", pose_detector=["detector", 0], images=["frames", 0], **values),
        "report": node("PreviewAny", source=["poses", 1]),
    }


def drawing(**changes):
    values = {
        "style": "openpose",
        "width": 0,
        "height": 0,
        "fit": "pad",
        "body": True,
        "hands": True,
        "face": "by style",
        "feet": False,
        "people": "by style",
        **changes,
    }
    return {
        "draw": ours("DrawPose", pose_keypoint=["poses", 0], **values),
        "save": node("SaveImage", images=["draw", 0], filename_prefix="pose"),
    }


def saved(server, entry):
    pictures = [Image.open(io.BytesIO(server.fetch(f))) for f in server.files(entry, "save")]
    return np.stack([np.asarray(picture.convert("RGB")) for picture in pictures]).astype(int)


@pytest.fixture(scope="module")
def expected(files, clip):
    poses, _ = load_pose_detector(*files, "cpu").detect(np.stack(clip))
    return poses


@pytest.mark.parametrize("style", ["moore", "musepose", "openpose"])
def test_frames_become_the_skeletons_of_the_core(server, installed, expected, style):
    entry = server.run({**detection(installed), **drawing(style=style)})
    found = saved(server, entry)
    assert found.shape == (FRAMES, *SIZE, 3)
    assert found.max() > 100
    # SaveImage rounds down
    assert np.abs(found - draw_poses(expected, style)).max() <= 1


@pytest.mark.parametrize(
    ("choice", "older"),
    [
        ({"person": "largest"}, {}),
        ({"person": "all"}, {"person": "all"}),
        ({"person": "index", "person.index": 0}, {"person": "index"}),
        (
            {"person": "point", "person.x": 30, "person.y": 40, "person.frame": 2},
            {"person": "point", "point_x": 30, "point_y": 40, "point_frame": 2},
        ),
    ],
    ids=lambda value: value.get("person", "as saved"),
)
def test_a_choice_with_its_own_fields_is_the_older_node(server, installed, choice, older):
    """The fields of a choice stand in a prompt under its name; the older node has them in one list."""
    graph = detection(installed, **older)
    how = {"interval": 8, "batch_size": 8, "seen_score": 0.3}
    graph["new"] = ours(
        "DetectPoses", pose_detector=["detector", 0], images=["frames", 0], **choice, **how
    )
    for name in ("poses", "new"):
        graph[f"told {name}"] = node("PreviewAny", source=[name, 0])
    told = server.run(graph)["outputs"]
    assert told["told new"]["text"] == told["told poses"]["text"]
    assert len(told["told new"]["text"][0]) > 100


def test_a_person_who_is_not_there_is_told_by_number(server, installed):
    graph = detection(installed)
    graph["poses"] = ours(
        "DetectPoses",
        pose_detector=["detector", 0],
        images=["frames", 0],
        **{"person": "index", "person.index": 7, "interval": 8, "batch_size": 8, "seen_score": 0.3},
    )
    with pytest.raises(PromptFailedError, match="There is no person 7: the clip has"):
        server.run(graph)


def test_the_report_is_text(server, installed):
    entry = server.run(detection(installed, interval=3))  # not cached: older ones show nothing then
    text = entry["outputs"]["report"]["text"][0]
    assert text.startswith("10 frames, 1 person.\nBoxes: yolox_l.onnx (yolox) on CPU")


@pytest.fixture(scope="module")
def nobody(server):
    """Soft warm shapes with nobody in them, in which the built-in networks see a dancer."""
    coarse = np.random.default_rng(11).integers(0, 256, (20, 14, 3)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize((256, 384), Image.Resampling.BICUBIC).save(buffer, "PNG")
    return server.upload("nobody.png", buffer.getvalue())


def test_nonsense_of_the_built_in_networks_is_told_and_stops_a_run(server, nobody):
    """Detect Pose says it in its report, Preflight after Smooth Pose as a problem."""
    prompt = detection({"clip": nobody})
    networks = {"person_detector": "built-in", "pose_estimator": "built-in", "device": "cpu"}
    prompt["detector"] = ours("LoadPoseDetector", **networks)
    text = server.run(prompt)["outputs"]["report"]["text"][0]
    assert "Warning: Do not trust these poses: looked at again" in text
    assert text.endswith(DRAWN_ONLY)
    smooth = {"window": 7, "detail_window": 5, "gate": 0.45, "max_gap": 8}
    scores = {"show_score": 0.35, "hide_score": 0.25}
    prompt["smooth"] = ours("SmoothPose", pose_keypoint=["poses", 0], **smooth, **scores)
    settings = {"steps": 4, "cfg": 1.5, "context_frames": 0, "context_overlap": 4}
    words = {"schedule": "open", "blending": "pyramid", "on_problem": "stop", "self_test": False}
    prompt["check"] = ours("Preflight", driver_pose=["smooth", 0], **settings, **words)
    with pytest.raises(PromptFailedError, match=r"PROBLEM \(poses\): The driver's poses: Do not"):
        server.run(prompt)


def test_a_stock_node_draws_our_poses(server, installed, expected):
    """ComfyUI's own SDPose drawing takes what we detect."""
    if "SDPoseDrawKeypoints" not in server.object_info():
        pytest.skip("this ComfyUI has no SDPose nodes")
    stock = node(
        "SDPoseDrawKeypoints",
        keypoints=["poses", 0],
        draw_body=True,
        draw_hands=True,
        draw_face=True,
        draw_feet=False,
        draw_head=True,
        stick_width=4,
        face_point_size=3,
        score_threshold=0.3,
    )
    save = node("SaveImage", images=["stock", 0], filename_prefix="pose")
    entry = server.run({**detection(installed), "stock": stock, "save": save})
    assert np.abs(saved(server, entry) - draw_poses(expected, "sdpose")).max() <= 1


def test_sizes_and_fits(server, installed, expected):
    entry = server.run({**detection(installed), **drawing(width=128, height=176, fit="crop")})
    found = saved(server, entry)
    wanted = draw_poses(expected, "openpose", (128, 176), fit="crop")
    assert np.abs(found - wanted).max() <= 1


def test_a_wrong_person_is_explained(server, installed):
    with pytest.raises(PromptFailedError, match="There is no person 3: the clip has 1"):
        server.run({**detection(installed, person="index", person_index=3), **drawing()})


@pytest.fixture(scope="module")
def lossless_video(server, clip, tmp_path_factory):
    """The walk as a video without loss: the stand-ins know people by exact colors."""
    path = tmp_path_factory.mktemp("video") / "walk.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264rgb", rate=25)
        stream.height, stream.width = SIZE
        stream.pix_fmt, stream.options = "rgb24", {"qp": "0"}
        for frame in clip:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return server.upload("walk.mp4", path)


def test_a_video_is_wired_as_it_is(server, installed, lossless_video, expected):
    """Without ComfyUI decoding all of it: the poses are those of its frames."""
    graph = {**detection(installed), **drawing()}
    how = {"person": "largest", "interval": 8, "batch_size": 8, "seen_score": 0.3}
    graph["video"] = node("LoadVideo", file=lossless_video)
    graph["poses"] = ours("DetectPoses", pose_detector=["detector", 0], images=["video", 0], **how)
    found = saved(server, server.run(graph))
    assert np.abs(found - draw_poses(expected, "openpose")).max() <= 1


def test_the_pose_workflow_goes_from_video_to_skeletons(server, installed, lossless_video, clip):
    """Detect, smooth, retarget and draw as shipped; the driver is its own character here."""
    buffer = io.BytesIO()
    Image.fromarray(clip[0]).save(buffer, "PNG")
    workflow = read_workflow(ROOT / "workflows" / "pose_from_video.json")
    values = {
        "AnimateAnyone_LoadPoseDetector": ["pose/yolox_l.onnx", "pose/dw.onnx", "auto", "auto"],
        "LoadImage": [server.upload("walker.png", buffer.getvalue()), "image"],
        "LoadVideo": [lossless_video, "image"],
    }
    for node_type, new in values.items():
        find(workflow, node_type)["widgets_values"] = new
    entry = server.run(to_prompt(workflow, server.object_info()), timeout=300)

    skeletons = find(workflow, "PreviewImage", "Skeletons for Encode Pose")["id"]
    overlay = find(workflow, "PreviewImage", "Skeleton on the character")["id"]
    drawn = [
        np.asarray(Image.open(io.BytesIO(server.fetch(file))).convert("RGB"))
        for file in server.files(entry, str(skeletons))
    ]
    assert len(drawn) == FRAMES
    columns = [np.nonzero(picture.max(axis=(0, 2)))[0].mean() for picture in drawn]
    assert np.diff(columns).mean() == pytest.approx(4, abs=0.5)  # it walks as it was drawn
    assert len(server.files(entry, str(overlay))) == 1
    ratios = entry["outputs"][str(find(workflow, "PreviewAny", "Bone ratios")["id"])]["text"][0]
    assert "1.00" in ratios


def test_a_skeleton_from_a_stock_pose_node_drives_the_character(server):
    """Wired into Encode Pose in place of our Draw Pose, it gives the same clip."""
    if "SDPoseDrawKeypoints" not in server.object_info():
        pytest.skip("this ComfyUI has no SDPose nodes")
    prompt = to_prompt(
        read_workflow(ROOT / "workflows" / "animate_character.json"), server.object_info()
    )
    inputs, draw, encode, sampler, decode = (
        next(key for key, entry in prompt.items() if entry["class_type"] == f"AnimateAnyone_{name}")
        for name in ("BuiltinInputs", "DrawPose", "EncodePose", "Sampler", "DecodeVideo")
    )
    prompt[inputs]["inputs"]["num_frames"] = 4
    prompt[draw]["inputs"].update(style="sdpose", face="yes", feet=False, people="all")
    prompt[sampler]["inputs"].update(steps=2, seed=5)
    prompt["stock"] = node(
        "SDPoseDrawKeypoints",
        keypoints=[inputs, 2],
        draw_body=True,
        draw_hands=True,
        draw_face=True,
        draw_feet=False,
        draw_head=True,
        stick_width=4,
        face_point_size=3,
        score_threshold=0.3,
    )
    prompt["save"] = node("SaveImage", images=[decode, 0], filename_prefix="stock_pose")
    ours_drawn = saved(server, server.run(prompt, timeout=300))
    prompt[encode]["inputs"]["images"] = ["stock", 0]
    stock_drawn = saved(server, server.run(prompt, timeout=300))
    assert stock_drawn.shape == (4, 128, 128, 3)
    assert np.abs(stock_drawn - ours_drawn).max() <= 2  # one level of a skeleton's pixels, decoded
    prompt[draw]["inputs"].update(body=False, hands=False, face="no")
    prompt[encode]["inputs"]["images"] = [draw, 0]
    without = saved(server, server.run(prompt, timeout=300))
    assert np.abs(stock_drawn - without).mean() > 1  # the skeleton is what moves the character
