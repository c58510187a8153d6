"""`download` against a hub that drops, stalls, corrupts, redirects and refuses."""

import importlib.util
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from animate_anyone_core.__main__ import main
from animate_anyone_core.checkpoints.download import HubSettings, fetch, look_up
from animate_anyone_core.checkpoints.published_files import (
    PACKAGES,
    PublishedFile,
    downloaded_pose_networks,
    models_folder,
)
from animate_anyone_core.errors import CheckpointError, SettingsError

pytest.importorskip("huggingface_hub")
_SPEC = importlib.util.spec_from_file_location(
    "hub_standin", Path(__file__).with_name("hub_standin.py")
)
STANDIN = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(STANDIN)

REPO, NAME = "yzd-v/DWPose", "yolox_l.onnx"
FILE = PublishedFile(REPO, NAME, NAME)
DATA = bytes(range(256)) * 2000
OTHER = b"a good file that was there before"


@pytest.fixture
def hub(monkeypatch):
    # the suite keeps everything else off the network; this hub is on this machine
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    pages = {
        REPO: {NAME: DATA, "dw-ll_ucoco_384.onnx": DATA[::-1]},
        "stabilityai/sd-vae-ft-mse": {
            "config.json": b'{"_class_name": "AutoencoderKL"}',
            "diffusion_pytorch_model.safetensors": DATA[1000:],
        },
        "TMElyralab/MusePose": {
            f"MusePose/{file.name}": file.name.encode() * 10 for file in PACKAGES["musepose"]
        },
    }
    with STANDIN.running(pages) as hub:
        yield hub


def settings(hub, tries=2, timeout=1.0):
    return HubSettings(endpoint=hub.endpoint, timeout=timeout, pauses=(0.0,) * tries)


def download(hub, folder, tries=2, replace=False, timeout=1.0):
    (file,) = look_up([FILE], folder, settings(hub, tries))
    return fetch([file], settings(hub, tries, timeout), replace=replace)


def seen_files(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_a_file_comes_whole_by_way_of_another_address(hub, tmp_path):
    steps = []
    (file,) = look_up([FILE], tmp_path, settings(hub))
    assert (file.size, file.license) == (len(DATA), "apache-2.0")
    fetch([file], settings(hub), on_step=lambda *step: steps.append(step))
    assert (tmp_path / NAME).read_bytes() == DATA
    assert [path.name for path in tmp_path.iterdir()] == [NAME]
    assert steps[-1] == (len(DATA), len(DATA))
    assert hub.asked("/bytes/")[0].keys() & {"Range"} == set()


def test_what_is_there_is_not_fetched_again(hub, tmp_path):
    (tmp_path / NAME).write_bytes(DATA)
    assert download(hub, tmp_path) == []
    assert not hub.asked("/resolve/")


def test_small_texts_are_checked_by_gits_hash(hub, tmp_path):
    fetch(look_up(PACKAGES["vae"], tmp_path, settings(hub)), settings(hub))
    assert (tmp_path / "vae" / "config.json").read_text() == '{"_class_name": "AutoencoderKL"}'
    hub.faults["config.json"] = ["", "wrong bytes"]
    files = look_up(PACKAGES["vae"], tmp_path / "again", settings(hub))
    with pytest.raises(CheckpointError, match=r"config\.json came with wrong bytes"):
        fetch(files, settings(hub))


def test_files_are_found_in_any_folder_of_a_page(hub, tmp_path):
    files = look_up(PACKAGES["musepose"], tmp_path, settings(hub))
    fetch(files, settings(hub))
    assert (tmp_path / "musepose" / "pose_guider.pth").read_bytes() == b"pose_guider.pth" * 10
    assert "non-commercial" in files[0].license


# What goes wrong, and what then stands in the one line.
FATAL = {
    "drop": (["drop", "always"], "the hub cannot be reached or does not answer"),
    "stall": (["stall", "always"], "The same command goes on where it stopped."),
    "truncated": (["truncated", "always"], "The same command goes on where it stopped."),
    "wrong bytes": (
        ["wrong bytes"],
        "came with wrong bytes (its SHA-256 is not the published one)",
    ),
    "page as bytes": (["page as bytes"], "came with wrong bytes (a web page"),
    "wrong size": (
        ["wrong size"],
        f"the hub describes {len(DATA)} bytes, {len(DATA) + 4} would come",
    ),
    "page": (["page"], "a web page came in place of the file"),
    "gone": ([404], "is not on the hub (404)"),
    "gated": ([401], "set HF_TOKEN"),
    "forbidden": ([403], "set HF_TOKEN"),
    "broken": ([500, "always"], "the hub answers with error 500. Try again later."),
    "loop": (["loop", "always"], "from address to address and never to the file"),
}


@pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=[pytest.mark.slow] * (k == "stall")) for k in FATAL]
)
@pytest.mark.parametrize("before", [None, OTHER], ids=["empty", "a file is there"])
def test_a_fault_leaves_nothing_half_written_and_what_was_there(hub, tmp_path, kind, before):
    faults, message = FATAL[kind]
    if before is not None:
        (tmp_path / NAME).write_bytes(before)
    # Only the hub knows of loops, the other address of what happens to bytes.
    where = "/resolve/" if kind == "loop" else f"/bytes/{REPO}"
    hub.faults[where] = list(faults)
    with pytest.raises(CheckpointError) as caught:
        # every try that stalls brings half of what is left: some twenty of them
        download(hub, tmp_path, tries=1, replace=True, timeout=0.2 if kind == "stall" else 1.0)
    assert message in str(caught.value)
    assert NAME in str(caught.value)
    assert seen_files(tmp_path) == ([] if before is None else [NAME])
    if before is not None:
        assert (tmp_path / NAME).read_bytes() == before
    hub.faults.clear()
    download(hub, tmp_path, replace=True)
    assert (tmp_path / NAME).read_bytes() == DATA
    assert [path.name for path in tmp_path.iterdir()] == [NAME], "the part file is gone"


@pytest.mark.parametrize("kind", ["drop", "stall", "truncated"])
def test_a_broken_connection_is_taken_up_where_it_broke(hub, tmp_path, kind):
    hub.faults["/bytes/"] = [kind]
    download(hub, tmp_path, tries=1)
    assert (tmp_path / NAME).read_bytes() == DATA
    first, second = hub.asked("/bytes/")
    assert "Range" not in first
    assert second["Range"] == f"bytes={len(DATA) // 2}-"


def test_a_later_call_goes_on_with_what_came(hub, tmp_path):
    hub.faults["/bytes/"] = ["drop", 500, "always"]
    with pytest.raises(CheckpointError):
        download(hub, tmp_path, tries=1)
    hub.faults.clear()
    hub.requests.clear()
    download(hub, tmp_path)
    assert hub.asked("/bytes/")[0]["Range"] == f"bytes={len(DATA) // 2}-"
    assert (tmp_path / NAME).read_bytes() == DATA


def test_a_server_without_ranges_starts_over(hub, tmp_path):
    hub.faults["/bytes/"] = ["drop", "no ranges"]
    download(hub, tmp_path)
    assert (tmp_path / NAME).read_bytes() == DATA


@pytest.mark.parametrize("where", ["/api/", "/resolve/"])
def test_an_error_that_passes_is_waited_for(hub, tmp_path, where):
    hub.faults[where] = [500]
    download(hub, tmp_path)
    assert (tmp_path / NAME).read_bytes() == DATA


@pytest.mark.parametrize(("status", "message"), [(404, "(404)"), (401, "HF_TOKEN"), (503, "503")])
def test_a_page_that_is_refused_ends_in_a_sentence(hub, tmp_path, status, message):
    hub.faults["/api/"] = [status, "always"]
    with pytest.raises(CheckpointError) as caught:
        look_up([FILE], tmp_path, settings(hub, 1))
    assert str(caught.value).startswith(f"{REPO}")
    assert message in str(caught.value)


def test_a_hub_that_is_not_there_ends_in_a_sentence(tmp_path):
    nowhere = HubSettings(endpoint="http://127.0.0.1:9", timeout=1.0, pauses=())
    with pytest.raises(CheckpointError, match="the hub cannot be reached"):
        look_up([FILE], tmp_path, nowhere)


def test_a_page_without_the_file_says_so(hub, tmp_path):
    with pytest.raises(CheckpointError, match=r"should hold one x\.onnx, found: none"):
        look_up([replace(FILE, name="x.onnx")], tmp_path, settings(hub))


def test_a_file_of_other_contents_is_not_replaced_unasked(hub, tmp_path):
    (tmp_path / NAME).write_bytes(OTHER)
    with pytest.raises(SettingsError, match=r"is there with other contents .* or give --replace"):
        download(hub, tmp_path)
    assert (tmp_path / NAME).read_bytes() == OTHER
    assert not hub.asked("/resolve/")


def test_a_token_is_not_handed_to_the_server_of_the_bytes(hub, tmp_path):
    (file,) = look_up([FILE], tmp_path, settings(hub))
    secret = {**file.headers, "authorization": "Bearer secret"}
    fetch([replace(file, headers=secret)], settings(hub))
    first, second = hub.asked("/resolve/")
    assert first["Authorization"] == "Bearer secret"
    assert "Authorization" not in second


def command(hub, *options, **environment):
    return subprocess.run(
        [sys.executable, "-m", "animate_anyone_core", "download", *options],
        env={
            **os.environ,
            "HF_HUB_OFFLINE": "0",
            "HF_ENDPOINT": hub.endpoint,
            "HF_TOKEN": "",
            **environment,
        },
        cwd=Path(__file__).parents[2],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_command_tells_sizes_and_licence_first_and_asks_nobody(hub, tmp_path):
    done = command(hub, "dwpose", "--output", str(tmp_path / "models"))
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert f"yolox_l.onnx of {REPO}: 0.5 MB; licence: apache-2.0" in lines[0]
    assert lines[2].startswith("1.0 MB in all, into ")
    assert downloaded_pose_networks(tmp_path / "models") is not None
    again = command(hub, "dwpose", "--output", str(tmp_path / "models"))
    assert "yolox_l.onnx of yzd-v/DWPose: is there" in again.stderr


def test_a_fault_ends_the_command_in_one_line_and_code_2(hub, tmp_path):
    hub.faults["/bytes/"] = ["wrong bytes", "always"]
    done = command(hub, "dwpose", "--output", str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1].startswith("error: yolox_l.onnx came with wrong")
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_unknown_names_are_refused(capsys):
    with pytest.raises(SystemExit):
        main(["download", "dwpoze"])
    assert "dwpose" in capsys.readouterr().err


def test_the_folder_is_comfyuis_where_there_is_one(tmp_path):
    pack = tmp_path / "ComfyUI" / "custom_nodes" / "pack"
    assert models_folder(pack) == tmp_path / "ComfyUI" / "models" / "animate_anyone"
    assert models_folder(tmp_path / "elsewhere") == Path("models/animate_anyone")


def test_every_package_goes_to_places_of_its_own():
    targets = [file.target for files in PACKAGES.values() for file in files]
    assert len(set(targets)) == len(targets)
