"""Rewritten files hold the same numbers under the published names."""

import json
import shutil

import pytest
import torch

from animate_anyone_core.checkpoints import convert as convert_module
from animate_anyone_core.checkpoints.convert import convert, published_weights
from animate_anyone_core.checkpoints.layouts import Layout
from animate_anyone_core.checkpoints.load import (
    METADATA_KEY,
    load_denoising_unet,
    read_denoising_unet,
)
from animate_anyone_core.checkpoints.weight_files import (
    read_metadata,
    read_weights,
    write_weights,
)
from animate_anyone_core.errors import (
    CheckpointError,
    MediaError,
    SettingsError,
    UnknownCheckpointError,
)

NAMES = ("denoising_unet", "motion_module", "reference_unet", "pose_guider")


@pytest.fixture
def pickles(tmp_path, published_files):
    """The published form: one .pth a network."""
    folder = tmp_path / "published"
    folder.mkdir()
    for name, weights in published_files.items():
        torch.save(dict(weights), folder / f"{name}.pth")
    return folder


def same(one, other):
    return set(one) == set(other) and all(
        one[key].dtype == other[key].dtype and torch.equal(one[key], other[key]) for key in one
    )


def refusal(error_type, *args, **settings):
    with pytest.raises(error_type) as error:
        convert(*args, **settings)
    return str(error.value)


def test_a_pickle_becomes_safetensors(pickles, tmp_path, published_files):
    out = tmp_path / "new" / "a.safetensors"
    (written,) = convert([pickles / "pose_guider.pth"], out)
    assert same(read_weights(out), published_files["pose_guider"])
    assert (written.path, written.layout) == (out, Layout.PUBLISHED_POSE_GUIDER)
    assert written.size_bytes == out.stat().st_size


def test_a_folder_becomes_a_folder(pickles, tmp_path, published_files):
    calls = []
    written = convert([pickles], tmp_path / "out", on_step=lambda *step: calls.append(step))
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert {file.path.stem for file in written} == set(NAMES)
    for name in NAMES:
        assert same(read_weights(tmp_path / "out" / f"{name}.safetensors"), published_files[name])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_another_precision_leaves_position_tables_exact(pickles, tmp_path, published_files, dtype):
    out = tmp_path / "a.safetensors"
    convert([pickles / "motion_module.pth"], out, dtype=dtype)
    for key, tensor in read_weights(out).items():
        original = published_files["motion_module"][key]
        assert torch.equal(tensor, original if key.endswith(".pe") else original.to(dtype)), key


def test_merging_and_splitting_are_inverse(pickles, tmp_path, published_files, unet):
    one = tmp_path / "one.safetensors"
    # the order does not matter
    convert([pickles / "motion_module.pth", pickles / "denoising_unet.pth"], one, form="merge")
    both = published_files["denoising_unet"] | published_files["motion_module"]
    assert same(read_weights(one), both)
    loaded = load_denoising_unet(read_denoising_unet(one))
    assert same(loaded.state_dict(), unet.state_dict())
    written = convert([one], tmp_path / "two", form="split")
    assert [file.layout for file in written] == [Layout.DENOISING_UNET, Layout.MOTION_MODULE]
    for name in ("denoising_unet", "motion_module"):
        assert same(read_weights(tmp_path / "two" / f"{name}.safetensors"), published_files[name])


def test_diffusers_names_and_prefixes_become_published_names(tmp_path, unet, published_files):
    weights = {f"module.{key}": tensor for key, tensor in unet.state_dict().items()}
    torch.save(weights, tmp_path / "a.pth")
    convert([tmp_path / "a.pth"], tmp_path / "b.safetensors")
    both = published_files["denoising_unet"] | published_files["motion_module"]
    without_tables = {key: tensor for key, tensor in both.items() if not key.endswith(".pe")}
    assert same(read_weights(tmp_path / "b.safetensors"), without_tables)


def test_our_own_header_is_kept_and_gives_back_the_tables(tmp_path, unet, published_files):
    settings = {"temporal": {"max_frames": 12}, "unet": unet.config.to_diffusers()}
    header = {METADATA_KEY: json.dumps(settings), "note": "mine"}
    write_weights(tmp_path / "a.safetensors", published_weights(unet.state_dict()), header)
    convert([tmp_path / "a.safetensors"], tmp_path / "two", form="split")
    motion = tmp_path / "two" / "motion_module.safetensors"
    assert same(read_weights(motion), published_files["motion_module"])
    metadata = read_metadata(motion)
    assert json.loads(metadata[METADATA_KEY]) == settings
    assert metadata["note"] == "mine"


def test_other_files_keep_their_names(tmp_path):
    weights = {"model.a.weight": torch.ones(2), "model.b.lora_up.weight": torch.zeros(2)}
    torch.save(weights, tmp_path / "a.pth")
    convert([tmp_path / "a.pth"], tmp_path / "b.safetensors")
    assert same(read_weights(tmp_path / "b.safetensors"), weights)


def test_a_file_may_replace_itself(tmp_path, published_files):
    path = tmp_path / "a.safetensors"
    write_weights(path, published_files["pose_guider"])
    convert([path], path, dtype=torch.float16, overwrite=True)
    assert same(
        read_weights(path), {k: v.half() for k, v in published_files["pose_guider"].items()}
    )


class TestRefusals:
    def test_a_file_that_is_there(self, pickles, tmp_path):
        out = tmp_path / "a.safetensors"
        out.write_text("precious")
        assert refusal(MediaError, [pickles / "pose_guider.pth"], out) == (
            f"{out} is there already. Use --force to replace it, or another --output."
        )
        assert out.read_text() == "precious"

    def test_another_ending(self, pickles, tmp_path):
        assert refusal(SettingsError, [pickles / "pose_guider.pth"], tmp_path / "a.pth") == (
            "Weights are written as .safetensors, got --output a.pth."
        )

    def test_many_files_into_one(self, pickles, tmp_path):
        assert refusal(SettingsError, [pickles], tmp_path / "a.safetensors") == (
            "4 files do not fit into a.safetensors: give a folder as --output, or --merge to join a "
            "denoising UNet and its motion module."
        )

    def test_two_files_of_one_name(self, pickles, tmp_path):
        shutil.copy(pickles / "pose_guider.pth", pickles / "pose_guider.pt")
        assert refusal(SettingsError, [pickles], tmp_path / "out") == (
            "Two files would become pose_guider.safetensors. Convert them one by one."
        )

    def test_merging_more_or_less_than_two(self, pickles, tmp_path):
        assert refusal(SettingsError, [pickles], tmp_path / "out", form="merge") == (
            "--merge joins two files, a denoising UNet and its motion module, got 4."
        )

    def test_merging_something_else(self, pickles, tmp_path):
        files = [pickles / "denoising_unet.pth", pickles / "pose_guider.pth"]
        message = refusal(UnknownCheckpointError, files, tmp_path / "out", form="merge")
        assert message.startswith("its temporal layers: expected temporal layers (motion_module)")
        assert "but pose_guider.pth is Pose Guider" in message

    def test_splitting_into_a_file(self, pickles, tmp_path):
        files = [pickles / "denoising_unet.pth"]
        assert refusal(SettingsError, files, tmp_path / "a.safetensors", form="split") == (
            "--split takes one file and writes two: give one file, and a folder as --output, got 1 "
            "and a.safetensors."
        )

    def test_splitting_what_has_one_part(self, pickles, tmp_path):
        files = [pickles / "denoising_unet.pth"]
        message = refusal(UnknownCheckpointError, files, tmp_path / "out", form="split")
        assert message.startswith("the UNet to split: expected denoising UNet and temporal layers")

    def test_an_unknown_form(self, pickles, tmp_path):
        assert refusal(SettingsError, [pickles], tmp_path / "out", form="fold") == (
            "Forms are keep, split, merge, got 'fold'."
        )

    def test_missing_inputs(self, tmp_path):
        path = tmp_path / "a.pth"
        assert refusal(CheckpointError, [path], tmp_path / "o") == f"There is no file {path}."
        (tmp_path / "empty").mkdir()
        assert refusal(CheckpointError, [tmp_path / "empty"], tmp_path / "o").startswith(
            f"{tmp_path / 'empty'} holds no weights"
        )

    def test_nan(self, tmp_path):
        torch.save({"a": torch.full((2,), float("nan"))}, tmp_path / "a.pth")
        message = refusal(CheckpointError, [tmp_path / "a.pth"], tmp_path / "b.safetensors")
        assert message.startswith("unknown: a in a.pth holds NaN or infinite numbers.")
        assert not (tmp_path / "b.safetensors").exists()

    @pytest.mark.parametrize("value", [1e6, -1e6])
    def test_numbers_too_large_for_half_precision(self, tmp_path, value):
        torch.save({"a": torch.tensor([0.0, value])}, tmp_path / "a.pth")
        out = tmp_path / "b.safetensors"
        assert refusal(CheckpointError, [tmp_path / "a.pth"], out, dtype=torch.float16) == (
            "a.pth: a holds 1e+06, which is too large for float16. Use bf16 or fp32."
        )
        convert([tmp_path / "a.pth"], out, dtype=torch.bfloat16)

    def test_a_full_disk(self, pickles, tmp_path, monkeypatch):
        usage = shutil.disk_usage(tmp_path)
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
        message = refusal(MediaError, [pickles], tmp_path / "deep" / "out")
        assert message.startswith(f"{tmp_path / 'deep' / 'out'} has 0.0 GB free; up to ")

    def test_a_disk_that_does_not_keep_what_was_written(self, pickles, tmp_path, monkeypatch):
        def forget(path, weights, metadata=None):
            write_weights(path, {key: tensor * 0 for key, tensor in weights.items()}, metadata)

        monkeypatch.setattr(convert_module, "write_weights", forget)
        out = tmp_path / "a.safetensors"
        assert refusal(CheckpointError, [pickles / "pose_guider.pth"], out) == (
            f"{out} does not read back as it was written (blocks.0.bias differs). Check the disk."
        )
