"""Choices are modules: a study names a file of ours, a dotted path, or a .py file of the user's own."""

import hashlib
import importlib
import importlib.util
import pkgutil
import sys
from functools import lru_cache
from pathlib import Path
from types import ModuleType

from engine import files
from engine.errors import BadInput, said, unknown

MOST_BYTES = 10_000_000  # of a .py file


@lru_cache
def names(package: str) -> tuple[str, ...]:
    """The choices that ship in a package: its public modules."""
    path = importlib.import_module(package).__path__
    return tuple(sorted(m.name for m in pkgutil.iter_modules(path) if not m.name.startswith("_")))


def load(package: str, name: str, *contract: str) -> ModuleType:
    """The module that a study means by `name`, which must have what the contract asks for.

    Raises BadInput that lists what would be accepted, or what the module lacks.
    """
    if name in names(package):
        return importlib.import_module(f"{package}.{name}")
    if "." not in name.strip("."):
        raise unknown(f"choice in {package}", name, names(package))
    module = _from_file(Path(name)) if name.endswith(".py") else _from_path(name)
    if lacking := [part for part in contract if not hasattr(module, part)]:
        raise BadInput(f"{name!r} is no choice for {package}: it lacks {', '.join(lacking)}")
    return module


def _from_path(name: str) -> ModuleType:
    try:
        module = importlib.import_module(name)
    except Exception as error:  # whatever its text does
        raise BadInput(f"cannot import {name!r}: {said(error)}") from error
    _imported.setdefault(name, _hash_of_source(name))
    return module


def _from_file(path: Path) -> ModuleType:
    content = files.read(path, MOST_BYTES)
    try:
        return _executed(path.resolve(), content)
    except Exception as error:  # whatever its text does
        raise BadInput(f"cannot import {str(path)!r}: {said(error)}") from error


@lru_cache
def _executed(path: Path, content: bytes) -> ModuleType:
    """The module of a user's file: executed once in a process, and again when its text has changed."""
    spec = importlib.util.spec_from_file_location(f"user.{path.stem}", path)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # dataclasses look themselves up there
    exec(compile(content, path, "exec"), module.__dict__)
    return module


_imported: dict[str, str] = {}  # by dotted path, the hash of the source that this process imported


def _hash_of_source(name: str) -> str:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.origin or not Path(spec.origin).is_file():
        raise BadInput(f"{name!r} has no source file, whose text would name what it computes")
    return hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()


def identity(package: str, name: str) -> str:
    """What a choice is called in a digest: its name, or the hash of the text of a user's file.

    Raises BadInput for a module that was edited after this process imported it.
    """
    if name in names(package):
        return name
    if name.endswith(".py"):
        return hashlib.sha256(Path(name).read_bytes()).hexdigest()
    now = _hash_of_source(name)
    if _imported.setdefault(name, now) != now:
        raise BadInput(f"{name!r} was edited after this process imported it: start it anew")
    return now
