"""`engine.scan`: a study in any form that a notebook has it in, to its table."""

import os
from pathlib import Path

import pyarrow as pa

from engine.environment import MOST_WORKERS
from engine.errors import BadInput, shown, unknown
from engine.files import PRESET
from engine.progress import Silent
from engine.run import comparison, pipeline
from engine.store.store import Store
from engine.study import Study, load, parse

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
    of models (`engine.stages.pair_schemas.comparison`), while the pairs' own tables are in the store.

    `study` is a parsed study, a TOML file, a shipped name, or a dictionary of a study's keys. Options: `preset`, a form
    of a study that is not yet parsed; `address` of a
    Ray cluster (default: a local one), `workers` of the local one (0: none, in this process), `progress`, `name` under
    which the store keeps what was asked. Raises BadInput before any work starts; for toys just too full to be drawn,
    which the pool tells, before the first of them.
    """
    for option, value in options.items():
        _check_option(option, value)
    preset = options.pop("preset", None)
    if isinstance(study, str | os.PathLike):
        chosen = () if preset is None else (f"{PRESET}{preset}",)
        options, study = {"name": Path(study).stem} | options, load(study, chosen)
    elif not isinstance(study, Study):
        study = parse(study if preset is None else {**study, "preset": preset})
    elif preset is not None:
        raise BadInput(f"preset = {preset!r}: this study is parsed already: it is {study.preset!r}")
    opened = store if isinstance(store, Store) else Store(store)
    if study.compare:
        options.pop("name", None)  # a comparison's tables name their pairs
        return comparison.run(study, opened, **options).ranking
    return pipeline.run(study, opened, **options).table


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
