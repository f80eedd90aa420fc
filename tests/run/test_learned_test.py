"""A scan with a statistic that has neither sums nor a law: what is kept of it, and that it resumes to its bytes."""

from pathlib import Path

import numpy as np
import pytest
from studies import TINY

from engine import study
from engine.assembly import population
from engine.inference.cells import background_block
from engine.plan.plan import HYPOTHESES
from engine.run import pipeline
from engine.store.store import Ledger, Store

SMALL = (
    "events.train_per_kind=100", "events.test_per_kind=100", "pool.er_events=2000", "pool.nr_events=2000",
    "toys.null=1000", "toys.signal=200", "grid.exposure_ty.values=[2]", "grid.m_chi_GeV.values=[50]",
    "models.vae.epochs=1", "models.classifier.epochs=1", "limits.enabled=false",
    "toys.statistics=['count','nplm']", "toys.options.nplm={centres=10,widths=[25.0,75.0]}",
    "grid.sigma_si_cm2.values=[0.0,1e-46,1e-45]",
)  # fmt: skip


def run(store):
    return pipeline.run(study.load(str(TINY), SMALL), Store(str(store)), workers=0)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("learned") / "store"


@pytest.fixture(scope="module")
def outcome(store):
    return run(store)


def test_its_rows_are_by_toys_alone(outcome):
    rows = [row for row in outcome.table.to_pylist() if row["statistic"] == "nplm"]
    at_benchmark = [row for row in rows if row["point"] == "benchmark"]
    assert len(rows) == 4 and len(at_benchmark) == 1
    for row in rows:
        assert row["R"] is None and not row["additive"] and not row["model_dependent"]
        assert row["p_exact"] is None and row["half_shift"] is None and row["p_deficit"] is not None
        assert 1 / 1001 <= row["p_median"] <= 1
    p = {row["sigma_si_cm2"]: row["p_median"] for row in rows if row["point"] == "grid"}
    assert p[0.0] > 0.3 and p[1e-45] < 0.01


def test_null_blocks_keep_what_is_made_of_events(outcome, store):
    plan, ledger = outcome.plan, Ledger(Store(str(store)))
    null, background = (population.toys(plan, ledger, 2.0, name, [(None, "nplm")])[0] for name in HYPOTHESES)
    assert null.totals.shape == (1000, 2) and background.totals.shape == (200, 0)
    _, (again,) = background_block(outcome.population, 2.0, "null", 0, population.choices(plan, [(None, "nplm")]))
    assert np.array_equal(again, null.totals)


def test_what_was_lost_is_computed_again_to_the_same_bytes(outcome, store):
    before = Path(outcome.path).read_bytes()
    for part in [*(store / "nulls").iterdir(), *(store / "cells").iterdir(), Path(outcome.path)]:
        part.unlink()
    assert Path(run(store).path).read_bytes() == before
