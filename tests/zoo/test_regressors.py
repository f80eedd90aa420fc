"""Regressors: posteriors against ones that are known."""

import numpy as np
import pytest
import torch
from scipy import stats

import zoo
from zoo import energy_flow

RANGE_KEV = (1.0, 100.0)
SIGMA = 0.3  # of ln x about ln E
LEVELS = np.arange(1, 20) / 20


def events(n, seed, informative=True):
    """(n, 2): a log-normal about the energy and noise, or noise alone; and energies, flat in log E."""
    rng = np.random.default_rng(seed)
    energy = np.exp(rng.uniform(*np.log(RANGE_KEV), n) * (1 - 1e-6) + 1e-7)
    seen = energy if informative else np.full(n, 10.0)
    return np.column_stack([seen * np.exp(SIGMA * rng.normal(size=n)), rng.uniform(1, 2, n)]), energy


def fitted(informative=True):
    fields = {"energy_keV": RANGE_KEV, "hidden": [16], "epochs": 8, "batch_size": 100, "learning_rate": 0.01}
    config = zoo.configure(energy_flow, fields)
    return zoo.fit(energy_flow, config, *events(6000, 1, informative), seed=1)


@pytest.fixture(scope="module")
def fit():
    return fitted()


def exact(x):
    """The posterior of ln E given ln x: a Gaussian cut at the ends of the prior."""
    low, high = ((end - np.log(x)) / SIGMA for end in np.log(RANGE_KEV))
    return stats.truncnorm(low, high, np.log(x), SIGMA)


def test_the_posterior_is_the_known_one_at_its_ends_too(fit):
    seen, _ = events(2000, 2)
    truth = np.array([exact(seen[:, 0]).ppf(level) for level in (0.025, 0.16, 0.5, 0.84, 0.975)]).T
    off = (np.log(zoo.quantiles(fit, seen, (0.025, 0.16, 0.5, 0.84, 0.975))) - truth) / SIGMA
    assert np.abs(off[:, 1:4]).mean() < 0.1 and np.abs(off).mean() < 0.2
    ends = (seen[:, 0] < 1.2) | (seen[:, 0] > 80)
    assert ends.sum() > 50 and np.abs(off[ends][:, 1:4]).mean() < 0.2
    flat = zoo.quantiles(fit, seen, (1e-6, 1 - 1e-6))
    assert flat.min() >= RANGE_KEV[0] and flat.max() <= RANGE_KEV[1] * (1 + 1e-6), "the prior has nothing there"


def test_ranks_of_events_it_has_not_seen_are_uniform(fit):
    seen, energy = events(2000, 3)
    ranks = np.bincount((zoo.quantiles(fit, seen, LEVELS) < energy[:, None]).sum(1), minlength=20)
    assert stats.chisquare(ranks).pvalue > 1e-3
    wrong = np.bincount((zoo.quantiles(fit, seen, LEVELS) < 1.1 * energy[:, None]).sum(1), minlength=20)
    assert stats.chisquare(wrong).pvalue < 1e-6, "a bias of a third of a width is seen"


def test_the_loss_is_that_of_the_density_which_has_these_quantiles(fit):
    seen, energy = events(300, 4)
    x = fit.preprocess.apply(seen)
    levels = np.linspace(0, 1, 4002)[1:-1]
    scores = fit.module.normal_score(torch.from_numpy(zoo.quantiles(fit, seen, levels))).numpy()
    at = fit.module.normal_score(torch.from_numpy(energy)).numpy()
    middles, densities = (scores[:, 1:] + scores[:, :-1]) / 2, (levels[1] - levels[0]) / np.diff(scores)
    density = [np.interp(*one) for one in zip(at, middles, densities, strict=True)]
    with torch.no_grad():
        loss, _ = energy_flow.loss(fit.module, x, torch.from_numpy(energy).float(), torch.Generator(), fit.config)
    assert float(loss) == pytest.approx(-np.log(density).mean(), abs=0.02)


def test_where_nothing_is_seen_the_prior_comes_back():
    blind = fitted(informative=False)
    found = zoo.quantiles(blind, events(200, 5, informative=False)[0], (0.25, 0.5, 0.75))
    expected = [RANGE_KEV[0] * (RANGE_KEV[1] / RANGE_KEV[0]) ** level for level in (0.25, 0.5, 0.75)]
    np.testing.assert_allclose(np.log(found).mean(axis=0), np.log(expected), atol=0.25)


def test_energies_without_a_logarithm_are_refused(lab):
    config = zoo.configure(energy_flow, {"energy_keV": [0.0, 10.0]})
    lab.one_line_error(lambda: zoo.check_input(energy_flow, 3, config), "energy_keV", "above 0")


def test_an_energy_outside_its_range_names_the_fit():
    seen, energy = events(500, 6)
    config = zoo.configure(energy_flow, {"energy_keV": (1.0, 50.0), "batch_size": 100})
    with pytest.raises(zoo.NonFiniteLoss, match="energy_flow.*epoch 1"):
        zoo.fit(energy_flow, config, seen, energy, seed=1)
