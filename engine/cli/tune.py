"""`recoilscan tune`: the best R and the best fields of the models, and the study that has them."""

from pathlib import Path
from typing import Annotated

import typer

from engine.cli.options import (
    DEFAULT_STORE,
    Address,
    NoCode,
    Preset,
    Quiet,
    Setting,
    Storage,
    StoreUri,
    StudyName,
    Tracking,
    Workers,
    again,
    say,
    stem,
    target,
)
from engine.progress import reporter


def tune(
    study: StudyName,
    store: StoreUri = DEFAULT_STORE,
    tracking: Tracking = None,
    address: Address = None,
    workers: Workers = None,
    settings: Setting = None,
    preset: Preset = None,
    to: Annotated[
        Path, typer.Option("--to", callback=target, help="Where the study with the best goes; never overwritten.")
    ] = Path("tuned.toml"),
    storage: Storage = None,
    quiet: Quiet = False,
    no_code: NoCode = False,
) -> None:
    """Scans R, and the fields of [tune.search], on a pool of its own; writes the study with the best values."""
    from engine import study as studies
    from engine.report import tuned
    from engine.report.tracking import tracked
    from engine.run.tuning import search
    from engine.store.store import Store

    written, progress, opened_store = studies.document(study, tuple(settings or ())), reporter(quiet), Store(store)
    parsed = studies.parse(written.unwrap(), study)
    result = search.run(parsed, opened_store, storage, address=address, workers=workers, progress=progress)
    progress.note(f"computed {sum(result.computed.values())} items")
    progress.note(tuned.words(result))
    say(f"table: {result.path}")
    files = tuned.files(result, written)
    for name, data in files.items():
        opened_store.put(f"figures/{result.item}/{name}", data)
    say(f"figures: {opened_store.where(f'figures/{result.item}')}")
    later = again("tune", study, store, settings, tracking)  # which then computes nothing
    tracked.send(lambda: tuned.records(stem(study), result, files), opened_store, tracking, progress, later)
    say(_keep(to, files["tuned.toml"].decode()))


def _keep(path: Path, text: str) -> str:
    """Writes a study where there is none; says what was done, or that nothing was overwritten."""
    if not path.exists():
        path.write_text(text, encoding="utf-8")
    elif path.read_text(encoding="utf-8", errors="replace") != text:
        return f"{path} exists and is another study; nothing was overwritten: say where with --to"
    return f"study with the best values: {path}; next: recoilscan scan {path}"
