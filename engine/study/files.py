"""A study file, read once into frozen, validated objects."""

import importlib.resources
import tomllib
from pathlib import Path
from typing import Any, get_args

import tomlkit
from pydantic import ValidationError

from engine.errors import BadInput, unknown
from engine.study.sources import Signal
from engine.study.study import SIZED, Study


def shipped() -> list[str]:
    """Names of the studies that come with the package."""
    files = importlib.resources.files("scans").iterdir()
    return sorted(f.name.removesuffix(".toml") for f in files if f.name.endswith(".toml"))


def text(name_or_path: str) -> str:
    """A study's TOML: a shipped study by name, else a file; raises BadInput that lists both ways."""
    if name_or_path in shipped():
        return importlib.resources.files("scans").joinpath(f"{name_or_path}.toml").read_text()
    path = Path(name_or_path)
    if not path.is_file():
        raise unknown("study (neither a file nor a shipped one)", name_or_path, shipped())
    try:
        return path.read_text()
    except OSError as error:
        raise BadInput(f"cannot read {name_or_path!r}: {error.strerror}") from error


def load(name_or_path: str, overrides: tuple[str, ...] = ()) -> Study:
    """Reads and validates a study; `overrides` are `key.path=value` in TOML. Raises BadInput, in one line."""
    return parse(read(name_or_path, overrides), name_or_path)


def read(name_or_path: str, overrides: tuple[str, ...] = ()) -> dict[str, Any]:
    """A study as it is written, overrides in it, as plain data; raises BadInput for what is not TOML."""
    try:
        raw = tomllib.loads(text(name_or_path))
        for override in overrides:
            _override(raw, override)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{name_or_path}: not a TOML file: {error}") from error
    return raw


def document(name_or_path: str, overrides: tuple[str, ...] = ()) -> tomlkit.TOMLDocument:
    """A study as it is written, comments and all, with overrides in it: to be changed and written back."""
    read(name_or_path, overrides)  # says what is wrong with it
    toml = tomlkit.parse(text(name_or_path))
    for override in overrides:
        _override(toml, override)
    return toml


def parse(raw: dict[str, Any], name: str = "study") -> Study:
    """Validates plain data; the first fault becomes one BadInput that names the key and shows the value."""
    try:
        return Study.model_validate(raw)
    except ValidationError as error:
        raise BadInput(f"{name}: {_explain(error, _signal(raw))}") from error


def _override(raw: dict[str, Any], text: str) -> None:
    key, equals, value = text.partition("=")
    if not equals:
        raise BadInput(f"--set {text!r}: expected key.path=value")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    *path, last = key.strip().split(".")
    for part in path:
        raw = raw.setdefault(part, {})
        if not isinstance(raw, dict):
            raise BadInput(f"--set {text!r}: {part!r} is a value, not a section")
    raw[last] = parsed


def _signal(raw: dict[str, Any]) -> Signal:
    """A study's signal; where it has a fault, which is then what is said, that of a study that names none."""
    try:
        return Signal.model_validate(raw.get("signal", {}))
    except ValueError:
        return Signal()


def _explain(error: ValidationError, signal: Signal) -> str:
    # the signal and the score first, which say what keys other sections have
    # a misspelt key comes before the key that is missing because of it
    # and what we say ourselves before what a union's other branches would have liked
    def rank(fault: dict) -> tuple[bool, bool, bool]:
        says_keys = fault["loc"][:1] in (("signal",), ("score",))
        return not says_keys, fault["type"] != "extra_forbidden", "error" not in fault.get("ctx", {})

    size, first = signal.size, min(error.errors(), key=rank)
    loc = [size.name if part == "size" else part for part in first["loc"] if part != "alternatives"]
    place = ".".join(str(part) for part in loc if "[" not in str(part))  # without a union's branches
    if first["type"] == "extra_forbidden":
        *path, key = first["loc"]
        accepted = [size.name if name == "size" else name for name in _fields(path)
                    if size.has_mass or name != "m_chi_GeV"]  # fmt: skip
        why = f" with the signal {signal.name!r}" if path[:1] in [[name] for name in SIZED] else ""
        return f"{'.'.join(map(str, loc[:-1]))}: {unknown('key', key, accepted)}{why}".removeprefix(": ")
    cause = first.get("ctx", {}).get("error")
    message = str(cause) if isinstance(cause, ValueError) else f"{first['msg']} (given: {first['input']!r})"
    return f"{place}: {message}".removeprefix(": ")


def _fields(path: list[str | int]) -> list[str]:
    model = Study
    for part in path:
        if part not in model.model_fields:  # a name of the user's own, which leads to a section
            continue
        annotation = model.model_fields[part].annotation
        model = next((one for one in _within(annotation) if hasattr(one, "model_fields")), annotation)
    return list(model.model_fields)


def _within(annotation: object) -> list:
    """What an annotation is made of, at any depth: an optional section, or sections by name."""
    return [one for inner in get_args(annotation) for one in (inner, *_within(inner))]
