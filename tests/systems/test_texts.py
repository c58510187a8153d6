"""Texts as other systems write them: another default encoding, CRLF, a byte order mark."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from animate_anyone_core.checkpoints.layouts import read_json
from animate_anyone_core.lab.training.clip_files import find_clips
from animate_anyone_core.lab.training.config_files import read_settings
from animate_anyone_core.pose.openpose_json import load_poses

ROOT = Path(__file__).parents[2]
MARK = "\N{BYTE ORDER MARK}"
SOURCES = sorted(
    path
    for folder in ("animate_anyone_core", "nodes", "docs")
    for path in (ROOT / folder).rglob("*.py")
)
POSITION_OF_ENCODING = {"read_text": 0, "write_text": 1}


def calls_that_leave_the_encoding_to_the_system(source):
    """Lines of `read_text` and `write_text` calls without an encoding."""
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        position = POSITION_OF_ENCODING.get(node.func.attr)
        if position is None or len(node.args) > position:
            continue
        if all(keyword.arg != "encoding" for keyword in node.keywords):
            yield node.lineno


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("path.read_text()", [1]),
        ("path.write_text(text)", [1]),
        ("path.read_text('utf-8')\npath.write_text(text, encoding='utf-8')", []),
    ],
)
def test_the_check_of_encodings_checks(source, lines):
    assert list(calls_that_leave_the_encoding_to_the_system(source)) == lines


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_text_file_is_read_and_written_as_utf_8(path):
    """Windows takes cp1252 or cp932 where none is named."""
    found = list(calls_that_leave_the_encoding_to_the_system(path.read_text("utf-8")))
    assert found == [], f"{path.relative_to(ROOT)}: say encoding='utf-8' in lines {found}"


def as_notepad_saves(path, text):
    """With a byte order mark and CRLF."""
    path.write_bytes((MARK + text).replace("\n", "\r\n").encode("utf-8"))
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", '{"seed": 3,\n "data": {"path": "Tänze"}}\n'),
        ("a.yaml", "seed: 3\ndata:\n  path: Tänze\n"),
        pytest.param(
            "a.toml",
            'seed = 3\n[data]\npath = "Tänze"\n',
            marks=pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.11 reads TOML"),
        ),
    ],
)
def test_settings_edited_on_windows_are_read(tmp_path, name, text):
    read = read_settings(as_notepad_saves(tmp_path / name, text))
    assert read == {"seed": 3, "data": {"path": "Tänze"}}


def test_a_config_edited_on_windows_is_read(tmp_path):
    path = as_notepad_saves(tmp_path / "config.json", '{\n  "in_channels": 4\n}\n')
    assert read_json(path) == {"in_channels": 4}


def test_poses_edited_on_windows_are_read(tmp_path):
    keypoints = [float(n) for n in range(54)]
    document = {
        "people": [{"pose_keypoints_2d": keypoints}],
        "canvas_width": 64,
        "canvas_height": 48,
    }
    path = as_notepad_saves(tmp_path / "a.json", json.dumps([document], indent=1))
    assert load_poses(path).points.shape[:2] == (1, 1)


def test_a_list_of_clips_written_on_windows_is_found(tmp_path):
    r"""`clips\a.mp4`, after a byte order mark and with CRLF."""
    (tmp_path / "clips").mkdir()
    for name in ("a.mp4", "a.json"):
        (tmp_path / "clips" / name).write_bytes(b"")
    entries = [{"video_path": r"clips\a.mp4", "kps_path": r"clips\a.json"}]
    (clip,) = find_clips(as_notepad_saves(tmp_path / "list.json", json.dumps(entries)))
    assert clip.frames.samefile(tmp_path / "clips" / "a.mp4")
    assert clip.poses.samefile(tmp_path / "clips" / "a.json")


def test_a_checkout_is_the_same_on_every_system(tmp_path):
    """Git on Windows writes CRLF into every text that `.gitattributes` does not keep."""
    done = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "--eol"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip("this copy is no git repository")
    changeable = [
        line
        for line in done.stdout.splitlines()
        if line.split()[0] not in ("i/none", "i/-text") and "eol=lf" not in line
    ]
    assert changeable == []
    assert [
        line for line in done.stdout.splitlines() if "i/crlf" in line or "i/mixed" in line
    ] == []
