"""`engine.scan`: a study in any form that a notebook has it in, to its table and its report."""

import os
from pathlib import Path

import pyarrow as pa
import tomlkit

from engine import plots
from engine.environment import MOST_WORKERS
from engine.errors import BadInput, shown, unknown
from engine.files import PRESET
from engine.progress import Silent
from engine.report import comparison_page, comparison_report, figures, partial, scan_report
from engine.run import comparison, pipeline
from engine.store.store import Store
from engine.study import Study, load, parse, text

OPTIONS = {  # of `scan`: their types, and what is said of another
    "address": (str, "the address of a Ray cluster, such as 'auto'"),
    "workers": (int, f"an integer, 0 to {MOST_WORKERS}"),
    "preset": (str, "the name of a preset of the study"),
    "progress": (Silent, "a reporter, as engine.progress has them"),
    "name": (str, "a name in quotes"),
}


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
        listener.note(f"report: {_keep_comparison(name, toml, chosen, compared, opened)}")
        return compared.ranking
    outcome = pipeline.run(study, opened, **options)
    listener.note(f"report: {_keep(name, toml, chosen, outcome, opened)}")
    return outcome.table


def _keep(name: str, toml: str, settings: tuple[str, ...], outcome: pipeline.Outcome, store: Store) -> str:
    """Draws and reports a scan; where its report is."""
    if outcome.n_failed:
        one = scan_report.Scanned(name, toml, settings, outcome, store, partial.draw(outcome))
        path, page = scan_report.partial_path(one), scan_report.partial_html(one)
    else:
        files = figures.draw(outcome.plan, outcome, (), "png")
        figures.keep(store, outcome.plan, files)
        one = scan_report.Scanned(name, toml, settings, outcome, store, files)
        path, page = scan_report.path(one), scan_report.html(one)
    store.put(path, page)
    return store.where(path)


def _keep_comparison(
    name: str, toml: str, settings: tuple[str, ...], compared: comparison.Comparison, store: Store
) -> str:  # fmt: skip
    ranking = plots.lean(comparison_report.keep(compared, store, "png")["ranking.png"])
    store.put(path := f"{compared.plan.folder}/{name}.html",
              comparison_page.html(name, toml, settings, compared, ranking))  # fmt: skip
    return store.where(path)


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
