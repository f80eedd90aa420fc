"""WALDO: what its intervals hold, on an estimate that the prior pulls."""

import numpy as np
import pytest
from scipy.stats import norm

from engine.inference import waldo
from engine.inference.significance import CENTRAL

WIDTH = 2.0  # of x about the truth, the prior's is 1: the posterior's mean is a fifth of x
BINS = np.array([-3.0, -1.5, -0.5, 0.5, 1.5, 3.0])


def toy(n, seed):
    """Truths, evenly over where they are judged; mean and spread of the posterior under a prior N(0, 1)."""
    rng = np.random.default_rng(seed)
    truth = rng.uniform(-3, 3, n)
    shrink = 1 / (1 + WIDTH**2)
    return truth, shrink * (truth + WIDTH * rng.normal(size=n)), np.full(n, WIDTH * np.sqrt(shrink))


def in_bins(holds, truth):
    return np.array([holds[(truth >= a) & (truth < b)].mean() for a, b in zip(BINS, BINS[1:], strict=False)])


@pytest.fixture(scope="module", params=[CENTRAL, 0.95])
def calibrated(request):
    truth, mean, sd = toy(20_000, 1)
    return request.param, waldo.critical(request.param, waldo.pull(mean, sd, truth), truth)


def test_it_holds_the_truth_as_often_as_it_says_wherever_that_is(calibrated):
    level, at = calibrated
    truth, mean, sd = toy(20_000, 2)
    error = np.sqrt(level * (1 - level) / np.histogram(truth, BINS)[0]) * np.sqrt(2)  # as many calibrate as judge
    pulls = waldo.pull(mean, sd, truth)
    off = in_bins(pulls <= at(truth), truth) - level
    assert np.all(np.abs(off) < 4 * error) and np.abs(off).max() < 0.03
    credible = in_bins(pulls <= norm.isf((1 - level) / 2), truth) - level
    assert credible[0] < -0.3 and credible[-1] < -0.3 and credible[2] > 0.03, "the posterior's own interval is off"


def test_intervals_hold_what_is_not_rejected(calibrated):
    level, at = calibrated
    truth, mean, sd = toy(2000, 3)
    low, high = waldo.intervals(at, mean, sd)
    assert np.isfinite(low).all() and (low < high).all()
    held, kept = (low <= truth) & (truth <= high), waldo.pull(mean, sd, truth) <= at(truth)
    assert (held == kept).mean() > 0.97, "but where trees make a step back, and between two steps"
    assert held.mean() == pytest.approx(kept.mean(), abs=0.02), "ends are neither too near nor too far"


def test_a_quantile_may_depend_on_what_else_is_known():
    rng = np.random.default_rng(4)
    truth, known = rng.uniform(0, 1, 20_000), rng.uniform(0, 1, 20_000)
    pulls = np.abs(rng.normal(size=20_000)) * np.where(known > 0.5, 2.0, 1.0)
    at = waldo.critical(CENTRAL, pulls, truth, known)
    grid = np.full(50, 0.5), np.linspace(0.05, 0.95, 50)
    found = at(*grid)
    assert found[grid[1] < 0.45].mean() == pytest.approx(1, abs=0.06)
    assert found[grid[1] > 0.55].mean() == pytest.approx(2, abs=0.12)


def test_the_same_events_give_the_same_quantiles():
    truth, mean, sd = toy(1000, 5)
    first, again = (waldo.critical(0.9, waldo.pull(mean, sd, truth), truth)(truth) for _ in range(2))
    np.testing.assert_array_equal(first, again)
