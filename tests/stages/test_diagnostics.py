"""What a fit is worth: the numbers against other ways to them, and the items against what they follow from."""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score
from studies import LIGHT, TINY

from engine import schemas, study
from engine.diagnostics import classification, latent, posterior
from engine.plan.plan import Plan
from engine.report import headline
from engine.run import pipeline
from engine.stages import diagnostics
from engine.stages.diagnostics import CLASSIFIER, FLOOR, NETWORK
from engine.store.store import Store

OF_PARTS = {"population", "lineage"}
FLOORS, CLASSIFIERS = (FLOOR, CLASSIFIER), ("classifier", CLASSIFIER)
AUTOENCODERS = {("vae", what) for what in NETWORK}


def two_gaussians(n_er=20_000, n_nr=30_000, distance=2.0, seed=3):
    rng = np.random.default_rng(seed)
    logit = np.concatenate([rng.normal(-distance / 2, 1, n_er), rng.normal(distance / 2, 1, n_nr)])
    return np.repeat([False, True], [n_er, n_nr]), logit


class TestClassification:
    def test_gaussians_have_the_numbers_of_gaussians(self):
        is_nr, logit = two_gaussians()
        row = classification.evaluate(is_nr, logit, np.ones(len(logit)))
        assert row["auc"] == pytest.approx(norm.cdf(2 / np.sqrt(2)), abs=3e-3)
        recall, false_rate = norm.cdf(1), norm.sf(1)
        assert row["recall"] == pytest.approx(recall, abs=6e-3)
        assert row["accuracy"] == pytest.approx(recall, abs=4e-3)
        assert row["precision"] == pytest.approx(recall / (recall + false_rate), abs=6e-3)
        for acceptance in (30, 50):
            name = f"er_leakage_at_{acceptance}_percent_nr"
            leakage = norm.sf(norm.isf(acceptance / 100) + 2)
            assert row[name] == pytest.approx(leakage, rel=0.2)
            assert row[f"{name}_low"] < row[name] < row[f"{name}_high"]
            half_width = (row[f"{name}_high"] - row[f"{name}_low"]) / 2
            assert half_width == pytest.approx(np.sqrt(leakage / 20_000), rel=0.25)
        assert set(row) | OF_PARTS == set(schemas.CLASSIFIED.names)

    def test_every_event_is_in_the_confusion_matrix_once(self):
        is_nr = np.array([False, False, False, True, True, True, True])
        logit = np.array([-1.0, 2.0, 0.0, 3.0, -1.0, 1.0, 1.0])  # 0 is p = 1/2: not called NR
        row = classification.evaluate(is_nr, logit, np.ones(7))
        assert [row[name] for name in ("er_as_er", "er_as_nr", "nr_as_er", "nr_as_nr")] == [2, 1, 1, 3]
        assert row["recall"] == 0.75 and row["accuracy"] == pytest.approx((0.75 + 2 / 3) / 2)

    def test_weights_stand_for_events(self):
        is_nr, logit = two_gaussians(500, 400)
        times = np.random.default_rng(1).integers(1, 4, len(logit))
        weighted = classification.evaluate(is_nr, logit, times.astype(float))
        repeated = classification.evaluate(*(np.repeat(each, times) for each in (is_nr, logit)), np.ones(times.sum()))
        assert weighted["auc"] == pytest.approx(roc_auc_score(is_nr, logit, sample_weight=times), abs=1e-12)
        for name in ("auc", "accuracy", "precision", "recall", "er_leakage_at_30_percent_nr"):
            assert weighted[name] == pytest.approx(repeated[name], rel=1e-9), name
        width = [row["er_leakage_at_50_percent_nr_high"] - row["er_leakage_at_50_percent_nr_low"]
                 for row in (weighted, repeated)]  # fmt: skip
        assert width[0] > 1.1 * width[1], "copies are no new events"

    def test_events_that_were_kept_for_their_logit_narrow_the_interval(self):
        """Of 20 times as many, all that a cut may keep and one in 20 of the rest: the interval is that of the many."""
        is_nr, logit = two_gaussians(400_000, 30_000)
        probability = np.where(is_nr | (logit > 0), 1.0, 1 / 20)
        kept = np.random.default_rng(1).random(len(logit)) < probability
        row = classification.evaluate(is_nr[kept], logit[kept], 1 / probability[kept])
        name = "er_leakage_at_30_percent_nr"
        assert row[name] == pytest.approx(norm.sf(norm.isf(0.3) + 2), rel=0.05)
        half_width = (row[f"{name}_high"] - row[f"{name}_low"]) / 2
        assert half_width == pytest.approx(np.sqrt(row[name] / 400_000), rel=0.1)
        assert row["auc"] == pytest.approx(norm.cdf(2 / np.sqrt(2)), abs=3e-3)

    def test_ties_count_half_and_are_cut_as_one(self):
        is_nr, logit = two_gaussians(3000, 2000)
        tied = np.where(logit > 0.5, 0.5, logit)
        row = classification.evaluate(is_nr, tied, np.ones(len(logit)))
        above_er, above_nr = (np.mean(logit[mine] > 0.5) for mine in (~is_nr, is_nr))
        assert row["auc"] == pytest.approx(roc_auc_score(is_nr, tied), abs=1e-12)
        assert row["nr_with_one_logit"] == pytest.approx(above_nr)
        assert row["er_leakage_at_30_percent_nr"] == row["er_leakage_at_50_percent_nr"] == pytest.approx(above_er)

    def test_the_talks_imply_a_third_of_nuclear_recoils(self):
        """98.03 % accuracy, 98.07 % recall and 96.39 % precision (the talks) are three numbers of two unknowns."""
        accuracy, recall, share = 0.9803, 0.9807, classification.TALKS_NR_SHARE
        false_rate = (1 - accuracy - share * (1 - recall)) / (1 - share)
        assert classification.precision(recall, false_rate, share) == pytest.approx(0.9639, abs=5e-4)
        assert classification.precision(recall, false_rate, 0.5) == pytest.approx(0.980, abs=5e-4)

    @pytest.mark.parametrize("is_nr", [np.ones(5, bool), np.zeros(5, bool), np.zeros(0, bool)])
    def test_without_a_kind_nothing_is_said(self, is_nr):
        row = classification.evaluate(is_nr, np.arange(len(is_nr), dtype=float), np.ones(len(is_nr)))
        assert row["auc"] is row["precision"] is row["er_leakage_at_30_percent_nr_low"] is None
        assert row["n_er"] + row["n_nr"] == len(is_nr) and len(row["roc_er_leakage"]) == 0
        assert set(row) | OF_PARTS == set(schemas.CLASSIFIED.names)

    def test_nothing_called_nr_has_no_precision(self):
        row = classification.evaluate(np.array([False, True]), np.array([-2.0, -1.0]), np.ones(2))
        assert row["precision"] is row["precision_at_35_percent_nr"] is None and row["recall"] == 0

    def test_few_points_are_enough_of_the_curve(self):
        is_nr, logit = two_gaussians()
        row = classification.evaluate(is_nr, logit, np.ones(len(logit)))
        leaked, kept = (np.array(row[name]) for name in ("roc_er_leakage", "roc_nr_acceptance"))
        assert len(leaked) <= classification.CURVE_POINTS and (leaked[0], kept[0], leaked[-1], kept[-1]) == (0, 0, 1, 1)
        assert np.all(np.diff(leaked) >= 0) and np.all(np.diff(kept) >= 0)
        assert np.trapezoid(kept, leaked) == pytest.approx(row["auc"], abs=1e-3)
        fine = np.interp(1e-3, leaked, kept)
        assert fine == pytest.approx(np.mean(logit[is_nr] >= np.quantile(logit[~is_nr], 0.999)), abs=0.02)


class TestPosterior:
    def test_it_is_eq_3_whatever_the_batches(self):
        rng = np.random.default_rng(2)
        real, drawn = rng.poisson(4.0, (300, 6)).astype(np.uint16), rng.normal(5.0, 2.0, (300, 6)).astype(np.float32)
        found = posterior.check((drawn[i : i + 70], real[i : i + 70]) for i in range(0, 300, 70))
        relative = (drawn - real.astype(float)) / real.std(axis=0)
        np.testing.assert_allclose(found["ppc_mean"], relative.mean(axis=0), rtol=1e-9)
        np.testing.assert_allclose(found["ppc_sd"], relative.std(axis=0), rtol=1e-9)
        np.testing.assert_allclose(found["test_sd"], real.std(axis=0), rtol=1e-9)

    def test_a_constant_feature_has_no_sigma(self):
        real = np.column_stack([np.full(50, 0.1), np.zeros(50), np.arange(50)])
        found = posterior.check([(real + 1, real)])
        assert np.isnan(found["ppc_mean"][:2]).all() and np.isnan(found["ppc_sd"][:2]).all()
        assert found["ppc_mean"][2] == pytest.approx(1 / np.arange(50).std()) and found["ppc_sd"][2] == 0

    def test_a_pixel_that_one_event_lights_is_no_number_of_the_autoencoder(self):
        rng = np.random.default_rng(4)
        lit = np.where(np.arange(400) == 7, 2, 0)
        real = np.column_stack([rng.poisson(20, (400, 2)), lit])
        found = posterior.check([(real + 3.0, real)])
        assert found["ppc_mean"][2] > 25 and list(posterior.varies(found["test_sd"])) == [True, True, False]
        columns = found | {"section": ["image"] * 3, "feature": [0, 1, 2]}
        table = schemas.table(schemas.POSTERIOR_PREDICTIVE, columns)
        one = diagnostics.Autoencoder("conv_vae", 1.0, schemas.LATENT.empty_table(), table, None)
        shifts = found["ppc_mean"][:2]
        assert one.numbers["ppc_rms"] == pytest.approx(np.sqrt(np.mean(shifts**2)))
        assert one.numbers["ppc_median"] == pytest.approx(np.median(shifts)) and one.numbers["ppc_largest"] < 1

    def test_no_events_say_nothing(self):
        found = posterior.check([(np.zeros((0, 4)), np.zeros((0, 4), np.uint16))])
        assert all(values.shape == (4,) for values in found.values()) and np.isnan(found["ppc_mean"]).all()


class TestMap:
    def test_it_follows_from_seed_and_points_and_keeps_groups_apart(self):
        rng = np.random.default_rng(4)
        mu = np.concatenate([rng.normal(0, 1, (40, 5)), rng.normal(12, 1, (40, 5))]).astype(np.float32)
        places = latent.embed(mu, 1)
        np.testing.assert_array_equal(latent.embed(mu, 1), places)
        centres = places[:40].mean(axis=0), places[40:].mean(axis=0)
        spread = max(np.linalg.norm(places[:40] - centres[0], axis=1).max(),
                     np.linalg.norm(places[40:] - centres[1], axis=1).max())  # fmt: skip
        assert np.linalg.norm(centres[0] - centres[1]) > spread

    def test_few_points_and_one_dimension_are_no_error(self):
        assert latent.embed(np.zeros((9, 5), np.float32), 1) is None
        assert latent.embed(np.random.default_rng(1).normal(size=(12, 1)), 1).shape == (12, 2)


class TestItems:
    """What is computed again, and what is not."""

    def items(self, tiny, *settings):
        plan = Plan(study.load(str(tiny), settings))
        return diagnostics.item_of(plan), diagnostics.table_item(plan)

    @pytest.mark.parametrize(
        ("setting", "changed"),
        [
            ("score.R=[1.0]", set()),
            ("toys.null=1600", set()),
            ("models.classifier.epochs=3", {CLASSIFIERS}),
            ("models.vae.epochs=3", AUTOENCODERS),
            ("pool.er_events=6000", {CLASSIFIERS, FLOORS}),
            ("events.test_per_kind=250", {CLASSIFIERS, FLOORS, *AUTOENCODERS}),
            ("seed=4", {CLASSIFIERS, FLOORS, *AUTOENCODERS}),
        ],
    )
    def test_an_item_follows_what_it_is_made_of(self, tiny, setting, changed):
        (before, table), (after, table_after) = self.items(tiny), self.items(tiny, setting)
        assert {what for what in before if before[what] != after[what]} == changed
        assert (table != table_after) == bool(changed & {CLASSIFIERS, FLOORS})

    def test_populations_are_named_by_their_ranges(self, tiny):
        plan = Plan(study.load(str(tiny), ("events.energy_keV=[1.5,50]", "backgrounds.er_window_keVee=[2,8]")))
        found = diagnostics.populations(plan)
        assert list(found) == ["uniform_1.5_50_keV", "window_2_8_keVee"]
        assert {shard.purpose for shard in found["window_2_8_keVee"]} == {"pool"}
        assert [shard.kind for shard in diagnostics.sampled(plan)] == ["ER", "NR"]


def test_an_autoencoder_alone_is_scanned_to_its_end(tmp_path):
    """It is trained on electron recoils alone: no floor can be fitted to them, and none is named."""
    raw = study.read(str(TINY), LIGHT)
    del raw["models"]["classifier"]
    raw |= {"score": {"name": "elbo"}, "events": {"train_per_kind": 100, "test_per_kind": 100},
            "pool": {"er_events": 1500, "nr_events": 500}}  # fmt: skip
    raw["representation"], raw["toys"] = {"name": "summary"}, raw["toys"] | {"null": 100, "signal": 100}
    outcome = pipeline.run(study.parse(raw), Store(str(tmp_path / "store")), workers=0)
    assert not len(outcome["diagnostics"].table) and len(outcome.table)
    assert "floor" not in " ".join(headline.lines(outcome))
