"""A study file, read once into frozen, validated objects."""

import itertools
import json
import math
import os
import re
import tomllib
from typing import Any, get_args

import tomlkit
from pydantic import ValidationError
from tomlkit.exceptions import TOMLKitError

from engine import files
from engine.errors import BadInput, listed, shown, unknown
from engine.files import PRESET, shipped, shipped_text
from engine.size import Size
from engine.study import layers
from engine.study.section import Axis, Section
from engine.study.sources import Signal
from engine.study.study import SIZED, Study

MOST_BYTES = 1_000_000  # of a study: the largest that ships has 4 kB
DEEPEST = 12  # sections within sections; a search over fields has six
DEEP_KEY = re.compile(rf"""\s*[\w"'-]+(?:\s*\.\s*[\w"'-]+){{{DEEPEST},}}\s*""")  # tomllib takes minutes for a long one
LONGEST_TEXT = 4096  # of a value in quotes: as long as a path may be
MASSES = "{ log = [10, 1000], n = 10 }"  # as an example


def text(name_or_path: str | os.PathLike) -> str:
    """A study's TOML: a shipped study by name, else a file; raises BadInput that lists both ways."""
    name = os.fspath(name_or_path)
    if name in shipped():
        return shipped_text(name)
    if not os.path.exists(name):
        raise unknown("study (neither a file nor a shipped one)", name, shipped())
    return files.text(name, MOST_BYTES)


def load(name_or_path: str | os.PathLike, overrides: tuple[str, ...] = ()) -> Study:
    """Reads and validates a study; `overrides` are `key.path=value` in TOML. Raises BadInput, in one line."""
    return parse(read(name_or_path, overrides), os.fspath(name_or_path))


def read(name_or_path: str | os.PathLike, overrides: tuple[str, ...] = ()) -> dict[str, Any]:
    """A study as plain data, without layers, overrides on top; raises BadInput for what is not TOML.

    `preset=NAME` among the overrides says which of its presets it is.
    """
    name = os.fspath(name_or_path)
    raw = _loads(text(name_or_path), name)
    try:
        for override in (one for one in overrides if one.startswith(PRESET)):
            _override(raw, override)
        raw = layers.whole(raw)
    except BadInput as error:
        raise BadInput(f"{name}: {error}") from error
    for override in (one for one in overrides if not one.startswith(PRESET)):
        _override(raw, override)
    return raw


def document(name_or_path: str | os.PathLike, overrides: tuple[str, ...] = ()) -> tomlkit.TOMLDocument:
    """A study as it is written, comments and all, with overrides in it and without layers: to be changed and written
    back."""
    raw = read(name_or_path, overrides)
    _check_plain(raw)  # says what is wrong with it
    try:
        written = text(name_or_path)
        toml = tomlkit.parse(written)
        if "extends" in toml:  # what it takes from another study stands nowhere in its own text
            opening = itertools.takewhile(lambda line: line.startswith("#"), written.splitlines())
            return tomlkit.parse("\n".join([*opening, tomlkit.dumps(raw)]))
        _fill(toml, raw)
    except TOMLKitError as error:
        raise BadInput(f"{os.fspath(name_or_path)}: not a TOML file: {error}") from error
    return toml


def parse(raw: dict[str, Any], name: str = "study") -> Study:
    """Validates plain data; the first fault becomes one BadInput that names the key and shows the value."""
    try:
        if not isinstance(raw, dict):
            raise BadInput(f"{shown(raw)} is none: expected a table of keys, a file or a shipped name")
        _check_plain(raw)
        return Study.model_validate(layers.whole(raw))
    except ValidationError as error:
        raise BadInput(f"{name}: {_explain(error, _signal(raw))}") from error
    except BadInput as error:
        raise BadInput(f"{name}: {error}") from error


def _loads(toml: str, name: str) -> dict[str, Any]:
    try:
        if any(DEEP_KEY.fullmatch(word) for word in re.split(r"[\n,=\[\]{}#]", toml) if word.count(".") >= DEEPEST):
            raise RecursionError
        return tomllib.loads(toml)
    except RecursionError as error:
        raise BadInput(f"{name}: lists or tables within each other, more than {DEEPEST} deep") from error
    except ValueError as error:  # TOMLDecodeError; and of a number or date that Python cannot read
        raise BadInput(f"{name}: not a TOML file: {error}") from error


def _check_plain(value: object, place: str = "", depth: int = 0) -> None:
    """Raises BadInput for what no study can mean, wherever it is: see the messages."""
    if depth > DEEPEST:
        raise BadInput(f"{place}: lists or tables within each other, more than {DEEPEST} deep")
    if isinstance(value, dict):
        for key, inner in value.items():
            _check_text(f"a key of {place or 'the study'}", key)
            _check_plain(inner, f"{place}.{key}".lstrip("."), depth + 1)
    elif isinstance(value, list | tuple):
        for inner in value:
            _check_plain(inner, place, depth + 1)
    elif isinstance(value, str):
        _check_text(place, value)
    elif isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise BadInput(f"{place} = {shown(value)}: an integer has at most 63 bits")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise BadInput(f"{place} = {value}: not a finite number")
    elif not (value is None or isinstance(value, Section)):
        raise BadInput(f"{place or 'a study'} = {shown(value)}: {type(value).__name__} is no type of a study's")


def _check_text(place: str, value: object) -> None:
    if not isinstance(value, str):
        raise BadInput(f"{place}: {shown(value)} is no text")
    if len(value) > LONGEST_TEXT:
        raise BadInput(f"{place} = {shown(value)}: {len(value)} characters; at most {LONGEST_TEXT}")
    if strange := [c for c in value if not c.isprintable()]:
        raise BadInput(f"{place} = {shown(value)}: it holds {shown(strange[0])}, which cannot be printed")


def _override(raw: dict[str, Any], text: str) -> None:
    key, equals, value = text.partition("=")
    if not equals:
        raise BadInput(f"--set {shown(text)}: expected key.path=value")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    except (ValueError, RecursionError) as error:  # an integer of thousands of digits, lists in lists in lists
        raise BadInput(f"--set {shown(text)}: {error}") from error
    *path, last = key.strip().split(".", DEEPEST)
    for part in path:
        raw = raw.setdefault(part, {})
        if not isinstance(raw, dict):
            raise BadInput(f"--set {shown(text)}: {part!r} is a value, not a section")
    raw[last] = parsed


def _fill(toml: dict[str, Any], raw: dict[str, Any]) -> None:
    """Makes a document say what plain data do; what it says already stays as it is written."""
    for key in [key for key in toml if key not in raw]:
        del toml[key]
    for key, value in raw.items():
        if isinstance(value, dict) and isinstance(there := toml.get(key), dict):
            _fill(there, value)
        elif key not in toml or toml[key] != value:
            toml[key] = value


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

    size, first, *others = signal.size, *sorted(error.errors(), key=rank)
    place = _place(first, size.name)
    if first["loc"][:1] in (("signal",), ("score",)):  # what they say of other sections is not known then
        others = []
    also = list(dict.fromkeys(other for fault in others if (other := _place(fault, size.name)) != place))
    beside = f"; and look at {listed(also[:3])}" if also else ""
    return f"{place}: {_message(first, signal)}{beside}".removeprefix(": ")


def _place(fault: dict, size: str) -> str:
    """Where a fault is, as the file has it: under the signal's name, without the branches of a union."""
    *path, last = [size if part == "size" else part for part in fault["loc"] if part != "alternatives"] or [""]
    parts = path if fault["type"] == "extra_forbidden" else [*path, last]
    return ".".join(str(part) for part in parts if "[" not in str(part))


def _message(fault: dict, signal: Signal) -> str:
    size, given, (*path, key) = signal.size, fault["input"], fault["loc"] or [""]
    if fault["type"] == "extra_forbidden":
        accepted = [size.name if name == "size" else name for name in _fields(path)
                    if size.has_mass or name != "m_chi_GeV"]  # fmt: skip
        why = f" with the signal {signal.name!r}" if path[:1] in [[name] for name in SIZED] else ""
        return f"{unknown('key', key, accepted)}{why}"
    cause = fault.get("ctx", {}).get("error")
    if isinstance(cause, ValueError):
        return str(cause)
    section, name = _model([*path, key]), size.name if key == "size" else key
    if fault["type"] == "missing":
        keys = [size.name if name == "size" else name for name in given] if isinstance(given, dict) else []
        there = f" (given: {listed(keys)})" if path and keys else ""
        return f"required; like {_example(section, name, size)}{there}"
    if fault["type"] == "tuple_type":
        return f"{shown(given)} is no list; expected {name} = [{json.dumps(given, default=str)}]"
    if fault["type"] == "too_short":
        return f"{shown(given)} is empty; expected one value at least"
    if fault["type"] == "dict_type":
        return f"{shown(given)} is no section; expected {name}.NAME = {{ ... }}, for names of your own"
    if fault["type"] in ("model_type", "model_attributes_type"):
        keys = listed([size.name if key == "size" else key for key in section.model_fields])
        like = _example(section, name, size)
        if "name" in section.model_fields and isinstance(given, str):
            like = f"{name} = {{ name = {json.dumps(given)} }}"
        return f"{shown(given)} is no section; expected {like} (keys: {keys})"
    return f"{fault['msg']} (given: {shown(given)})"


def _example(section: type, name: str, size: Size) -> str:
    """How a missing key may look, in TOML."""
    sizes = f"{{ log = [{size.benchmark / 30:.0e}, {30 * size.benchmark:.0e}], n = 10 }}"
    axes = {"m_chi_GeV": MASSES} if size.has_mass else {}
    axes |= {size.name: sizes, "exposure_ty": "[20, 200]"}
    axes |= {"grid": "{ " + ", ".join(f"{key} = {axis}" for key, axis in axes.items()) + " }"}
    return f"{name} = {axes.get(name) or ('[1, 10]' if section is Axis else _first_field(section))}"


def _first_field(section: type) -> str:
    """A section with the first of its fields that has a plain value unless said, in TOML."""
    plain = ((name, field.default) for name, field in section.model_fields.items())
    fields = [f"{name} = {json.dumps(value)}" for name, value in plain if isinstance(value, bool | int | float | str)]
    return f"{{ {fields[0]} }}" if fields else "{ ... }"


def _model(path: list[str | int]) -> type:
    """The section at a place; the study itself where there is none of its own."""
    model = Study
    for part in path:
        if part not in model.model_fields:  # a name of the user's own, which leads to a section
            continue
        annotation = model.model_fields[part].annotation
        model = next((one for one in (annotation, *_within(annotation)) if hasattr(one, "model_fields")), Study)
    return model


def _fields(path: list[str | int]) -> list[str]:
    return list(_model(path).model_fields)


def _within(annotation: object) -> list:
    """What an annotation is made of, at any depth: an optional section, or sections by name."""
    return [one for inner in get_args(annotation) for one in (inner, *_within(inner))]
