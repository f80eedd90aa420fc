"""`recoilscan export` and `import`: what a scan made, for other tools and other stores."""

import importlib.metadata
import os
from pathlib import Path
from typing import Annotated

import typer

from engine import plugins
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
from engine.errors import BadInput, shown, unknown

FORMATS, MODELS = "engine.report.formats", "models"


def _format(name: str) -> str:
    if name != MODELS and name not in plugins.names(FORMATS):
        raise unknown("format", name, (MODELS, *plugins.names(FORMATS)))
    return name


def export(
    study: StudyName,
    form: Annotated[str, typer.Option("--as", help="hepdata, hist, hs3, models or pyhf.", callback=_format)],
    into: Annotated[Path, typer.Option("--into", help="A new folder; of models, a new file.")],
    store: StoreUri = DEFAULT_STORE,
    settings: Setting = None,
    preset: Preset = None,
    no_code: NoCode = False,
) -> None:
    """Writes a finished scan in the format of another tool, or its fits and scored pool for another store."""
    from engine.store.store import Store
    from engine.study import load

    _check(into, form)
    parsed, opened_store = load(study, tuple(settings or ())), Store(store, create=False)
    once = again("scan", study, store, settings)
    if form == MODELS:
        return _models(parsed, opened_store, stem(study), into, once)
    if parsed.compare:
        raise BadInput(f"{study!r} compares pairs of models: --as models takes them all, --as {form} the study of one")
    made = plugins.load(FORMATS, form).files(finished(parsed, opened_store, once), stem(study))
    into.mkdir(exist_ok=True)
    for name, content in made.items():
        (into / name).write_bytes(content)
    say(f"{form}: {len(made)} files in {into}")


def _check(into: Path, form: str) -> None:
    """Raises BadInput where something is there already, or nothing can be written."""
    if os.path.isdir(into) and form != MODELS and not os.listdir(into):
        target(into / "file")
    elif os.path.lexists(into):
        raise BadInput(f"--into {shown(str(into), 150)} is there already; nothing is written over")
    else:
        target(into)


def _models(study, store, name: str, into: Path, once: str) -> None:
    from engine import stages
    from engine.plan.members import plan_of
    from engine.store import archive
    from engine.store.store import Ledger

    made, ledger = stages.items(plan_of(study)), Ledger(store)
    items = made["models"] + made["scores"]  # to which the truth of scored events belongs; no event of the training
    if missing := [item for item in items if item not in ledger.entries]:
        raise BadInput(f"{len(missing)} of {len(items)} fits and scores of this study are not in {store.uri!r}; "
                       f"run: {once}")  # fmt: skip
    listed = archive.pack(store, ledger, items, name, importlib.metadata.version("recoilscan"), into)
    say(f"models: {len(made[MODELS])} fits and {len(listed.parts) - len(made[MODELS])} parts of scored events, "
        f"{into.stat().st_size / 1e6:.1f} MB: {into}")  # fmt: skip


def import_(
    file: Annotated[Path, typer.Argument(help="What `export --as models` wrote.")],
    store: StoreUri = DEFAULT_STORE,
) -> None:
    """Takes the fits and scored pool of another store into this one, where a scan of the study finds them."""
    from engine.run.pipeline import FIRST
    from engine.store import archive

    listed, new = archive.unpack(file, store, (stage.NAME for stage in FIRST))
    say(f"imported {len(listed.parts)} parts of {listed.study} (recoilscan {listed.version}), {new} of them new: "
        f"{store}")  # fmt: skip
