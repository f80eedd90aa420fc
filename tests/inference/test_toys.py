"""Toys are sums over drawn events: the compiled loops against plain ones on the same random stream."""

import numpy as np
import pytest
from scipy import stats

from engine import sampling
from engine.inference import toys
from engine.lineage import mix64

N_POOL = 300
MEANS = np.geomspace(0.05, 40, 7)


@pytest.fixture
def drawn():
    """weights (2 components, events), and values (events, 3) with cancelling signs and unlike sizes."""
    rng = np.random.default_rng(8)
    weights = rng.random((2, N_POOL)) * (rng.random((2, N_POOL)) < 0.7)
    return weights, rng.normal(0, 10.0 ** np.arange(3), (N_POOL, 3))


def summed(*columns):
    """One part of `toys.quantities` per array of values (events, k)."""
    return [("sums", values, values.shape[1]) for values in columns]


def background(name, counts, weights, parts):
    """Totals of each part (n_toys, k)."""
    q = toys.quantities(parts)
    totals = toys.background_totals(toys.stream(name), counts, weights, q)
    return [totals[:, place] for place in q.places]


def nested(name, means, weights, parts, n_toys=60):
    """Counts (n_toys, steps) and the totals of each part (n_toys, steps, k)."""
    rng, q = toys.stream(name), toys.quantities(parts)
    counts = toys.nested_counts(rng, means, n_toys)
    totals = toys.signal_totals(rng, counts, weights[0], q)
    return counts, [totals[:, :, place] for place in q.places]


def test_background_totals_are_a_plain_loop(drawn):
    weights, values = drawn
    counts = np.random.default_rng(1).poisson([30.0, 2.0], (40, 2))
    counts[3], counts[7, 0] = 0, 0
    key = toys.stream("twin").integers(2**64, dtype=np.uint64)
    expected = np.zeros((40, 3))
    for toy, row in enumerate(counts):
        for component, n in enumerate(row):
            events = np.empty(n + 1, np.int32)
            mine = np.uint64(mix64(np.uint64(mix64(key, np.uint64(toy))), np.uint64(component)))
            sampling.draw(mine, n, sampling.alias_table(weights[component]), events)
            for event in events[:n]:
                expected[toy] += values[event]
    (totals,) = background("twin", counts, weights, summed(values))
    assert totals == pytest.approx(expected, rel=1e-12, abs=1e-9)


def test_signal_totals_are_a_plain_loop(drawn):
    weights, values = drawn
    counts, (totals,) = nested("twin", MEANS, weights, summed(values))
    rng = toys.stream("twin")
    toys.nested_counts(rng, MEANS, 60)
    key, events = rng.integers(2**64, dtype=np.uint64), np.empty((counts.max() + 1, 60), np.int32)
    for toy, row in enumerate(counts):
        drawn_events = np.empty(row[-1] + 1, np.int32)
        sampling.draw(np.uint64(mix64(key, np.uint64(toy))), row[-1], sampling.alias_table(weights[0]), drawn_events)
        events[: row[-1], toy] = drawn_events[: row[-1]]
        for step, n in enumerate(row):
            expected = values[events[:n, toy]].sum(axis=0)
            assert totals[toy, step] == pytest.approx(expected, rel=1e-12, abs=1e-11)


@pytest.mark.parametrize("kept", [[0], [6], [2, 5], [0, 3, 6]])
def test_a_cross_section_does_not_see_the_others(drawn, kept):
    """A subset of the steps gives the same bits: so a refined scan repeats nothing and contradicts nothing."""
    weights, values = drawn
    counts, (totals,) = nested("subset", MEANS, weights, summed(values))
    fewer, (their_totals,) = nested("subset", MEANS[kept], weights, summed(values))
    assert np.array_equal(fewer, counts[:, kept])
    assert np.array_equal(their_totals, totals[:, kept])


def test_larger_cross_sections_contain_the_events_of_smaller_ones(drawn):
    weights, _ = drawn
    counts, (totals,) = nested("nested", MEANS, weights, summed(np.eye(N_POOL)))
    assert np.array_equal(totals.sum(axis=2), counts)
    assert np.all(np.diff(counts, axis=1) >= 0)
    assert np.all(np.diff(totals, axis=1) >= 0)


@pytest.fixture
def side_by_side(drawn):
    """Sums and bins in turn; one statistic sums nothing, and one has bins that no event is in."""
    bins = np.random.default_rng(3).integers(0, [[7], [3]], (2, N_POOL))
    values = drawn[1]
    return [
        ("bins", bins[0], 7), ("sums", values, 3), ("sums", np.zeros((N_POOL, 0)), 0),
        ("bins", bins[1], 5), ("sums", values[:, ::-1] ** 2, 3),
    ]  # fmt: skip


def test_totals_of_a_part_do_not_see_the_parts_beside_it(drawn, side_by_side):
    weights, _ = drawn
    counts = np.random.default_rng(4).poisson([30.0, 2.0], (40, 2))
    many = background("beside", counts, weights, side_by_side)
    _, many_nested = nested("beside", MEANS, weights, side_by_side)
    for part, totals, steps in zip(side_by_side, many, many_nested, strict=True):
        assert totals.shape == (40, part[2]) and steps.shape == (60, len(MEANS), part[2])
        assert np.array_equal(background("beside", counts, weights, [part])[0], totals)
        assert np.array_equal(nested("beside", MEANS, weights, [part])[1][0], steps)


def test_bins_are_counted_like_sums_of_zeros_and_ones(drawn, side_by_side):
    """The slow twin of a bin is a column for each: in the same toys, the same totals."""
    weights, _ = drawn
    counts = np.random.default_rng(5).poisson([30.0, 2.0], (40, 2))
    slow = []
    for form, array, width in side_by_side:
        slow.append((form, array, width) if form == "sums" else ("sums", np.eye(width)[array], width))
    for hot, counted in zip(*(background("hot", counts, weights, p) for p in (slow, side_by_side)), strict=True):
        assert np.array_equal(hot, counted)
    (_, hot), (_, counted) = (nested("hot", MEANS, weights, parts) for parts in (slow, side_by_side))
    for one_hot, bins in zip(hot, counted, strict=True):
        assert np.array_equal(one_hot, bins)
    seven, five = counted[0], counted[3]
    assert np.array_equal(seven.sum(axis=2), five.sum(axis=2)) and seven.any(axis=(0, 1)).all()
    assert not five[:, :, 3:].any()


def test_places_share_no_column(side_by_side):
    q = toys.quantities(side_by_side)
    assert np.array_equal(np.sort(np.concatenate(q.places)), np.arange(q.n_totals))
    assert [len(place) for place in q.places] == [7, 3, 0, 5, 3]
    assert q.values.shape == (N_POOL, 6) and q.bins.shape == (N_POOL, 2)
    assert q.bins.min() == 6


def test_more_events_keep_the_first_ones(drawn):
    """A toy of twenty events holds the toy of eight."""
    weights, _ = drawn
    few, many = (background("batch", np.array([[n, 0]]), weights, summed(np.eye(N_POOL)))[0] for n in (8, 20))
    assert few.sum() == 8 and many.sum() == 20 and np.all(few <= many)


def test_a_toy_does_not_see_the_toys_beside_it(drawn):
    weights, values = drawn
    counts = np.random.default_rng(6).poisson([30.0, 2.0], (40, 2))
    fewer = counts.copy()
    fewer[20:] = 0
    (all_of_them,), (first,) = (background("beside", c, weights, summed(values)) for c in (counts, fewer))
    assert np.array_equal(all_of_them[:20], first[:20]) and not first[20:].any()


def test_signal_events_follow_their_weights(drawn):
    weights, _ = drawn
    _, (totals,) = nested("weights", np.array([200.0]), weights, summed(np.eye(N_POOL)), n_toys=500)
    share = weights[0] / weights[0].sum()
    events = totals[:, 0].sum(axis=0)
    used = share > 0
    assert events[~used].sum() == 0
    assert stats.chisquare(events[used], share[used] / share.sum() * events.sum()).pvalue > 1e-4


def test_nested_counts_are_poisson_at_every_mean():
    n = 20_000
    means = np.concatenate([[0.0], MEANS])
    counts = toys.nested_counts(toys.stream("poisson"), means, n)
    assert np.all(np.diff(counts, axis=1) >= 0)
    assert not counts[:, 0].any()
    for mean, column in zip(means[1:], counts.T[1:], strict=True):
        assert abs(column.mean() - mean) < 4.5 * np.sqrt(mean / n)
        assert abs(column.var() - mean) < 4.5 * np.sqrt((mean + 2 * mean**2) / n)


@pytest.mark.parametrize("relative_sd", [(0.0, 0.0), (0.1, 0.0), (0.05, 0.3)])
def test_background_counts_have_the_prior_predictive_mean_and_variance(relative_sd):
    """N has mean B and variance B + sum (sd_c B_c)^2; components fluctuate independently."""
    n, mean, sd = 40_000, np.array([400.0, 50.0]), np.array(relative_sd)
    counts = (rng := toys.stream("prior")).poisson(mean * toys.rate_factors(rng, sd, n))
    total, variance = counts.sum(axis=1), mean.sum() + np.square(sd * mean).sum()
    assert abs(total.mean() - mean.sum()) < 4.5 * np.sqrt(variance / n)
    assert abs(total.var() / variance - 1) < 4.5 * np.sqrt(2.2 / n)
    assert abs(np.corrcoef(counts.T)[0, 1]) < 4.5 / np.sqrt(n)


def test_rates_are_truncated_at_zero_not_clipped():
    n, mean, normal = 20_000, 1000.0, stats.norm
    counts = (rng := toys.stream("truncated")).poisson(mean * toys.rate_factors(rng, [1.0], n))
    expected = mean * (1 + normal.pdf(1) / normal.cdf(1))  # of a Gaussian (1, 1) cut at 0: 1.29; clipped: 1.08
    assert abs(counts.mean() / expected - 1) < 0.02
    assert np.mean(counts == 0) < 0.01


def test_streams_are_named_by_their_keys():
    first, again, other = (toys.stream(1, "pool", 5.0, "null", block).random(8) for block in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.intersect1d(first, other).size
