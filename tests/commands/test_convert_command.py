"""`convert`: options to the right files, refusals in a line."""

import logging

import pytest
import torch
from safetensors import safe_open

from animate_anyone_core.__main__ import main
from animate_anyone_core.checkpoints.weight_files import read_weights


@pytest.fixture
def call(capsys):
    def run(*arguments):
        code = main(["convert", *map(str, arguments)])
        err = capsys.readouterr().err
        assert "Traceback" not in err
        return code, err.splitlines()[-1] if err else ""

    return run


def test_to_half_precision(call, model_folder, tmp_path, caplog):
    out = tmp_path / "a.safetensors"
    with caplog.at_level(logging.INFO, "animate_anyone"):
        code, _ = call(
            model_folder / "reference_unet.safetensors", "--output", out, "--dtype", "fp16"
        )
    assert code == 0
    assert {tensor.dtype for tensor in read_weights(out).values()} == {torch.float16}
    assert f"{out}: ReferenceNet (reference_unet), " in caplog.text


def test_some_weights_stay_out_of_8_bits(call, model_folder, tmp_path):
    source, out = model_folder / "reference_unet.safetensors", tmp_path / "a.safetensors"
    arguments = (source, "--output", out, "--half", "up_blocks.", "conv_in.")
    code, told = call(*arguments)
    assert code == 2
    assert "only --dtype fp8 writes" in told
    assert call(*arguments, "--dtype", "fp8")[0] == 0
    with safe_open(out, "pt") as file:
        names = file.keys()
        kinds = {name: file.get_slice(name).get_dtype() for name in names}
    matrices = {k: v for k, v in kinds.items() if k.endswith("conv1.weight")}
    assert {v for k, v in matrices.items() if k.startswith("up_blocks.")} == {"F16"}
    assert {v for k, v in matrices.items() if not k.startswith("up_blocks.")} == {"F8_E4M3"}
    assert kinds["conv_in.weight"] == "F16"
    before, after = read_weights(source), read_weights(out)
    assert torch.equal(after["conv_in.weight"], before["conv_in.weight"].half())


def test_merge_split_and_animate_with_either(call, model_folder, tmp_path):
    parts = [model_folder / f"{n}.safetensors" for n in ("denoising_unet", "motion_module")]
    assert call(*parts, "--merge", "--output", tmp_path / "one.safetensors")[0] == 0
    assert call(tmp_path / "one.safetensors", "--split", "--output", tmp_path / "two")[0] == 0
    for part in parts:
        again = read_weights(tmp_path / "two" / part.name)
        original = read_weights(part)
        assert set(again) == set(original)
        assert all(torch.equal(again[key], original[key]) for key in original)


def test_a_file_that_is_there_needs_force(call, model_folder, tmp_path):
    arguments = (model_folder / "pose_guider.safetensors", "--output", tmp_path / "a.safetensors")
    assert call(*arguments)[0] == 0
    assert call(*arguments) == (
        2,
        f"error: {tmp_path / 'a.safetensors'} is there already. Use --force to replace it, or "
        "another --output.",
    )
    assert call(*arguments, "--force")[0] == 0


def test_bad_input_ends_in_a_line(call, tmp_path):
    (tmp_path / "a.pth").write_text("text")
    assert call(tmp_path / "a.pth", "--output", tmp_path / "b.safetensors") == (
        2,
        "error: a.pth is not a PyTorch file, whatever its name says. Get the right file.",
    )
    assert not (tmp_path / "b.safetensors").exists()


@pytest.mark.parametrize("flags", [["--split", "--merge"], ["--dtype", "int4"], []])
def test_options_that_cannot_be(call, tmp_path, flags):
    output = ["--output", tmp_path] if flags else []
    with pytest.raises(SystemExit) as exit_:
        call(tmp_path, *output, *flags)
    assert exit_.value.code == 2
