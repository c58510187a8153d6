"""What is broken or missing disables only itself, and says so; the other nodes are there."""

import re
import shutil

import pytest

SNIPPET = """
    import asyncio, logging, nodes

    class Keep(logging.Handler):
        lines = []

        def emit(self, record):
            self.lines.append(record.getMessage())

    logging.getLogger("animate_anyone").addHandler(Keep())
    asyncio.run(asyncio.run(pack.comfy_entrypoint()).get_node_list())
    found = [name for name in nodes.NODE_CLASS_MAPPINGS if name.startswith("AnimateAnyone_")]
    result = {"found": found, "said": Keep.lines}
"""


@pytest.fixture
def whole_pack(pack_folder):
    """Names of all nodes, from their list in the pack."""
    source = (pack_folder / "nodes" / "extension.py").read_text("utf-8")
    names = re.findall(r'^    \("\w+", "(\w+)"\),', source, re.MULTILINE)
    assert len(names) > 20
    return {f"AnimateAnyone_{name}" for name in names}


@pytest.fixture
def broken_copy(pack_folder, tmp_path):
    """A copy of the pack to break: everything but tests and its history."""
    target = tmp_path / "copy"
    ignored = shutil.ignore_patterns(".*", "__pycache__", "tests", "docs", "workflows")
    shutil.copytree(pack_folder, target, ignore=ignored)
    return target


@pytest.fixture
def load_copy(broken_copy, checkout, tmp_path, request):
    """Load the copy as ComfyUI does, in a fresh process."""
    in_comfyui = request.getfixturevalue("in_comfyui")
    installed = tmp_path / "base" / "custom_nodes"
    (link,) = installed.iterdir()
    link.unlink()
    link.symlink_to(broken_copy, target_is_directory=True)
    return lambda snippet=SNIPPET: in_comfyui(snippet)


def test_a_node_whose_import_fails_is_left_out_alone(broken_copy, load_copy, whole_pack):
    (broken_copy / "nodes" / "draw_pose.py").write_text("raise ImportError('no pencil')\n")
    told = load_copy()
    assert set(told["found"]) == whole_pack - {"AnimateAnyone_DrawPose"}
    assert told["said"] == [
        "Animate Anyone: the node DrawPose is left out, because it cannot be loaded: "
        "ImportError: no pencil"
    ]


def test_a_node_that_cannot_describe_itself_is_left_out_alone(broken_copy, load_copy, whole_pack):
    """Its drop-down lists the samples; ComfyUI would drop the whole pack for that."""
    shutil.rmtree(broken_copy / "animate_anyone_core" / "builtin" / "samples")
    told = load_copy()
    assert set(told["found"]) == whole_pack - {"AnimateAnyone_BuiltinInputs"}
    (said,) = told["said"]
    assert "the node BuiltinInputs is left out" in said
    assert "missing from this installation" in said


def test_without_any_built_in_file_your_own_weights_still_load(broken_copy, load_copy, whole_pack):
    shutil.rmtree(broken_copy / "animate_anyone_core" / "builtin")
    told = load_copy()
    assert set(told["found"]) == whole_pack - {"AnimateAnyone_BuiltinInputs"}


def test_without_our_words_every_node_is_there_and_works_without_tooltips(
    broken_copy, load_copy, whole_pack
):
    (broken_copy / "locales" / "en" / "nodeDefs.json").write_text("{ not JSON")
    told = load_copy(
        SNIPPET
        + """
    schema = nodes.NODE_CLASS_MAPPINGS["AnimateAnyone_Sampler"].GET_SCHEMA()
    result["name"], result["tooltip"] = schema.display_name, schema.inputs[0].tooltip
"""
    )
    assert set(told["found"]) == whole_pack
    assert told["name"] == "AnimateAnyone_Sampler"
    assert told["tooltip"] is None


def test_without_onnxruntime_every_node_is_there_and_detection_says_what_to_do(
    in_comfyui, whole_pack, tmp_path, monkeypatch
):
    missing = tmp_path / "missing" / "onnxruntime"
    missing.mkdir(parents=True)
    (missing / "__init__.py").write_text("raise ImportError('not installed')\n")
    monkeypatch.setenv("PYTHONPATH", str(missing.parent))
    told = in_comfyui(
        SNIPPET
        + """
    try:
        nodes.NODE_CLASS_MAPPINGS["AnimateAnyone_LoadPoseDetector"].execute(
            "built-in", "built-in", "cpu"
        )
    except Exception as error:
        result["error"] = f"{type(error).__name__}: {error}"
"""
    )
    assert set(told["found"]) == whole_pack
    assert told["said"] == []
    assert told["error"].startswith("MissingDependencyError: ")
    assert "pip install onnxruntime" in told["error"]
