"""A finished scan whose counts have every kind of nuisance: rates, leakage, the finite pool, a kind of its own."""

import pytest
from studies import STUDIES

from engine import study
from engine.run import pipeline
from engine.store.store import Store

COUNTED = STUDIES / "counted.toml"


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    """With the scan of `counted` in it."""
    made = Store(str(tmp_path_factory.mktemp("counted") / "store"))
    pipeline.run(study.load(str(COUNTED)), made, workers=0)
    return made


@pytest.fixture(scope="session")
def outcome(store):
    """The same as it is stored."""
    return pipeline.finished(study.load(str(COUNTED)), store)
