"""Points spent on contours: the same however a scan went, close to the contours, and honest where there is none."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from scipy.stats import norm
from studies import TINY

from engine import schemas, stages, study
from engine.assembly import contours
from engine.errors import BadInput
from engine.plan import lattice
from engine.plan.plan import Plan
from engine.plan.refined_plan import Refined
from engine.report import figures, summary
from engine.run import pipeline, refine
from engine.run.status import status
from engine.store.store import Ledger, Store

COARSE = (
    "events.train_per_kind=100", "pool.er_events=2000", "pool.nr_events=2000", "toys.null=1200", "toys.signal=1200",
    "models.vae.epochs=1", "toys.statistics=['extended_poisson','count']", "toys.exact=none", "limits.enabled=false",
    "grid.exposure_ty.values=[20]", "grid.sigma_si_cm2={log=[1e-48,1e-45],n=4}",
)  # fmt: skip
FINE = (*COARSE, "grid.refine={statistic='count',log10_sigma=0.1}")


SIZE = study.load(str(TINY)).signal.size


def load(*settings):
    return study.load(str(TINY), settings)


def run(folder, *settings, workers=0):
    return pipeline.run(load(*settings), Store(str(folder)), workers=workers)


@pytest.fixture(scope="module")
def coarse(tmp_path_factory):
    """A store in which the study has run without rounds."""
    folder = tmp_path_factory.mktemp("coarse") / "store"
    run(folder, *COARSE)
    return folder


@pytest.fixture(scope="module")
def refined(coarse, tmp_path_factory):
    folder = shutil.copytree(coarse, tmp_path_factory.mktemp("refined") / "store")
    return folder, run(folder, *FINE)


@pytest.fixture
def copy(coarse, tmp_path):
    return shutil.copytree(coarse, tmp_path / "store")


def bytes_of(outcome) -> bytes:
    return Path(outcome.path).read_bytes()


class TestScan:
    def test_every_contour_is_known_as_well_as_asked(self, refined):
        _, outcome = refined
        z = {(row["m_chi_GeV"], row["sigma_si_cm2"]): row["z_median"] for row in rows(outcome.table).to_pylist()}
        found = contours.contours(rows(outcome.table), SIZE).to_pylist()
        assert len(found) == 6 and {row["status"] for row in found} <= {"found", "bound_limited"}
        for row in found:
            low, high, level = row["bracket_low"], row["bracket_high"], row["level_sigma"]
            assert not lattice.is_wider(low, high, 0.1)
            assert z[row["m_chi_GeV"], low] < level <= z[row["m_chi_GeV"], high]

    def test_the_table_says_which_round_added_a_row(self, refined):
        _, outcome = refined
        assert outcome.table.schema.equals(schemas.results(SIZE))
        levels = {row["sigma_si_cm2"]: row["level"] for row in rows(outcome.table).to_pylist()}
        assert all((levels[sigma] == 0) == (sigma in (1e-48, 1e-47, 1e-46, 1e-45)) for sigma in levels)
        assert set(levels.values()) == set(range(1 + len(outcome.plan.rounds)))
        others = outcome.table.filter(pc.field("statistic") != "count")
        assert set(others["level"].to_pylist()) == {0}

    def test_points_lie_only_where_contours_pass(self, refined):
        _, outcome = refined
        spent, dense = rows(outcome.table).num_rows, 2 * 31
        assert spent < 0.6 * dense
        (said, *rest) = refine.lines(outcome.plan, outcome.table)
        assert f"{spent} in all, where a grid as fine has {dense}" in said
        assert rest == ["refined: 6 contours known to 0.1 in log10 sigma"]
        assert said in list(summary.lines(outcome))

    def test_figures_and_contours_use_them(self, refined):
        _, outcome = refined
        files = figures.draw(outcome.plan, outcome, every=True)
        lines = pa.csv.read_csv(pa.BufferReader(files["contours.csv"])).to_pylist()
        mine = [row for row in lines if row["statistic"] == "count"]
        assert max(lattice.width(row["bracket_low"], row["bracket_high"]) for row in mine) <= 0.1
        other = [row for row in lines if row["statistic"] != "count" and row["status"] == "found"]
        assert {round(lattice.width(row["bracket_low"], row["bracket_high"]), 6) for row in other} == {1.0}
        assert "plane_count_20ty.png" in files

    def test_what_a_study_names_is_what_it_was(self, refined, coarse):
        plan, named = refined[1].plan, Plan(load(*COARSE))
        made = stages.items(plan)
        for stage, items in stages.items(named).items():
            assert stage == "tables" or set(items) <= set(made[stage])
        assert plan.table != named.table
        first = pipeline.finished(load(*COARSE), Store(str(coarse))).table
        assert refined[1].table.filter(pc.field("level") == 0).equals(first)


def rows(table: pa.Table) -> pa.Table:
    """Of the statistic that is refined."""
    return table.filter((pc.field("statistic") == "count") & (pc.field("point") == "grid"))


class TestDeterminism:
    @pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
    def test_a_killed_scan_goes_on_wherever_it_works_to_the_same_bytes(self, refined, copy, monkeypatch, workers):
        next_points = refine.next_points

        def killed(plan, found):
            if len(plan.rounds) == 2:
                raise KeyboardInterrupt
            return next_points(plan, found)

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(refine, "next_points", killed)
            run(copy, *FINE)
        before = status(load(*FINE), Store(str(copy)))
        known = before.refine["rounds"]
        assert len(known) == 3 and not before.refine["settled"] and before.table is None
        assert [each["rows_done"] for each in known] == [known[0]["rows"], known[1]["rows"], 0]
        assert pipeline.finished(load(*FINE), Store(str(copy))) is None
        outcome = run(copy, *FINE, workers=workers)
        assert bytes_of(outcome) == bytes_of(refined[1])
        assert outcome.computed["cells"] == outcome.computed["scores"] == 0
        assert "round 2 cells" not in outcome.computed and outcome.computed["round 3 cells"] == known[2]["rows"]

    def test_a_row_is_the_one_of_a_study_that_names_its_point(self, refined, copy):
        (outcome,) = refined[1:]
        added = rows(outcome.table).filter((pc.field("level") > 0) & (pc.field("m_chi_GeV") == 50))
        sigmas = added["sigma_si_cm2"].to_pylist()
        named = run(copy, *COARSE, f"grid.sigma_si_cm2={{values={sigmas}}}", "grid.m_chi_GeV.values=[50]").table
        assert added.drop_columns("level").equals(rows(named).drop_columns("level"))

    def test_a_damaged_round_is_made_again(self, refined, tmp_path):
        folder = shutil.copytree(refined[0], tmp_path / "store")
        ledger, plan = Ledger(Store(str(folder))), refined[1].plan
        path = folder / ledger.entries[next(iter(plan.added(plan.rounds[1]).cells))].path
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(bytes(data))
        found = status(load(*FINE), Store(str(folder)))
        assert found.table is None and not found.refine["settled"] and str(path).endswith(*found.corrupt)
        again = run(folder, *FINE)
        assert len(again.set_aside) == 1 and again.computed["round 2 cells"] > 0
        assert again.table.equals(refined[1].table)

    def test_a_finished_scan_computes_nothing_and_is_found(self, refined):
        folder, outcome = refined
        again = run(folder, *FINE)
        assert sum(again.computed.values()) == 0
        found = status(load(*FINE), Store(str(folder)))
        assert found.missing == 0 and found.refine["settled"] and found.table == outcome.path
        assert pipeline.finished(load(*FINE), Store(str(folder))).table.equals(outcome.table)


def test_added_points_may_have_more_toys(refined, copy):
    outcome = run(copy, *COARSE, "grid.refine={statistic='count',log10_sigma=0.4,toys_factor=3}")
    n_toys = {(row["level"] > 0, row["n_toys_null"], row["n_toys_signal"]) for row in rows(outcome.table).to_pylist()}
    assert n_toys == {(False, 1200, 1200), (True, 3600, 3600)}
    assert outcome.computed["round 1 nulls"] == 2 * 2  # blocks beyond the first two, under either hypothesis


def test_the_command_line_says_what_is_known_of_the_rounds(run_here, copy, refined):
    settings = [word for setting in FINE for word in ("--set", setting)]
    said = run_here("status", TINY, "--store", copy, *settings).stdout
    assert re.search(r"round 1: (\d) points, 0 of \1 rows done", said) and "further rounds follow" in said
    whole = json.loads(run_here("status", TINY, "--store", refined[0], *settings, "--json").stdout)
    assert whole["refine"]["settled"] and whole["table"]


def curve(z_of_log_sigma, sigmas, tails=None, m=50.0):
    """A table of results of one mass."""
    z = [float(z_of_log_sigma(np.log10(sigma))) for sigma in sigmas]
    return pa.Table.from_pylist([
        {"exposure_ty": 20.0, "statistic": "count", "models": "vae = v", "score": "s", "R": 1.0,
         "rates": "idealised", "m_chi_GeV": m, "sigma_si_cm2": sigma, "z_median": zi, "tail": tail,
         "p_median": norm.sf(zi), "p_low": norm.sf(zi), "p_high": norm.sf(zi),
         "p_exact": None, "z_exact": None, "exact_tail": None}
        for sigma, zi, tail in zip(sigmas, z, tails or ["counted"] * len(sigmas), strict=True)
    ])  # fmt: skip


SIGMAS = [1e-49, 1e-48, 1e-47, 1e-46]


def rising(log_sigma):
    """1, 2 and 3 sigma at 1e-48.5, 1e-47.5 and 1e-46.5."""
    return log_sigma + 49.5


def plan_of(section="", *more):
    return Refined(load(*COARSE, f"grid.refine={{statistic='count'{section}}}", *more))


def asked(table, section=""):
    plan = plan_of(section)
    return refine.next_points(plan, contours.contours(table, SIZE, plan.section.z))


class TestDecision:
    def test_each_bracket_gets_its_middle(self):
        points = asked(curve(rising, SIGMAS))
        assert [np.log10(point.size) for point in points] == pytest.approx([-48.5, -47.5, -46.5])
        assert {(point.origin, point.level, point.m_chi_GeV, point.exposure_ty) for point in points} == {
            ("grid", 1, 50.0, 20.0)
        }

    def test_two_contours_in_a_bracket_share_a_point(self):
        assert len(asked(curve(rising, [1e-49, 1e-46]))) == 1

    def test_a_contour_that_is_known_asks_for_nothing(self):
        assert len(asked(curve(rising, SIGMAS), ",log10_sigma=0.9")) == 3
        assert asked(curve(rising, SIGMAS), ",log10_sigma=1.0") == ()

    @pytest.mark.parametrize("z", [lambda x: 0.0, lambda x: 5.0])
    def test_nothing_is_sought_outside_the_grid(self, z):
        assert asked(curve(z, SIGMAS)) == ()

    def test_a_bound_below_a_contour_hides_it_and_one_above_does_not(self):
        hidden = asked(curve(lambda x: min(rising(x), 2.5), SIGMAS, ["counted", "counted", "bound", "bound"]))
        assert [np.log10(point.size) for point in hidden] == pytest.approx([-48.5, -47.5])
        above = asked(curve(rising, SIGMAS, ["counted", "counted", "counted", "bound"]))
        assert len(above) == 3

    def test_the_law_speaks_where_it_is_known(self):
        """By the toys the contour of 2 sigma is elsewhere."""
        table = curve(lambda x: rising(x) - 1, SIGMAS)
        for name, value in {"z_exact": rising(np.log10(SIGMAS)), "p_exact": norm.sf(rising(np.log10(SIGMAS)))}.items():
            table = table.set_column(table.column_names.index(name), name, pa.array(value))
        table = table.set_column(table.column_names.index("exact_tail"), "exact_tail", pa.array(["exact"] * 4))
        assert [point.size for point in asked(contours.by_law(table), ",z=[2]")] == [lattice.middle(1e-48, 1e-47)]
        assert [point.size for point in asked(table, ",z=[2]")] == [lattice.middle(1e-47, 1e-46)]

    def test_rounds_end(self):
        plan = plan_of(",max_rounds=1")
        lines = contours.contours(curve(rising, SIGMAS), SIZE)
        plan = plan.with_round(refine.next_points(plan, lines))
        assert refine.next_points(plan, lines) == ()

    def test_a_benchmark_that_is_asked_for_is_a_point_of_the_grid_once(self):
        plan = plan_of("", "benchmark={m_chi_GeV=50,sigma_si_cm2=1e-47}", "grid.sigma_si_cm2.log=[3e-48,3e-45]")
        (point,) = [point for point in asked(curve(rising, [3e-48, 3e-47])) if point.size == 1e-47]
        plan = plan.with_round((point,))
        (mine,) = [each for each in plan.points if each.size == 1e-47]
        assert (mine.origin, mine.level) == ("grid", 1) and plan.all_added.at == ()
        assert list(plan.cells) == list(plan.named.cells)


BOUND = curve(lambda x: min(rising(x), 2.5), SIGMAS, ["counted", "counted", "bound", "bound"])


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (BOUND, "1 contours hidden by the toys' smallest p (more toys would tell): 3 sigma at 50 GeV, 20 t y"),
        (curve(lambda x: 0.0, SIGMAS), "3 contours above the grid: 1 sigma"),
        (curve(lambda x: 9.0, SIGMAS), "3 contours below the grid: 1 sigma"),
        (curve(rising, SIGMAS), "3 contours not so well within max_rounds: 1 sigma"),
    ],
)
def test_where_there_is_no_contour_that_is_said(table, said):
    table = table.append_column("point", pa.array(["grid"] * len(table)))
    assert any(said in line for line in refine.lines(plan_of(), table))


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        (("grid.refine={statistic='tail'}",), r"unknown grid.refine.statistic 'tail'"),
        (("grid.refine={R=1}",), r"grid.refine.R = 1 is not among score.R = \[10000.0\]"),
        (("grid.refine={statistic='count',R=1e4}",), "'count' looks at no score"),
        (("grid.refine={log10_sigma=0}",), "log10_sigma"),
        (("grid.refine={precision=0.1}",), "'precision'"),
        (
            ("grid={refine={},strength={values=[1]},exposure_ty={values=[20]}}", "signal.name=user_table"),
            "user_table|sigma_si_cm2",
        ),
    ],
)
def test_a_section_that_cannot_be_is_refused(settings, complaint):
    with pytest.raises(BadInput, match=complaint):
        load(*COARSE, *settings)


def test_the_first_statistic_and_score_are_refined_unless_said():
    plan = Refined(load(*COARSE, "grid.refine={}"))
    assert plan.pair == (1e4, "extended_poisson")
    assert plan_of().pair == (None, "count")
