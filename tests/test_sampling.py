"""Draws against a plain search and against their weights, also where weights are zero."""

import numpy as np
import pytest
from scipy import stats

from engine import sampling

RNG = np.random.default_rng(5)
WEIGHTS = {
    "one": np.array([3.0]),
    "equal": np.ones(10),
    "decades": 10.0 ** RNG.uniform(-9, 3, 500),
    "zeros at both ends": np.array([0, 0, 1.0, 0, 2.0, 0, 0, 4.0, 0]),
    "mostly zeros": RNG.random(1000) * (RNG.random(1000) < 0.02),
    "one event out of many": np.eye(1, 400, 399)[0],
}


@pytest.fixture(params=WEIGHTS.values(), ids=WEIGHTS)
def weights(request):
    return request.param


def table(weights):
    """Cumulative distribution and a guide table of four cells per weight."""
    cdf = np.cumsum(weights)
    cdf /= cdf[-1]
    guide = np.empty(4 * len(cdf), dtype=np.int32)
    sampling.fill_guide(cdf, guide)
    return cdf, guide


def edges(cdf):
    """Where a search goes wrong first: 0, just below 1, on the cdf's own steps, on the guide's cells."""
    steps = np.concatenate([cdf, np.nextafter(cdf, 1), np.arange(len(cdf)) / len(cdf)])
    return np.concatenate([[0.0, np.nextafter(1, 0)], steps[steps < 1]])


def test_search_is_searchsorted(weights):
    cdf, guide = table(weights)
    u = np.concatenate([edges(cdf), np.random.default_rng(1).random(5000)])
    found = np.array([sampling.search(cdf, guide, x) for x in u])
    assert np.array_equal(found, np.searchsorted(cdf, u, side="right"))
    assert np.all(weights[found] > 0)


@pytest.mark.parametrize("length", [1, 7, 64, 5000])
def test_a_guide_of_any_length_finds_the_same(length):
    cdf, _ = table(WEIGHTS["decades"])
    guide = np.empty(length, dtype=np.int64)
    sampling.fill_guide(cdf, guide)
    u = np.random.default_rng(2).random(2000)
    found = [sampling.search(cdf, guide, x) for x in u]
    assert np.array_equal(found, np.searchsorted(cdf, u, side="right"))


def test_frequencies_follow_the_weights():
    weights = np.array([0, 5.0, 1.0, 0, 0.5, 3.5, 0])
    cdf, guide = table(weights)
    u = np.random.default_rng(3).random(50_000)
    drawn = np.bincount([sampling.search(cdf, guide, x) for x in u], minlength=len(weights))
    used = weights > 0
    assert drawn[~used].sum() == 0
    assert stats.chisquare(drawn[used], weights[used] / weights.sum() * len(u)).pvalue > 1e-4


def test_the_scale_of_the_weights_is_irrelevant(weights):
    assert np.array_equal(sampling.alias_table(weights), sampling.alias_table(weights * 2.0**40))


# Many at once


def draws(weights, n=200_000, key=11):
    out = np.empty(n + 1, np.int32)
    sampling.draw(np.uint64(key), n, sampling.alias_table(weights), out)
    return out[:n]


def test_drawn_events_follow_the_weights(weights):
    found = np.bincount(draws(weights), minlength=len(weights))
    assert found[weights == 0].sum() == 0
    often = weights / weights.sum() * found.sum() > 10
    expected = weights[often] / weights.sum() * found.sum()
    assert np.abs(found[often] - expected).max() < 5.5 * np.sqrt(expected.max())
    assert np.sum((found[often] - expected) ** 2 / expected) < often.sum() + 6 * np.sqrt(2 * often.sum()) + 6


def test_an_alias_table_holds_the_weights_exactly(weights):
    """What a cell keeps and what it is given adds up to the weight, to 2^-32 of a cell."""
    table = sampling.alias_table(weights)
    own, other = (table >> np.uint64(32)) / 2.0**32, (table & sampling.LOW).astype(int)
    share = np.bincount(np.arange(len(table)), own) + np.bincount(other, 1 - own, minlength=len(table))
    assert share == pytest.approx(weights * len(weights) / weights.sum(), rel=1e-6, abs=len(weights) * 2.0**-31)


def test_more_draws_keep_the_first_ones(weights):
    assert np.array_equal(draws(weights, 1001), draws(weights, 2500)[:1001])
    assert len(weights) == 1 or (weights > 0).sum() == 1 or not np.array_equal(draws(weights), draws(weights, key=12))


@pytest.mark.parametrize("nothing", [np.zeros(3), np.array([np.nan, 1.0])])
def test_weights_without_a_sum_are_refused(nothing):
    with pytest.raises(ValueError, match="weights"):
        sampling.alias_table(nothing)
