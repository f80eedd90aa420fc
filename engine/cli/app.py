"""The commands in one app, and the one place where what they raise becomes a line and an exit code."""

import atexit
import importlib.metadata
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from engine.cli import failure
from engine.cli.bench import bench
from engine.cli.challenge import challenge
from engine.cli.compare import compare
from engine.cli.exchange import export, import_
from engine.cli.fit import fit
from engine.cli.launch import launch
from engine.cli.observe import WithPairs, observe
from engine.cli.options import say
from engine.cli.physics import physics
from engine.cli.report import report
from engine.cli.results import results
from engine.cli.salt import salt
from engine.cli.scan import plot, scan
from engine.cli.shipped import scans_app, zoo_app
from engine.cli.store import gc, status, track
from engine.cli.tune import tune
from engine.errors import Interrupted

EXIT_CODES = "Exit codes: 0 done, 1 failed, 2 bad input, 3 a partial table, 130 interrupted."

app = typer.Typer(
    no_args_is_help=True, invoke_without_command=True, add_completion=False, pretty_exceptions_enable=False,
    rich_markup_mode=None,  # [tune] is a section, no colour
    epilog=EXIT_CODES,
)  # fmt: skip
for command in (scan, plot, report, status, results, track, gc, tune, compare, fit, observe, salt, challenge, physics,
                export, launch, bench):  # fmt: skip
    app.command(cls=WithPairs if command is observe else None)(command)
app.command("import")(import_)
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


class _Interrupts:
    """Ctrl-C: the first ends what is under way, the second the process."""

    count = 0

    def __call__(self, number: int, frame: object) -> None:
        self.count += 1
        if self.count > 1:
            os.write(2, b"interrupted twice: ended at once\n")
            os._exit(failure.INTERRUPTED)
        raise KeyboardInterrupt


@contextmanager
def _interrupts() -> Iterator[_Interrupts]:
    """Counts them, where this is the main thread and they are not ignored, as in the background of a shell."""
    found, before = _Interrupts(), signal.getsignal(signal.SIGINT)
    mine = threading.current_thread() is threading.main_thread() and before is not signal.SIG_IGN
    if mine:
        signal.signal(signal.SIGINT, found)
        # the last thing that is done: an interpreter that ends has no handlers, and would lose the exit code
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)
    try:
        yield found
    finally:
        if mine and not found.count:  # else a second one ends the process even in its last moments
            signal.signal(signal.SIGINT, before)


def main() -> None:
    """Runs the command line: whatever a command raises is one line on stderr and an exit code (EXIT_CODES)."""
    found: dict[str, str] = {}  # the store, by the option that names it
    with _interrupts() as interrupts:
        try:
            app(obj=found)
        except (SystemExit, KeyboardInterrupt) as end:
            code = getattr(end, "code", failure.INTERRUPTED)  # which typer makes of Ctrl-C, too
            if code != failure.INTERRUPTED and not (code and interrupts.count):
                raise
            kept = Interrupted(f"what was finished is kept. Resume with: {failure.command()}")
            raise SystemExit(failure.said(kept, None)) from end
        except Exception as error:
            raise SystemExit(failure.said(error, found.get("store"))) from error
