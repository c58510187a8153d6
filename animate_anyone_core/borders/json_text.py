"""Reading JSON from outside: its size, depth and numbers are checked before and while it is parsed."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import AnimateAnyoneError
from . import limits
from .files import check_file

_CHUNK = 2**22
_OPEN, _CLOSE = (ord("["), ord("{")), (ord("]"), ord("}"))


class _RefusedNumberError(ValueError):
    """A number that no setting and no keypoint has."""


def read_json_file(
    path: Path, error: type[AnimateAnyoneError], largest: int = limits.SETTINGS_BYTES
) -> Any:
    """Read a JSON file.

    Args:
        path: The file.
        error: What to raise.
        largest: Bytes it may have.

    Raises:
        AnimateAnyoneError: `error`, if there is no such file, or as `parse_json`.
    """
    check_file(path, error, f"There is no file {path}.")
    size = path.stat().st_size
    if size > largest:
        raise error(
            f"{path} is too large: {size / 2**20:.1f} MB, at most {largest / 2**20:.0f} MB are read. "
            "Cut it into parts."
        )
    try:
        content = path.read_bytes()
    except OSError as reason:
        raise error(f"{path} cannot be read: {reason.strerror}.") from reason
    return parse_json(content, str(path), error)


def parse_json(content: bytes, where: str, error: type[AnimateAnyoneError]) -> Any:
    """Parse JSON that may be anything.

    Args:
        content: UTF-8, with or without a byte order mark.
        where: Whose it is, for messages.
        error: What to raise.

    Raises:
        AnimateAnyoneError: `error`, if it is no JSON, nested too deeply, holds too many values, or
            a number that is not finite or has too many digits.
    """
    _check_structure(content, where, error)
    try:
        return json.loads(
            content.decode("utf-8-sig"),
            parse_int=_whole,
            parse_float=_real,
            parse_constant=_not_finite,
        )
    except _RefusedNumberError as reason:
        raise error(f"{where}: {reason}") from reason
    except (ValueError, RecursionError) as reason:
        raise error(f"{where} is not JSON: {reason}.") from reason


def _check_structure(content: bytes, where: str, error: type[AnimateAnyoneError]) -> None:
    """Count brackets and commas outside of strings, a piece at a time."""
    if b"\\" in content:
        content = content.replace(b"\\\\", b"").replace(b'\\"', b"")
    depth = quotes = lists = commas = 0
    for start in range(0, len(content), _CHUNK):
        letters = np.frombuffer(content, np.uint8, min(_CHUNK, len(content) - start), start)
        outside = (np.cumsum(letters == ord('"')) + quotes) % 2 == 0
        opened = ((letters == _OPEN[0]) | (letters == _OPEN[1])) & outside
        closed = ((letters == _CLOSE[0]) | (letters == _CLOSE[1])) & outside
        depths = np.cumsum(opened.astype(np.int32) - closed) + depth
        deepest = int(depths.max(initial=0))
        if deepest > limits.JSON_DEPTH:
            raise error(
                f"{where} is nested too deeply: more than {limits.JSON_DEPTH} brackets within each "
                "other. It is not a file of this kind, or damaged."
            )
        depth = int(depths[-1])
        quotes += int((letters == ord('"')).sum())
        lists += int(opened.sum())
        commas += int(((letters == ord(",")) & outside).sum())
    for count, most, what in (
        (lists, limits.JSON_LISTS, "lists and objects"),
        (commas, limits.JSON_VALUES, "values"),
    ):
        if count > most:
            raise error(
                f"{where} holds {count} {what}, at most {most} are read. Cut it into parts."
            )


def _whole(text: str) -> int:
    if len(text) > limits.JSON_DIGITS:
        raise _RefusedNumberError(_many_digits(text))
    return int(text)


def _real(text: str) -> float:
    if len(text) > limits.JSON_DIGITS:
        raise _RefusedNumberError(_many_digits(text))
    value = float(text)
    if not math.isfinite(value):
        raise _RefusedNumberError(f"{text} is too large for a number.")
    return value


def _many_digits(text: str) -> str:
    return (
        f"the number {text[:12]}... has {len(text)} characters, at most {limits.JSON_DIGITS} are "
        "read. It is damaged."
    )


def _not_finite(text: str) -> float:
    raise _RefusedNumberError(f"{text} is no number in JSON. Write null, or leave it out.")
