"""`recoilscan results`: what a finished scan says, in lines and as the tables of a README, from stored results."""

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
from engine.errors import BadInput, shown


def results(
    study: StudyName,
    store: StoreUri = DEFAULT_STORE,
    settings: Setting = None,
    preset: Preset = None,
    into: Annotated[Path | None, typer.Option("--into", callback=target, help="A Markdown file to fill anew.")] = None,
    no_code: NoCode = False,
) -> None:
    """Prints a finished study's Z and T3 at the benchmark in Markdown, every line of every stage and where tables are;
    or puts the former into a file."""
    from engine import stages
    from engine.report import results_page, summary
    from engine.store.store import Store
    from engine.study import load

    if into and not into.is_file():
        raise BadInput(f"--into {shown(str(into), 200)} is no file")
    parsed, opened_store = load(study, tuple(settings or ())), Store(store, create=False)
    outcome = finished(parsed, opened_store, again("scan", study, store, settings))
    if into:
        into.write_text(results_page.filled(into.read_text(), stem(study), outcome))
        return say(f"tables of {stem(study)}: {into}")
    say(results_page.headline(outcome))
    if len(outcome["leakage"].table):
        say(results_page.by_leakage(outcome))
    for line in summary.lines(outcome):
        say(line)
    for stage in stages.shown():
        if getattr(outcome[stage.NAME], "path", None):
            say(f"{'table' if stage is stages.tables else stage.NAME}: {outcome[stage.NAME].path}")
