"""Settings from files and the command line, and back; what may change when a run is resumed."""

import importlib
import json
import logging
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from ...borders.files import read_text_file
from ...errors import MissingDependencyError, SettingsError
from .config import TrainConfig
from .settings import flatten

logger = logging.getLogger("animate_anyone")

Config = TypeVar("Config")


def read_settings(path: Path | str) -> dict[str, Any]:
    """Read a file of settings: `.yaml`, `.yml`, `.toml` or `.json`.

    Raises:
        SettingsError: If it is missing, has another ending, or is not a table of settings.
        MissingDependencyError: If a reader for its format is not installed.
    """
    path = Path(path)
    text = read_text_file(path, SettingsError, f"There is no settings file {path}.")
    try:
        content = _PARSERS[path.suffix](text)
    except KeyError as error:
        raise SettingsError(
            f"{path.name}: settings are {', '.join(_PARSERS)} files, got {path.suffix!r}."
        ) from error
    except MissingDependencyError:
        raise
    except Exception as error:  # every parser has errors of its own
        raise SettingsError(f"{path.name} cannot be read: {error}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise SettingsError(f"{path.name} holds no table of settings but {type(content).__name__}.")
    return content


def _parser(module: str, function: str, advice: str) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            return getattr(importlib.import_module(module), function)(text)
        except ImportError as error:
            raise MissingDependencyError(advice) from error

    return parse


_YAML = "Reading YAML settings needs PyYAML: pip install 'animate-anyone[train]'."
_TOML = "TOML settings need Python 3.11. Write them as YAML or JSON."
_PARSERS: dict[str, Callable[[str], Any]] = {
    ".yaml": _parser("yaml", "safe_load", _YAML),
    ".yml": _parser("yaml", "safe_load", _YAML),
    ".toml": _parser("tomllib", "loads", _TOML),
    ".json": json.loads,
}


def parse_assignments(assignments: Sequence[str]) -> dict[str, Any]:
    """Turn `optimizer.lr=1e-4` into nested settings; values are JSON, or else plain text.

    Raises:
        SettingsError: If there is no "=", or a value and a table have one name.
    """
    settings: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise SettingsError(f"--set needs NAME=VALUE, got {assignment!r}.")
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        table = settings
        *path, last = name.strip().split(".")
        for part in path:
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                raise SettingsError(f"--set {assignment}: {part} was set to {table!r} before.")
        table[last] = value
    return settings


def merge(*tables: Mapping[str, Any]) -> dict[str, Any]:
    """Lay tables of settings over each other, the last on top, table by table."""
    merged: dict[str, Any] = {}
    for name, value in (entry for table in tables for entry in table.items()):
        is_table = isinstance(merged.get(name), Mapping) and isinstance(value, Mapping)
        merged[name] = merge(merged[name], value) if is_table else value
    return merged


def make_config(kind: type[Config], settings: Mapping[str, Any], prefix: str = "") -> Config:
    """Build frozen settings of a dataclass from a table; missing values take their defaults.

    Raises:
        SettingsError: If a name is unknown or a value has the wrong type.
    """
    hints = get_type_hints(kind)
    names = [entry.name for entry in fields(kind)]  # type: ignore[arg-type]
    values = {}
    for name, value in settings.items():
        if name not in names:
            raise SettingsError(f"Unknown setting {prefix}{name}. Known here: {', '.join(names)}.")
        values[name] = _convert(value, hints[name], f"{prefix}{name}")
    return kind(**values)


def _convert(value: Any, hint: Any, name: str) -> Any:
    """Check a value of a file against a field's type; tables, lists and numbers become ours."""
    if is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise SettingsError(f"{name} is a table of settings, got {value!r}.")
        return make_config(hint, value, f"{name}.")  # type: ignore[arg-type]
    if get_origin(hint) in (Union, types.UnionType):
        if value is None:
            return None
        hint = next(option for option in get_args(hint) if option is not type(None))
    if get_origin(hint) is tuple:
        if not isinstance(value, list | tuple):
            raise SettingsError(f"{name} is a list, got {value!r}.")
        return tuple(_convert(entry, get_args(hint)[0], name) for entry in value)
    if hint is float:
        value = _as_float(value)
    if type(value) is not hint:
        raise SettingsError(f"{name} is of type {hint.__name__}, got {value!r}.")
    return value


def _as_float(value: Any) -> Any:
    """Whole numbers as floats, and text such as 1e-5, which YAML does not take for a number."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return value
    try:
        return float(value)
    except ValueError:
        return value


def to_text(config: TrainConfig) -> str:
    """The resolved settings as JSON, which YAML readers read as well."""
    return json.dumps(asdict(config), indent=2) + "\n"


def check_resume(saved: Mapping[str, Any], config: TrainConfig) -> None:
    """Compare a run's settings with those of the checkpoint it goes on from.

    Raises:
        SettingsError: If a setting differs that shapes the result.
    """
    before = flatten(make_config(TrainConfig, saved))
    now = flatten(config)
    for name, (value, _, is_free) in now.items():
        was = before[name].value
        if was != value and not is_free:
            raise SettingsError(
                f"The run in this folder was started with {name} = {was!r}, now it is {value!r}. "
                "Set it back, or choose another output folder for a new run."
            )
        if was != value:
            logger.warning("Resuming with %s = %r (it was %r).", name, value, was)
