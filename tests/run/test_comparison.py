"""Architectures beside each other: one pass, the same toys, and tables that say which is better and how surely."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pages import Page
from scipy import stats
from studies import PAIRS, TINY

from engine import schemas, stages, study
from engine.assembly.results import Result, spread
from engine.inference.exact.counts import CountLaw
from engine.inference.significance import z_one_sided
from engine.plots import comparison as figures
from engine.report import comparison_page, comparison_report
from engine.run import comparison, pipeline
from engine.run.status import status
from engine.stages import pair_schemas, paired, reach
from engine.stages.reach_schemas import reach as reach_schema
from engine.store import timings
from engine.store.store import Ledger, Store


@pytest.fixture(scope="module")
def scanned(tmp_path_factory):
    """The finished comparison, its study and its store."""
    parsed, store = study.load(str(PAIRS), ("combined={}",)), Store(str(tmp_path_factory.mktemp("pairs")))
    assert comparison.finished(parsed, store) is None
    return comparison.run(parsed, store, workers=0), parsed, store


class TestScan:
    def test_everything_is_computed_once_and_then_never_again(self, scanned):
        found, parsed, store = scanned
        assert sum(found.computed.values()) == sum(map(len, stages.items(found.plan).values()))
        again = comparison.run(parsed, store, workers=0)
        assert not any(again.computed.values())
        assert again.ranking.equals(found.ranking) and again.differences.equals(found.differences)
        assert comparison.finished(parsed, store).ranking.equals(found.ranking)

    def test_a_shard_has_one_part_of_events_and_one_of_terms_by_each_model(self, scanned):
        found, _, store = scanned
        shards = sum(map(len, (found.plan.shards["test"], found.plan.shards["pool"])))
        assert len(store.list("scores")) == shards * len(found.plan.models)
        assert len(store.list("events")) == shards + len(found.plan.shards["train"])

    def test_a_scan_of_one_pair_finds_all_it_needs(self, scanned):
        found, parsed, store = scanned
        outcome = pipeline.run(parsed.members["dense-mlp"], store, workers=0)
        assert not any(outcome.computed.values())
        assert outcome.table.equals(found.outcomes["dense-mlp"].table)

    def test_status_counts_all_members_and_names_the_comparison(self, scanned):
        found, parsed, store = scanned
        comparison_report.keep(found, store)
        found_there = status(parsed, store)
        assert (found_there.missing, found_there.done) == (0, sum(map(len, stages.items(found.plan).values())))
        assert pq.read_table(found_there.table).equals(found.ranking)


class TestTables:
    def test_of_several_weights_every_pair_has_a_z_at_each(self, scanned):
        found, study = scanned[0], scanned[0].plan.study
        assert comparison_report.by_weight(found)[1] == [], "this study has one"

        def with_zero(table):
            zero = pa.array([None if R is None else 0.0 for R in table["R"].to_pylist()], pa.float64())
            place = table.schema.get_field_index("R")
            return pa.concat_tables([table, table.set_column(place, table.schema.field(place), zero)])

        said = SimpleNamespace(score=SimpleNamespace(R=(0.0, 1e4)), ranking=study.ranking, at=study.at)
        outcomes = {pair: SimpleNamespace(table=with_zero(one.table)) for pair, one in found.outcomes.items()}
        several = SimpleNamespace(plan=SimpleNamespace(study=said), ranking=found.ranking, outcomes=outcomes)
        heads, rows = comparison_report.by_weight(several)
        assert heads == ["pair", "Z at R = 0", "Z at R = 10000"]
        assert [row[0] for row in rows] == found.ranking["pair"].to_pylist()
        for row, z in zip(rows, found.ranking["z"].to_pylist(), strict=True):
            assert row[1] == row[2] and row[2].startswith(f"{z:.2f} +- ") and row[2].endswith("(seed)")

    def test_ranked_by_z_and_the_floor_is_a_row(self, scanned):
        ranking = scanned[0].ranking
        assert ranking.schema.equals(pair_schemas.comparison(("vae", "classifier")))
        z = ranking["z"].to_pylist()
        assert z == sorted(z, reverse=True) and ranking["rank"].to_pylist() == [1, 2]
        assert set(ranking["pair"].to_pylist()) == {"dense-mlp", "dense-floor"}
        assert dict(zip(*(ranking[name].to_pylist() for name in ("classifier", "classifier_sees")), strict=True)) == {
            "mlp": "vector", "floor": "summary"
        }  # fmt: skip
        weights = 3835 * 16 + 16 + 16 + 1
        sizes = dict(zip(*(ranking[name].to_pylist() for name in ("classifier", "classifier_parameters")), strict=True))
        assert sizes["mlp"] == weights
        assert all(row["vae_training_s"] > 0 and row["vae_scored_per_s"] > 0 for row in ranking.to_pylist())

    def test_z_is_the_studys_and_its_seed_error_the_spread_of_two_fits(self, scanned):
        found, _, store = scanned
        ledger, (row, _) = Ledger(store), found.ranking.to_pylist()
        outcome = found.outcomes[row["pair"]]
        rows = [one for one in outcome.table.to_pylist() if one["z_seed_error"] is not None]
        assert [one["point"] for one in rows] == ["grid"] and rows[0]["z_exact"] == row["z"]
        (sibling,) = outcome.plan.siblings
        (other,) = ledger.rows(list(sibling.exact), "lineage").to_pylist()
        expected = abs(row["z"] - z_one_sided(other["p_exact"])) / np.sqrt(2)
        assert row["z_seed_error"] == pytest.approx(expected, rel=1e-9) and expected > 0

    def test_means_over_seeds_are_of_each_pair_and_of_the_differences_with_one_seed(self, scanned):
        found, _, store = scanned
        ledger, z = Ledger(store), {}
        for row in found.ranking.to_pylist():
            (sibling,) = found.plan.members[row["pair"]].siblings
            (other,) = ledger.rows(list(sibling.exact), "lineage").to_pylist()
            z[row["pair"]] = row["z"], z_one_sided(other["p_exact"])
            assert row["z_mean"] == pytest.approx(np.mean(z[row["pair"]]), rel=1e-12)
            assert row["z_mean_error"] == pytest.approx(row["z_seed_error"] / np.sqrt(2), rel=1e-12)
        assert found.ranking["z_mean"].to_pylist() == sorted(found.ranking["z_mean"].to_pylist(), reverse=True)
        (difference,) = found.differences.to_pylist()
        a, b = (mine - its for mine, its in zip(z[difference["pair"]], z[difference["other"]], strict=True))
        assert difference["z_mean_difference"] == pytest.approx((a + b) / 2, rel=1e-9)
        assert difference["z_mean_difference_error"] == pytest.approx(abs(a - b) / 2, rel=1e-9)
        assert f"mean over them of Z minus Z: {(a + b) / 2:.2f}" in comparison_page.lines(found)[-1]

    def test_both_were_put_to_the_toys_of_the_scan(self, scanned):
        """The lower median of q over these toys is, number by number, the one that the scan's cells hold."""
        found, _, store = scanned
        ledger = Ledger(store)
        for name, item in found.plan.paired.items():
            toys, (row,) = ledger.table(item), found.outcomes[name].table.to_pylist()
            assert toys.schema.remove_metadata().equals(pair_schemas.PAIRED.remove_metadata())
            assert np.sort(toys["q"].to_numpy())[(len(toys) - 1) // 2] == row["q_median"]
        (difference,) = found.differences.to_pylist()
        assert difference["n_toys"] == 1000 and difference["pair"] == found.ranking["pair"][0].as_py()


class TestTogether:
    """Two pairs and two fits of each as one search."""

    def test_all_are_tried_and_the_best_of_them_is_one_of_a_pairs_own(self, scanned):
        found = scanned[0]
        assert found.together.schema.equals(schemas.combined(found.plan.study.signal.size))
        (row,) = found.together.to_pylist()
        assert (row["pairs"], row["n_seeds"], row["n_choices"]) == ("dense-mlp, dense-floor", 2, 4)
        of_pairs = {name: outcome["combined"].table.to_pylist()[0] for name, outcome in found.outcomes.items()}
        assert all(one["n_choices"] == 2 for one in of_pairs.values())
        best = min(of_pairs, key=lambda name: of_pairs[name]["p_best"])
        same = "p_best", "best_seed", "best_R", "best_statistic"
        assert [row[name] for name in same] == [of_pairs[best][name] for name in same] and row["best_pair"] == best
        assert row["p_median"] >= row["p_best"] and 1 <= row["trial_factor"] <= 4

    def test_it_is_kept_and_told(self, scanned):
        found, parsed, store = scanned
        assert comparison.finished(parsed, store).together.equals(found.together)
        made = comparison_report.files(found)
        assert pq.read_table(pa.BufferReader(made["combined.parquet"])).equals(found.together)
        metrics = comparison_report.logged("pairs", found, store, made, comparison_page.lines(found))[-1].metrics
        assert metrics["z/combined_20ty"] == found.together["z_median"][0].as_py()


class TestReport:
    def test_mlflow_is_told_the_numbers_of_the_table(self, scanned):
        found, _, store = scanned
        made = comparison_report.files(found)
        assert {"comparison.parquet", "comparison.csv", "differences.csv", "ranking.png"} <= set(made)
        records = comparison_report.logged("pairs", found, store, made, comparison_page.lines(found))
        assert len({record.lineage for record in records}) == len(records) == 2 + 1  # scans, comparison
        assert len({fit.lineage for record in records for fit in record.children}) == 2 * 3
        last, scans = records[-1], records[:-1]
        ranked = [float(f"{z:.4g}") for z in found.ranking["z"].to_pylist()]
        assert [scan.metrics["headline/z"] for scan in scans] == ranked
        assert len({scan.name for scan in scans}) == len(scans)
        behind = [scan.metrics["headline/behind_best"] for scan in scans]
        assert behind == [0, float(f"{found.differences['z_difference'][0].as_py():.4g}")]
        assert last.note == comparison_page.lines(found) and not any("headline/z" in fit.metrics for scan in scans
                                                                     for fit in scan.children)  # fmt: skip
        for row in found.ranking.to_pylist():
            assert last.metrics[f"z/{row['pair']}"] == row["z"] and last.metrics[f"auc/{row['pair']}"] == row["auc"]
        (of_two,) = found.differences.to_pylist()
        assert last.metrics[f"better/{of_two['pair']}_minus_{of_two['other']}"] == of_two["better"]

    def test_titles_tell_models_of_one_family_apart(self):
        rows = [{"vae": vae, "vae_family": "dense_vae", "classifier": name, "classifier_family": f"a/{name}.py"}
                for vae in ("narrow", "wide") for name in ("cnn", "floor")]  # fmt: skip
        joint = SimpleNamespace(study=SimpleNamespace(roles={"vae": "vae", "classifier": "classifier"}))
        found = SimpleNamespace(plan=joint, ranking=pa.Table.from_pylist(rows))
        labels = comparison_report._labels(rows[2], found)
        assert labels == {"vae": "wide dense_vae", "classifier": "cnn"}

    def test_the_figure_names_every_pair(self, scanned):
        found = scanned[0]
        figure = figures.ranking(found.ranking, found.differences, ("vae", "classifier"))
        shown = [label.get_text() for label in figure.axes[0].get_yticklabels()]
        assert shown == found.ranking["pair"].to_pylist()
        reached = [t3 is not None for t3 in found.ranking["t3_ty"].to_pylist()]
        words = [text.get_text() for text in figure.axes[1].texts]
        assert words == ["beyond the range"] * reached.count(False)

    def test_the_lines_hold_a_row_for_each_pair_each_model_and_each_two(self, scanned):
        assert [table.row_count for table in comparison_report.shown(scanned[0])] == [2, 3, 1, 1]


class TestPage:
    @pytest.fixture
    def found(self, scanned, run_here, tmp_path):
        run_here("report", PAIRS, "--store", scanned[2].uri, "--set", "combined={}", "--into", "sent.html")
        return Page((tmp_path / "sent.html").read_bytes())

    def test_it_holds_both_tables_the_figure_and_every_pair(self, scanned, found):
        ranking, differences = scanned[0].ranking, scanned[0].differences
        assert [one["id"] for one in found.all("section")] == [
            "headline", "ranking", "differences", "audit", "study", "made"
        ]  # fmt: skip
        assert found.table("All pairs").column("z [sigma]") == ranking["z"].to_pylist()
        shown = found.table("Z of a pair minus that of another")
        assert shown.column("z difference [sigma]") == differences["z_difference"].to_pylist()
        assert len(found.all("img")) == 1
        first, second = ranking["pair"].to_pylist()
        lines = comparison_page.lines(scanned[0])
        assert f"{first}, Z " in lines[1] and f"last of 2: {second}, Z " in lines[1]
        assert f"second, {second}," in lines[2]
        assert all(line in found.words for line in lines)
        for pair, outcome in scanned[0].outcomes.items():
            assert f"{pair}: Simulated: " in found.words and outcome.plan.table in found.words

    def test_it_stands_alone_and_its_bytes_stay(self, scanned, run_here, tmp_path):
        words = "report", PAIRS, "--store", scanned[2].uri, "--set", "combined={}"
        said = [run_here(*words).stdout for _ in range(2)]
        (kept,) = Path(scanned[2].uri).glob("comparisons/*/pairs.html")
        assert said[0] == said[1] == f"report: {kept}\n"
        run_here(*words, "--into", "sent.html")
        assert (tmp_path / "sent.html").read_bytes() == kept.read_bytes()
        assert "is reported alone" in run_here(*words[:2], TINY, *words[2:], check=2).stderr


def test_the_mid_p_of_a_count_counts_ties_half():
    law = CountLaw(0, np.array([0.5, 0.3, 0.2]), 1e-12)
    z, bound = paired.significances(law, np.array([2.0, 0.0, 1.0, 0.0]))
    expected = [z_one_sided(p) for p in (0.1, 0.75, 0.35, 0.75)]
    np.testing.assert_allclose(z, expected, rtol=1e-9)  # a law never says 0, and so half of nothing is not nothing
    assert not bound.any()


def test_beyond_the_law_a_z_is_a_bound():
    law = CountLaw(0, np.array([0.9, 0.1]), 1e-3)
    z, bound = paired.significances(law, np.array([0.0, 7.0]))
    assert bound.tolist() == [False, True] and z[1] == z_one_sided(1e-3)


def test_of_many_values_z_is_read_at_some_and_linear_between():
    law = CountLaw(0, stats.poisson(400).pmf(np.arange(1000)), 1e-12)
    q = np.arange(330.0, 520.0)
    p = (law.sf(q) + law.sf(q + 1)) / 2
    np.testing.assert_allclose(paired.significances(law, q)[0], [z_one_sided(one) for one in p], atol=1e-3)


def toys(z, bound=None) -> pa.Table:
    n = len(z)
    columns = {"toy": np.arange(n), "q": z, "z": z, "bound": np.zeros(n, bool) if bound is None else bound}
    return schemas.table(pair_schemas.PAIRED, columns)


def test_a_difference_is_of_the_same_toys():
    common = np.random.default_rng(1).normal(3, 5, 4000)  # what both see cancels
    found = paired.difference(toys(common + 0.1), toys(common))
    assert found.z == pytest.approx(0.1) and found.z_error < 1e-9 and found.better == 1.0
    noise = np.random.default_rng(2).normal(0, 1, 4000)
    found = paired.difference(toys(common + noise), toys(common))
    assert found.z_error == pytest.approx(noise.std() / np.sqrt(4000), rel=0.01)
    assert abs(found.z) < 5 * found.z_error and found.better == pytest.approx(0.5, abs=0.05)
    found = paired.difference(toys([1.0, 2.0, 3.0, 0.0]), toys([1.0, 2.5, 2.0, 1.0], [True, False, False, False]))
    assert (found.better, found.tied, found.bound) == (0.25, 0.25, 0.25)


@pytest.mark.parametrize(
    ("values", "expected"),
    [([1.0, 2.0, 3.0], 1.0), ([1.0], None), ([1.0, None], None), ([1.0, np.inf], None), ([2.0, 2.0], 0.0)],
)
def test_a_spread_needs_two_that_are_known(values, expected):
    assert spread(values) == expected


def test_an_exposure_says_its_seed_error_in_words_and_metrics():
    parsed = study.load(str(PAIRS))
    row = dict.fromkeys(reach_schema(parsed.signal.size).names) | {
        "statistic": "tail_count", "R": 1.0, "status": "found", "t3_ty": 30.0, "t3_error_ty": 2.0,
        "t3_seed_error_ty": 5.0, parsed.signal.size.name: 6.5e-48,
        "from_ty": 1.0, "to_ty": 99.0, "pool_limited": False, "method": "exact",
    }  # fmt: skip
    found = Result(pa.Table.from_pylist([row]), None)
    assert "30 +- 2 +- 5 (seed) t y" in next(reach.lines(found, parsed))
    assert reach.metrics(found, parsed) == {"t3/ty_tail_count_R1": 30.0, "t3/seed_error_ty_tail_count_R1": 5.0}


def test_a_model_without_a_timing_has_none(tmp_path):
    store = Store(str(tmp_path))
    assert timings.read(store, "a") == timings.Timing(None, None)
    timings.write(store, "a", timings.Timing(2.0, 3.0))
    assert timings.read(store, "a") == timings.Timing(2.0, 3.0)
