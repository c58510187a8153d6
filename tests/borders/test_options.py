"""Options of commands, paths, and what fits into memory."""

import os
from pathlib import Path

import pytest

from animate_anyone_core.borders import memory
from animate_anyone_core.borders.files import check_file, check_path
from animate_anyone_core.borders.options import (
    check_made_size,
    check_options,
    parse_numbers,
    parse_size,
)
from animate_anyone_core.errors import MediaError, SettingsError


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"offset_x": float("nan")}, "--offset-x must be a finite number, got nan."),
        ({"anything": float("inf")}, "--anything must be a finite number, got inf."),
        ({"width": 10**9}, "--width must be at most 8192, got 1000000000."),
        ({"max_frames": 10**5000}, "got a number of about 5001 digits."),
        ({"poses": Path("a\0b")}, "--poses holds a NUL character: 'a\\x00b'."),
        ({"poses": "a\ud800"}, "--poses holds characters that no file name has"),
        ({"inputs": [Path("a"), Path("x" * 5000)]}, "--inputs has 5000 characters"),
        ({"width": 8000, "height": 8000}, "Pictures of 8000x8000 are more than this program makes"),
    ],
)
def test_every_option_is_looked_at(options, message):
    with pytest.raises(SettingsError) as caught:
        check_options(options)
    assert message in str(caught.value)


def test_ordinary_options_pass(tmp_path):
    (tmp_path / "a").write_text("x")
    check_options(
        {
            "width": 512, "height": 784, "seed": 2**64 - 1, "fps": None, "retarget": False,
            "poses": Path("no such file"), "estimator": tmp_path / "a", "guidance": float("nan"),
        }
    )  # fmt: skip


def test_the_size_that_would_do_is_told():
    with pytest.raises(SettingsError, match=r"5785x2896 would do|5792x2896 would do|5784x2896"):
        check_made_size(8192, 4096)
    with pytest.raises(SettingsError) as caught:
        check_made_size(100_000, 100)
    assert str(caught.value).endswith("8192x8 would do.")
    check_made_size(4096, 4096)


def test_sizes_and_numbers_in_texts():
    assert parse_size("1280X720", "--canvas") == (1280, 720)
    for text in ("", "3", "3x", "²x³", "-1x2", "0x5", "16385x1", "9" * 5000 + "x1", "1e3x5"):
        with pytest.raises(SettingsError, match="--canvas must"):
            parse_size(text, "--canvas")
    assert parse_numbers(["1", " 2.5"]) == [1.0, 2.5]
    for texts in (["nan"], ["1", "inf"], ["x"], [""], ["1e999"]):
        assert parse_numbers(texts) is None


def test_only_regular_files_are_read(tmp_path):
    (tmp_path / "a").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "pipe")
    check_file(tmp_path / "link", MediaError, "missing")
    for path, message in (
        (tmp_path / "b", "missing"),
        (tmp_path / "a" / "b", "missing"),
        (tmp_path, "is a folder; only regular files are read. Save it as a file and give that."),
        (tmp_path / "pipe", "is a pipe; only regular files are read."),
        (Path("/dev/zero"), "is a device; only regular files are read."),
        (tmp_path / "loop", "cannot be opened: Too many levels of symbolic links."),
        (tmp_path / ("x" * 300), "cannot be opened: File name too long."),
    ):
        with pytest.raises(MediaError) as caught:
            check_file(path, MediaError, "missing")
        assert message in str(caught.value)
    check_path("b\udce9")  # a name that is no UTF-8, as the system gives it


def test_free_memory_is_the_smaller_of_machine_and_container(tmp_path, monkeypatch):
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 99 kB\nMemAvailable:    2048 kB\n")
    monkeypatch.setattr(memory, "_MEMINFO", meminfo)
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    assert memory.free_memory() == 2048 * 1024
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("5\n")
    assert memory.free_memory() == 2048 * 1024
    (tmp_path / "memory.max").write_text("1005\n")
    assert memory.free_memory() == 1000
    meminfo.unlink()
    assert memory.free_memory() == 1000
    (tmp_path / "memory.max").unlink()
    assert memory.free_memory() is None
    assert memory.gigabytes(1.5 * 1024**3) == "1.5 GB"
