"""One search out of several statistics, values of R and seeds: what is computed, kept, told and drawn."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine import schemas, study
from engine.assembly.results import rows_at
from engine.errors import BadInput
from engine.inference.significance import z_one_sided
from engine.physics.spectra.wimp_si import SIZE
from engine.plan.plan import Plan
from engine.plots.exposure import p_against_exposure
from engine.report import figures
from engine.run import pipeline
from engine.stages import combined
from engine.store.scratch import Scratch

STUDY = {
    "representation": {"name": "summary"}, "score": {"name": "elbo_and_classifier", "R": [0.0, 1e4]},
    "models": {"vae": {"name": "dense_vae", "hidden": [8], "latent": 2, "epochs": 1},
               "classifier": {"name": "summary_classifier", "epochs": 3}},
    "events": {"train_per_kind": 400, "test_per_kind": 100}, "pool": {"er_events": 4000, "nr_events": 1000},
    "grid": {"m_chi_GeV": {"values": [50]}, "sigma_si_cm2": {"values": [0.0, 1e-46]},
             "exposure_ty": {"values": [1, 4]}},
    "benchmark": {"sigma_si_cm2": 3e-47}, "toys": {"null": 2000, "signal": 1500, "exact": "benchmark"},
    "reach": {"enabled": False}, "limits": {"enabled": False}, "combined": {}, "training": {"n_seeds": 2},
}  # fmt: skip
STUDY["toys"] |= {"statistics": ["tail_count", "count"]}
MORE = STUDY["toys"] | {"statistics": ["tail_count", "extended_poisson", "known_signal", "count"]}
CHOICES = 2 * 2 + 1  # tail_count by R and seeds, and the count once


def parsed(**changed):
    return study.parse(STUDY | changed)


@pytest.fixture(scope="module")
def store():
    return Scratch()


@pytest.fixture(scope="module")
def outcome(store):
    return pipeline.run(parsed(), store, workers=0)


@pytest.fixture(scope="module")
def rows(outcome):
    return outcome["combined"].table.to_pylist()


def test_a_row_for_every_point_with_units(outcome, rows):
    table, wanted = outcome["combined"].table, schemas.combined(SIZE)
    assert table.schema.equals(wanted) and all(field.metadata[b"meaning"] for field in table.schema)
    assert all(table.schema.field(name).metadata == wanted.field(name).metadata for name in wanted.names)
    places = [(row["m_chi_GeV"], row["sigma_si_cm2"], row["exposure_ty"]) for row in rows]
    assert places == [(50, size, exposure) for exposure in (1, 4) for size in (0.0, 3e-47, 1e-46)]
    for row in rows:
        assert (row["n_choices"], row["n_seeds"], row["R"]) == (CHOICES, 2, [0.0, 1e4])
        assert (row["statistics"], row["pairs"]) == ("tail_count, count", "dense_vae-summary_classifier")
        assert (row["n_toys_null"], row["n_toys_signal"]) == (2000, 1500)
        assert 1 <= row["trial_factor"] <= CHOICES and row["z_median"] == z_one_sided(row["p_median"])
        assert row["p_low"] <= row["p_median"] <= row["p_high"]


def test_the_best_one_is_a_row_of_the_table_or_another_seeds(outcome, rows):
    for row in rows:
        place = {name: row[name] for name in ("m_chi_GeV", "sigma_si_cm2", "exposure_ty")}
        of_table = rows_at(outcome.table, place)
        assert len(of_table) == 3 and row["p_best"] <= min(one["p_median"] for one in of_table)
        if row["best_seed"] == outcome.plan.study.fit_seed:
            name = {"statistic": row["best_statistic"], "R": row["best_R"]}
            (same,) = rows_at(outcome.table, place | name)
            assert (same["p_median"], same["tail"]) == (row["p_best"], row["tail_best"])
        for name in ("n_background", "n_signal", "z_count", "er_leakage"):
            assert row[name] == of_table[0][name]


def test_without_signal_there_is_nothing_to_find_and_with_one_it_is_found(rows):
    for row in rows:
        if row["sigma_si_cm2"] == 0:
            assert -0.7 < row["z_median"] < 0.1  # counts, and a null that holds the pool's error, are conservative
    assert rows[-1]["z_median"] > rows[-3]["z_median"] + 1


def test_a_scan_again_computes_nothing_and_one_part_less_is_made_again_to_the_byte(store, outcome):
    again = pipeline.run(parsed(), store, workers=0)
    assert not any(again.computed.values()) and again["combined"].table.equals(outcome["combined"].table)
    alone = pipeline.run(parsed(grid=STUDY["grid"] | {"exposure_ty": {"values": [4]}}), store, workers=0)
    assert alone.computed["combined"] == alone.computed["nulls"] == 0
    of_four = pa.Table.from_batches(outcome["combined"].table.slice(3).to_batches())
    assert alone["combined"].table.equals(of_four)


def test_what_was_asked_before_keeps_its_name():
    bare, plan = Plan(study.parse({name: value for name, value in STUDY.items() if name != "combined"})), Plan(parsed())
    assert bare.table == plan.table and bare.nulls == plan.nulls and combined.items(bare) == []
    assert [one.exact for one in bare.siblings] == [one.exact for one in plan.siblings]
    assert [len(one.nulls) for one in bare.siblings] == [0]
    named = Plan(parsed(combined={"statistics": ["tail_count", "count"], "R": [0.0, 1e4]}))
    assert combined.items(named) == combined.items(plan)
    wanted = [(0.0, "tail_count"), (1e4, "tail_count"), (None, "count")]
    assert Plan(parsed(toys=MORE)).combined == plan.combined == wanted
    less = Plan(parsed(combined={"statistics": ["count"]}))
    assert not set(combined.items(less)) & set(combined.items(plan)) and len(less.siblings[0].nulls) == 0


def test_it_is_told_and_drawn(outcome, monkeypatch):
    at_1, at_4 = combined.lines(outcome["combined"], outcome.plan.study)
    assert at_1.startswith(f"smallest p of {CHOICES} (tail_count, count), 1 t y: p = ") and "best one alone" in at_4
    found = combined.metrics(outcome["combined"], outcome.plan.study)
    assert set(found) == {f"z/{name}_{exposure}ty" for name in ("combined", "trial_factor") for exposure in "14"}
    figure = p_against_exposure(outcome.table, SIZE, outcome["combined"].table, **outcome.plan.study.at)
    assert f"smallest of {CHOICES}, calibrated" in figure.axes[0].get_legend_handles_labels()[1]
    for drawn in ("_figures", "_planes"):  # which take a minute
        monkeypatch.setattr(figures, drawn, lambda *_: iter(()))
    kept = figures.draw(outcome.plan, outcome)["combined.parquet"]
    assert pq.read_table(pa.BufferReader(kept)).equals(outcome["combined"].table)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"combined": {"statistics": ["excess_scn"]}}, "excess_scn"),
        ({"toys": MORE, "combined": {"statistics": ["known_signal"]}}, "'known_signal' has no toys"),
        ({"combined": {"R": [2.0]}}, "combined: R '2'"),
        ({"combined": {"statistics": []}}, "combined.statistics"),
        ({"toys": STUDY["toys"] | {"statistics": ["extended_poisson"]}}, "none of extended_poisson"),
    ],
)
def test_a_mistake_is_named(changed, said):
    with pytest.raises(BadInput, match=said):
        parsed(**changed)
