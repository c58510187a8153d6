"""`self-test` and `report` from the command line."""

import os
import sys

import pytest
import torch

from animate_anyone_core.__main__ import main
from animate_anyone_core.commands import report, self_test
from animate_anyone_core.self_test import clip, environment
from animate_anyone_core.self_test.clip import (
    BARS,
    ClipResult,
    check_clip,
    psnr,
    read_stored,
    write_stored,
)
from animate_anyone_core.self_test.core_calls import clip_frames
from animate_anyone_core.self_test.precision import PRECISIONS, Precision
from animate_anyone_core.self_test.run import SelfTest


@pytest.fixture
def failing(monkeypatch):
    """A self-test that fails, without running one."""
    found = SelfTest("cpu", "fp32", clip=ClipResult(10.0, 60.0))
    monkeypatch.setattr(self_test, "run_self_test", lambda *args, **options: found)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp8"])
def test_every_stage_is_within_its_limit(capsys, precision):
    assert main(["self-test", "--device", "cpu", "--dtype", precision]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"Self-test on cpu in {precision}, PyTorch ")
    assert lines[-1] == f"All stages on cpu in {precision} are within their limits."
    for name in ("Pose Guider", "ReferenceNet", "temporal layers", "built-in clip"):
        assert any(line.startswith(name) for line in lines)


def test_a_failure_is_told_by_the_exit_code(failing, capsys):
    assert main(["self-test", "--device", "cpu"]) == 1
    assert "DIFFERS: at least 60 dB" in capsys.readouterr().out


def test_the_threads_are_left_as_they_were(failing):
    before = torch.get_num_threads()
    main(["self-test", "--device", "cpu"])
    assert torch.get_num_threads() == before


def test_a_device_that_is_not_there_is_told(capsys):
    assert main(["self-test", "--device", "cuda:99"]) == 2
    assert "--device cuda:99 cannot be used here" in capsys.readouterr().err


def test_directml_that_is_not_installed_is_told(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_directml", None)
    assert main(["self-test", "--device", "dml"]) == 2
    assert "pip install torch-directml" in capsys.readouterr().err


@pytest.mark.slow
def test_the_stored_clip_is_the_one_of_the_shipped_weights():
    """In float64; `WRITE_CLIP=1` writes it, after the shipped model or its samples changed."""
    frames = clip_frames("cpu", Precision("float64", torch.float64))
    if os.environ.get("WRITE_CLIP"):
        write_stored(frames)
    assert psnr(frames, read_stored()) > BARS["fp32"], "run with WRITE_CLIP=1"


def test_frames_of_other_inputs_are_far_below_every_bar():
    """The stored frames, one late, are no near miss of the stored frames."""
    stored = read_stored()
    assert psnr(stored[1:], stored[:-1]) < min(BARS.values()) - 3


def test_a_clip_that_cannot_run_is_a_result(monkeypatch):
    def refuse(device, precision):
        raise RuntimeError("out of memory\nmore")

    monkeypatch.setattr(clip, "clip_frames", refuse)
    found = check_clip(torch.device("cpu"), PRECISIONS["fp32"])
    assert not found.passes
    assert found.problem == "could not run: out of memory"


def test_the_report_tells_what_an_issue_needs(failing, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("USER", "ann")
    error = tmp_path / "error.txt"
    error.write_text("x\n" * 100 + 'File "/home/ann/ComfyUI/nodes.py", line 1\nKeyError: ann\n')
    assert main(["report", "--device", "cpu", "--error", str(error)]) == 0
    text = capsys.readouterr().out
    for line in ("torch: ", "diffusers: ", "Python: ", "CPU: ", "### Self-test", "### Last error"):
        assert line in text
    assert 'File "<path>/nodes.py", line 1' in text
    assert "KeyError: <user>" in text
    assert "/home" not in text
    assert text.count("\nx\n") < report.KEPT_LINES


def test_the_report_survives_a_self_test_that_cannot_run(capsys):
    assert main(["report", "--device", "cuda:99"]) == 0
    assert "could not run: SettingsError: --device cuda:99" in capsys.readouterr().out


def test_the_report_goes_to_a_file(tmp_path, capsys):
    path = tmp_path / "report.md"
    assert main(["report", "--no-self-test", "--output", str(path)]) == 0
    assert path.read_text("utf-8").startswith("### Environment\n```\n")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
def test_an_error_in_any_encoding_is_read(tmp_path, capsys, encoding):
    path = tmp_path / "error.txt"
    path.write_bytes("Größe\nValueError: wrong".encode(encoding))
    assert main(["report", "--no-self-test", "--error", str(path)]) == 0
    assert "ValueError: wrong" in capsys.readouterr().out


def test_an_error_file_that_is_not_there_is_told(tmp_path, capsys):
    assert main(["report", "--error", str(tmp_path / "none.txt")]) == 2
    assert "Give a text file with the error." in capsys.readouterr().err


def test_comfyui_and_its_packs_are_found_from_the_pack(tmp_path):
    comfyui = tmp_path / "ComfyUI"
    pack = comfyui / "custom_nodes" / "animate-anyone"
    other = comfyui / "custom_nodes" / "other"
    for folder in (pack, other):
        folder.mkdir(parents=True)
        (folder / "__init__.py").touch()
    (comfyui / "comfyui_version.py").write_text('__version__ = "0.33.0"\n')
    assert environment.find_comfyui(pack) == comfyui
    text = environment.describe_environment(pack)
    assert "ComfyUI: 0.33.0" in text
    assert "node packs: animate-anyone, other" in text
