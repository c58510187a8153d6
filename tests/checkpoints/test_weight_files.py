"""Reading and writing tensors: every kind of wrong file is named in a line, nothing is executed."""

import os
import pickle
import random
import stat
import sys
import zipfile

import pytest
import torch
from safetensors.torch import save_file

from animate_anyone_core.checkpoints.weight_files import (
    check_finite,
    check_numbers,
    read_metadata,
    read_weights,
    write_weights,
)
from animate_anyone_core.errors import CheckpointError, MediaError


@pytest.fixture
def weights(normal):
    return {"a.weight": normal(40, 30), "b": normal(7).half(), "c": torch.tensor(3)}


def same(one, other):
    return set(one) == set(other) and all(
        one[key].dtype == other[key].dtype and torch.equal(one[key], other[key]) for key in one
    )


def refusal(path):
    with pytest.raises(CheckpointError) as error:
        read_weights(path)
    assert "\n" not in str(error.value)
    return str(error.value)


class RunsCode:
    """What a hostile pickle looks like: loading it would make a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


class TestReading:
    def test_safetensors_come_back_bit_by_bit(self, tmp_path, weights):
        save_file(weights, tmp_path / "a.safetensors")
        assert same(read_weights(tmp_path / "a.safetensors"), weights)

    @pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin", ".ckpt"])
    @pytest.mark.parametrize("is_zip", [True, False])
    def test_pickles_of_tensors_are_read_new_and_old(self, tmp_path, weights, suffix, is_zip):
        path = tmp_path / f"a{suffix}"
        torch.save(weights, path, _use_new_zipfile_serialization=is_zip)
        assert same(read_weights(path), weights)

    def test_a_training_checkpoint_gives_its_state_dict(self, tmp_path, weights):
        torch.save({"state_dict": weights, "epoch": 3}, tmp_path / "a.ckpt")
        assert same(read_weights(str(tmp_path / "a.ckpt")), weights)

    @pytest.mark.skipif(sys.platform != "linux", reason="how files are mapped differs")
    def test_safetensors_are_mapped_and_not_copied(self, tmp_path):
        """What another process writes into the file is seen: the memory is the file's own."""
        path = tmp_path / "a.safetensors"
        save_file({"a": torch.zeros(100_000)}, path)
        tensor = read_weights(path)["a"]
        with path.open("r+b") as file:
            file.seek(-4, os.SEEK_END)
            file.write(torch.ones(1).numpy().tobytes())
        assert tensor[-1] == 1


class TestWrongFiles:
    def test_a_missing_file(self, tmp_path):
        assert refusal(tmp_path / "a.pth") == f"There is no file {tmp_path / 'a.pth'}."

    def test_a_folder(self, tmp_path):
        assert refusal(tmp_path).startswith(f"{tmp_path} is a folder; only regular files are read")

    def test_another_ending(self, tmp_path):
        (tmp_path / "a.txt").write_text("x")
        assert refusal(tmp_path / "a.txt") == (
            "a.txt: weights end in .safetensors, .pth, .pt, .bin, .ckpt, got .txt."
        )

    def test_text_named_safetensors(self, tmp_path):
        (tmp_path / "a.safetensors").write_text("These are not the weights you look for.\n")
        message = refusal(tmp_path / "a.safetensors")
        assert message.startswith("a.safetensors is not a safetensors file, whatever its name says")
        assert message.endswith("Get the right file; if it is a pickle, name it .pth.")

    def test_text_named_pth(self, tmp_path):
        (tmp_path / "a.pth").write_text("These are not the weights you look for.\n")
        assert refusal(tmp_path / "a.pth") == (
            "a.pth is not a PyTorch file, whatever its name says. Get the right file."
        )

    def test_safetensors_named_pth_and_the_other_way(self, tmp_path, weights):
        save_file(weights, tmp_path / "a.pth")
        assert refusal(tmp_path / "a.pth") == ("a.pth is a safetensors file. Name it .safetensors.")
        torch.save(weights, tmp_path / "b.safetensors")
        assert "if it is a pickle, name it .pth" in refusal(tmp_path / "b.safetensors")

    def test_truncated_safetensors(self, tmp_path, weights):
        path = tmp_path / "a.safetensors"
        save_file(weights, path)
        content = path.read_bytes()
        path.write_bytes(content[:-100])
        assert refusal(path) == (
            f"a.safetensors is cut short: {len(content)} bytes expected, {len(content) - 100} "
            "there. Download it again."
        )
        path.write_bytes(content[:50])
        assert refusal(path) == (
            "a.safetensors is cut short: 50 bytes are less than its header. Download it again."
        )

    @pytest.mark.parametrize("is_zip", [True, False])
    def test_truncated_pickles(self, tmp_path, weights, is_zip):
        path = tmp_path / "a.pth"
        torch.save(weights, path, _use_new_zipfile_serialization=is_zip)
        path.write_bytes(path.read_bytes()[:-500])
        message = refusal(path)
        assert message.startswith("a.pth cannot be read as a PyTorch file: ")
        assert message.endswith("It is damaged or cut short. Download it again.")

    @pytest.mark.parametrize("is_zip", [True, False])
    def test_a_pickle_that_asks_to_run_code_is_refused_and_does_not_run_it(self, tmp_path, is_zip):
        torch.save(
            {"a": RunsCode(tmp_path / "made")},
            tmp_path / "a.pth",
            _use_new_zipfile_serialization=is_zip,
        )
        message = refusal(tmp_path / "a.pth")
        assert message.startswith("a.pth is a pickle that asks to run code (")
        assert message.endswith(
            ".mkdir), which is refused. Get the weights as safetensors, or re-save only the "
            "tensors."
        )
        assert not (tmp_path / "made").exists()

    @pytest.mark.filterwarnings("ignore:Detected pickle protocol")
    def test_a_plain_pickle_that_asks_to_run_code_does_not_run_it(self, tmp_path):
        (tmp_path / "a.pth").write_bytes(pickle.dumps({"a": RunsCode(tmp_path / "made")}))
        refusal(tmp_path / "a.pth")
        assert not (tmp_path / "made").exists()

    def test_a_whole_pickled_network_is_refused(self, tmp_path):
        torch.save(torch.nn.Linear(2, 2), tmp_path / "a.pth")
        assert "asks to run code (torch.nn.modules.linear.Linear)" in refusal(tmp_path / "a.pth")

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (
                [1, 2],
                "a.pth holds no named tensors but one list. Save the network's state_dict instead.",
            ),
            (
                {"unet_state_dict": {"a": torch.zeros(2)}, "step": 3},
                "a.pth holds no named tensors but 'unet_state_dict', 'step'. Extract the network's "
                "state_dict and save that.",
            ),
            (
                {"ema": {"decay": 0.9}, "state_dict": {"epoch": 3}},
                "a.pth holds no named tensors but 'ema', 'state_dict'. Extract the network's "
                "state_dict and save that.",
            ),
        ],
    )
    def test_pickles_of_something_else(self, tmp_path, content, message):
        torch.save(content, tmp_path / "a.pth")
        assert refusal(tmp_path / "a.pth") == message

    @pytest.mark.filterwarnings("ignore:Detected pickle protocol")
    @pytest.mark.parametrize("kind", ["safetensors", "zip", "old"])
    def test_any_damage_is_a_checkpoint_error_or_readable(self, tmp_path, weights, kind):
        path = tmp_path / ("a.safetensors" if kind == "safetensors" else "a.pth")
        if kind == "safetensors":
            save_file(weights, path)
        else:
            torch.save(weights, path, _use_new_zipfile_serialization=kind == "zip")
        content = path.read_bytes()
        rng = random.Random(0)
        for _ in range(150):
            damaged = bytearray(content)
            for _ in range(rng.randrange(1, 6)):
                damaged[rng.randrange(min(len(damaged), 900))] = rng.randrange(256)
            path.write_bytes(damaged[: rng.randrange(len(damaged)) if rng.random() < 0.3 else None])
            try:
                read_weights(path)
            except CheckpointError as error:
                assert "\n" not in str(error)  # noqa: PT017


class TestWriting:
    def test_what_was_written_is_read_with_its_header(self, tmp_path, weights):
        path = tmp_path / "new" / "a.safetensors"
        write_weights(path, weights, {"note": "hällo"})
        assert same(read_weights(path), weights)
        assert read_metadata(path) == {"note": "hällo"}
        assert [file.name for file in path.parent.iterdir()] == ["a.safetensors"]

    def test_tied_and_strided_tensors_are_written_as_they_read(self, tmp_path, normal):
        table = normal(4, 6)
        tied = {"a": table, "b": table, "c": table.T, "d": table[1:3, ::2]}
        write_weights(tmp_path / "a.safetensors", tied)
        assert same(read_weights(tmp_path / "a.safetensors"), tied)

    def test_files_are_as_open_as_any_other(self, tmp_path, weights):
        (tmp_path / "other").touch()
        write_weights(tmp_path / "a.safetensors", weights)
        modes = [stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()]
        assert modes[0] == modes[1]

    def test_another_ending_is_refused(self, tmp_path, weights):
        with pytest.raises(CheckpointError) as error:
            write_weights(tmp_path / "a.pth", weights)
        assert str(error.value) == "Weights are written as .safetensors, got the name a.pth."

    def test_a_failed_write_leaves_the_old_file_and_nothing_else(
        self, tmp_path, weights, monkeypatch
    ):
        path = tmp_path / "a.safetensors"
        write_weights(path, weights)

        def full_disk(*args, **kwargs):
            raise OSError("no space left on device")

        monkeypatch.setattr(type(path), "replace", full_disk)
        with pytest.raises(MediaError) as error:
            write_weights(path, {})
        assert str(error.value) == (
            f"Cannot write {path}: no space left on device. Is the disk full or read-only?"
        )
        assert same(read_weights(path), weights)
        assert [file.name for file in tmp_path.iterdir()] == ["a.safetensors"]

    def test_a_folder_that_cannot_be_made(self, tmp_path, weights):
        (tmp_path / "file").touch()
        with pytest.raises(MediaError, match="Cannot write"):
            write_weights(tmp_path / "file" / "a.safetensors", weights)


class TestFinite:
    @pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
    def test_nan_and_infinity_are_found_anywhere(self, normal, value, dtype):
        bad = normal(50, 3).to(dtype)
        bad[31, 2] = value
        with pytest.raises(CheckpointError) as error:
            check_finite("ReferenceNet", "a.pth", {"good": torch.ones(2), "bad": bad})
        assert str(error.value) == (
            "ReferenceNet: bad in a.pth holds NaN or infinite numbers. The file is damaged, or the "
            "training that wrote it had diverged."
        )

    def test_everything_else_passes(self):
        check_finite(
            "x",
            "a.pth",
            {
                "largest": torch.tensor([65504.0, -65504.0]).half(),
                "empty": torch.empty(0),
                "integers": torch.arange(3),
                "eight bits": torch.ones(4).to(torch.float8_e4m3fn),
                "meta": torch.empty(3, device="meta"),
            },
        )

    def test_eight_bit_nan_is_found(self):
        with pytest.raises(CheckpointError):
            check_finite("x", "a", {"a": torch.full((2,), float("nan")).to(torch.float8_e4m3fn)})


class TestTensorsThatAreNone:
    """Pickles can hold tensors without numbers of their own."""

    @pytest.mark.parametrize(
        ("tensor", "what"),
        [
            (torch.ones(2, device="meta"), "is a meta tensor, without numbers"),
            (torch.eye(3).to_sparse(), "is sparse_coo"),
            (torch.eye(3).to_sparse_csr(), "is sparse_csr"),
            (torch.zeros(1).expand(100), "repeats fewer numbers than it has places"),
            (torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8), "is quantised"),
        ],
    )
    def test_they_are_named(self, tmp_path, tensor, what):
        torch.save({"good": torch.ones(2), "bad": tensor}, tmp_path / "a.pth")
        message = refusal(tmp_path / "a.pth")
        assert message.startswith(f"a.pth: bad {what}")
        assert message.endswith("save its tensors with .to_dense().contiguous().")

    def test_tensors_over_each_other_do_not_multiply_a_file(self, tmp_path):
        one = torch.ones(5000)
        torch.save({f"t{i}": one for i in range(50)}, tmp_path / "a.pth")
        assert refusal(tmp_path / "a.pth").startswith(
            "a.pth says it holds 1000000 bytes of numbers"
        )
        torch.save({f"t{i}": one for i in range(3)}, tmp_path / "b.pth")
        assert len(read_weights(tmp_path / "b.pth")) == 3

    def test_a_packed_archive_is_refused_unread(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "a.pth", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a/data.pkl", b"\0" * 10_000_000)
        assert "would become 10000000 in 1 parts" in refusal(tmp_path / "a.pth")

    @pytest.mark.parametrize("dtype", [torch.int8, torch.bool, torch.complex64])
    def test_numbers_that_are_no_weights(self, dtype):
        with pytest.raises(CheckpointError) as error:
            check_numbers("ReferenceNet", "a.pth", {"w": torch.ones(2, dtype=dtype)})
        name = str(dtype).removeprefix("torch.")
        assert str(error.value).startswith(
            f"ReferenceNet: w in a.pth holds {name} numbers; weights"
        )

    def test_an_empty_one(self):
        with pytest.raises(CheckpointError, match=r"w in a.pth is empty, shape \(0, 3\)"):
            check_numbers("x", "a.pth", {"w": torch.ones(0, 3)})
