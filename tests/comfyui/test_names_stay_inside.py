"""Names in a workflow lead to no file outside the folders of models, for every node that takes one."""

import pytest
from comfyui_harness import first_light as line
from comfyui_harness.server import PromptFailedError, PromptRejectedError

OUTSIDE = (
    "../secret.safetensors",
    "../../secret.safetensors",
    "moore/../../secret.safetensors",
    "..\\..\\secret.safetensors",
    "moore\\..\\..\\secret.safetensors",
    "C:\\secret.safetensors",
    "C:/secret.safetensors",
    "\\\\host\\share\\secret.safetensors",
    "//host/share/secret.safetensors",
    "file:///secret.safetensors",
    "./../secret.safetensors",
    "secret.safetensors\0.png",
    "\ud800.safetensors",
    "",
)
_SNIPPET = """
import json, sys
from pathlib import Path
import folder_paths

def ours(name):
    return sys.modules[pack.__name__ + ".nodes." + name]

base = Path(folder_paths.models_dir)
inside = base / "animate_anyone"
(inside / "moore").mkdir(parents=True)
for folder in (base, base.parent):
    (folder / "secret.safetensors").write_bytes(b"x")
    (folder / "secret").mkdir()
    (folder / "secret" / "config.json").write_text("{}")
    (folder / "secret" / "diffusion_pytorch_model.safetensors").write_bytes(b"x")
files, opened = ours("model_files"), []
folders = files.FilesAndFolders("vae", ("diffusion_pytorch_model",), built_in="vae")
names = [*json.loads(NAMES), str(base.parent / "secret.safetensors"), str(base / "secret.safetensors")]
for name in names:
    for call in (
        lambda: files.weight_file(name),
        lambda: files.network_file(name, "denoising_unet"),
        lambda: folders.path(name),
        lambda: folders.path(name.replace(".safetensors", "")),
        lambda: ours("model_set")._folder(name),
    ):
        try:
            path = call()
        except (OSError, ValueError, pack_errors) as error:
            continue
        if path is not None and not Path(path).resolve().is_relative_to(inside):
            opened.append([name, str(path)])
result = opened
"""


def test_no_name_opens_a_file_outside(in_comfyui):
    """Also where a name comes over a wire, and no list was asked."""
    import json

    errors = (
        "import sys\npack_errors = sys.modules[pack.__name__ + '.animate_anyone_core.errors']"
        ".AnimateAnyoneError\n"
    )
    assert in_comfyui(errors + f"NAMES = {json.dumps(OUTSIDE)!r}\n" + _SNIPPET) == []


@pytest.fixture(scope="module")
def takers(server):
    """(node, input) of ours whose list names files, and what else the node needs."""
    found = []
    for node, info in server.object_info().items():
        if not node.startswith("AnimateAnyone_Load"):
            continue
        for group in ("required", "optional"):
            for name, (kind, *options) in info["input"].get(group, {}).items():
                choices = kind if isinstance(kind, list) else (options or [{}])[0].get("options")
                if choices and "built-in" in choices:
                    found.append((node, name, info))
    return found


def filled(info):
    """Every widget of a node at its first choice or default."""
    values = {}
    for name, (kind, *options) in info["input"].get("required", {}).items():
        given = options[0] if options else {}
        choices = kind if isinstance(kind, list) else given.get("options")
        values[name] = choices[0] if choices else given.get("default")
    return values


def test_every_loader_refuses_them(server, takers):
    assert len(takers) >= 7
    taken = []
    for node, name, info in takers:
        for outside in OUTSIDE:
            graph = {
                "load": line.node(node, **{**filled(info), name: outside}),
                "show": line.node("PreviewAny", source=["load", 0]),
            }
            try:
                server.run(graph, timeout=60)
                taken.append((node, name, outside))
            except (PromptRejectedError, PromptFailedError):
                pass
    assert taken == []
