"""`recoilscan report`: a finished study, or two side by side, as one page that one can send."""

from pathlib import Path
from typing import Annotated

import typer

from engine.cli.options import (
    DEFAULT_STORE,
    NoCode,
    Preset,
    Setting,
    StoreUri,
    StudyName,
    again,
    finished,
    say,
    stem,
    target,
)
from engine.errors import BadInput


def report(
    study: StudyName,
    beside: Annotated[str | None, typer.Argument(help="Another study of the store, as it stands, beside it.")] = None,
    store: StoreUri = DEFAULT_STORE,
    settings: Setting = None,
    preset: Preset = None,
    into: Annotated[Path | None, typer.Option("--into", callback=target, help="A file; else in the store.")] = None,
    no_code: NoCode = False,
) -> None:
    """Writes a finished study's report: one HTML file with all its tables and figures; of two studies, side by side."""
    from engine.cli import comparison
    from engine.report import figures, scan_report
    from engine.store.store import Store
    from engine.study import load

    named = [(study, settings), *([(beside, None)] if beside else [])]
    parsed = [load(name, tuple(some or ())) for name, some in named]
    opened_store = Store(store, create=False)
    if any(one.compare for one in parsed):
        if beside:
            raise BadInput(f"{study!r} and {beside!r}: one compares pairs of models, and is reported alone")
        return comparison.report(study, parsed[0], opened_store, settings, into)
    outcomes = [finished(one, opened_store, again("scan", name, store, some), stem(name))
                for (name, some), one in zip(named, parsed, strict=True)]  # fmt: skip
    if len({outcome.plan.table for outcome in outcomes}) < len(outcomes):
        raise BadInput(f"{study!r} and {beside!r} have one and the same table, {outcomes[0].plan.table}: name another "
                       "study, or change the first by --set")  # fmt: skip
    scans = [scanned(name, some, outcome, opened_store, figures.whole(outcome, opened_store))
             for (name, some), outcome in zip(named, outcomes, strict=True)]  # fmt: skip
    made = scan_report.html(*scans)
    if into:
        into.write_bytes(made)
    else:
        opened_store.put(scan_report.path(*scans), made)
    say(f"report: {into or opened_store.where(scan_report.path(*scans))}")


def scanned(study: str, settings: list[str] | None, outcome, store, files: dict[str, bytes]):
    """A finished scan as a report takes it; `files` are its figures."""
    from engine.report.scan_report import Scanned
    from engine.study import text

    return Scanned(stem(study), text(study), tuple(settings or ()), outcome, store, files)
