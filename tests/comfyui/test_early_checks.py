"""Wrong settings turn a node red when the graph is queued, before anything is loaded or computed."""

import re

import pytest
from comfyui_harness import first_light as line
from comfyui_harness.server import PromptRejectedError

BUILT_IN = "built-in"
WINDOWS = {"context_frames": 8, "context_overlap": 2, "schedule": "open", "blending": "pyramid"}


def unet():
    return line.ours(
        "LoadUNet3D",
        denoising_unet=BUILT_IN,
        motion_module=BUILT_IN,
        family="auto",
        dtype="default",
    )


def samples(num_frames=4):
    return line.ours("BuiltinInputs", character="character_a", num_frames=num_frames)


def encode_graph(**changes):
    size = {"width": 128, "height": 128, **changes}
    return {
        "net": line.ours("LoadReferenceNet", reference_net=BUILT_IN, dtype="default"),
        "vae": line.ours("LoadVAE", vae=BUILT_IN),
        "clip": line.ours("LoadImageEncoder", image_encoder=BUILT_IN),
        "samples": samples(),
        "node": line.ours(
            "EncodeReference",
            reference_net=["net", 0],
            vae=["vae", 0],
            clip_vision=["clip", 0],
            image=["samples", 0],
            fit="crop",
            **size,
        ),
        "show": line.node("PreviewImage", images=["node", 1]),
    }


def windows_graph(**changes):
    return {
        "unet": unet(),
        "node": line.ours("ContextWindows", model=["unet", 0], **{**WINDOWS, **changes}),
        "show": line.node("PreviewAny", source=["node", 0]),
    }


def preflight_graph(**changes):
    return {
        "unet": unet(),
        "node": line.ours(
            "Preflight",
            model=["unet", 0],
            steps=20,
            cfg=3.5,
            on_problem="report",
            **{**WINDOWS, **changes},
        ),
    }


def smooth_graph(**changes):
    settings = {
        "window": 7,
        "detail_window": 5,
        "gate": 0.45,
        "max_gap": 8,
        "show_score": 0.35,
        "hide_score": 0.25,
    }
    return {
        "samples": samples(),
        "node": line.ours("SmoothPose", pose_keypoint=["samples", 2], **{**settings, **changes}),
        "show": line.node("PreviewAny", source=["node", 1]),
    }


def retarget_graph(**changes):
    settings = {
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
    poses = ["samples", 2]
    return {
        "samples": samples(),
        "node": line.ours("RetargetPose", driver=poses, reference=poses, **{**settings, **changes}),
        "show": line.node("PreviewAny", source=["node", 2]),
    }


WRONG = [
    (encode_graph, {"width": 130}, "multiples of 8, .* got 130x128. The nearest is 128x128"),
    (encode_graph, {"height": 9000}, "at most 8192, got 128x9000"),
    (encode_graph, {"width": -8}, "at least 16"),
    (encode_graph, {"background": "no color"}, "no color"),
    (windows_graph, {"context_overlap": 8}, "The overlap must be from 0 to 7"),
    (windows_graph, {"context_overlap": -1}, "The overlap must be from 0"),
    (windows_graph, {"context_frames": -3}, "A window needs at least 1 frame"),
    (preflight_graph, {"context_overlap": 8}, "The overlap must be from 0 to 7"),
    (smooth_graph, {"window": 4}, "window must be odd"),
    (smooth_graph, {"hide_score": 0.9}, "hide_score must be from 0 to show_score"),
    (retarget_graph, {"multipliers": "tail=2"}, "There is no bone group 'tail'"),
    (retarget_graph, {"multipliers": "head"}, "written as group=factor"),
]


@pytest.mark.parametrize(
    ("graph", "changes", "message"),
    WRONG,
    ids=[f"{graph.__name__}-{next(iter(changes.items()))}" for graph, changes, _ in WRONG],
)
def test_a_wrong_setting_is_explained_before_the_run(server, graph, changes, message):
    with pytest.raises(PromptRejectedError) as rejected:
        server.run(graph(**changes))

    assert list(rejected.value.errors) == ["node"]
    (error,) = rejected.value.errors["node"]["errors"]
    assert re.search(message, error["details"])
    assert error["extra_info"].get("exception_type", "SettingsError") == "SettingsError"


def test_a_file_that_is_gone_is_told_once_by_a_loader_of_two(server):
    loader = unet()
    loader["inputs"]["motion_module"] = "gone.pth"
    graph = {"node": loader, "show": line.node("PreviewAny", source=["node", 1])}
    with pytest.raises(PromptRejectedError) as rejected:
        server.run(graph)
    (error,) = rejected.value.errors["node"]["errors"]
    assert error["details"].startswith("'gone.pth' is not in the list. Refresh the node list (R)")


def test_a_linked_setting_is_judged_when_the_node_runs(server):
    """Its value is not known before: a graph that is right must not be rejected."""
    graph = smooth_graph(window=["number", 0])
    graph["number"] = line.node("PrimitiveInt", value=5)
    server.run(graph, timeout=300)


def test_a_replaced_file_is_loaded_again(in_comfyui):
    """The cache of every loader hangs on the time and the size of its files."""
    told = in_comfyui(
        """
        import os, shutil
        from pathlib import Path
        import folder_paths, nodes

        def loader(name):
            return nodes.NODE_CLASS_MAPPINGS["AnimateAnyone_" + name]

        built_in = Path(pack.__file__).parent / "animate_anyone_core" / "builtin"
        models = Path(folder_paths.models_dir)
        for part in ("vae", "image_encoder"):
            shutil.copytree(built_in / part, models / "animate_anyone" / part)
        result = {}
        for name, part in (("LoadVAE", "vae"), ("LoadImageEncoder", "image_encoder")):
            before = loader(name).fingerprint_inputs(part)
            same = loader(name).fingerprint_inputs(part)
            weights = max((models / "animate_anyone" / part).iterdir(), key=os.path.getsize)
            os.utime(weights, ns=(1, 1))
            result[name] = [before == same, before == loader(name).fingerprint_inputs(part)]
        """
    )
    assert told == {"LoadVAE": [True, False], "LoadImageEncoder": [True, False]}
