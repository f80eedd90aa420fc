"""Commands that look after a store: how far a study is in it, and what nobody refers to."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from engine.cli.options import (
    DEFAULT_STORE,
    FORMATS,
    NoCode,
    Preset,
    Setting,
    StoreUri,
    StudyName,
    Tracking,
    again,
    console,
    finished,
    say,
    stem,
    target,
)
from engine.errors import BadInput, listed, shown, unknown
from engine.progress import reporter


def status(
    study: StudyName,
    store: StoreUri = DEFAULT_STORE,
    settings: Setting = None,
    preset: Preset = None,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
    draw: Annotated[Path | None, typer.Option("--map", callback=target, help="Draws how far the grid is done.")] = None,
    tuning: Annotated[bool, typer.Option("--tune", help="Of `recoilscan tune` instead: its trials, the best.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Read every part, and hold it against its hash.")] = False,
    why: Annotated[str | None, typer.Option(help="Why an item failed, and its traceback: (part of) its name.")] = None,
    no_code: NoCode = False,
) -> None:
    """How far a study is: items done, missing, stale, corrupt, failed, and why; its table. Changes nothing."""
    from engine.store.store import Store

    if why is not None and (as_json or draw):
        raise BadInput("--why says one thing; --json and --map say others: give one")
    if tuning and draw:
        raise BadInput("--map draws the grid of a scan; with --tune there is none")
    if draw and draw.suffix not in ("", *(f".{name}" for name in FORMATS)):
        raise unknown("figure format", draw.suffix, FORMATS)
    opened_store = Store(store, create=False)
    summary = _status(study, opened_store, settings, tuning, verify)
    if why is not None:
        return _say_why(summary, opened_store, why)
    if draw:
        _draw_coverage(summary, draw)
    if as_json:
        print(json.dumps(summary.as_json()))
        return
    names = "done", "of", "failed", "corrupt", "stale"
    rows = Table("stage", *names)
    for name, stage in summary.by_stage.items():
        rows.add_row(name, *(str(getattr(stage, column)) for column in names))
    console.print(rows)
    for line in summary.lines():
        say(line)
    if not summary.exists:
        say(f"there is no store at {store}, and none was made")
    say(f"table: {summary.table or 'none yet: ' + again('tune' if tuning else 'scan', study, store, settings)}")


def _status(study: str, store, settings: list[str] | None, tuning: bool, verify: bool):
    from engine.study import load

    parsed = load(study, tuple(settings or ()))
    if tuning:
        from engine.run.tuning import search  # torch takes seconds to import: who tunes pays

        return search.status(parsed, store, verify)
    from engine.run.status import status

    return status(parsed, store, stem(study), verify)


def _say_why(summary, store, asked: str) -> None:
    """The reason and the traceback of the item that failed whose name this is, or is a part of as of no other."""
    if not summary.failed:
        raise BadInput(f"--why {shown(asked)}: nothing has failed")
    named = [asked] if asked in summary.failed else [name for name in summary.failed if asked in name]
    if not named:
        raise unknown("item for --why,", asked, summary.failed)
    if len(named) > 1:
        raise BadInput(f"--why {shown(asked)}: {len(named)} failed items have that in their names: {listed(named)}")
    (name,) = named
    say(f"{name}: {summary.failed[name]}")
    try:
        say("\n" + store.get(summary.details[name]).decode(errors="replace").rstrip())
    except (KeyError, FileNotFoundError):
        say("no traceback was kept, or it was removed")


def track(
    study: StudyName,
    store: StoreUri = DEFAULT_STORE,
    tracking: Tracking = None,
    settings: Setting = None,
    preset: Preset = None,
    no_code: NoCode = False,
) -> None:
    """Sends a finished study to MLflow from its store alone: after an outage, or to another server. Changes nothing."""
    from engine.cli import comparison
    from engine.cli.report import scanned
    from engine.report import figures, scan_report
    from engine.report.tracking import tracked
    from engine.store.store import Store
    from engine.study import load

    parsed, opened_store = load(study, tuple(settings or ())), Store(store, create=False)
    later = again("track", study, store, settings, tracking)
    if parsed.compare:
        once_more = again("scan", study, store, settings)
        sent = comparison.track(study, parsed, opened_store, settings, tracking, later, once_more)
    else:
        outcome = finished(parsed, opened_store, again("scan", study, store, settings))
        files = figures.whole(outcome, opened_store)
        files |= {"report.html": scan_report.html(scanned(study, settings, outcome, opened_store, files))}
        sent = tracked.send_scan(stem(study), outcome, opened_store, files, tracking, reporter(False), later)
    if not sent:
        raise typer.Exit(1)


def gc(
    studies: Annotated[list[str] | None, typer.Argument(help="Studies whose results stay: files or names.")] = None,
    store: StoreUri = DEFAULT_STORE,
    delete: Annotated[bool, typer.Option("--delete", help="Remove what is listed.")] = False,
    grace_hours: Annotated[float, typer.Option(min=0.0, help="What is younger is left alone.")] = 24.0,
    no_code: NoCode = False,
) -> None:
    """Lists what no given study refers to, with sizes; removes it with --delete, and else nothing."""
    from engine.run import garbage
    from engine.store.store import Store
    from engine.study import load

    opened_store = Store(store, create=False)
    leftovers = garbage.find([load(name) for name in studies or ()], opened_store, grace_hours * 3600)
    for one in leftovers.objects:
        say(f"{one.size_bytes:>12,} {one.path}")
    for folder, (n, size) in leftovers.by_folder.items():
        say(f"{folder}: {n} objects, {size / 1e6:.1f} MB")
    if leftovers.young:
        say(f"{leftovers.young} more are younger than {grace_hours:g} hours (--grace-hours)")
    if delete:
        garbage.delete(opened_store, leftovers)
    total = sum(one.size_bytes for one in leftovers.objects) / 1e6
    done = "removed" if delete else "nothing was removed; with --delete this goes"
    say(f"{len(leftovers.objects)} objects, {total:.1f} MB: {done}")


def _draw_coverage(summary, to: Path) -> None:
    from engine import plots
    from engine.report.partial import covered

    to.write_bytes(plots.render(covered(summary.coverage), to.suffix.lstrip(".") or "png"))
