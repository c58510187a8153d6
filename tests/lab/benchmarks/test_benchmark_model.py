"""`benchmark model` as a user calls it, with the built-in model and as few frames as it takes."""

import contextlib
import json

import pytest
from PIL import Image

from animate_anyone_core.__main__ import main

pytestmark = pytest.mark.slow


def test_it_writes_table_numbers_and_pictures(tmp_path, capsys):
    numbers, grid = tmp_path / "new" / "scores.json", tmp_path / "new" / "grid.png"
    arguments = "benchmark model --clips 1 --frames 8 --steps 1 --model-only --device cpu"
    with contextlib.suppress(SystemExit):  # one step is not meant to beat anything
        main([*arguments.split(), "--json", str(numbers), "--grid", str(grid)])
    out = capsys.readouterr().out
    document = json.loads(numbers.read_text())
    assert list(document["rows"]) == [
        "truth",
        "truth through the codec",
        "reference repeated",
        "model",
    ]
    assert document["rows"]["truth"]["psnr"] == 100.0
    assert document["rows"]["truth"]["pose_error"] < 10.0, "the built-in networks find the dancer"
    assert document["settings"]["frames"] == 8
    assert "reference repeated: psnr" in out
    assert "Targets of the built-in model, not judged" in out
    with Image.open(grid) as picture:
        assert picture.height == 5 * (128 + 14)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--clips=0", "--clips must be at least 1, got 0."),
        ("--frames=7", "--frames must be at least 8, got 7."),
        ("--grid=a.jpeg", "--grid writes a .png, got a.jpeg."),
        ("--grid-clips=-1", "--grid-clips must be at least 0, got -1."),
        ("--models=nowhere", "There is no folder nowhere."),
    ],
)
def test_bad_options_end_in_one_line(option, message, capsys):
    assert main(["benchmark", "model", option]) == 2
    assert message in capsys.readouterr().err
