"""The files of public CI say what the project says elsewhere."""

import importlib.util
import sys
import urllib.error
from pathlib import Path

import pytest
import yaml

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

ROOT = Path(__file__).parents[1]
GITHUB = ROOT / ".github"
#: Tools of which any version will do.
UNBOUNDED = {"ruff", "mypy"}


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


@pytest.fixture(scope="module")
def workflow():
    return yaml.safe_load((GITHUB / "workflows" / "tests.yml").read_text("utf-8"))


@pytest.fixture(scope="module")
def links():
    spec = importlib.util.spec_from_file_location("check_links", ROOT / ".ci" / "check_links.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def lower_bounds(requirements):
    """Name -> version of `name>=version`."""
    pairs = (requirement.split(">=") for requirement in requirements if ">=" in requirement)
    return {name: tuple(int(part) for part in version.split(".")) for name, version in pairs}


def without_zeros(version):
    while version and version[-1] == 0:
        version = version[:-1]
    return version


def test_the_oldest_versions_are_the_lower_bounds(project):
    extras = project["project"]["optional-dependencies"]
    wanted = lower_bounds(
        [
            *project["project"]["dependencies"],
            *extras["standalone"],
            *extras["train"],
            *extras["test"],
        ]
    )
    lines = (ROOT / "constraints-oldest.txt").read_text("utf-8").splitlines()
    pinned = lower_bounds([line.replace("==", ">=") for line in lines if not line.startswith("#")])
    assert pinned.keys() == wanted.keys() - UNBOUNDED
    for name, version in pinned.items():
        # a wheel's first version may have one number more than the release
        assert without_zeros(version)[: len(without_zeros(wanted[name]))] == without_zeros(
            wanted[name]
        )


def test_every_python_from_the_oldest_on_is_tested(project, workflow):
    matrix = workflow["jobs"]["tests"]["strategy"]["matrix"]
    oldest = project["project"]["requires-python"].removeprefix(">=")
    assert matrix["python"][0] == oldest
    minors = [int(version.split(".")[1]) for version in matrix["python"]]
    assert minors == list(range(minors[0], minors[0] + len(minors)))
    assert {system.split("-")[0] for system in matrix["os"]} == {"ubuntu", "windows", "macos"}
    oldest_runs = [run for run in matrix["include"] if run["versions"] == "oldest"]
    assert {run["os"] for run in oldest_runs} == set(matrix["os"])
    assert {run["python"] for run in oldest_runs} == {oldest}


def test_the_oldest_comfyui_is_tested(project, workflow):
    oldest = project["tool"]["comfy"]["requires-comfyui"].removeprefix(">=")
    tested = workflow["jobs"]["comfyui"]["strategy"]["matrix"]["comfyui"]
    assert tested == [f"v{oldest}", "newest"]


def test_every_form_asks_for_something_and_problems_for_the_report():
    forms = {path.stem: path for path in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml")}
    assert {"config", "problem", "wish"} <= forms.keys()
    for name in forms.keys() - {"config"}:
        form = yaml.safe_load(forms[name].read_text("utf-8"))
        assert any(field.get("validations", {}).get("required") for field in form["body"])
    assert "python -m animate_anyone_core report" in forms["problem"].read_text("utf-8")


def test_the_lint_job_and_the_hooks_run_the_same_checks(workflow):
    steps = {step.get("run", "").strip() for step in workflow["jobs"]["lint"]["steps"]}
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    (repository,) = hooks["repos"]
    entries = {
        hook["entry"] + (" ." if hook["types"] == ["python"] and hook["id"] != "types" else "")
        for hook in repository["hooks"]
    }
    assert entries <= steps


@pytest.mark.parametrize(
    ("code", "is_gone"), [(404, True), (410, True), (403, False), (429, False)]
)
def test_a_link_is_gone_if_nobody_would_see_it(links, monkeypatch, code, is_gone):
    def answer(request, timeout):
        raise urllib.error.HTTPError(request.full_url, code, "no", {}, None)

    monkeypatch.setattr(links.urllib.request, "urlopen", answer)
    said = links.problem("https://example.org/a")
    assert said == (f"https://example.org/a: {code}" if is_gone else None)


def test_addresses_are_found_outside_of_code(links):
    text = "[a](https://a.org/b) ![c](d.png) <https://e.org>\n```\n[f](https://g.org)\n```\n"
    assert links.addresses(text) == {"https://a.org/b"}
