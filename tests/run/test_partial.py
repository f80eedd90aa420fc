"""A cell without an answer is a row with its reason: the scan goes on, says so with exit code 3, and tries it again."""

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from pages import Page

from engine import schemas, study
from engine.report.partial import draw
from engine.report.tracking.client import EXPERIMENT, connect
from engine.run import pipeline
from engine.store.store import Store

PARTIAL = 3

# A statistic of a user's: the count, which has no answer for many events while a file is there.
FUSSY = """
from pathlib import Path
from engine.inference.teststats.count import *
from engine.inference.teststats.count import Count

EXACT = False


class Fussy(Count):
    def q(self, n_events, totals):
        if n_events.mean() > 250 and Path({flag!r}).exists():
            raise ValueError("more events than I can count")
        return super().q(n_events, totals)


def prepare(null, options):
    return Fussy(null)
"""

SMALL = (
    "events.train_per_kind=100", "events.test_per_kind=100", "pool.er_events=2000", "pool.nr_events=2000",
    "toys.null=1000", "toys.signal=1000", "grid.exposure_ty.values=[5]", "grid.m_chi_GeV.values=[50]",
    "models.vae.epochs=1", "models.classifier.epochs=1", "limits.method=asymptotic",
    "grid.sigma_si_cm2.values=[0.0,1e-47,5e-46]", "toys.exact='all'",
)  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("partial")


@pytest.fixture(scope="module")
def settings(place):
    (place / "fussy.py").write_text(FUSSY.format(flag=str(place / "flag")))
    statistics = 'toys.statistics=["count","fussy"]', f'toys.options.fussy={{statistic="{place}/fussy.py"}}'
    return *SMALL, *statistics


@pytest.fixture(scope="module")
def scan(place, tiny, settings):
    """Scans into a store of this name."""
    return lambda name: pipeline.run(study.load(str(tiny), settings), Store(str(place / name)), workers=0)


@pytest.fixture(scope="module")
def partial(place, scan):
    """A scan whose largest cross-section has no answer."""
    (place / "flag").touch()
    return scan("store")


def test_the_scan_goes_on_and_the_row_says_why(partial):
    reason = "ValueError: more events than I can count"
    rows = {row["statistic"]: row for row in partial.table.filter(pc.field("sigma_si_cm2") == 5e-46).to_pylist()}
    assert {name: row["reason"] for name, row in rows.items()} == {"fussy": reason, "count": None}
    assert rows["fussy"]["p_median"] is None and rows["fussy"]["exposure_ty"] == 5
    assert rows["count"]["p_median"] < 0.01 and rows["count"]["p_exact"] is not None  # no statistic fails with another
    others = partial.table.filter(pc.field("sigma_si_cm2") != 5e-46)
    assert others["reason"].null_count == len(others) == 2 * 3  # the benchmark is there, too
    assert others["p_median"].null_count == 0
    assert partial.table.schema.names == schemas.results(partial.plan.study.signal.size).names
    assert "/partial/" in partial.path and pq.read_table(partial.path).equals(partial.table)


def test_the_traceback_of_the_cell_is_kept_by_its_name(partial, place):
    (text,) = (path.read_text() for path in (place / "store" / "errors").iterdir())
    first, *_ = text.splitlines()
    assert first.endswith(", exposure_ty = 5, fussy: ValueError: more events than I can count")
    assert f'File "{place}/fussy.py"' in text and "in q\n" in text


def client(place):
    return connect(f"sqlite:///{place}/store/mlflow/mlflow.db")


def the_run(place):
    """The scan's, of which there is one."""
    seen = client(place)
    (run,) = seen.search_runs([seen.get_experiment_by_name(EXPERIMENT).experiment_id], "tags.stage = 'scan'")
    return run


def artifacts(place, run):
    """Paths of the files of a run's folder `partial`."""
    return {one.path for one in client(place).list_artifacts(run.info.run_id, "partial")}


def test_planes_of_gaps_are_not_drawn(partial):
    known = partial.table.filter((pc.field("statistic") == "count") | (pc.field("point") == "benchmark"))
    gaps = pa.concat_tables([known, _unanswered(partial.table.filter(pc.field("statistic") == "fussy"))])
    assert set(draw(with_table(partial, gaps))) == {"coverage.png", "plane_count_5ty.png"}


def with_table(outcome, table):
    return replace(outcome, results=outcome.results | {"tables": replace(outcome["tables"], table=table)})


def _unanswered(rows):
    place = rows.schema.get_field_index("z_median")
    return rows.set_column(place, rows.schema.field(place), pa.nulls(len(rows), pa.float64()))


def test_it_is_tried_again_and_again_until_the_table_is_that_of_an_undisturbed_scan(
    partial, place, settings, scan, run_here, tiny
):
    words = [word for setting in settings for word in ("--set", setting)]
    done = run_here("scan", tiny, "--store", place / "store", "--workers", 0, "--quiet", *words, check=PARTIAL)
    assert "failed: 1 of cells: ValueError: more events than I can count" in done.stdout
    assert not list((place / "store").glob("tables/*"))
    figures = {path.name for path in (place / "store").glob("partial/*/figures/*")}
    assert figures == {"coverage.png", "plane_count_5ty.png", "plane_fussy_5ty.png"}
    assert not list((place / "store").glob("figures/*"))  # a finished scan's would be taken for whole
    run = the_run(place)
    assert run.info.status == "RUNNING" and run.data.tags["partial"] == "1"
    assert artifacts(place, run) == {f"partial/{name}" for name in figures | {"table.parquet", "report.html"}}
    (report,) = (place / "store").glob("partial/*/*.html")
    assert f"report: {report}" in done.stdout
    found = Page(report.read_bytes())
    assert "1 of " in found.words and len(found.all("img")) == len(figures)
    assert found.table("").rows[0] == [("cells", None), ("ValueError: more events than I can count", None), ("1", 1.0)]
    (place / "flag").unlink()
    run_here("scan", tiny, "--store", place / "store", "--workers", 0, "--quiet", *words)
    assert not list((place / "store").glob("errors/*")), "what has an answer now is not explained any more"
    after = the_run(place)
    assert (after.info.run_id, after.info.status) == (run.info.run_id, "FINISHED") and "partial" not in after.data.tags
    again, fresh = scan("store").path, scan("fresh").path
    assert Path(again).name == Path(fresh).name and Path(again).read_bytes() == Path(fresh).read_bytes()
    assert pq.read_table(fresh)["reason"].null_count == 2 * 4
    assert fresh.startswith(f"{place}/fresh/tables/")
