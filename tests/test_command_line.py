"""The command line as a whole, and what is installed with it."""

import re
from pathlib import Path

import pytest

from animate_anyone_core.__main__ import find_commands, main
from animate_anyone_core.lab.commands.benchmark import BENCHMARKS

ROOT = Path(__file__).parents[1]
COMMANDS = find_commands()


def help_of(capsys, *arguments):
    with pytest.raises(SystemExit) as exit_:
        main([*arguments, "--help"])
    assert exit_.value.code == 0
    return capsys.readouterr().out


def test_help_lists_every_command_with_a_line(capsys):
    text = " ".join(help_of(capsys).split())
    for name, (_, line) in COMMANDS.items():
        assert f"{name} {line}" in text


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_explains_its_options(capsys, name):
    text = help_of(capsys, name)
    assert text.startswith(f"usage: python -m animate_anyone_core {name}")
    assert "\noptions:\n" in text or "\npositional arguments:\n" in text


@pytest.mark.parametrize("name", list(BENCHMARKS))
def test_every_benchmark_explains_its_options(capsys, name):
    text = help_of(capsys, "benchmark", name)
    assert text.startswith(f"usage: python -m animate_anyone_core benchmark {name}")


@pytest.mark.parametrize("arguments", [[], ["dance"], ["animate"]])
def test_a_call_that_cannot_be_ends_with_exit_code_2(capsys, arguments):
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    assert "error: " in capsys.readouterr().err.splitlines()[-1]


def test_requirements_are_the_dependencies_of_the_package():
    """And never torch or onnxruntime, which an install of the pack must not replace."""
    tomllib = pytest.importorskip("tomllib", reason="Python 3.11 reads TOML")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    required = (ROOT / "requirements.txt").read_text().split()
    assert required == project["dependencies"]
    names = {re.split(r"[<>=!~\[;]", requirement)[0].lower() for requirement in required}
    assert not names & {"torch", "torchvision", "numpy", "onnxruntime", "onnxruntime-gpu"}
    assert all(re.fullmatch(r"[\w-]+>=[\d.]+", requirement) for requirement in required)
