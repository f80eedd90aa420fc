"""`engine.scan`: a study in any form that a notebook has it in, to its table."""

import os
from pathlib import Path

import pyarrow as pa

from engine.errors import BadInput, shown
from engine.run import comparison, pipeline
from engine.store.store import Store
from engine.study import Study, load, parse


def scan(
    study: Study | str | os.PathLike | dict, store: Store | str | os.PathLike = "./recoilscan-store", **options: object
) -> pa.Table:
    """The whole path for a study, resumed where it stands.

    Returns the result table (`engine.schemas.results`); of a study with a comparison its ranking, a row for each pair
    of models (`engine.stages.pair_schemas.comparison`), while the pairs' own tables are in the store.

    `study` is a parsed study, a TOML file, a shipped name, or a dictionary of a study's keys. Options: `address` of a
    Ray cluster (default: a local one), `workers` of the local one (0: none, in this process), `progress`, `price` of
    what is missing, which `progress` is told, `name` under which the store keeps what was asked. Raises BadInput before
    any work starts; for toys just too full to be drawn, which the pool tells, before the first of them.
    """
    workers = options.get("workers")
    if workers is not None and (not isinstance(workers, int) or workers < 0):
        raise BadInput(f"workers = {shown(workers)}: expected an integer, 0 or more")
    if isinstance(study, str | os.PathLike):
        options, study = {"name": Path(study).stem} | options, load(study)
    elif not isinstance(study, Study):
        study = parse(study)
    opened = store if isinstance(store, Store) else Store(store)
    if study.compare:
        options.pop("name", None)  # a comparison's tables name their pairs
        return comparison.run(study, opened, **options).ranking
    return pipeline.run(study, opened, **options).table
