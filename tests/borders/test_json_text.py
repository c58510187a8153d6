"""Reading JSON that may be anything."""

import json

import pytest

from animate_anyone_core.borders import limits
from animate_anyone_core.borders.json_text import parse_json, read_json_file
from animate_anyone_core.errors import PoseError, SettingsError


def refusal(content, error=SettingsError):
    with pytest.raises(error) as caught:
        parse_json(content if isinstance(content, bytes) else content.encode(), "it", error)
    return str(caught.value)


def test_what_json_can_write_comes_back():
    value = {"a": [1, -2.5, 1e-300, 2**63, '[{\\"', None, True], "b": {"c": [[[]]]}, "人": "\\"}
    assert parse_json(json.dumps(value).encode(), "it", SettingsError) == value
    assert parse_json(b"\xef\xbb\xbf[0.1]", "it", SettingsError) == [0.1]


@pytest.mark.parametrize("depth", [limits.JSON_DEPTH, limits.JSON_DEPTH + 1, 100_000])
@pytest.mark.parametrize(("start", "end"), [("[", "]"), ('{"a":', "}")])
def test_depth_is_counted_before_parsing(depth, start, end):
    text = start * depth + "1" + end * depth
    if depth <= limits.JSON_DEPTH:
        assert parse_json(text.encode(), "it", SettingsError)
    else:
        assert refusal(text) == (
            "it is nested too deeply: more than 32 brackets within each other. It is not a file of "
            "this kind, or damaged."
        )


@pytest.mark.parametrize("text", ["[" * 99, 'a "[[[[" b', "\\" * 7 + '"' + "{" * 99, '\\"[' * 50])
def test_brackets_in_texts_do_not_count(text):
    assert parse_json(json.dumps([text, text]).encode(), "it", SettingsError) == [text, text]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("9" * 61, "it: the number 999999999999... has 61 characters, at most 60 are read."),
        ("[0." + "3" * 400 + "]", "it: the number 0.3333333333... has 402 characters"),
        ("9" * 5000, "it: the number 999999999999... has 5000 characters"),
        ("1e999", "it: 1e999 is too large for a number."),
        ("[NaN]", "it: NaN is no number in JSON. Write null, or leave it out."),
        ("-Infinity", "it: -Infinity is no number in JSON."),
        ("", "it is not JSON: Expecting value"),
        ("{} {}", "it is not JSON: Extra data"),
        (b"\xff\xfe", "it is not JSON: 'utf-8' codec can't decode"),
    ],
)
def test_numbers_and_syntax(text, message):
    assert refusal(text, PoseError).startswith(message)


def test_lists_and_values_are_counted_before_parsing(monkeypatch):
    monkeypatch.setattr(limits, "JSON_LISTS", 3)
    monkeypatch.setattr(limits, "JSON_VALUES", 5)
    assert parse_json(b"[[],[1,2,3]]", "it", SettingsError) == [[], [1, 2, 3]]
    assert refusal("[[],[],[]]") == (
        "it holds 4 lists and objects, at most 3 are read. Cut it into parts."
    )
    assert refusal("[1,2,3,4,5,6,7]") == "it holds 6 values, at most 5 are read. Cut it into parts."


def test_a_file_is_measured_before_it_is_read(tmp_path):
    path = tmp_path / "a.json"
    with path.open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(SettingsError) as caught:
        read_json_file(path, SettingsError)
    assert str(caught.value) == (
        f"{path} is too large: 1048576.0 MB, at most 1 MB are read. Cut it into parts."
    )
