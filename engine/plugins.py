"""Choices are modules: a study names a file of ours, a dotted path, or a .py file of the user's own."""

import hashlib
import importlib
import importlib.util
import pkgutil
import sys
from pathlib import Path
from types import ModuleType

from engine.errors import BadInput, unknown


def names(package: str) -> list[str]:
    """The choices that ship in a package: its public modules."""
    path = importlib.import_module(package).__path__
    return sorted(m.name for m in pkgutil.iter_modules(path) if not m.name.startswith("_"))


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
        return importlib.import_module(name)
    except ImportError as error:
        raise BadInput(f"cannot import {name!r}: {error}") from error


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise BadInput(f"no such file: {str(path)!r}")
    spec = importlib.util.spec_from_file_location(f"user.{path.stem}", path)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


def identity(package: str, name: str) -> str:
    """What a choice is called in a digest: its name, or the hash of the text of a user's file."""
    if name.endswith(".py") and name not in names(package):
        return hashlib.sha256(Path(name).read_bytes()).hexdigest()
    return name
