"""`inspect`: facts on stdout, one line and exit code 2 if something cannot be used."""

import json

import pytest
import torch

from animate_anyone_core.__main__ import main
from animate_anyone_core.checkpoints.weight_files import write_weights


@pytest.fixture
def call(capsys):
    def run(*arguments):
        code = main(["inspect", *map(str, arguments)])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return run


def test_a_file(call, model_folder):
    code, out, err = call(model_folder / "motion_module.safetensors")
    assert code == 0
    assert err == ""
    lines = out.splitlines()
    assert lines[0] == "motion_module.safetensors: temporal layers (motion_module)"
    assert lines[2].startswith("  family: moore (its position table has 12 entries")
    assert "  widths: 32-64" in lines


def test_a_folder(call, model_folder):
    code, out, _ = call(model_folder)
    assert code == 0
    assert "image_encoder/model.safetensors: a CLIP model" in out
    assert out.splitlines()[-1].startswith(f"{model_folder.name}: a model's folder, complete")


def test_facts_as_json(call, model_folder):
    code, out, _ = call("--json", model_folder / "pose_guider.safetensors", model_folder)
    assert code == 0
    file, folder = json.loads(out)
    assert file["layout"] == "Pose Guider, published layout (pose_guider)"
    assert file["shapes"] == {"widths": "4-8-8-8", "channels out": 32}
    assert folder["is_model"] is True
    assert folder["problems"] == []
    assert len(folder["files"]) == 6


def test_a_family_may_be_given(call, model_folder):
    _, out, _ = call("--family", "musepose", model_folder)
    assert "complete, family musepose (as asked for)" in out


def test_a_damaged_file_is_shown_and_ends_in_a_line(call, tmp_path):
    (tmp_path / "a.safetensors").write_text("text")
    code, out, err = call(tmp_path / "a.safetensors")
    assert code == 2
    assert "PROBLEM: a.safetensors is not a safetensors file" in out
    assert err.startswith("error: a.safetensors is not a safetensors file")
    assert err.count("\n") == 1


def test_everything_is_shown_before_the_line(call, tmp_path, model_folder):
    (tmp_path / "a.pth").write_text("text")
    (tmp_path / "b.pth").touch()
    code, out, err = call(tmp_path / "a.pth", tmp_path / "b.pth", model_folder)
    assert code == 2
    assert "a model's folder, complete" in out
    assert err == (
        "error: a.pth is not a PyTorch file, whatever its name says. Get the right file. (and 1 "
        "more problems, see above)\n"
    )


def test_a_folder_that_is_not_complete(call, own_model_folder):
    (own_model_folder / "motion_module.safetensors").unlink()
    code, out, err = call(own_model_folder)
    assert code == 2
    assert "a model's folder, NOT complete" in out
    assert "has no temporal layers" in err


def test_another_kind_of_file_is_told_and_no_error(call, tmp_path):
    write_weights(tmp_path / "a.safetensors", {"x.lora_up.weight": torch.zeros(2)})
    code, out, _ = call(tmp_path / "a.safetensors")
    assert code == 0
    assert out.startswith("a.safetensors: a LoRA\n")


@pytest.mark.parametrize("name", ["none", "none.safetensors"])
def test_a_missing_file(call, tmp_path, name):
    code, out, err = call(tmp_path / name)
    assert (code, out, err) == (2, "", f"error: There is no file {tmp_path / name}.\n")
