"""The whole path on a small study: same study, same bytes; what exists is not computed again."""

import json
import re
import shutil

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import scanned
from scanned import computed, tracked
from studies import LIGHT

from engine import schemas, stages, study
from engine.plan.plan import Plan
from engine.run import pipeline
from engine.run.executors import InProcess
from engine.run.status import Status
from engine.run.status import status as how_far
from engine.store.store import Store

NETWORK_FIGURES = {"posterior_predictive.png", "elbo_energy.png", "latent.png", "reconstruction.png"}


@pytest.fixture
def copy(reference, tmp_path):
    """A copy of the finished store, to be damaged or extended."""
    return shutil.copytree(reference.store, tmp_path / "store")


def run(parsed: study.Study, store) -> pipeline.Outcome:
    return pipeline.run(parsed, Store(str(store)), workers=0)


def status(study_path, store) -> Status:
    return how_far(study.load(str(study_path)), Store(str(store)))


class TestTable:
    def test_it_has_the_schema_and_every_row_once(self, reference, tiny):
        table, plan = pq.read_table(reference.table), Plan(study.load(str(tiny)))
        assert table.schema.equals(schemas.results(plan.study.signal.size))
        assert table.column("lineage").to_pylist() == [
            item for item in table.column("lineage").to_pylist() if item in plan.cells
        ]
        assert sorted(table.column("lineage").to_pylist()) == sorted(plan.cells)
        assert all(field.metadata[b"meaning"] for field in pq.read_schema(reference.table))

    def test_the_background_is_the_published_one(self, reference):
        table = pq.read_table(reference.table)
        per_ty = pc.divide(table["n_background"], table["exposure_ty"]).to_numpy()
        np.testing.assert_allclose(per_ty, 33.3, rtol=0.05)

    def test_no_signal_gives_what_background_gives(self, reference):
        table = pq.read_table(reference.table)
        rows = table.filter((pc.field("sigma_si_cm2") == 0) & (pc.field("statistic") == "extended_poisson"))
        assert set(rows["n_signal"].to_pylist()) == {0.0}
        np.testing.assert_allclose(rows["p_median"].to_numpy(), 0.5, atol=0.07)  # 1500 toys on both sides

    def test_toys_scatter_about_the_exact_law(self, reference):
        """At the benchmark, where both speak; five times the counting error is far beyond chance."""
        columns = pq.read_table(reference.table, columns=["statistic", "pull", "pull_median"]).to_pylist()
        both = [row for row in columns if row["pull"] is not None and row["pull_median"] is not None]
        assert {"extended_poisson", "tail_count"} <= {row["statistic"] for row in both}
        assert all(abs(row[name]) < 5 for row in both for name in ("pull", "pull_median"))

    def test_more_cross_section_means_less_p_in_the_tail(self, reference):
        table = pq.read_table(reference.table).filter(
            (pc.field("statistic") == "tail_count") & (pc.field("point") == "grid")
        )
        frame = table.select(["exposure_ty", "m_chi_GeV", "R", "sigma_si_cm2", "p_median"]).to_pylist()
        curves = {}
        for row in frame:
            place = row["exposure_ty"], row["m_chi_GeV"], row["R"]
            curves.setdefault(place, []).append((row["sigma_si_cm2"], row["p_median"]))
        assert len(curves) == 4
        for curve in curves.values():
            assert np.all(np.diff([p for _, p in sorted(curve)]) <= 0)

    def test_the_log_says_where_things_are(self, reference):
        log = reference.log
        assert f"table: {reference.table}" in log
        assert re.search(r"figures: .*figures/\w+", log)
        assert "Simulated: darwin, 50 t y: " in log and "of wimp_si at 50 GeV, 6.5e-48 cm2." in log

    def test_figures_and_contours_are_there(self, reference):
        names = {path.name for path in (reference.store / "figures").glob("*/*")}
        assert {"contours.csv", "roc.png", "p_against_exposure.png", "scores_R10000.png"} <= names
        assert "plane_tail_count_R10000_50ty.png" in names and {*NETWORK_FIGURES, "confusion.png"} <= names

    def test_every_classifier_stands_on_both_populations_beside_the_floor(self, reference, run_here, tiny):
        said = run_here("results", tiny, "--store", reference.store).stdout.splitlines()
        (path,) = (reference.store / "diagnostic_tables").iterdir()
        table = pq.read_table(path)
        assert table.schema.equals(schemas.DIAGNOSTICS) and f"diagnostics: {path}" in said
        rows = {(row["role"], row["population"]): row for row in table.to_pylist()}
        populations = "uniform_1_100_keV", "window_2_10_keVee"
        assert list(rows) == [(role, name) for role in ("classifier", "floor") for name in populations]
        for (role, name), row in rows.items():
            assert (row["n_er"], row["n_nr"]) == (rows["classifier", name]["n_er"], rows["classifier", name]["n_nr"])
            assert row["auc"] > (0.5 if role == "classifier" else 0.95)
            assert any(line.startswith(f"{role} {row['model']}, {name}: AUC {row['auc']:.4f}") for line in said)
        assert rows["floor", populations[0]]["n_er"] <= 200 < 1000 < rows["floor", populations[1]]["n_er"]

    def test_mlflow_has_one_run_for_the_scan_and_its_fits_nested_in_it(self, reference):
        client, runs = tracked(reference.store)
        assert sorted(run.data.tags["stage"] for run in runs) == ["fit", "fit", "scan"]
        parents = {run.data.tags.get("mlflow.parentRunId") for run in runs}
        assert parents == {None, *(run.info.run_id for run in runs if run.data.tags["stage"] == "scan")}
        by_family = {run.data.params.get("family", "scan"): run for run in runs}
        assert 0.5 < by_family["mlp_classifier"].data.metrics["quality/auc_uniform_1_100_keV"] <= 1
        assert by_family["scan"].data.metrics["diagnostics/floor_auc_window_2_10_keVee"] > 0.95
        assert len(client.get_metric_history(by_family["dense_vae"].info.run_id, "validation_loss")) == 2
        artifacts = {name: set(_artifacts(client, run.info.run_id)) for name, run in by_family.items()}
        assert {"tables/table.parquet", "tables/contours.csv", "figures/roc.png", "report.html"} <= artifacts["scan"]
        of_classifier = {"tables/diagnostics.parquet", *(f"figures/{name}.png" for name in ("roc", "sic", "confusion"))}
        assert artifacts["mlp_classifier"] == {"model.json", *of_classifier}
        of_vae = (f"tables/{name}.parquet" for name in ("posterior_predictive", "latent", "examples"))
        assert artifacts["dense_vae"] == {"model.json", *of_vae, *(f"figures/{name}" for name in NETWORK_FIGURES)}
        assert all(len(run.data.params) <= 12 for run in runs)
        assert all(len([tag for tag in run.data.tags if not tag.startswith("mlflow.")]) <= 5 for run in runs)


def _artifacts(client, run_id: str, folder: str = ""):
    for file in client.list_artifacts(run_id, folder):
        yield from _artifacts(client, run_id, file.path) if file.is_dir else [file.path]


@pytest.mark.parametrize(
    ("settings", "behind"),
    [((), ["systematics", "diagnostics"]), (("training.n_seeds=2", "toys.exact='benchmark'"), [])],
)
def test_stages_that_wait_for_scores_alone_may_begin_early(scored, tiny, monkeypatch, settings, behind):
    """Behind the cells, for which no law waits here; cells wait for null toys, and everything has its turn as ever."""
    ahead: dict[str, list[str]] = {}

    class Watched(InProcess):
        looks_ahead = True

        def do(self, job, following=()):
            ahead.setdefault(job.stage, [one.stage for one in following])
            return super().do(job)

    monkeypatch.setattr(pipeline, "executor", lambda *_: Watched())
    run(study.load(str(tiny), (*LIGHT, "systematics.rates=true", *settings)), scored)
    assert ahead.pop("cells") == behind and not ahead["nulls"] and (behind or not any(ahead.values()))
    assert [stage for stage in ahead if stage in behind] == behind


def test_a_finished_scan_computes_nothing(copy, tiny, run_here, undrawn):
    log = run_here("scan", tiny, "--store", copy).stdout
    assert computed(log)[0] == 0
    assert "tracking: 0 new runs" in log


class TestDamage:
    @pytest.mark.parametrize(
        "stage", ["events", "models", "scores", "nulls", "cells", "exact", "limits", "diagnostics", "tables"]
    )
    def test_a_flipped_byte_is_counted_and_named(self, copy, tiny, stage):
        path = sorted((copy / stage).iterdir())[0]
        flip(path)
        found = status(tiny, copy)
        assert found.corrupt == [f"{stage}/{path.name}"]
        assert found.missing >= 1
        assert (found.table is None) == (stage == "tables")

    def test_it_is_set_aside_computed_again_and_reported(self, copy, reference, tiny, run_here, undrawn):
        damaged = [sorted((copy / stage).iterdir())[0] for stage in ("scores", "nulls", "tables")]
        for path in damaged:
            flip(path)
        missing = status(tiny, copy).missing
        log = run_here("scan", tiny, "--store", copy, "--workers", 0).stdout
        assert computed(log) == (missing, sum(map(len, stages.items(Plan(study.load(str(tiny)))).values())), 3)
        for path in damaged:
            assert f"corrupt: {path.parent.name}/{path.name}" in log
            assert path.read_bytes() == (reference.store / path.parent.name / path.name).read_bytes()
            assert len(list((copy / "aside" / path.parent.name).iterdir())) == 1


def flip(path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(bytes(data))


class TestExtension:
    """One store grows: a wider grid, then more toys; and it ends where one wide run would."""

    def test_only_what_is_new_is_computed(self, reference, scored, tiny, tmp_path):
        few = "grid.exposure_ty.values=[20]", "toys.statistics=['tail_count']"
        wide = (*few, "grid.m_chi_GeV={values=[20,50,100]}")
        more = (*wide, "toys.null=2500", "toys.signal=2500")
        growing = scanned.scored(reference, tmp_path / "growing")
        first = run(study.load(str(tiny), few), growing)
        grown = run(study.load(str(tiny), wide), growing)
        assert {name: n for name, n in grown.computed.items() if n} == {
            "cells": 3, "limits": 1, "tables": 1, "limit_tables": 1
        }  # fmt: skip
        assert grown.table.filter(pc.field("m_chi_GeV") != 100).equals(first.table)

        grown = run(study.load(str(tiny), more), growing)
        assert grown.computed["nulls"] == 2  # one block more, for two hypotheses
        assert grown.computed["models"] == grown.computed["scores"] == 0

        at_once = run(study.load(str(tiny), more), scored)
        assert at_once.table.equals(grown.table)
        assert status_table(at_once) == status_table(grown)


def status_table(outcome: pipeline.Outcome) -> bytes:
    with open(outcome.path, "rb") as file:
        return file.read()


def test_status_json_names_the_table_and_counts(reference, tiny, recoilscan):
    found = json.loads(recoilscan("status", tiny, "--store", reference.store, "--json").stdout)
    assert found["table"] == str(reference.table)
    assert (found["missing"], found["corrupt"]) == (0, 0)
    assert found["done"] == sum(map(len, stages.items(Plan(study.load(str(tiny)))).values()))
