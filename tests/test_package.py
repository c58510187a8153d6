"""What an installation from ComfyUI's registry gets, and what its metadata says."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

ROOT = Path(__file__).parent.parent
NEEDED = (
    "__init__.py",
    "LICENSE",
    "README.md",
    "pyproject.toml",
    "requirements.txt",
    "animate_anyone_core/__init__.py",
    "animate_anyone_core/builtin/MODEL_CARD.md",
    "animate_anyone_core/builtin/config.json",
    "locales/en/nodeDefs.json",
    "locales/zh/nodeDefs.json",
    "nodes/extension.py",
    "web/docs/AnimateAnyone_Sampler.md",
    "web/docs/AnimateAnyone_Sampler/zh.md",
    "workflows/animate_character.json",
    "subgraphs/Animate from Video.json",
)
NOT_NEEDED = ("tests/", ".ci/", ".github/", ".pre-commit", "docs/", "constraints")
LARGEST_PACKAGE = 31_000_000  # 25 of them for the built-in models


def listed(*options):
    """Tracked files, by git: the registry's tool packs these, without what .comfyignore names."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("this copy is no git repository")
    return {name for name in done.stdout.split("\0") if name}


@pytest.fixture(scope="module")
def packed():
    """The files of an installation."""
    # .comfyignore is written like .gitignore, so git itself can read it
    return listed() - listed("--cached", "--ignored", "--exclude-from=.comfyignore")


@pytest.fixture(scope="module")
def project():
    """The whole of pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def test_an_installation_gets_what_runs(packed):
    assert set(NEEDED) - packed == set()


def test_an_installation_gets_every_help_page_and_workflow(packed):
    tracked = listed("web", "workflows", "subgraphs", "locales", "nodes", "animate_anyone_core")
    assert tracked - packed == set()


def test_an_installation_gets_no_tests_and_no_pictures_of_the_readme(packed):
    assert [name for name in packed if name.startswith(NOT_NEEDED)] == []


def test_an_installation_is_small(packed):
    sizes = [(ROOT / name).stat().st_size for name in packed if (ROOT / name).is_file()]
    assert sum(sizes) < LARGEST_PACKAGE


def test_the_metadata_is_what_the_registry_takes(project):
    name = project["project"]["name"]
    assert re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,98}[a-z0-9]", name)
    assert "comfyui" not in name
    assert re.fullmatch(r"\d+\.\d+\.\d+", project["project"]["version"])
    assert project["tool"]["comfy"]["DisplayName"]


def test_the_oldest_comfyui_is_the_same_in_metadata_readme_and_tests(project):
    """The tests' description names the checkout of the oldest version."""
    oldest = project["tool"]["comfy"]["requires-comfyui"].removeprefix(">=")
    assert f"ComfyUI ({oldest} or newer)" in (ROOT / "README.md").read_text("utf-8")
    assert f"v{oldest}" in (ROOT / "tests" / "comfyui" / "conftest.py").read_text("utf-8")


def test_the_changelog_speaks_of_this_version(project):
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert f"## {project['project']['version']}" in changelog


def test_workflows_that_load_a_video_and_make_one_keep_its_sound_and_frame_rate():
    """From *Get Video Components* to *Decode Video*."""
    wired = 0
    for path in sorted((ROOT / "workflows").glob("*.json")):
        workflow = json.loads(path.read_text(encoding="utf-8"))
        nodes = {node["id"]: node for node in workflow["nodes"]}
        kinds = {node["type"] for node in nodes.values()}
        if not {"GetVideoComponents", "AnimateAnyone_DecodeVideo"} <= kinds:
            continue
        kept = {
            (nodes[source]["outputs"][output]["name"], nodes[target]["inputs"][slot]["name"])
            for _, source, output, target, slot, _ in workflow["links"]
            if nodes[target]["type"] == "AnimateAnyone_DecodeVideo"
            and nodes[source]["type"] == "GetVideoComponents"
        }
        assert kept == {("audio", "audio"), ("fps", "fps")}, path.name
        wired += 1
    assert wired == 3


def test_the_registry_is_told_who_publishes_and_where(project):
    """One owner everywhere; pictures that a registry page shows come from the repository itself."""
    comfy, urls = project["tool"]["comfy"], project["project"]["urls"]
    owner = comfy["PublisherId"]
    assert set(urls) == {"Repository", "Documentation", "Bug Tracker"}
    page = f"https://github.com/{owner}/comfyui-animate-anyone"
    assert all(url.startswith(page) for url in urls.values())
    assert f"git clone {page}" in (ROOT / "README.md").read_text("utf-8")
    for name in ("Icon", "Banner"):
        raw = f"https://raw.githubusercontent.com/{owner}/comfyui-animate-anyone/main/"
        assert comfy[name].startswith(raw)
        assert (ROOT / comfy[name].removeprefix(raw)).is_file(), name


def test_a_release_is_published_only_by_hand_or_by_its_tag():
    """The workflow tests first, and needs the registry's token."""
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text("utf-8")
    assert "uses: ./.github/workflows/tests.yml" in text
    assert "needs: tests" in text
    assert "REGISTRY_ACCESS_TOKEN" in text
    assert "pull_request" not in text
