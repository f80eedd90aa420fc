"""The scan over R: a pool of its own, the best R of a case that is known, and a second run that computes nothing."""

import contextlib
import io
import re
import shutil
import sys
import tomllib

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from engine import schemas, stages, study
from engine.assembly import population as assembled
from engine.assembly.samples import sample
from engine.cluster.sampler import COMPLETE, DIVERGED, Objective, Search, Trial
from engine.errors import BadInput
from engine.plan.plan import Plan
from engine.plan.tune_plan import WEIGHT, TunePlan
from engine.report.tuned import BestR, interval
from engine.run.status import StageStatus
from engine.run.tuning import search, trials
from engine.store.store import Store

SMALL = (
    "tune.R={log=[1,1e6],n=4}", "tune.more_trials=2", "tune.m_chi_GeV=[30,100]", "tune.exposure_ty=20",
    "toys.null=1000", "toys.signal=1000",
)  # fmt: skip
FEW = (*SMALL, "events.train_per_kind=150", "pool.er_events=1500", "pool.nr_events=1000", "models.vae.epochs=1",
       "models.classifier.epochs=1")  # fmt: skip


def load(tiny, *settings) -> study.Study:
    return study.load(str(tiny), (*SMALL, *settings))


class TestPool:
    def test_it_is_thrown_like_the_pool_of_the_scan(self, tiny):
        plan = TunePlan(load(tiny))
        mine, scan = plan.shards["tune"], plan.shards["pool"]
        assert [(s.kind, s.number, s.n_thrown) for s in mine] == [(s.kind, s.number, s.n_thrown) for s in scan]
        for kind in ("ER", "NR"):
            assert plan.energy_range("tune", kind) == plan.energy_range("pool", kind)
        assert plan.proposal("tune") == plan.proposal("pool")

    def test_it_shares_no_event_with_the_pool_of_the_scan(self, tiny):
        plan = TunePlan(load(tiny, "pool.er_events=200", "pool.nr_events=200"))
        assert not {s.item for s in plan.shards["tune"]} & {s.item for s in plan.shards["pool"]}
        assert plan.stream_key_of("tune") != plan.stream_key
        for mine, scan in zip(plan.shards["tune"], plan.shards["pool"], strict=True):
            (a, _), (b, _) = sample(plan, mine), sample(plan, scan)
            assert not np.isin(a["energy_keV"], b["energy_keV"]).any()
            assert not np.isin(a["cs2_pe"], b["cs2_pe"]).any()
            window = a["selected"] & ~((a["ces_keVee"] >= 2) & (a["ces_keVee"] < 10))
            assert not window.any(), "the window of the scan holds for the tuning too"

    def test_own_events_of_a_component_are_thrown_anew(self, tiny):
        parsed = load(tiny, "backgrounds.components=['pp','xe124_ec','neutrons']", "pool.component_events=100")
        plan = TunePlan(parsed)
        mine, scan = (next(s for s in plan.shards[name] if s.kind == "xe124_ec") for name in ("tune", "pool"))
        assert not np.isin(sample(plan, mine)[0]["cs2_pe"], sample(plan, scan)[0]["cs2_pe"]).any()

    def test_the_section_changes_nothing_of_a_scan(self, tiny):
        assert stages.items(Plan(load(tiny))) == stages.items(Plan(study.load(str(tiny), SMALL[-2:])))

    def test_what_is_tuned_on_says_which_trial_it_is(self, tiny):
        item = TunePlan(load(tiny)).trial_item({WEIGHT: 10.0}, 0)
        for same in ("tune.more_trials=9", "tune.R={log=[1,10],n=3}", "grid.exposure_ty.values=[7]", "score.R=[5.0]"):
            assert TunePlan(load(tiny, same)).trial_item({WEIGHT: 10.0}, 0) == item
        for other in ("tune.m_chi_GeV=[30]", "tune.exposure_ty=50", "toys.null=2000", "tune.objective='excess_scan'"):
            statistics = "tune.statistics=['tail_count','excess_scan']"
            before = TunePlan(load(tiny, statistics)).trial_item({WEIGHT: 10.0}, 0)
            assert TunePlan(load(tiny, statistics, other)).trial_item({WEIGHT: 10.0}, 0) != before


WRONG = [
    (("tune.objective='extended_poisson'",), "changes its unit"),
    (("tune.objective='centred'", "tune.statistics=['centred','tail_count']"), "changes its unit"),
    (("tune.objective='known_signal'", "tune.statistics=['known_signal']"), "looks at the signal model"),
    (("tune.statistics=['count','tail_count']",), "does not look at the score"),
    (("tune.objective='tail_cuont'",), "did you mean 'tail_count'"),
    (("tune.R={values=[0.0,1.0]}",), "all above 0"),
    (("tune.R={values=[1.0]}",), "two values or more"),
    (("tune.strength=2.0",), "unknown key 'strength'"),
    (("tune.objectiv='x'",), "did you mean 'objective'"),
]


@pytest.mark.parametrize(("settings", "said"), WRONG)
def test_what_cannot_be_tuned_is_refused_with_the_reason(tiny, settings, said):
    with pytest.raises(BadInput, match=re.escape(said)) as error:
        load(tiny, *settings)
    assert "\n" not in str(error.value)


def test_a_study_without_the_section_is_refused_before_any_work(tiny, tmp_path):
    with pytest.raises(BadInput, match=r"no \[tune\] section"):
        search.run(study.load(str(tiny)), Store(str(tmp_path)))
    assert not list(tmp_path.iterdir())


def ended(values: dict[float, float]) -> list[Trial]:
    """Trials of a scan over R that all ended, in this order."""
    return [Trial(number, {WEIGHT: R}, COMPLETE, z) for number, (R, z) in enumerate(values.items())]


def best(of_weight: dict[float, tuple]) -> BestR:
    """What a scan with these trials chooses and says of it."""
    chosen = search.best_of(ended({R: value for R, (value, _, _) in of_weight.items()}), larger_is_better=True)
    return interval(of_weight, chosen.values[WEIGHT])


class TestBest:
    def test_it_is_the_largest_and_its_error_reaches_as_far_as_others_are_as_good(self):
        z = {1.0: 2.9, 10.0: 1.0, 100.0: 2.6, 1e3: 3.0, 1e4: 2.8, 1e5: 2.0, 1e6: 2.95}
        found = best({R: (value, 0.5, 50.0) for R, value in z.items()})
        assert found.R == 1e3
        # Z crosses 2.5 at 1/16 of the decade from 2.6 down to 1.0, and at 3/8 of that from 2.8 to 2.0
        np.testing.assert_allclose([found.R_low, found.R_high], [10 ** (2 - 1 / 16), 10 ** (4 + 3 / 8)])
        assert (found.objective, found.error, found.m_chi_GeV) == (3.0, 0.5, 50.0)

    def test_of_equals_it_is_the_middle_one_whatever_the_order(self):
        z = {1e6: 2.0, 1.0: 0.5, 100.0: 2.0, 1e4: 2.0}
        found = best({R: (value, 0.1, None) for R, value in z.items()})
        assert found.R == 1e4 and 60 < found.R_low < 100.0 and found.R_high == 1e6

    def test_an_unknown_error_leaves_every_R_as_good(self):
        found = best(dict.fromkeys((1.0, 10.0, 100.0), (-np.inf, None, None)))
        assert (found.R, found.R_low, found.R_high, found.error) == (10.0, 1.0, 100.0, np.inf)

    def test_small_may_be_best_and_who_did_not_end_is_never(self):
        trials = [*ended({1.0: 3.0, 10.0: 2.0}), Trial(2, {WEIGHT: 100.0}, DIVERGED)]
        assert search.best_of(trials, larger_is_better=False).values == {WEIGHT: 10.0}
        assert search.best_of(trials[2:], larger_is_better=False) is None

    def test_of_equals_with_several_values_it_is_the_first(self):
        trials = [Trial(n, {"a": a, "b": [n]}, COMPLETE, 1.0) for n, a in enumerate((3.0, 1.0, 2.0))]
        assert search.best_of(trials, larger_is_better=True) is trials[0]


def searched(tiny, surrogate, nr_recon: float) -> tuple[BestR, dict[float, float]]:
    settings = ("tune.R={log=[1e-2,1e6],n=9}", "tune.m_chi_GeV=[50]", "toys.statistics=['tail_count']", "seed=1",
                "tune.more_trials=5")  # fmt: skip
    plan = TunePlan(load(tiny, *settings))
    population = surrogate(nr_recon)
    inputs = trials.TrialInputs(plan, population, assembled.signals(plan, population, plan.points))
    found = {}

    def evaluate(asked, rung):
        for R in (values[WEIGHT] for values in asked):
            (part,) = trials.work(inputs, R)
            found[R] = trials.objective(part.content, "tail_count")
        return [Objective(None, found[values[WEIGHT]][0]) for values in asked]

    done = Search(evaluate, plan.dimensions, plan.first, search.rules(plan)).run()
    assert len(done) == 9 + 5
    chosen = search.best_of(done, larger_is_better=True)
    return interval(found, chosen.values[WEIGHT]), {trial.values[WEIGHT]: trial.value for trial in done}


class TestKnownCases:
    def test_where_only_H_B_separates_a_large_R_is_found(self, tiny, surrogate):
        found, z = searched(tiny, surrogate, nr_recon=0.0)
        assert found.R_low > 3 and found.R_high == 1e6
        assert z[1e6] > z[1e-2] + 3 * found.error and z[1e-2] < 1

    def test_where_both_separate_the_best_R_is_near_that_of_the_best_linear_combination(self, tiny, surrogate):
        # of two Gaussians, means (300, 3.5) and widths (100, 1): R = (3.5 / 1^2) / (300 / 100^2) = 117
        found, z = searched(tiny, surrogate, nr_recon=300.0)
        assert found.R_low <= 117 <= found.R_high
        assert found.R_low > 1 and found.R_high < 1e5
        assert found.objective > max(z[1e-2], z[1e6]) + found.error


def _R_of(said: str) -> str:
    """As the command calls it."""
    return f"R = {float(re.search(r'score.R = (.*?):', said)[1]):.4g}"


def words(tiny) -> list:
    return ["tune", tiny, "--workers", 0, *(word for setting in FEW for word in ("--set", setting))]


@pytest.fixture(scope="module")
def tuned(tiny, tmp_path_factory):
    """A finished scan over R of the tiny study: its folder and its output."""
    folder, said = tmp_path_factory.mktemp("tuned"), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(said):
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["recoilscan", *map(str, words(tiny))])
        from engine.cli import app

        with pytest.raises(SystemExit) as ended:
            app.main()
    assert not ended.value.code, said.getvalue()
    return folder, said.getvalue()


class TestCommand:
    def table(self, folder):
        (path,) = (folder / "recoilscan-store" / "tables").iterdir()
        return path, pq.read_table(path)

    def test_the_table_has_every_trial_of_the_grid_and_further_ones(self, tuned, tiny):
        path, table = self.table(tuned[0])
        assert table.schema.equals(schemas.tuned(study.load(str(tiny)).signal.size)) and f"table: {path}" in tuned[1]
        grid = table.filter(pc.field("origin") == "grid")
        assert sorted(set(grid["R"].to_pylist())) == [1.0, 100.0, 1e4, 1e6]
        assert len(set(table["R"].to_pylist())) == 6 and table.num_rows == 6 * 2 * 2
        assert table["R"].to_pylist() == sorted(table["R"].to_pylist())
        assert (table["n_toys_null"].to_numpy() == 1000).all() and table["p_exact"].null_count == 0

    def test_toys_agree_with_the_exact_law(self, tuned):
        _, table = self.table(tuned[0])
        p, exact = table["p_median"].to_numpy(), table["p_exact"].to_numpy()
        assert (np.abs(p - exact) < 0.1).all(), "four standard deviations of 1000 toys on both sides"

    def test_the_objective_is_the_worst_z_and_the_best_row_has_the_largest(self, tuned):
        rows = self.table(tuned[0])[1].to_pylist()
        for R in {row["R"] for row in rows}:
            mine = [row for row in rows if row["R"] == R]
            assert {row["objective"] for row in mine} == {min(r["z_exact"] for r in mine if r["is_objective"])}
        (value,) = {row["objective"] for row in rows if row["best"]}
        assert value == max(row["objective"] for row in rows)

    def test_the_study_with_the_best_R_is_a_study(self, tuned, tiny):
        rows = self.table(tuned[0])[1].to_pylist()
        found = study.load(str(tuned[0] / "tuned.toml"))
        (best,) = {row["R"] for row in rows if row["best"]}
        (own,), (chosen,) = study.load(str(tiny)).score.R, found.score.R
        assert chosen in (best, own) and ("ties with it" in tuned[1]) == (chosen != best)
        assert "30, 100 GeV at 6.5e-48 cm2, 20 t y, worst tail_count" in found.tuned_on
        expected = study.read(str(tiny), FEW)
        raw = tomllib.loads((tuned[0] / "tuned.toml").read_text())
        del raw["tuned_on"], raw["score"], expected["score"]
        assert raw == expected

    def test_again_it_computes_nothing_and_says_the_same(self, tuned, tiny, run_here):
        before = (tuned[0] / "tuned.toml").read_bytes()
        log = run_here(*words(tiny), folder=tuned[0]).stdout
        assert "computed 0 items" in log and "tracking: 0 new runs" in log
        assert [line for line in log.splitlines() if line.startswith("best R")] == [
            line for line in tuned[1].splitlines() if line.startswith("best R")
        ]
        assert (tuned[0] / "tuned.toml").read_bytes() == before

    def test_status_tells_the_trials_and_the_best_so_far(self, tuned, tiny, tmp_path):
        parsed = study.load(str(tiny), FEW)
        whole = search.status(parsed, Store(str(tuned[0] / "recoilscan-store")))
        assert whole.missing == 0 and whole.by_stage["trials"] == StageStatus(6, 6, 0, 0, 0)
        assert whole.table == str(self.table(tuned[0])[0])
        assert f"best {_R_of(whole.best)} [" in tuned[1], "as the command said at its end"
        shutil.copytree(tuned[0] / "recoilscan-store", tmp_path / "part")
        for path in (tmp_path / "part" / "trials").iterdir():
            if path.stem != TunePlan(parsed).trial_item({WEIGHT: 1.0}, 0):
                path.unlink()
        left = search.status(parsed, Store(str(tmp_path / "part")))
        assert left.by_stage["trials"].done == 1 and left.by_stage["trials"].of == 6
        assert left.by_stage["trials"].corrupt == len(left.corrupt) == 4, "what the first round asked for and is gone"
        assert _R_of(left.best) == "R = 1" and left.table is None

    def test_a_file_of_the_users_is_not_overwritten(self, tuned, tiny, run_here):
        mine = tuned[0] / "mine.toml"
        mine.write_text("seed = 1\n")
        assert "nothing was overwritten" in run_here(*words(tiny), "--to", "mine.toml", folder=tuned[0]).stdout
        assert mine.read_text() == "seed = 1\n"

    def test_the_figure_and_the_record_are_there(self, tuned):
        import mlflow

        (figure,) = (tuned[0] / "recoilscan-store" / "figures").glob("*/p_against_R.png")
        assert figure.read_bytes()[:4] == b"\x89PNG"
        client = mlflow.MlflowClient(f"sqlite:///{tuned[0]}/recoilscan-store/mlflow/mlflow.db")
        (run,) = client.search_runs([client.get_experiment_by_name("recoilscan").experiment_id])
        assert run.data.tags["stage"] == "tune"
        (best_R,) = {row["R"] for row in self.table(tuned[0])[1].to_pylist() if row["best"]}
        assert run.data.metrics["best_R"] == best_R
