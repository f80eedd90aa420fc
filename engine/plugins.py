"""Choices are modules: a study names a file of ours, a dotted path, or a .py file of the user's own."""

import ast
import hashlib
import importlib
import importlib.util
import pkgutil
import sys
from collections import Counter
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from types import ModuleType

from engine import files
from engine.errors import BadInput, said, unknown

MOST_BYTES = 10_000_000  # of a .py file
_refused = False


def refuse_code(refused: bool) -> bool:
    """From now on, in this process, no module that does not ship is executed: a study that names one is refused."""
    global _refused
    _refused = refused
    return refused


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
    if _refused:
        raise BadInput(f"{name!r} is code, to be executed as one of {package}: refused by --no-code")
    module = _from_file(Path(name)) if name.endswith(".py") else _from_path(name)
    there = dir(module)  # of a user's file, whatever its text says; to ask for one would execute it
    if lacking := [part for part in contract if part not in there and not hasattr(module, part)]:
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
    return _of_text(path.resolve(), files.read(path, MOST_BYTES))


@lru_cache
def _of_text(path: Path, content: bytes) -> ModuleType:
    return _File(path, content)


class _File(ModuleType):
    """The module of a user's file: executed once in a process, and again when its text has changed; and not before
    something is asked of it that its text does not say. That says its literals, and which names it has."""

    def __init__(self, path: Path, content: bytes):
        super().__init__(f"user.{path.stem}")
        self.__file__, self._content, self._runs = str(path), content, False
        try:
            tree = ast.parse(content, path)
        except (SyntaxError, ValueError) as error:  # ValueError: of a NUL in it
            raise BadInput(f"cannot import {str(path)!r}: {said(error)}") from error
        self._names, self._literals, self._told = _names_in(tree)

    def __dir__(self) -> list[str]:
        self._know()
        return [*self._names, *self.__dict__]

    def __getattr__(self, name: str) -> object:  # of what is not there yet
        if name.startswith("__") or self._runs:
            raise AttributeError(name)
        self._know()
        if name in self._literals:
            return self._literals[name]
        if name in self._names:
            self._run()
        return super().__getattribute__(name)

    def _know(self) -> None:
        if not self._told:
            self._run()

    def _run(self) -> None:
        if self._runs:
            return
        self._runs = True
        sys.modules[self.__name__] = self  # dataclasses look themselves up there
        try:
            exec(compile(self._content, self.__file__, "exec"), self.__dict__)
        except Exception as error:  # whatever its text does
            raise BadInput(f"cannot import {self.__file__!r}: {said(error)}") from error
        for name, value in self._literals.items():
            if self.__dict__.get(name) != value:
                raise BadInput(f"{self.__file__}: {name} is {value!r} in its text and another when it has run")


def _names_in(tree: ast.Module) -> tuple[set[str], dict[str, object], bool]:
    """The names that a text gives at its top, those of them that are literals given once, and whether these are all."""
    given: list[tuple[str, ast.expr | None]] = []
    told = True
    for node in tree.body:
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                given.append((name, None))
            case ast.Import(names=some) | ast.ImportFrom(names=some):
                given += [(one.asname or one.name.partition(".")[0], None) for one in some]
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                given.append((name, node.value))
            case ast.Expr() if not any(isinstance(one, ast.NamedExpr) for one in ast.walk(node)):
                continue
            case _:
                told = False
    names = Counter(name for name, _ in given)
    literals = {}
    for name, value in given:
        if names[name] == 1 and value is not None:
            with suppress(ValueError):
                literals[name] = ast.literal_eval(value)
    return set(names), literals, told and "*" not in names


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
