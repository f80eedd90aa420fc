"""A new stage is one file and its line in STAGES: the scan makes it, and all that reads the list knows it."""

import sys
from types import ModuleType

import pyarrow as pa
import pytest
from studies import TINY

from engine import estimate, lineage, stages
from engine.estimate.costs import Costs
from engine.run import garbage, pipeline, status
from engine.store.parts import of_rows
from engine.store.store import Ledger, Store
from engine.store.units import Unit
from engine.study import load

SCHEMA = pa.schema([pa.field("exposure_ty", pa.float64()), pa.field("mean_events", pa.float64()),
                    pa.field("lineage", pa.string())])  # fmt: skip
SMALL = (
    "events.train_per_kind=100", "events.test_per_kind=100", "pool.er_events=400", "pool.nr_events=400",
    "models.vae.epochs=1", "models.classifier.epochs=1", "limits.enabled=false", "toys.exact=none",
    "toys.null=1000", "toys.signal=1000", "toys.statistics=['count']", "grid.m_chi_GeV.values=[50]",
)  # fmt: skip


def items(plan) -> list[str]:
    return [lineage.digest("means", 1, exposure, plan.nulls) for exposure in plan.exposures]


def units(inputs, missing):
    plan = inputs.plan
    for item, exposure in zip(items(plan), plan.exposures, strict=True):
        if item in missing:
            blocks = [plan.null_item(exposure, "null", block, *pair)
                      for block in range(plan.n_blocks("null")) for pair in plan.by_toys]  # fmt: skip
            n_events = pa.concat_tables([inputs.ledger.table(block) for block in blocks])["n_events"]
            yield Unit((item, exposure, n_events.to_numpy()), items=(item,), name=f"mean at {exposure:g} t y")


def work(item, exposure, n_events):
    return [of_rows("means", SCHEMA, [{"exposure_ty": exposure, "mean_events": n_events.mean(), "lineage": item}])]


@pytest.fixture
def stage(monkeypatch) -> ModuleType:
    """The stage as a module of the engine's own would be."""
    module = ModuleType("engine.stages.means")
    vars(module).update(NAME="means", VERSION=1, SCHEMA=SCHEMA, items=items, units=units, work=work)
    vars(module)["result"] = lambda inputs: inputs.ledger.rows(items(inputs.plan), "lineage")
    after = stages.STAGES.index(stages.nulls) + 1
    longer = (*stages.STAGES[:after], module, *stages.STAGES[after:])
    for name, one in list(sys.modules.items()):
        if name.startswith("engine.") and hasattr(one, "STAGES"):
            monkeypatch.setattr(one, "STAGES", longer)  # as its line in the list would
    monkeypatch.setattr(garbage, "FOLDERS", garbage.FOLDERS | {"means"})
    return module


def test_a_stage_is_a_file(stage, tmp_path):
    study, store = load(str(TINY), SMALL), Store(str(tmp_path))
    outcome = pipeline.run(study, store, workers=0)
    assert outcome.computed["means"] == 2
    rates = [row["mean_events"] / row["exposure_ty"] for row in outcome["means"].to_pylist()]
    assert rates == pytest.approx([33, 33], rel=0.5)
    found = status.status(study, store)
    assert (found.by_stage["means"].done, found.by_stage["means"].of, found.missing) == (2, 2, 0)
    assert pipeline.run(study, store, workers=0).computed["means"] == 0
    means = next(tmp_path.joinpath("means").iterdir())
    assert not [one for one in garbage.find([study], store, grace_s=0).objects if "means" in one.path]
    means.unlink()
    priced = {one.name: one for one in estimate.estimate(study, store, Costs({}, {}, "by none")).stages}
    assert (priced["means"].items, priced["means"].done) == (2, 1)
    assert pipeline.run(study, store, workers=0).computed["means"] == 1
    assert not Ledger(store).check(items(outcome.plan))
