"""A workflow made on Windows, opened elsewhere, and the reverse: names of files keep their meaning."""

import pytest
from comfyui_harness import first_light as line
from comfyui_harness.server import PromptRejectedError

SNIPPET = r"""
import sys
from pathlib import Path
import folder_paths

files = sys.modules[pack.__name__ + ".nodes.model_files"]
folder = Path(folder_paths.models_dir) / "animate_anyone" / "sub"
folder.mkdir(parents=True)
(folder / "unet.pth").touch()
on_windows, elsewhere = r"sub\unet.pth", "sub/unet.pth"
result = {
    "same": files.listed(on_windows, [elsewhere, "unet.pth"]),
    "reverse": files.listed(elsewhere, ["unet.pth", on_windows]),
    "exact first": files.listed(on_windows, [elsewhere, on_windows]),
    "gone": files.listed("sub/gone.pth", [elsewhere]),
    "found": [files.weight_file(name) == folder / "unet.pth" for name in (on_windows, elsewhere)],
    "linked": files.listed_verdict((None, [elsewhere])),
    "fits": files.listed_verdict((on_windows, [elsewhere])),
    "gone said": files.listed_verdict(("sub/gone.pth", [elsewhere])),
}
try:
    files.listed_verdict((on_windows, [elsewhere]), ("sub/gone.pth", [elsewhere]))
except Exception as error:
    result["gone of two"] = str(error)
"""


def as_on_windows(graph):
    """The same graph with the names of its files as Windows lists them."""
    return {
        name: node
        | {
            "inputs": {
                key: value.replace("/", "\\") if isinstance(value, str) else value
                for key, value in node["inputs"].items()
            }
        }
        for name, node in graph.items()
    }


def test_a_name_means_the_same_file_however_its_slashes_are_written(in_comfyui):
    found = in_comfyui(SNIPPET)
    assert found["same"] == "sub/unet.pth"
    assert found["reverse"] == found["exact first"] == r"sub\unet.pth"
    assert found["gone"] is None
    assert found["found"] == [True, True]
    assert found["linked"] is found["fits"] is True
    assert found["gone said"].startswith("'sub/gone.pth' is not in the list. Refresh the node list")
    assert found["gone of two"] == found["gone said"]


@pytest.fixture(scope="module")
def names(server):
    return line.install(server)


def test_a_workflow_made_on_windows_runs(server, names):
    """Every loader of the pack, networks in files and in folders."""
    graph = as_on_windows(line.sampler_graph(names, steps=1))
    loaders = [node for node in graph.values() if "Load" in node["class_type"]]
    assert (
        sum("moore\\" in str(value) for node in loaders for value in node["inputs"].values()) == 6
    )
    assert server.run(graph, timeout=300)["outputs"]["save"]["images"]


def test_a_file_that_is_gone_is_still_refused_at_once(server, names):
    graph = as_on_windows(line.sampler_graph(names, steps=1))
    graph["guider"]["inputs"]["pose_guider"] = r"moore\gone.safetensors"
    with pytest.raises(PromptRejectedError) as rejected:
        server.run(graph)
    (error,) = rejected.value.errors["guider"]["errors"]
    assert "is not in the list. Refresh the node list (R)" in error["details"]
