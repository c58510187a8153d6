"""Films elsewhere are fetched once, and what is made of them is put there whole."""

import functools
import http.server
import json
import os
import threading

import numpy as np
import pytest

from animate_anyone_core.errors import MediaError, MissingDependencyError, SettingsError
from animate_anyone_core.lab.synthetic.dancers import render_clip
from animate_anyone_core.lab.training import remote
from animate_anyone_core.lab.training.footage import Shot
from animate_anyone_core.lab.training.prepare_clips import (
    PrepareSettings,
    explain_clip,
    prepare_clips,
)
from animate_anyone_core.lab.training.remote import Remote, as_place, at_hand, at_work, find_videos
from animate_anyone_core.pose.skeleton import NUM_KEYPOINTS, PoseSequence
from animate_anyone_core.video import write_video
from animate_anyone_core.workers.tasks import OneProcess

fsspec = pytest.importorskip("fsspec")


class SeesOne:
    def __init__(self) -> None:
        self.clips = 0

    def detect(self, frames, **options):
        self.clips += 1
        count = len(list(frames))
        body = np.random.default_rng(0).uniform(20, 80, (1, 1, NUM_KEYPOINTS, 2))
        scores = np.ones((count, 1, NUM_KEYPOINTS))
        return PoseSequence(body.repeat(count, axis=0), scores, 96, 96, options["fps"]), None


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Fetched films go where this test can look."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temp"))
    (tmp_path / "temp").mkdir()


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    parts = [render_clip(seed, seed + 40, 10, 96, 96).frames for seed in (3, 11)]
    write_video(folder / "deep" / "film.mp4", np.concatenate(parts), 12)
    write_video(folder / "one.mp4", parts[0][::-1], 12)
    (folder / "notes.txt").write_text("no film")
    return folder


@pytest.fixture
def bucket(films, request):
    """The films in memory, under a name of their own."""
    root = f"memory://{request.node.name[:40]}"
    files = fsspec.filesystem("memory")
    for path in films.rglob("*.*"):
        if path.is_file():
            files.pipe(f"{root}/films/{path.relative_to(films).as_posix()}", path.read_bytes())
    yield root
    files.rm(root, recursive=True)


def listing(url):
    files, root = fsspec.core.url_to_fs(url)
    return sorted(name[len(root) :].lstrip("/") for name in files.find(root))


def test_places_are_told_apart(tmp_path):
    assert as_place(str(tmp_path)) == tmp_path
    assert as_place((tmp_path / "a b").as_uri()) == tmp_path / "a b"
    place = as_place("s3://bucket/films/a.mp4")
    assert place == Remote("s3://bucket/films/a.mp4")
    assert (place.name, place.stem, place.suffix) == ("a.mp4", "a", ".mp4")
    assert as_place("https://host/a%20b.mp4?key=1").name == "a b.mp4"
    assert (as_place("s3://bucket/out") / "deep" / "a.json").inside == "deep/a.json"


def test_from_a_bucket_to_a_bucket_and_on_after_a_stop(bucket):
    source, output = as_place(f"{bucket}/films"), as_place(f"{bucket}/out")
    assert [film.inside for film in find_videos(source)] == ["deep/film.mp4", "one.mp4"]
    detector, settings = SeesOne(), PrepareSettings(cuts="split")

    def stop(done, total):
        if done > 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_clips(source, OneProcess(detector), output, settings, stop)
    report = prepare_clips(source, OneProcess(detector), output, settings)
    assert [clip.name for clip in report.kept] == ["film-001"]
    assert [clip.name for clip in report.written] == ["film-002", "one.mp4"]
    assert listing(output.url) == [
        *(f"deep/film-{n:03d}.{end}" for n in (1, 2) for end in ("json", "mp4", "safetensors")),
        "meta.json",
        *(f"one.{end}" for end in ("json", "mp4", "safetensors")),
    ]
    files = fsspec.filesystem("memory")
    rows = json.loads(files.cat(f"{bucket}/out/meta.json"))
    assert rows[0] == {"video_path": "deep/film-001.mp4", "kps_path": "deep/film-001.json"}
    assert files.cat(f"{bucket}/out/one.mp4") == files.cat(f"{bucket}/films/one.mp4"), "as it was"
    asked = detector.clips
    assert len(prepare_clips(source, OneProcess(detector), output, settings).kept) == 3
    assert detector.clips == asked


def test_from_a_bucket_to_a_folder_and_back(bucket, films, tmp_path):
    report = prepare_clips(as_place(f"{bucket}/films"), OneProcess(SeesOne()), tmp_path / "out")
    assert len(report.written) == 2
    assert (tmp_path / "out" / "one.mp4").read_bytes() == (films / "one.mp4").read_bytes()
    output = as_place(f"{bucket}/back")
    prepare_clips(films, OneProcess(SeesOne()), output)
    assert "one.mp4" in listing(output.url), "a list elsewhere names no file of this machine"
    text = explain_clip(as_place(f"{bucket}/films/one.mp4"), SeesOne(), PrepareSettings())
    assert text.startswith("one.mp4:\n")


@pytest.fixture
def server(films):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = functools.partial(Quiet, directory=str(films))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_a_web_server_gives_films_and_takes_none(server, tmp_path):
    pytest.importorskip("aiohttp")
    film = as_place(f"{server}/one.mp4")
    report = prepare_clips(film, OneProcess(SeesOne()), tmp_path / "out")
    assert [clip.name for clip in report.written] == ["one.mp4"]
    assert (tmp_path / "out" / "one.mp4").is_file()
    gone = prepare_clips(as_place(f"{server}/gone.mp4"), OneProcess(SeesOne()), tmp_path / "out")
    assert "gone.mp4 cannot be fetched: FileNotFoundError" in next(iter(gone.left_out.values()))
    with pytest.raises(MediaError, match="web servers only give"):
        remote.check_place(as_place(f"{server}/out") / "meta.json")


def test_what_is_missing_is_named(bucket, monkeypatch):
    with pytest.raises(SettingsError, match=r"nobody://a/b\.mp4: Protocol not known: nobody"):
        remote.check_place(Remote("nobody://a/b.mp4"))
    with pytest.raises(SettingsError, match="films holds no videos"):
        find_videos(as_place(f"{bucket}/no/films"))
    monkeypatch.setitem(__import__("sys").modules, "s3fs", None)
    with pytest.raises(MissingDependencyError, match=r"nothing reaches s3:// here\. .*s3fs"):
        find_videos(as_place("s3://bucket/films"))
    monkeypatch.setitem(__import__("sys").modules, "fsspec.core", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "animate-anyone\[remote\]"'):
        find_videos(as_place("s3://bucket/films"))
    with pytest.raises(SettingsError, match="films from elsewhere need a folder to go to"):
        prepare_clips(Remote("s3://bucket/a.mp4"), OneProcess(SeesOne()))


def test_a_film_is_fetched_once_and_the_oldest_make_room(bucket, tmp_path, monkeypatch):
    files = fsspec.filesystem("memory")
    places = [as_place(f"{bucket}/{name}.mp4") for name in "abc"]
    for place in places:
        files.pipe(place.url, place.name.encode() * 100)
    monkeypatch.setattr(remote, "MOST_BYTES", 1100)  # two films
    with at_hand(places[0]) as own:
        assert own.name == "a.mp4"
        files.pipe(places[0].url, b"changed since")
        with at_hand(places[0]) as again:
            assert again.read_bytes() == b"a.mp4" * 100, "not fetched again"
        for place in places[1:]:
            with at_hand(place):
                pass
        assert own.read_bytes() == b"a.mp4" * 100, "in use"
    assert not own.exists()
    held = [path for path in (tmp_path / "temp").glob("animate-anyone-films-*/*") if path.is_file()]
    assert sorted(path.read_bytes()[:5] for path in held) == [b"b.mp4", b"c.mp4"]


def test_a_disk_without_second_names_gets_copies(bucket, monkeypatch):
    def refuse(*args):
        raise PermissionError("no links here")

    monkeypatch.setattr("os.link", refuse)
    with at_hand(as_place(f"{bucket}/films/one.mp4")) as own:
        assert own.stat().st_nlink == 1
        assert own.read_bytes() == fsspec.filesystem("memory").cat(f"{bucket}/films/one.mp4")


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps no such modes")
def test_a_folder_that_others_write_to_is_not_trusted(bucket, tmp_path):
    with at_hand(as_place(f"{bucket}/films/one.mp4")):
        (folder,) = (tmp_path / "temp").glob("animate-anyone-films-*")
    folder.chmod(0o777)
    again = at_hand(as_place(f"{bucket}/films/one.mp4"))
    with pytest.raises(MediaError, match=r"Others can write to .* set TMPDIR"), again:
        pass


def test_only_what_changed_is_uploaded_and_nothing_after_a_failure(bucket):
    files = fsspec.filesystem("memory")
    one, two = (as_place(f"{bucket}/{name}.json") for name in ("one", "two"))
    files.pipe(one.url, b"before")
    stamp = files.modified(one.url)
    with at_work([one, two, None]) as (here, new, nothing):
        assert here.read_bytes() == b"before"
        assert nothing is None
        new.write_bytes(b"made")
    assert files.modified(one.url) == stamp
    assert files.cat(two.url) == b"made"
    with pytest.raises(ZeroDivisionError), at_work([two]) as (here,):
        here.write_bytes(b"half" * (1 // 0))
    assert files.cat(two.url) == b"made"
    assert Shot(one).name == "one.json"
