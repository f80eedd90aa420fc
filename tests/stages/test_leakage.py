"""Z and the exposure of three sigma by how well the leakage is known: what is computed, told and drawn."""

import numpy as np
import pyarrow.compute as pc
import pytest

from engine import schemas, study
from engine.errors import BadInput
from engine.physics.spectra.wimp_si import SIZE
from engine.plan.plan import Plan
from engine.plots import render
from engine.plots.leakage import leakage as draw
from engine.report import results_page
from engine.run import pipeline
from engine.stages import leakage
from engine.store.scratch import Scratch

STUDY = {
    "representation": {"name": "summary"}, "score": {"name": "classifier"},
    "models": {"classifier": {"name": "summary_classifier", "epochs": 5}},
    "events": {"train_per_kind": 2000, "test_per_kind": 100}, "pool": {"er_events": 20_000, "nr_events": 2000},
    "grid": {"m_chi_GeV": {"values": [50]}, "sigma_si_cm2": {"values": [1e-46]}, "exposure_ty": {"values": [1, 5]}},
    "benchmark": {"sigma_si_cm2": 1e-47}, "toys": {"null": 2000, "signal": 1000, "exact": "benchmark"},
    "reach": {"exposure_ty": [1, 40], "p": 0.01, "groups": 2}, "limits": {"enabled": False},
}  # fmt: skip
STUDY["toys"] |= {"statistics": ["excess_scan"], "options": {"excess_scan": {"thresholds": 16}}}
LEVELS = {"factors": [1, 1.5, 3], "calibration_events": [1e5]}


def plan_of(known: dict | None = None, scan: dict | None = None) -> Plan:
    known = {} if known is None else {"backgrounds": {"leakage": known}, "reach": {"enabled": False}}
    return Plan(study.parse(STUDY | known | ({} if scan is None else {"leakage_scan": scan})))


@pytest.fixture(scope="module")
def store():
    return Scratch()


@pytest.fixture(scope="module")
def outcome(store):
    return pipeline.run(plan_of(scan=LEVELS).study, store, workers=0)


@pytest.fixture(scope="module")
def rows(outcome):
    return outcome["leakage"].table.to_pylist()


def z_of(rows, exposure_ty, **wanted):
    wanted |= {"exposure_ty": exposure_ty}
    (row,) = (r for r in rows if all(r[name] == value for name, value in wanted.items()))
    return row["z"]


def test_every_row_once_with_units(outcome, rows):
    table = outcome["leakage"].table
    assert table.schema.equals(schemas.leakage(SIZE))
    wanted = schemas.leakage(SIZE)
    assert all(table.schema.field(name).metadata == wanted.field(name).metadata for name in wanted.names)
    assert table["lineage"].to_pylist() == leakage.items(outcome.plan)
    assert len(rows) == 4 * (2 + 1)
    assert all((row["z"] is None) == (row["exposure_ty"] is None) == (row["status"] is not None) for row in rows)
    assert 0 < rows[0]["er_leakage"] < 0.2


@pytest.mark.parametrize("exposure_ty", [1.0, 5.0])
def test_exactly_known_is_what_the_table_says_and_less_is_worse(outcome, rows, exposure_ty):
    at_benchmark = [r for r in outcome.table.to_pylist() if r["point"] == "benchmark"]
    (row,) = (r for r in at_benchmark if r["exposure_ty"] == exposure_ty)
    assert row["leakage_known"] == 1.0
    z = [z_of(rows, exposure_ty, calibration_events=None, leakage_known=known) for known in (1.0, 1.5, 3.0)]
    assert z[0] == row["z_exact"] and z[0] > z[1] > z[2]
    assert z[2] < z_of(rows, exposure_ty, calibration_events=1e5) < z[0]


def test_the_less_is_known_the_longer_it_takes(rows):
    of_factors = [r for r in rows if r["calibration_events"] is None and r["exposure_ty"] is None]
    t3 = [np.inf if r["t3_ty"] is None else r["t3_ty"] for r in of_factors]
    assert t3[0] <= t3[1] <= t3[2] and t3[0] < t3[2]


def test_a_study_that_knows_it_so_has_the_same_z_and_its_own_toys(store, rows):
    known = pipeline.run(plan_of({"factor": 1.5}).study, store, workers=0)
    assert known.computed["events"] == known.computed["models"] == known.computed["scores"] == 0
    assert known.computed["nulls"] > 0
    for row in known.table.to_pylist():
        assert row["leakage_known"] == 1.5
        if row["z_exact"] is None:
            continue
        wanted = {"calibration_events": None, "leakage_known": 1.5}
        assert row["z_exact"] == z_of(rows, row["exposure_ty"], **wanted)
        assert row["pull"] is None or abs(row["pull"]) < 5


def test_exactly_known_leaves_every_digest_as_it_is():
    assert plan_of().table == plan_of({"factor": 1.0}).table == plan_of(scan=LEVELS).table
    assert plan_of().nulls != plan_of({"factor": 1.2}).nulls
    more = plan_of(scan=LEVELS | {"factors": [1, 1.5, 3, 5]})
    assert set(leakage.items(plan_of(scan=LEVELS))) < set(leakage.items(more))


def test_it_is_told_and_drawn(outcome):
    lines = list(leakage.lines(outcome["leakage"], outcome.plan.study))
    assert len(lines) == 2
    assert "(exactly known)" in lines[0] and "(x3)" in lines[0] and "(100000 calibration events)" in lines[0]
    page = results_page.by_leakage(outcome)
    assert page.splitlines()[0].endswith("| exactly known | to 1.5 | to 3 | 100000 calibration events |")
    assert len(page.splitlines()) == 2 + 3
    figure = draw(outcome["leakage"].table, SIZE)
    assert [axes.get_xlabel() for axes in figure.axes[2:]] == [
        "leakage known to a factor (1: exactly)", "calibration events",
    ]  # fmt: skip
    for wanted in (pc.field("calibration_events").is_null(), pc.field("calibration_events").is_valid(),
                   pc.field("exposure_ty").is_valid(), pc.field("t3_ty").is_null()):  # fmt: skip
        assert render(draw(outcome["leakage"].table.filter(wanted), SIZE), "png")
    said = [line for line in outcome_lines(outcome) if line.startswith("every Z")]
    assert said == ["every Z: rates prior_predictive, leakage of electron recoils exactly known"]


def outcome_lines(outcome):
    from engine.stages import tables

    return tables.lines(outcome["tables"], outcome.plan.study)


@pytest.mark.parametrize(
    ("known", "scan", "said"),
    [
        ({"factor": 0.5}, None, "backgrounds.leakage.factor"),
        ({"factor": 2.0, "calibration_events": 1e4}, None, "factor or calibration_events, not both"),
        (None, {"factors": [1, 1]}, "names one of them twice"),
    ],
)
def test_a_mistake_is_named(known, scan, said):
    with pytest.raises(BadInput, match=said):
        plan_of(known, scan)
