"""Whole files, on everything that can stand at the place of a file."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from animate_anyone_core import files
from animate_anyone_core.checkpoints.layouts import read_json
from animate_anyone_core.checkpoints.weight_files import read_weights
from animate_anyone_core.errors import AnimateAnyoneError, MediaError
from animate_anyone_core.files import check_writable, whole_file, write_json
from animate_anyone_core.images import read_picture, write_picture
from animate_anyone_core.pose.openpose_json import load_poses, save_poses
from animate_anyone_core.pose.runtime import open_network
from animate_anyone_core.pose.skeleton import NUM_KEYPOINTS, PoseSequence
from animate_anyone_core.video import read_video

ROOT = Path(__file__).parent.parent
posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX files")


def write(path, content=b"new"):
    with whole_file(path) as part:
        part.write_bytes(content)


def refusal(path, function=write):
    with pytest.raises(MediaError) as error:
        function(path)
    assert "\n" not in str(error.value)
    return str(error.value)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def path(tmp_path):
    """A file that was there before."""
    (tmp_path / "a.txt").write_bytes(b"old")
    return tmp_path / "a.txt"


class TestRegularFiles:
    def test_a_new_file_and_its_folders(self, tmp_path):
        write(tmp_path / "new" / "deep" / "a.txt")
        assert (tmp_path / "new" / "deep" / "a.txt").read_bytes() == b"new"
        assert names(tmp_path / "new" / "deep") == ["a.txt"]

    def test_the_old_file_stands_until_the_new_one_is_complete(self, path):
        with whole_file(path) as part:
            part.write_bytes(b"new")
            assert path.read_bytes() == b"old"
            assert part.suffix == ".txt", "libraries choose the format by it"
        assert path.read_bytes() == b"new"

    @posix
    @pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
    def test_a_new_file_is_as_open_as_any_other(self, tmp_path, mask):
        before = os.umask(mask)
        try:
            write(tmp_path / "a")
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o666 & ~mask

    @posix
    def test_also_if_a_library_makes_a_private_file_of_its_own(self, tmp_path):
        with whole_file(tmp_path / "a") as part:
            part.unlink()
            os.close(os.open(part, os.O_CREAT | os.O_WRONLY, 0o600))
        (tmp_path / "other").touch()
        modes = [stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()]
        assert modes[0] == modes[1]

    @posix
    def test_a_replaced_file_keeps_its_permissions(self, path):
        path.chmod(0o751)
        write(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o751

    def test_the_longest_name(self, tmp_path):
        write(tmp_path / ("a" * 250 + ".json"))
        assert len(names(tmp_path)[0]) == 255

    @posix
    @pytest.mark.skipif(getattr(os, "geteuid", int)() == 0, reason="root may write to everything")
    def test_a_write_protected_file_is_refused(self, path):
        path.chmod(0o444)
        assert refusal(path) == f"Cannot write {path}: it is write-protected. Give another name."
        assert path.read_bytes() == b"old"


@posix
class TestLinks:
    def test_the_link_stays_and_its_file_is_replaced(self, path, tmp_path):
        (tmp_path / "there").mkdir()
        link = tmp_path / "there" / "link.txt"
        link.symlink_to("../a.txt")
        write(link)
        assert link.is_symlink()
        assert path.read_bytes() == b"new"
        assert names(tmp_path / "there") == ["link.txt"]

    def test_a_link_to_nothing_gets_its_file(self, tmp_path):
        (tmp_path / "link").symlink_to(tmp_path / "deep" / "file")
        write(tmp_path / "link")
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "deep" / "file").read_bytes() == b"new"

    def test_a_link_to_itself_is_refused(self, tmp_path):
        (tmp_path / "link").symlink_to("link")
        assert refusal(tmp_path / "link").startswith(f"Cannot write {tmp_path / 'link'}: Too many")

    def test_a_link_to_a_folder_is_a_folder(self, tmp_path):
        (tmp_path / "link").symlink_to(tmp_path)
        assert "it is a folder" in refusal(tmp_path / "link")


def device(folder, name, minor):
    """A device of the machine's own kind, so that no test can harm the machine's."""
    path = folder / name
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, minor))
        path.open("wb").close()
    except OSError:
        pytest.skip("no devices can be made here")
    return path


@posix
class TestDevicesAndPipes:
    def test_the_null_device_takes_all_and_stays(self, tmp_path):
        null = device(tmp_path, "null", 3)
        check_writable(null)
        write_json({"a": 1}, null)
        save_poses(some_poses(), null)
        assert null.is_char_device()
        assert names(tmp_path) == ["null"]

    def test_a_link_to_the_null_device_with_a_name_of_a_picture(self, tmp_path):
        null = device(tmp_path, "null", 3)
        (tmp_path / "a.png").symlink_to(null)
        write_picture(np.zeros((20, 20, 3), np.uint8), tmp_path / "a.png")
        assert null.is_char_device()
        assert (tmp_path / "a.png").is_symlink()

    def test_the_full_device_is_a_full_disk_and_stays(self, tmp_path):
        full = device(tmp_path, "full", 7)
        assert refusal(full) == (
            f"Cannot write {full}: No space left on device. Is the disk full or read-only?"
        )
        assert full.is_char_device()
        assert names(tmp_path) == ["full"]

    def test_a_terminal_shows_it(self):
        master, slave = os.openpty()
        try:
            write(os.ttyname(slave), b"shown")
            assert os.read(master, 5) == b"shown"
            assert Path(os.ttyname(slave)).is_char_device()
        finally:
            os.close(master)
            os.close(slave)

    def test_a_pipe_gets_the_whole_file(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        content = os.urandom(300_000)  # more than a pipe holds
        read = []
        reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_bytes()))
        reader.start()
        for _ in range(200):  # until the reader has opened it
            try:
                write(tmp_path / "pipe", content)
                break
            except MediaError:
                time.sleep(0.02)
        reader.join()
        assert read == [content]
        assert (tmp_path / "pipe").is_fifo()

    def test_a_pipe_that_nobody_reads_is_told_before_the_work(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(MediaError) as error, whole_file(tmp_path / "pipe"):
            pytest.fail("the work has begun")
        assert str(error.value) == (
            f"Cannot write {tmp_path / 'pipe'}: nobody reads from this pipe. Start its reader first."
        )

    def test_the_standard_output(self):
        code = (
            "from animate_anyone_core.files import write_json\n"
            "write_json([1], '/dev/stdout', indent=None)"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True)
        assert done.stdout == b"[1]\n", done.stderr

    def test_a_socket_is_refused(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)  # names of sockets are short
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("socket")
            text = "Cannot write socket: it is a socket, not a file: give another name."
            assert refusal("socket") == refusal("socket", check_writable) == text
        assert names(tmp_path) == ["socket"]

    def test_a_disk_is_refused(self, tmp_path):
        try:
            os.mknod(tmp_path / "disk", stat.S_IFBLK | 0o600, os.makedev(7, 250))
        except OSError:
            pytest.skip("no devices can be made here")
        assert "it is a disk, not a file" in refusal(tmp_path / "disk")


class TestRefusals:
    def test_a_folder(self, tmp_path):
        text = f"Cannot write {tmp_path}: it is a folder: give the name of a file in it."
        assert refusal(tmp_path) == refusal(tmp_path, check_writable) == text

    @pytest.mark.parametrize("name", ["a\0b", "\ud800.json"])
    def test_a_name_that_no_file_can_have(self, tmp_path, name):
        for function in (write, check_writable):
            assert "Give another" in refusal(tmp_path / name, function)
        assert names(tmp_path) == []

    @pytest.mark.parametrize("function", [write, check_writable])
    def test_a_file_in_the_way_of_a_folder(self, path, function):
        assert refusal(path / "deep" / "b", function).startswith(f"Cannot write {path / 'deep'}")
        assert names(path.parent) == ["a.txt"]

    @pytest.mark.skipif(sys.platform != "linux", reason="needs a folder nobody may write to")
    def test_a_folder_that_takes_no_files(self):
        assert refusal("/proc/deep/a.txt", check_writable).startswith("Cannot write /proc/deep/a")

    def test_the_early_check_leaves_no_trace(self, path):
        check_writable(path)
        check_writable(path.parent / "new" / "deep" / "a.txt")
        assert names(path.parent) == ["a.txt"]
        assert path.read_bytes() == b"old"


class TestFailures:
    def check_untouched(self, path):
        assert path.read_bytes() == b"old"
        assert names(path.parent) == ["a.txt"]

    @pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
    def test_what_ends_the_work_leaves_the_old_file_and_nothing_else(self, path, error):
        def stopped(path):
            with whole_file(path) as part:
                part.write_bytes(b"ne")
                raise error

        with pytest.raises(error):
            stopped(path)
        self.check_untouched(path)

    def test_a_number_json_does_not_know(self, path):
        with pytest.raises(ValueError, match="Out of range float"):
            write_json([float("nan")], path)
        self.check_untouched(path)

    @posix
    def test_a_disk_that_fills_up(self, path):
        """The largest file a process may write is a limit like a full disk's."""
        code = (
            "import resource, sys\n"
            "from animate_anyone_core.files import whole_file\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
            "with whole_file(sys.argv[1]) as part:\n"
            "    part.write_bytes(bytes(5000))\n"
        )
        command = [sys.executable, "-c", code, str(path)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert f"MediaError: Cannot write {path}: File too large." in done.stderr
        self.check_untouched(path)

    def test_a_full_file_system(self, tmp_path):
        folder = tmp_path / "small"
        folder.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
        if sys.platform != "linux" or subprocess.run(mount, capture_output=True).returncode:
            pytest.skip("no file system can be mounted here")
        try:
            write(folder / "a.txt", b"old")
            assert refusal(folder / "a.txt", lambda path: write(path, bytes(200_000))) == (
                f"Cannot write {folder / 'a.txt'}: No space left on device. Is the disk full or "
                "read-only?"
            )
            self.check_untouched(folder / "a.txt")
        finally:
            subprocess.run(["umount", str(folder)], check=True)

    @pytest.mark.parametrize("times", [2, 9])
    def test_a_file_that_another_program_holds_open(self, path, monkeypatch, times):
        """Windows refuses to replace it; often the other one (a scanner) soon lets go."""
        asked = []
        replace = Path.replace

        def held(part, target):
            asked.append(target)
            if len(asked) <= times:
                raise PermissionError(13, "Access is denied")
            return replace(part, target)

        monkeypatch.setattr(Path, "replace", held)
        monkeypatch.setattr(files, "_PAUSES", (0.0, 0.0, 0.0))
        if times == 2:
            write(path)
            assert path.read_bytes() == b"new"
            return
        assert refusal(path) == (
            f"Cannot replace {path}: another program holds it open, or it is protected. Close that "
            "program, or give another name."
        )
        self.check_untouched(path)

    @posix
    @pytest.mark.slow
    def test_sigterm_leaves_nothing(self, tmp_path):
        poses = some_poses(frames=3000)
        save_poses(poses, tmp_path / "poses.json")
        command = [sys.executable, "-m", "animate_anyone_core", "draw-pose", "--poses"]
        command += [str(tmp_path / "poses.json"), "--output", str(tmp_path / "out.mp4")]
        running = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        while len(names(tmp_path)) < 2 and running.poll() is None:
            time.sleep(0.02)
        running.send_signal(signal.SIGTERM)
        assert running.stderr.read().endswith("stopped\n")
        assert running.wait() == 143
        assert names(tmp_path) == ["poses.json"]


def test_of_two_writers_one_wins_whole(tmp_path):
    contents = [bytes([number]) * 1_000_000 for number in range(4)]
    start = threading.Barrier(4)

    def work(content):
        for _ in range(5):
            start.wait()
            write(tmp_path / "a", content)

    writers = [threading.Thread(target=work, args=(content,)) for content in contents]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        if (tmp_path / "a").exists():
            assert (tmp_path / "a").read_bytes() in contents
    assert (tmp_path / "a").read_bytes() in contents
    assert names(tmp_path) == ["a"]


def some_poses(frames=1):
    scores = np.ones((frames, 1, NUM_KEYPOINTS))
    points = np.random.default_rng(0).uniform(0, 256, (*scores.shape, 2))
    return PoseSequence(points, scores, 256, 256, 25.0)


READERS = {
    "weights.safetensors": (read_weights, "weights"),
    "weights.pth": (read_weights, "weights"),
    "network.onnx": (open_network, "network"),
    "config.json": (read_json, "config"),
    "poses.json": (load_poses, "poses"),
    "picture.png": (read_picture, "picture"),
    "video.mp4": (read_video, "video"),
}


@pytest.mark.parametrize("name", READERS)
class TestDownloads:
    def refusal(self, path, content):
        path.write_bytes(content)
        with pytest.raises(AnimateAnyoneError) as error:
            READERS[path.name][0](path)
        return str(error.value)

    def test_nothing(self, tmp_path, name):
        assert self.refusal(tmp_path / name, b"") == f"{name} is empty. Download it again."

    def test_a_git_lfs_pointer(self, tmp_path, name):
        pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 217\n"
        assert self.refusal(tmp_path / name, pointer) == (
            f"{name} is a git-lfs pointer of {len(pointer)} bytes, not the {READERS[name][1]}. Run "
            "`git lfs pull` where it came from, or download the file itself."
        )

    @pytest.mark.parametrize(
        "page", ["<!DOCTYPE html><html>404</html>", "\n <HTML>Sign in", "\ufeff<!doctype html>"]
    )
    def test_a_web_page(self, tmp_path, name, page):
        assert self.refusal(tmp_path / name, page.encode()) == (
            f"{name} is a web page, not the {READERS[name][1]}: the download went wrong. Download "
            "it again."
        )


def test_json_reads_back(tmp_path):
    document = {"ä": [1, 2.5, None], "b": {"c": "\n"}}
    write_json(document, tmp_path / "a.json")
    assert json.loads((tmp_path / "a.json").read_text("utf-8")) == document
