"""Encode Pose takes skeleton pictures, or poses that it draws itself."""

import pytest
from comfyui_harness import first_light as line
from comfyui_harness.server import PromptFailedError
from safetensors.torch import load


def latents_of(server, graph):
    entry = server.run(graph, timeout=300)
    return load(server.fetch(entry["outputs"]["save_latent"]["latents"][0]))["latent_tensor"]


def graph_of(names, **pose):
    """Four frames of the shipped dance; `pose` is wired into Encode Pose."""
    graph = line.sampler_graph(names, steps=1)
    graph["dance"] = line.ours("BuiltinInputs", character="character_a", num_frames=4)
    drawn = {"width": 0, "height": 0, "fit": "pad", "body": True, "hands": True, "feet": False}
    graph["drawn"] = line.ours(
        "DrawPose",
        pose_keypoint=["dance", 2],
        style="musepose",
        face="by style",
        people="by style",
        **drawn,
    )
    del graph["pose"]["inputs"]["images"]
    graph["pose"]["inputs"].update(pose)
    return graph


@pytest.fixture(scope="session")
def names(server):
    return line.install(server)


def test_poses_are_drawn_as_draw_pose_draws_them(server, names):
    by_pictures = latents_of(server, graph_of(names, images=["drawn", 0]))
    by_poses = latents_of(server, graph_of(names, pose_keypoint=["dance", 2], style="musepose"))
    in_another_style = latents_of(
        server, graph_of(names, pose_keypoint=["dance", 2], style="moore")
    )
    assert by_poses.equal(by_pictures)
    assert not in_another_style.equal(by_pictures)


@pytest.mark.parametrize("pose", [{}, {"images": ["drawn", 0], "pose_keypoint": ["dance", 2]}])
def test_pictures_and_poses_are_one_or_the_other(server, names, pose):
    with pytest.raises(PromptFailedError, match=r"one of them; got (neither|both)"):
        server.run(graph_of(names, **pose))
