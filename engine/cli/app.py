"""The commands in one app. A mistake of the user's is one line and exit code 2."""

import importlib.metadata
import sys
from typing import Annotated

import typer

from engine.cli.bench import bench
from engine.cli.compare import compare
from engine.cli.launch import launch
from engine.cli.options import say
from engine.cli.physics import physics
from engine.cli.scan import plot, scan
from engine.cli.shipped import scans_app, zoo_app
from engine.cli.store import gc, status, track
from engine.cli.tune import tune
from engine.errors import BadInput, ScanStalled, StoreFault, TaskFailed
from engine.urls import hidden

BAD_INPUT = 2

app = typer.Typer(
    no_args_is_help=True, invoke_without_command=True, add_completion=False, pretty_exceptions_enable=False,
    rich_markup_mode=None,  # [tune] is a section, no colour
)  # fmt: skip
for command in (scan, plot, status, track, gc, tune, compare, physics, launch, bench):
    app.command()(command)
app.add_typer(zoo_app, name="zoo")
app.add_typer(scans_app, name="scans")


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """How sensitive is a xenon detector to something that is not background, without assuming what it is?"""
    if version:
        say(f"recoilscan {importlib.metadata.version('recoilscan')}")
        raise typer.Exit()


def main() -> None:
    """Runs the command line; a mistake of the user's is one line and exit code 2."""
    try:
        app()
    except BadInput as error:
        print(f"error: {hidden(str(error))}", file=sys.stderr)
        sys.exit(BAD_INPUT)
    except (ScanStalled, StoreFault, TaskFailed) as error:
        print(f"error: {hidden(str(error)).rstrip('.')}; what was finished is kept", file=sys.stderr)
        sys.exit(1)
