"""What is particular to a family."""

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.optimize import brentq
from scipy.special import logit as log_odds
from sklearn.ensemble import HistGradientBoostingClassifier

import zoo
from zoo import boosted_trees, channel_transformer, flow, summary_classifier, waveform_classifier
from zoo._losses import cross_entropy
from zoo._streams import split


def test_a_flow_is_the_density_that_made_the_events():
    """y | c is normal with mean 2c and width 1/2, x is normal: ln p within 0.03 nat, and of total probability 1."""
    rng = np.random.default_rng(1)
    c, x = rng.uniform(-1, 1, 8000), rng.normal(size=8000)
    events = np.column_stack([x, 2 * c + rng.normal(0, 0.5, 8000), c])
    config = zoo.configure(flow, {"preprocess": "raw", "epochs": 8, "transforms": 1, "hidden": [32]})
    fit = zoo.fit(flow, config, events, np.zeros(8000), seed=1)
    seen = zoo.terms(fit, events[:2000])["log_density"]
    truth = stats.norm.logpdf(events[:2000, 0]) + stats.norm.logpdf(events[:2000, 1], 2 * c[:2000], 0.5)
    assert abs((seen - truth).mean()) < 0.03 and np.std(seen - truth) < 0.2
    grid = np.linspace(-6, 6, 121)
    plane = np.array([(a, b, 0.5) for a in grid for b in grid])
    assert np.exp(zoo.terms(fit, plane)["log_density"]).sum() * 0.1**2 == pytest.approx(1, abs=0.01)


def test_given_more_than_there_is_is_refused():
    with pytest.raises(ValueError, match="given = 3"):
        zoo.fit(flow, zoo.configure(flow, {"given": 3}), np.ones((2000, 3)), np.zeros(2000), seed=1)


def test_pulses_of_one_area_are_told_apart_by_their_shape():
    """The second stretch alone differs, in its width and not in its sum; positions are random."""
    rng = np.random.default_rng(2)
    labels = np.repeat([0, 1], 1000)
    time, start = np.arange(80), rng.uniform(20, 60, (2000, 1))
    pulses = stats.norm.pdf(time, start, np.where(labels, 6, 3)[:, None])
    events = np.column_stack([rng.poisson(5, (2000, 20)), rng.poisson(400 * pulses)])
    config = zoo.configure(waveform_classifier, {"sections": [20, 80], "epochs": 8, "learning_rate": 0.01})
    fit = zoo.fit(waveform_classifier, config, events, labels, seed=1)
    assert fit.history["validation_accuracy"][-1] > 0.95


def test_sections_are_those_of_the_vector(lab):
    config = zoo.configure(waveform_classifier, {"sections": [20, 9]})
    lab.one_line_error(lambda: zoo.check_input(waveform_classifier, 30, config), "20 + 9 = 29", "30 values")
    zoo.check_input(waveform_classifier, 29, config)
    lab.one_line_error(lambda: zoo.configure(waveform_classifier, {"sections": [20, 0]}), "positive integers")


def test_a_flow_takes_no_more_than_a_summary_and_needs_something_that_is_not_given(lab):
    for n in (2, 3):
        zoo.check_input(flow, n, zoo.configure(flow, {"given": n - 1}))
        lab.one_line_error(lambda n=n: zoo.check_input(flow, n, zoo.configure(flow, {"given": n})), "leaves nothing")
    lab.one_line_error(lambda: zoo.check_input(flow, 4), "at most 3 values, not 4")


class TestChannelTransformer:
    def events(self, n, seed, s2_lost=1.0):
        """Slots of two pulses of 4 tubes at places of their own; the S2 is ten times the S1, within a tenth."""
        rng = np.random.default_rng(seed)
        slots = np.zeros((n, 2, 5, 5))
        slots[..., :2] = rng.uniform(0, 100, (n, 2, 5, 2))
        s1 = rng.uniform(20, 200, n)
        area = np.stack([s1, s2_lost * 10 * s1 * rng.lognormal(0, 0.1, n)], axis=1)
        slots[..., 1:, 2] = area[..., None] * rng.dirichlet([5] * 4, (n, 2))
        slots[..., 0, 2] = area
        slots[..., 3] = rng.normal(50, 5, (n, 2, 5)) + [[0], [1e5]]
        slots[..., 4] = rng.uniform(20, 30, (n, 2, 5))
        return slots.reshape(n, 50).astype(np.float32)

    def test_an_s2_that_does_not_follow_from_its_s1_is_found(self):
        fields = {"width": 16, "heads": 1, "epochs": 8, "batch_size": 20, "learning_rate": 0.01}
        config = zoo.configure(channel_transformer, fields)
        fit = zoo.fit(channel_transformer, config, self.events(600, 1), np.zeros(600), seed=1)
        usual, odd = (zoo.terms(fit, self.events(200, 2, lost))["log_density"] for lost in (1.0, 0.5))
        assert (odd[:, None] < usual).mean() > 0.9

    def test_what_is_masked_is_not_seen(self, monkeypatch):
        """What is said of a token depends on its contents by nothing, and on those of each that is seen."""
        monkeypatch.setattr(channel_transformer, "gaussian_nll", lambda x, mean, log_variance: mean + log_variance)
        torch.manual_seed(1)
        module = channel_transformer.build(channel_transformer.Config(), 50)
        slots = torch.from_numpy(self.events(1, 3)).reshape(1, 2, 5, 5)
        slots[0, 0, 4] = 0  # a tube without light
        place, content, lit, drift = channel_transformer._tokens(slots)
        content.requires_grad_()
        seen, asked = torch.tensor([[0, 2, 4, 5]]), torch.tensor([[1, 3, 6]])
        module._asked(place, content, lit, drift, seen, asked).sum().backward()
        felt = content.grad[0].abs().sum(dim=1)
        assert (felt[[0, 2, 5]] > 0).all() and not felt[asked[0]].any() and not felt[[7, 8, 9]].any()
        assert felt[4] == 0, "a dark tube is none"

    def test_attention_sees_the_way_between_two_places(self):
        module = channel_transformer.build(channel_transformer.Config(), 50)
        query, key = torch.randn(2, 1, 1, 1, 16, generator=torch.Generator().manual_seed(1))
        there, other = torch.tensor([[[0.4, 1.1]]]), torch.tensor([[[2.0, 0.3]]])

        def product(shift):
            turned = (channel_transformer.rotated(one, module._turns(at + torch.tensor(shift)))
                      for one, at in ((query, there), (key, other)))  # fmt: skip
            return torch.mul(*turned).sum().item()

        assert product([1.3, 0.7]) == pytest.approx(product([0.0, 0.0]), abs=1e-4)
        assert abs(product([0.0, 0.0]) - (query * key).sum().item()) > 0.1

    def test_slots_are_two_pulses_in_their_own_units(self, lab):
        def checked(n_features, **fields):
            zoo.check_input(channel_transformer, n_features, zoo.configure(channel_transformer, fields))

        checked(650)
        lab.one_line_error(lambda: checked(3835), "3835 values", "two pulses", "`channels`")
        lab.one_line_error(lambda: checked(640), "640 values", "two pulses")
        lab.one_line_error(lambda: checked(650, width=20), "width = 20", "4 heads = 8")
        lab.one_line_error(lambda: checked(650, preprocess="max"), "'max'", "'raw'")


class TestTrees:
    def blobs(self, n=1500):
        rng = np.random.default_rng(3)
        labels = np.repeat([0, 1], n)
        return rng.normal(labels[:, None] * [1.0, 0.5, 0.0], 1.0, (2 * n, 3)).astype(np.float32), labels

    def fit(self, **fields):
        config = zoo.configure(boosted_trees, {"epochs": 60, "learning_rate": 0.1, "leaves": 31} | fields)
        return zoo.fit(boosted_trees, config, *self.blobs(), seed=1)

    def grown(self, fit, **changes):
        """scikit-learn's own, on the same training events."""
        features, labels = self.blobs()
        train, _ = split(len(features), fit.config.validation_fraction, fit.seed)
        own = {"max_iter": fit.config.epochs, "early_stopping": False}
        return HistGradientBoostingClassifier(**own | changes).fit(features[train].astype(float), labels[train])

    def test_what_arrays_say_is_what_scikit_learn_says(self):
        fit, unseen = self.fit(), np.random.default_rng(4).normal(0.5, 2.0, (5000, 3)).astype(np.float32)
        wanted = self.grown(fit)._raw_predict(unseen.astype(float)).ravel()
        np.testing.assert_array_equal(zoo.terms(fit, unseen)["logit"], wanted)
        again = zoo.load(zoo.save(fit), boosted_trees)
        np.testing.assert_array_equal(zoo.terms(again, unseen)["logit"], wanted)

    def test_fewer_trees_are_the_first_of_more(self):
        few = zoo.fit(boosted_trees, self.fit().config, *self.blobs(), seed=1, until=10)
        alone, features = self.fit(epochs=10), self.blobs()[0]
        np.testing.assert_array_equal(zoo.terms(few, features)["logit"], zoo.terms(alone, features)["logit"])
        assert few.history == alone.history and len(few.history["validation_loss"]) == 10

    def test_the_best_trees_are_those_up_to_the_lowest_loss(self):
        whole, best = self.fit(), self.fit(keep="best")
        losses, features = whole.history["validation_loss"], self.blobs()[0]
        n = losses.index(min(losses)) + 1
        assert 1 < n < 60
        wanted = zoo.terms(self.fit(epochs=n), features)["logit"]
        np.testing.assert_array_equal(zoo.terms(best, features)["logit"], wanted)
        assert len(self.fit(patience=3).history["validation_loss"]) == n + 3

    def test_events_that_are_no_numbers_are_named(self, lab):
        features, labels = self.blobs()
        features[7] = np.nan
        lab.one_line_error(lambda: zoo.fit(boosted_trees, zoo.configure(boosted_trees, {}), features, labels, seed=1),
                           "boosted_trees, in epoch 1", "[7]")  # fmt: skip


class TestFalsePositives:
    @pytest.mark.parametrize("weight", [0.0, 5.0, 100.0])
    def test_the_least_loss_is_where_theory_has_it_and_keeps_the_order(self, weight):
        """Bins of so many ER and NR: no slope where p (1 + w p^2) / (1 - p) = n / e, up above it and down below."""
        er, nr = np.array([500, 300, 150, 40, 10]), np.array([10, 40, 150, 300, 500])
        p = [brentq(lambda p, r=ratio: p * (1 + weight * p**2) - r * (1 - p), 0, 1) for ratio in nr / er]
        assert (np.diff(p) > 0).all()
        label = torch.cat([torch.zeros(1000), torch.ones(1000)]).double()
        place = torch.cat([torch.arange(5).repeat_interleave(torch.from_numpy(n)) for n in (er, nr)])
        for away in (-0.1, 0.0, 0.1):
            logit = torch.tensor(log_odds(np.array(p)) + away, requires_grad=True)
            cross_entropy(logit[place], label, weight)[0].backward()
            slope = logit.grad.numpy()
            assert (np.abs(slope) < 1e-12).all() if away == 0 else (slope * away > 0).all()

    def test_without_a_weight_a_fit_is_the_one_that_it_was(self):
        as_it_was = {"hidden": (32, 32), "epochs": 30, "batch_size": 100, "learning_rate": 0.005, "patience": 0,
                     "validation_fraction": 0.3, "preprocess": "log1p_standard", "keep": "last"}  # fmt: skip
        default = zoo.configure(summary_classifier, {})
        assert zoo.identity(summary_classifier, vars(default)) == as_it_was
        weighted = zoo.configure(summary_classifier, {"false_positive_weight": 2})
        assert zoo.identity(summary_classifier, vars(weighted)) == as_it_was | {"false_positive_weight": 2.0}

    def test_a_weighted_fit_is_another_and_its_bytes_say_so(self, lab):
        plain, weighted = (lab.fitted(summary_classifier, **fields) for fields in ({}, {"false_positive_weight": 9.0}))
        assert zoo.load(zoo.save(weighted), summary_classifier).config == weighted.config
        assert b"false_positive_weight" not in zoo.save(plain)
        assert plain.history["train_loss"] != weighted.history["train_loss"]
