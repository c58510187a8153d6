"""Shards in a bucket and on web servers: the same samples and weights as from a disk, or a sentence."""

import functools
import http.server
import os
import tempfile
import threading
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.multiprocessing import get_sharing_strategy

from animate_anyone_core.__main__ import main
from animate_anyone_core.errors import MissingDependencyError, SettingsError
from animate_anyone_core.lab.synthetic.dancers import render_clip
from animate_anyone_core.lab.training import remote_parts
from animate_anyone_core.lab.training.batches import encoded_batches
from animate_anyone_core.lab.training.clip_scenes import ClipScenes
from animate_anyone_core.lab.training.config import DataConfig, ObjectiveConfig, TrainConfig
from animate_anyone_core.lab.training.config_files import make_config, merge
from animate_anyone_core.lab.training.remote import as_place
from animate_anyone_core.lab.training.remote_parts import ElsewhereError
from animate_anyone_core.lab.training.samples import Samples
from animate_anyone_core.lab.training.shard_writing import write_shards
from animate_anyone_core.lab.training.train import train
from animate_anyone_core.pose.drawing import draw_poses
from animate_anyone_core.pose.openpose_json import save_poses
from animate_anyone_core.video import write_video

fsspec = pytest.importorskip("fsspec")

FRAMES, SMALL = 12, 60_000


@pytest.fixture(autouse=True)
def own_folder(monkeypatch):
    """Fetched clips go where this test can look, and nobody waits for broken connections."""
    monkeypatch.setattr(remote_parts, "_PAUSES", (0.0, 0.0))
    with tempfile.TemporaryDirectory() as folder:  # no `tmp_path`, whose name may be too long
        monkeypatch.setattr("tempfile.tempdir", folder)
        yield Path(folder)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Five clips in two shards, one of them with a video of skeletons."""
    folder = tmp_path_factory.mktemp("prepared")
    for number in range(5):
        clip = render_clip(number + 70, number, FRAMES, 96, 128)
        write_video(folder / "clips" / f"{number}.mp4", clip.frames, 12)
        if number == 3:
            skeletons = draw_poses(clip.poses, size=(96, 128))
            write_video(folder / "clips_dwpose" / "3.mp4", skeletons, 12)
        else:
            save_poses(clip.poses, folder / "clips" / f"{number}.json")
    write_shards(folder / "clips", folder / "shards", SMALL)
    assert len(list((folder / "shards").glob("*.tar"))) > 1
    return folder / "shards"


@pytest.fixture
def bucket(shards, request):
    root = f"memory://{request.node.name[:40]}"
    files = fsspec.filesystem("memory")
    for path in shards.iterdir():
        files.pipe(f"{root}/{path.name}", path.read_bytes())
    yield root
    if files.exists(root):
        files.rm(root, recursive=True)


class Server(http.server.ThreadingHTTPServer):
    """Gives files, and parts of them if it `has_parts`; breaks off `broken` answers first."""

    daemon_threads = True

    def __init__(self, folder: Path, has_parts: bool) -> None:
        super().__init__(("127.0.0.1", 0), functools.partial(Answer, directory=str(folder)))
        self.has_parts, self.broken, self.asked, self.missed = has_parts, 0, 0, 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_):
        pass


class Answer(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        asked = self.headers.get("Range")
        if not (asked and self.server.has_parts):
            return super().do_GET()
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.server.missed += 1
            return self.send_error(404)
        size = path.stat().st_size
        start, end = (int(number) for number in asked.removeprefix("bytes=").split("-"))
        content = path.read_bytes()[start : end + 1]
        self.server.asked += 1
        self.send_response(206)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Range", f"bytes {start}-{start + len(content) - 1}/{size}")
        self.end_headers()
        if self.server.broken > 0:
            self.server.broken -= 1
            content = content[: len(content) // 2]
            self.close_connection = True
        return self.wfile.write(content)


@pytest.fixture
def server(shards):
    pytest.importorskip("aiohttp")
    server = Server(shards, has_parts=True)
    yield server
    server.shutdown()


def data(path, **changes) -> DataConfig:
    size = {"width": 64, "height": 64, "num_frames": 4}
    return DataConfig(kind="clips", path=str(path), **size, **changes)


def samples(path, stage=1, **changes):
    config = data(path, **changes)
    source = ClipScenes(config, stage, 7)
    return Samples(source, config, ObjectiveConfig(), latent_channels=4, picture_size=32)


def assert_same(one, other, count=5):
    for index in range(count):
        a, b = one[index], other[index]
        assert a.keys() == b.keys()
        assert all(a[name].equal(b[name]) for name in a), index


@pytest.mark.parametrize("stage", [1, 2])
def test_samples_from_a_bucket_are_those_from_the_disk(shards, bucket, stage, own_folder):
    local, far = samples(shards, stage), samples(bucket, stage)
    assert not list(own_folder.rglob("*-*-*")), "nothing is fetched to list them"
    assert_same(local, far)
    fsspec.filesystem("memory").rm(bucket, recursive=True)
    assert_same(local, far)  # they were kept


def test_samples_from_a_web_server_are_those_from_the_disk(shards, server):
    assert_same(samples(shards), samples(server.url))
    assert_same(samples(shards), samples(f"{server.url}/shards.json"))


class NotEncoded:
    def batch(self, batch, device):
        return batch


def batches(path, num_workers):
    share = [[0, 1], [2, 3], [4, 5]]
    return list(
        encoded_batches(samples(path), share, NotEncoded(), torch.device("cpu"), num_workers)
    )


def test_processes_that_prepare_samples_share_what_they_fetch(shards, server):
    for one, other in zip(batches(shards, 0), batches(server.url, 2), strict=True):
        assert all(one[name].equal(other[name]) for name in one)


@pytest.mark.skipif(get_sharing_strategy() != "file_descriptor", reason="no sockets are used here")
def test_processes_that_could_hand_nothing_over_are_not_started(shards, own_folder, monkeypatch):
    long = own_folder / ("long" * 20)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    with pytest.raises(
        SettingsError, match=r"more than the 107 .* Set TMPDIR to a folder with a sh"
    ):
        batches(shards, 2)
    assert len(batches(shards, 0)) == 3


@pytest.mark.slow
def test_trained_weights_are_those_from_the_disk(shards, bucket, settings, tmp_path):
    made = []
    for name, path in (("near", shards), ("far", bucket)):
        clips = {"kind": "clips", "path": str(path), "num_frames": 4}
        changes = {"steps": 2, "batch_size": 2, "data": clips}
        made.append(train(make_config(TrainConfig, merge(settings, changes)), tmp_path / name))
    files = sorted(path.name for path in made[0].glob("*.safetensors"))
    assert files
    for name in files:
        one, other = (load_file(folder / name) for folder in made)
        assert all(one[key].equal(other[key]) for key in one)


class TestWhatIsKept:
    def test_takes_no_more_than_it_may(self, shards, bucket, own_folder):
        most = max(path.stat().st_size for path in shards.glob("*.tar"))
        far = samples(bucket, fetch_gb=most / 1e9)
        assert_same(samples(shards), far, 8)
        kept = [path for path in own_folder.rglob("*") if path.is_file()]
        assert 0 < sum(path.stat().st_size for path in kept) <= most
        assert_same(samples(shards), samples(bucket, fetch_gb=0.0), 4)

    def test_is_not_taken_for_a_clip_of_a_shard_that_was_packed_anew(
        self, shards, bucket, tmp_path
    ):
        far = samples(bucket)
        [far[index] for index in range(8)]
        clip = render_clip(99, 99, FRAMES, 96, 128)
        write_video(tmp_path / "new" / "a.mp4", clip.frames, 12)
        save_poses(clip.poses, tmp_path / "new" / "a.json")
        fsspec.filesystem("memory").rm(bucket, recursive=True)
        write_shards(tmp_path / "new", as_place(bucket), SMALL)
        write_shards(tmp_path / "new", tmp_path / "again", SMALL)
        assert_same(samples(tmp_path / "again"), samples(bucket))

    def test_a_full_disk_is_told_and_takes_no_other_clip(self, bucket, monkeypatch):
        def full(*_):
            raise OSError(28, "No space left on device")

        far = samples(bucket)
        monkeypatch.setattr("animate_anyone_core.lab.training.far_clips.fetch_part", full)
        with pytest.raises(ElsewhereError, match=r"cannot be kept: .*No space .*data\.fetch_gb"):
            far[0]


class TestBrokenConnections:
    def test_are_tried_again(self, shards, server):
        far = samples(server.url)
        server.broken = 2
        assert_same(samples(shards), far)
        assert server.broken == 0

    def test_end_the_run_in_a_sentence_if_they_stay(self, server):
        far = samples(server.url)
        server.broken, server.asked = 10**9, 0
        with pytest.raises(ElsewhereError, match=r"shard-00000\d\.tar cannot be read: Client"):
            far[0]
        assert server.asked == 3

    def test_a_server_that_is_gone_is_told(self, shards, monkeypatch):
        pytest.importorskip("aiohttp")
        server = Server(shards, has_parts=True)
        far = samples(server.url)
        server.shutdown(), server.server_close()
        with pytest.raises(ElsewhereError, match="cannot be read"):
            far[0]
        with pytest.raises(ElsewhereError, match=r"shards\.json cannot be read"):
            samples(server.url)

    def test_what_the_next_try_would_not_change_is_not_tried_again(self, shards, server):
        far = samples(server.url)
        for path in shards.glob("*.tar"):
            path.rename(path.with_suffix(".gone"))
        with pytest.raises(ElsewhereError, match=r"\.tar cannot be read: FileNotFoundError"):
            far[0]
        assert server.missed == 1
        for path in shards.glob("*.gone"):
            path.rename(path.with_suffix(".tar"))


class TestWhatIsRefused:
    def test_a_server_without_parts(self, shards):
        pytest.importorskip("aiohttp")
        server = Server(shards, has_parts=False)
        with pytest.raises(ElsewhereError, match=r"gives whole files only.*copy them to a disk"):
            samples(server.url)
        server.shutdown()

    def test_a_place_without_shards(self, bucket):
        with pytest.raises(ElsewhereError, match=r"only shards are read, in place: `pack"):
            samples(f"{bucket}/elsewhere")

    def test_a_tar_that_is_missing_or_cut_short(self, bucket):
        files = fsspec.filesystem("memory")
        content = files.cat(f"{bucket}/shard-000001.tar")
        files.pipe(f"{bucket}/shard-000001.tar", content[:3000])
        with pytest.raises(SettingsError, match=r"shard-000001\.json and shard-000001\.tar in mem"):
            samples(bucket)
        files.rm(f"{bucket}/shard-000001.tar")
        with pytest.raises(ElsewhereError, match=r"shard-000001\.tar cannot be read: FileNotFound"):
            samples(bucket)

    def test_a_tar_of_another_index(self, shards, bucket):
        """As large as the right one, so that only its content tells."""
        files = fsspec.filesystem("memory")
        other = files.cat(f"{bucket}/shard-000001.tar")
        size = (shards / "shard-000000.tar").stat().st_size
        files.pipe(f"{bucket}/shard-000000.tar", (other * 9)[:size])
        far = samples(bucket)
        with pytest.raises(ElsewhereError, match="is not the shard that its index was made of"):
            [far[index] for index in range(40)]

    def test_a_damaged_list_or_index(self, bucket):
        files = fsspec.filesystem("memory")
        files.pipe(f"{bucket}/shard-000001.json", b"[1]")
        with pytest.raises(SettingsError, match="is no list of shards"):
            samples(bucket)
        files.pipe(f"{bucket}/shards.json", b"{")
        with pytest.raises(SettingsError, match=r"shards\.json"):
            samples(bucket)

    def test_a_protocol_without_its_package(self, monkeypatch):
        monkeypatch.setitem(__import__("sys").modules, "s3fs", None)
        with pytest.raises(MissingDependencyError, match=r"nothing reaches s3:// here\. .*s3fs"):
            samples("s3://bucket/shards")


class TestPacking:
    def test_a_bucket_gets_the_bytes_of_a_folder(self, shards, own_folder, request):
        root = f"memory://{request.node.name}"
        write_shards(shards.with_name("clips"), as_place(root), SMALL)
        files = fsspec.filesystem("memory")
        names = sorted(path.name for path in shards.iterdir())
        assert sorted(Path(name).name for name in files.find(root)) == names
        assert all(files.cat(f"{root}/{n}") == (shards / n).read_bytes() for n in names)
        assert not list(own_folder.iterdir())
        files.rm(root, recursive=True)

    def test_goes_on_behind_the_last_whole_shard(self, shards, bucket):
        files = fsspec.filesystem("memory")
        for name in ("shards.json", "shard-000001.tar"):
            files.rm(f"{bucket}/{name}")
        before = files.modified(f"{bucket}/shard-000000.tar")
        report = write_shards(shards.with_name("clips"), as_place(bucket), SMALL)
        assert 0 < report.kept < report.packed == 5
        assert files.modified(f"{bucket}/shard-000000.tar") == before
        for path in shards.iterdir():
            assert files.cat(f"{bucket}/{path.name}") == path.read_bytes()

    def test_leaves_shards_of_other_clips(self, shards, bucket, tmp_path):
        clip = render_clip(98, 98, FRAMES, 96, 128)
        write_video(tmp_path / "new" / "a.mp4", clip.frames, 12)
        save_poses(clip.poses, tmp_path / "new" / "a.json")
        with pytest.raises(SettingsError, match=r"shard-000000\.tar holds other clips"):
            write_shards(tmp_path / "new", as_place(bucket), SMALL)

    def test_the_commands_take_urls(self, shards, request, caplog, capsys):
        caplog.set_level("INFO", "animate_anyone")
        url = f"memory://{request.node.name}"
        arguments = ["pack", "--data", str(shards.with_name("clips")), "--output", url]
        assert main(arguments) == 0
        assert f"train --data {url}" in caplog.text
        assert main([*arguments[:-1], "https://host/shards"]) == 2
        assert "web servers only give" in capsys.readouterr().err
        assert_same(samples(shards), samples(url), 2)
        fsspec.filesystem("memory").rm(url, recursive=True)


def test_what_killed_processes_held_is_let_go(bucket, own_folder):
    far = samples(bucket, fetch_gb=0.0)
    far[0]
    (folder,) = own_folder.iterdir()
    for name, age in (("in-use-old", 2 * 24 * 3600), ("in-use-new", 0)):
        (folder / name).mkdir()
        (folder / name / "clip").write_bytes(b"held")
        time = folder.stat().st_mtime - age
        os.utime(folder / name, (time, time))
    samples(bucket, fetch_gb=0.0)[1]
    assert sorted(path.name for path in folder.glob("in-use-*")) == ["in-use-new"]
