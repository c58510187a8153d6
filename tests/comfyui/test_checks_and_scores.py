"""Preflight and Compare in a real ComfyUI, on what ships with the pack."""

import io
import re

import numpy as np
import pytest
from comfyui_harness.first_light import node, ours
from comfyui_harness.server import PromptFailedError
from PIL import Image

FRAMES = 6
WINDOWS = {"context_frames": 4, "context_overlap": 1, "schedule": "open", "blending": "pyramid"}
DRAWING = {
    "width": 0,
    "height": 0,
    "fit": "pad",
    "body": True,
    "hands": True,
    "face": "by style",
    "feet": False,
    "people": "by style",
}
DETECTION = {
    "person": "largest",
    "person_index": 0,
    "point_x": 0,
    "point_y": 0,
    "point_frame": 0,
    "interval": 8,
    "batch_size": 8,
    "seen_score": 0.3,
}


def inputs(style="moore"):
    return {
        "inputs": ours("BuiltinInputs", character="character_a", num_frames=FRAMES),
        "draw": ours("DrawPose", pose_keypoint=["inputs", 2], style=style, **DRAWING),
        "detector": ours(
            "LoadPoseDetector", person_detector="built-in", pose_estimator="built-in", device="auto"
        ),
    }


def checks(style="moore", **changes):
    """Preflight with everything wired in."""
    wired = {
        "model": ["unet", 0],
        "reference": ["reference", 0],
        "pose": ["pose", 0],
        "reference_image": ["inputs", 0],
        "skeletons": ["draw", 0],
        "driver_pose": ["inputs", 2],
        "reference_pose": ["detect", 0],
        "steps": 10,
        "cfg": 3.5,
        "on_problem": "report",
        **WINDOWS,
        **changes,
    }
    return {
        **inputs(style),
        "net": ours("LoadReferenceNet", reference_net="built-in", dtype="default"),
        "unet": ours(
            "LoadUNet3D",
            denoising_unet="built-in",
            motion_module="built-in",
            family="auto",
            dtype="default",
        ),
        "guider": ours("LoadPoseGuider", pose_guider="built-in"),
        "vae": ours("LoadVAE", vae="built-in"),
        "clip": ours("LoadImageEncoder", image_encoder="built-in"),
        "reference": ours(
            "EncodeReference",
            reference_net=["net", 0],
            vae=["vae", 0],
            clip_vision=["clip", 0],
            image=["inputs", 0],
            width=128,
            height=128,
            fit="crop",
        ),
        "pose": ours(
            "EncodePose",
            pose_guider=["guider", 0],
            images=["draw", 0],
            reference=["reference", 0],
        ),
        "detect": ours(
            "DetectPose", pose_detector=["detector", 0], images=["inputs", 0], **DETECTION
        ),
        "check": ours("Preflight", **wired),
    }


def report(server, graph):
    return server.run(graph)["outputs"]["check"]["text"][0]


def test_a_sound_run_is_called_sound_and_counted(server):
    text = report(server, checks())
    assert text.startswith("No problems found."), text
    assert "6 frames of 128x128." in text
    assert "2 windows of 4 frames, sharing 1 or more." in text
    assert "20 window evaluations (10 steps)" in text
    assert re.search(r"About \d+\.\d GB for a window beside the weights; \d+\.\d GB are free", text)


def test_what_is_wrong_is_said_and_can_stop_the_run(server):
    text = report(server, checks(style="musepose"))
    assert text.startswith("1 warning found.")
    assert "drawn in the style musepose, but" in text
    with pytest.raises(PromptFailedError, match=r"Stopped by Preflight, as asked for\. 1 warning"):
        server.run(checks(style="musepose", on_problem="stop"))


def test_without_anything_it_says_what_to_wire(server):
    graph = {
        "check": ours("Preflight", steps=10, cfg=3.5, on_problem="report", **WINDOWS),
    }
    assert "Not checked:" in report(server, graph)


def test_the_device_is_checked_when_asked_for(server):
    """With ComfyUI's own attention, in the precision of the model if there is one."""
    settings = {"steps": 10, "cfg": 3.5, "on_problem": "stop", "self_test": True, **WINDOWS}
    text = report(server, {"check": ours("Preflight", **settings)})
    assert text.startswith("No problems found.")
    assert "Self-test on cpu in fp32" in text
    for stage in ("Pose Guider", "ReferenceNet", "temporal layers", "denoising UNet"):
        assert re.search(rf"^{stage} +moore ", text, re.MULTILINE), text
    assert text.endswith("All stages on cpu in fp32 are within their limits.")


def comparison(**wired):
    return {
        **inputs(),
        "small": node(
            "ImageScale",
            image=["inputs", 1],
            upscale_method="area",
            width=128,
            height=128,
            crop="center",
        ),
        "compare": ours("Compare", result=["small", 0], **wired),
        "scores": node("PreviewAny", source=["compare", 1]),
        "save": node("SaveImage", images=["compare", 0], filename_prefix="compared"),
    }


def test_the_truth_itself_scores_best_and_follows_its_poses(server):
    """Oracle: a clip against itself; its poses, found again, are those that it was drawn with."""
    entry = server.run(
        comparison(
            reference=["inputs", 0],
            skeletons=["draw", 0],
            truth=["small", 0],
            pose_keypoint=["inputs", 2],
            pose_detector=["detector", 0],
        )
    )
    text = entry["outputs"]["scores"]["text"][0]
    assert re.search(r"^psnr +100\.00 dB", text, re.MULTILINE), text
    error = float(re.search(r"^pose_body +(\d+\.\d+) %", text, re.MULTILINE)[1])
    assert error < 10, text
    pictures = [
        np.asarray(Image.open(io.BytesIO(server.fetch(f)))) for f in server.files(entry, "save")
    ]
    assert len(pictures) == FRAMES
    height, width = pictures[0].shape[:2]
    assert width > 4 * 128
    assert 128 < height < 160
    label = height - 128
    truth, result = pictures[2][label:, 2 * 132 : 2 * 132 + 128], pictures[2][label:, 3 * 132 :]
    np.testing.assert_array_equal(truth, result[:, :128])


def test_with_the_result_alone_it_still_shows_it(server):
    entry = server.run(comparison())
    assert len(server.files(entry, "save")) == FRAMES


def test_half_the_wires_of_a_measure_are_explained(server):
    with pytest.raises(PromptFailedError, match="pose_detector is wired, pose_keypoint is not"):
        server.run(comparison(pose_detector=["detector", 0]))
    wide = comparison(pose_keypoint=["inputs", 2], pose_detector=["detector", 0])
    wide["small"]["inputs"]["width"] = 192
    with pytest.raises(PromptFailedError, match="another shape"):
        server.run(wide)
