"""`engine.scan`: a study in any form that a notebook has it in, to its table and its report."""

import os
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import tomlkit

from engine import plots
from engine.environment import MOST_WORKERS
from engine.errors import BadInput, shown, unknown
from engine.files import PRESET
from engine.progress import Silent
from engine.report import comparison_page, comparison_report, figures, partial, scan_report
from engine.run import comparison, pipeline
from engine.run.comparison import Comparison
from engine.run.executors import Executor, executor
from engine.run.pipeline import Outcome
from engine.store.store import Store
from engine.study import Study, load, parse, text

OPTIONS = {  # of `scan`: their types, and what is said of another
    "address": (str, "the address of a Ray cluster, such as 'auto'"),
    "workers": (int, f"an integer, 0 to {MOST_WORKERS}"),
    "preset": (str, "the name of a preset of the study"),
    "progress": (Silent, "a reporter, as engine.progress has them"),
    "name": (str, "a name in quotes"),
}


class Kept(NamedTuple):
    """What a scan left in its store: figures, tables and report.html by file name; where the first and the last are."""

    files: dict[str, bytes]
    folder: str
    report: str


def scan(
    study: Study | str | os.PathLike | dict, store: Store | str | os.PathLike = "./recoilscan-store", **options: object
) -> pa.Table:
    """The whole path for a study, resumed where it stands.

    Returns the result table (`engine.schemas.results`); of a study with a comparison its ranking, a row for each pair
    of models (`engine.stages.pair_schemas.comparison`), while the pairs' own tables are in the store. Figures and the
    report are in the store as well, as after `recoilscan scan`; `progress` is told where.

    `study` is a parsed study, a TOML file, a shipped name, or a dictionary of a study's keys. Options: `preset`, a form
    of a study that is not yet parsed; `address` of a
    Ray cluster (default: a local one), `workers` of the local one (0: none, in this process), `progress`, `name` under
    which the store keeps what was asked. Raises BadInput before any work starts; for toys just too full to be drawn,
    which the pool tells, before the first of them.
    """
    for option, value in options.items():
        _check_option(option, value)
    preset, toml = options.pop("preset", None), ""
    chosen = () if preset is None else (f"{PRESET}{preset}",)
    if isinstance(study, str | os.PathLike):
        options, toml, study = {"name": Path(study).stem} | options, text(study), load(study, chosen)
    elif not isinstance(study, Study):
        given, study = study, parse(study if preset is None else {**study, "preset": preset})
        toml = tomlkit.dumps(given)
    elif preset is not None:
        raise BadInput(f"preset = {preset!r}: this study is parsed already: it is {study.preset!r}")
    opened = store if isinstance(store, Store) else Store(store)
    name, listener = options.get("name", "study"), options.get("progress") or Silent()
    if study.compare:
        options.pop("name", None)  # a comparison's tables name their pairs
        compared = comparison.run(study, opened, **options)
        listener.note(f"report: {keep_comparison(name, toml, chosen, compared, opened).report}")
        return compared.ranking
    with closing(executor(options.pop("address", None), options.pop("workers", None), listener.note)) as on:
        outcome = pipeline.run(study, opened, on=on, **options)
        listener.note(f"report: {keep(name, toml, chosen, outcome, opened, on=on).report}")
    return outcome.table


def keep(
    name: str, toml: str, settings: tuple[str, ...], outcome: Outcome, store: Store, curves: tuple = (),
    on: Executor | None = None,
) -> Kept:  # fmt: skip
    """Draws and reports a scan that has ended, or what there is of one whose items have no answer, into its store.

    `toml` is the study's text, `settings` what was changed of it, `curves` more of them for the plane, as
    `engine.assembly.contours.read_curve` reads them, `on` what draws.
    """
    whole = outcome.n_failed == 0
    files = figures.draw(outcome.plan, outcome, curves, on=on) if whole else partial.draw(outcome)
    one = scan_report.Scanned(name, toml, settings, outcome, store, files)
    made = {"report.html": scan_report.html(one) if whole else scan_report.partial_html(one)}
    folder = figures.keep(store, outcome.plan, files) if whole else partial.keep(store, outcome.plan, files)
    store.put(path := scan_report.path(one) if whole else scan_report.partial_path(one), made["report.html"])
    return Kept(files | made, store.where(folder), store.where(path))


def keep_comparison(name: str, toml: str, settings: tuple[str, ...], compared: Comparison, store: Store) -> Kept:
    """Tables, ranking and report of a comparison that has ended, into its store."""
    files = comparison_report.keep(compared, store, "png")
    made = {"report.html": comparison_page.html(name, toml, settings, compared, plots.lean(files["ranking.png"]))}
    store.put(path := f"{compared.plan.folder}/{name}.html", made["report.html"])
    return Kept(files | made, store.where(compared.plan.folder), store.where(path))


def _check_option(option: str, value: object) -> None:
    """Raises BadInput for what is no option of a scan, and for a value that cannot be one's."""
    if option not in OPTIONS:
        raise unknown("option of a scan", option, OPTIONS)
    kind, expected = OPTIONS[option]
    if option == "name" or value is not None:
        if not isinstance(value, kind) or isinstance(value, bool):
            raise BadInput(f"{option} = {shown(value)}: expected {expected}")
        if option == "workers" and not 0 <= value <= MOST_WORKERS:
            raise BadInput(f"workers = {shown(value)}: expected {expected}")
