"""Consoles that cannot show every letter: nothing that a command prints may end it.

What Windows gives a program whose output is piped is cp1252 in the West and cp932 in Japan; a bare
container gives ASCII. Characters that are not in there are written as escapes.
"""

import io
import sys

import pytest
import torch

from animate_anyone_core.__main__ import find_commands, main
from animate_anyone_core.checkpoints.weight_files import write_weights
from animate_anyone_core.lab.commands.benchmark import BENCHMARKS

NAME = "Ærø 踊り 🕺"
CALLS = [*([name] for name in find_commands()), *(["benchmark", name] for name in BENCHMARKS)]


@pytest.fixture(params=["ascii", "cp1252", "cp932", "utf-8"])
def run(request, monkeypatch):
    """Run a command on a console of this encoding; its exit code, what it wrote, its errors."""

    def call(*arguments):
        streams = []
        for name, errors in (("stdout", "strict"), ("stderr", "backslashreplace")):
            raw = io.BytesIO()
            streams.append((raw, io.TextIOWrapper(raw, encoding=request.param, errors=errors)))
            monkeypatch.setattr(sys, name, streams[-1][1])
        try:
            code = main(list(arguments))
        except SystemExit as exit_:
            code = exit_.code
        for _, stream in streams:
            stream.flush()
        monkeypatch.undo()
        return code, *(raw.getvalue().decode(request.param) for raw, _ in streams)

    return call


def shows_name(text):
    return "踊り" in text or "\\u8e0a\\u308a" in text


@pytest.mark.parametrize("call", CALLS, ids=" ".join)
def test_every_help_is_shown(run, call):
    code, written, _ = run(*call, "--help")
    assert code == 0
    assert written.startswith(f"usage: python -m animate_anyone_core {' '.join(call)}")


def test_a_report_names_a_file_with_any_name(run, tmp_path):
    folder = tmp_path / NAME
    folder.mkdir()
    write_weights(folder / f"{NAME}.safetensors", {"weight": torch.zeros(2, 3)})
    code, written, _ = run("inspect", str(folder))
    assert code == 0
    assert shows_name(written)


def test_an_error_names_a_file_with_any_name(run, tmp_path):
    code, _, errors = run("inspect", str(tmp_path / f"{NAME}.pth"))
    assert code == 2
    line = errors.strip().splitlines()[-1]
    assert line.startswith("error: ")
    assert shows_name(line)
