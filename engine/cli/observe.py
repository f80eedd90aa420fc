"""`recoilscan observe`: a list of observed events under the frozen models of a finished scan."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from engine.cli.options import (
    DEFAULT_STORE,
    Format,
    NoCode,
    Quiet,
    Setting,
    StoreUri,
    StudyName,
    Tracking,
    again,
    finished,
    say,
    stem,
)
from engine.progress import reporter


def observe(
    study: StudyName,
    data: Annotated[Path, typer.Argument(help="A list of events: .csv, .parquet or .npy.")],
    store: StoreUri = DEFAULT_STORE,
    tracking: Tracking = None,
    settings: Setting = None,
    unblind: Annotated[
        bool, typer.Option("--unblind", help="Look into the signal region; the store keeps that it was done.")
    ] = False,
    format: Format = "png",
    quiet: Quiet = False,
    no_code: NoCode = False,
) -> None:
    """Puts observed events to a finished scan: fit of the background, p of every statistic, the most anomalous events.

    Without --unblind it says what is outside the signal region, and nothing of what is in it.
    """
    from engine.report import observed
    from engine.report.tracking import tracked
    from engine.run import observation, salt
    from engine.store.store import Store
    from engine.study import load

    parsed = load(study, tuple(settings or ()))
    exposure_ty, listed = observation.exposure_of(parsed), observation.read(parsed, data)
    opened_store = Store(store, create=False)
    outcome = finished(parsed, opened_store, again("scan", study, store, settings), stem(study))
    seen = observation.observation(outcome, listed, exposure_ty)
    for line in (*salt.notes(data), *observed.lines_before(seen)):
        say(line)
    if not unblind:
        return say("blinded: nothing of the signal region was shown; to look, and to have that kept: --unblind")
    made = observed.tables(seen, seen.unblind(opened_store, stem(study)))
    for line in observed.lines_after(made):
        say(line)
    kept = observed.files(seen, made, format)
    say(f"tables and figure: {observed.keep(seen, opened_store, kept)}")
    later = f"{again('observe', study, store, settings, tracking)} --unblind {shlex.quote(str(data))}"
    tracked.send(
        lambda: [observed.record(stem(study), seen, made, kept)], opened_store, tracking, reporter(quiet), later
    )
