"""What a built-in family says of itself, without its networks: torch takes a second to import, and whoever reads a
study or counts what it asks for needs none of it.
"""

import ast
import importlib
import pkgutil
from functools import lru_cache
from types import ModuleType

SAID = {"Config", "check", "composes", "lean_size", "size"}  # beside the constants: what a family declares, see `zoo`


@lru_cache
def declared(name: str) -> ModuleType:
    """The family `zoo.NAME` of which constants and what is SAID are there at once; to ask for any other part
    imports the module itself, and torch with it. Its `Config` equals that of the module, but is another class.
    """
    tree = ast.parse(pkgutil.get_data("zoo", f"{name}.py"))
    family = ModuleType(f"zoo.{name}", ast.get_docstring(tree))
    there = {part for node in tree.body for part in _names(node)}
    family.__getattr__ = lambda part: _rest(family.__name__, part, there)
    family.__dir__ = lambda: sorted(there)
    exec(compile(ast.Module(_needed(tree.body), []), f"zoo/{name}.py", "exec"), family.__dict__)
    return family


def _rest(module: str, part: str, there: set[str]) -> object:
    if part not in there:
        raise AttributeError(f"{module} has no {part}")
    return getattr(importlib.import_module(module), part)


def _names(node: ast.stmt) -> set[str]:
    """The names that a statement at the top of a file gives."""
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.Import(names=some) | ast.ImportFrom(names=some):
            return {one.asname or one.name.partition(".")[0] for one in some}
        case ast.Assign(targets=targets):
            return {target.id for target in targets if isinstance(target, ast.Name)}
    return set()


def _needed(body: list[ast.stmt]) -> list[ast.stmt]:
    """The constants, what is SAID, and what these need, in the order of the file."""
    kept = [node for node in body if isinstance(node, ast.Assign) or SAID & _names(node)]
    while True:
        used = {inner.id for node in kept for inner in ast.walk(node) if isinstance(inner, ast.Name)}
        more = [node for node in body if node in kept or used & _names(node)]
        if len(more) == len(kept):
            return more
        kept = more
