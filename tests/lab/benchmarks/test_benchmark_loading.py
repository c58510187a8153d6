"""The loading benchmark: files as published, bars that can be missed."""

import argparse
import json
import shutil

import pytest
import torch

from animate_anyone_core.__main__ import main
from animate_anyone_core.checkpoints.inspection import inspect_folder
from animate_anyone_core.lab.benchmarks import loading
from animate_anyone_core.lab.benchmarks.published_files import (
    published_shapes,
    write_random_files,
)
from animate_anyone_core.self_test.process_memory import read_process_memory


def test_its_files_have_exactly_the_published_keys_and_shapes(published_keys):
    ours = {
        f"{name}.pth": {key: list(shape) for key, shape in shapes.items()}
        for name, shapes in published_shapes(320).items()
    }
    for name, keys in ours.items():
        assert keys == published_keys["moore"][name], name


@pytest.mark.slow
def test_its_pickles_load(tmp_path):
    write_random_files(tmp_path, published_shapes(32), torch.float16, ".pth")
    facts = inspect_folder(tmp_path)
    assert [file.problem for file in facts.files] == [None] * 4
    # the VAE and the image encoder are not part of what it loads
    assert all("config.json is missing" in problem for problem in facts.problems)


def test_memory_is_counted_where_the_system_tells():
    before = read_process_memory()
    if before is None:
        pytest.skip("this system does not tell")
    # larger than any block that an allocator serves from memory it freed earlier
    block = torch.ones(32_000_000)
    after = read_process_memory()
    assert after.private - before.private > 0.9 * block.nbytes
    assert after.peak >= after.total >= after.private


GOOD = {
    "seconds": 2.0,
    "cpu_seconds": 1.0,
    "dtypes": ["torch.float16"],
    "parameters": 10**9,
    "initialised": 0,
    "random_state_kept": True,
    "total_before": 10**9,
    "peak": 3 * 10**9,
    "private_added": 0,
    "mapped_added": 2 * 10**9,
}


@pytest.mark.parametrize(
    ("changes", "missed"),
    [
        ({}, None),
        ({"dtypes": ["torch.float32"]}, "type kept"),
        ({"initialised": 5}, "initialised for nothing"),
        ({"random_state_kept": False}, "random state"),
        ({"seconds": 30.0}, "s a GB"),
        ({"peak": 4 * 10**9}, "peak 1.50x"),
        ({"private_added": 10**9}, "files mapped"),
    ],
)
def test_every_bar_can_be_missed(tmp_path, capsys, changes, missed):
    met = loading._report({"warm": GOOD | changes}, 2 * 10**9, "fp16", tmp_path / "a.json")
    out = capsys.readouterr().out
    assert met is (missed is None)
    assert ("MISS" in out) is (missed is not None)
    report = json.loads((tmp_path / "a.json").read_text())
    assert [missed in entry for entry in report["missed"]] == ([True] if missed else [])


def test_a_full_disk_and_an_impossible_width_are_told(monkeypatch, tmp_path, capsys):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    assert main(["benchmark", "loading", "--tiny", "--folder", str(tmp_path)]) == 2
    assert "GB are needed. Free some, give another --folder, or try --tiny." in (
        capsys.readouterr().err
    )
    assert main(["benchmark", "loading", "--width", "50"]) == 2
    assert capsys.readouterr().err == "error: --width must be a multiple of 32, got 50.\n"


@pytest.mark.slow
def test_a_tiny_run_meets_its_bars(tmp_path, capsys):
    path = tmp_path / "numbers.json"
    arguments = argparse.Namespace(
        measure=None, tiny=True, width=320, dtype="fp16", pth=False, folder=tmp_path, json=path
    )
    assert loading.run(arguments)
    assert "all bars met" in capsys.readouterr().out
    warm = json.loads(path.read_text())["warm"]
    assert warm["initialised"] == 0
    assert warm["dtypes"] == ["torch.float16"]
    assert [file.name for file in tmp_path.iterdir()] == ["numbers.json"]
