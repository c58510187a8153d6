"""What a report tells of a machine, and what it must not tell of a person."""

import pytest

from animate_anyone_core.self_test.privacy import Privacy

NASTY = ("max", "Müller, Jörg", "o'brien", "a.b+c(1)", "[root]", "山田", "user name", "x")
FORMS = (
    "/home/{}/secret project/models/w.pth",
    "/Users/{}/w.pth",
    "C:\\Users\\{}\\AppData\\w.pth",
    "c:/Users/{}/my files/w.pth",
    "D:\\{}\\w.pth",
    "\\\\server\\{}\\w.pth",
    "~/{}/w.pth",
    "file:///home/{}/w.pth",
)
SENTENCES = (
    "There is no file {}.",
    "error: [Errno 2] No such file or directory: '{}'",
    'File "{}", line 3, in load',
    "path={}",
    "({}) is damaged",
)


@pytest.mark.parametrize("name", NASTY)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("sentence", SENTENCES)
def test_no_name_and_no_folder_is_left(name, form, sentence):
    cleaned = Privacy((name,), ()).clean(sentence.format(form.format(name)))
    for private in (name, "secret", "my files", "home", "Users", "server", "AppData"):
        if len(private) > 1:
            assert private.lower() not in cleaned.lower()
    assert "w.pth" in cleaned


@pytest.mark.parametrize("name", NASTY)
def test_a_name_is_found_outside_paths_in_any_case(name):
    cleaned = Privacy((name,), ("box-7",)).clean(f"by {name.upper()}: {name}_photo.png on BOX-7")
    assert cleaned == "by <user>: <user>_photo.png on <host>"


def test_a_name_within_a_word_is_no_name():
    assert Privacy(("max", "x"), ()).clean("maximum of 3x2 boxes") == "maximum of 3x2 boxes"


@pytest.mark.parametrize(
    "text",
    [
        "half of it, 1/2, and/or 16 / 8, fp16/bf16",
        "max|d|/RMS 1.0e-05",
        "nodes\\windows are 3 // 2",
        "torch 2.13.0+cpu, Python 3.11.7",
        "ratio: 4:3, time 12:30",
    ],
)
def test_what_is_no_path_stays(text):
    assert Privacy((), ()).clean(text) == text


def test_both_paths_of_a_line_are_cleaned():
    text = "cp '/home/ann/a b/x.png' 'C:\\Users\\Ann\\y z\\w.pth'"
    assert Privacy((), ()).clean(text) == "cp '<path>/x.png' '<path>/w.pth'"


def test_addresses_and_tokens_are_cleaned():
    text = (
        "GET https://ann:pw@hub.example/ann/x?token=abc by ann@mail.example with hf_abcdefGHIJ123"
    )
    assert Privacy((), ()).clean(text) == "GET https://hub.example by <mail> with <token>"


def test_this_machines_names_are_found(monkeypatch):
    monkeypatch.setenv("USER", "some.body")
    monkeypatch.setenv("USERPROFILE", "C:\\Users\\Some Body\\")
    users = Privacy.of_this_machine().users
    assert {"some.body", "Some Body"} <= set(users)
    assert list(users) == sorted(users, key=len, reverse=True)
    assert "" not in users
