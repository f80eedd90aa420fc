"""`recoilscan zoo` and `scans`: what comes with the package."""

from pathlib import Path
from typing import Annotated

import typer

from engine.cli.options import say, target
from engine.errors import BadInput, unknown
from engine.files import shipped, shipped_text

zoo_app = typer.Typer(no_args_is_help=True, help="Model families.")
scans_app = typer.Typer(no_args_is_help=True, help="Studies that come with the package.")


@zoo_app.command("list")
def zoo_list() -> None:
    """The model families that ship, and what each is."""
    import zoo

    for name in zoo.names():
        family = zoo.declared(name)
        summary = (family.__doc__ or "").strip().splitlines()[0]
        say(f"{name:<20} {family.KIND:<12} {summary}")


@scans_app.command("list")
def scans_list() -> None:
    """The studies that ship, each with its question."""
    for name in shipped():
        say(shipped_text(name).splitlines()[0].lstrip("# "))


@scans_app.command("copy")
def scans_copy(name: str, to: Annotated[Path | None, typer.Argument(help="By default ./NAME.toml.")] = None) -> None:
    """Copies a shipped study here, to be changed."""
    if name not in shipped():
        raise unknown("study", name, shipped())
    path = target(to or Path(f"{name}.toml"))
    if path.exists():
        raise BadInput(f"{str(path)!r} exists; nothing was overwritten")
    path.write_text(shipped_text(name), encoding="utf-8")
    say(f"{path}: edit it, then recoilscan scan {path}")
