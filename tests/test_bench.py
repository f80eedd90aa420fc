"""The plain twins say the same as the fast kernels; how much slower they are is for `recoilscan bench` to show."""

import numpy as np
import pytest

from engine import bench
from engine.inference import cells, toys

N_PLAIN = 600
ERRORS = 4.5  # standard errors that two samples may differ by


@pytest.fixture(scope="module")
def population():
    return bench.surrogate()


def background(population):
    """(3, toys): N, q and tail count of four blocks of background toys."""
    blocks = [cells.background_block(population, 1.0, "background", block, bench.WANTED) for block in range(4)]
    n_events, sums = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    return evaluate(population, n_events, sums)


def evaluate(population, n_events, sums):
    null = population.null(bench.R, 1.0)
    q = [statistic.statistic(n_events, sums[:, i], null) for i, (_, statistic) in enumerate(bench.WANTED)]
    return np.array([n_events, *q])


def assert_same_distribution(population, fast, plain):
    """Mean and standard deviation of N, q, tail count and q - 2 N h; the latter sees f0 behind N's fluctuations."""
    h = -np.average(population.f0[bench.R].ln(population.ts[bench.R]), weights=population.weights.sum(axis=0))
    fast, plain = (np.vstack([rows, rows[1] - 2 * rows[0] * h]) for rows in (fast, plain))
    for one, other in zip(fast, plain, strict=True):
        mean_error = np.sqrt(one.var() / len(one) + other.var() / len(other))
        assert abs(one.mean() - other.mean()) < ERRORS * mean_error
        kurtosis = np.mean((one - one.mean()) ** 4) / one.var() ** 2
        relative_error = np.sqrt((kurtosis - 1) / 4 * (1 / len(one) + 1 / len(other)))
        assert abs(other.std() / one.std() - 1) < ERRORS * relative_error


def test_background_toys(population):
    plain = bench.plain_toys(np.random.default_rng(2), N_PLAIN, bench.plain_inputs(population), 0.0)
    assert_same_distribution(population, background(population), plain)


def test_signal_toys(population):
    """Nested increments on background toys, at the largest cross-section, against whole experiments."""
    drawn = [cells.background_block(population, 1.0, "background", block, bench.WANTED) for block in range(4)]
    signal = [bench.signal_toys(population, toys.stream("signal", block)) for block in range(4)]
    n_events = np.concatenate([n + counts[:, -1] for (n, _), (counts, _) in zip(drawn, signal, strict=True)])
    sums = np.concatenate([a + b[:, -1] for (_, a), (_, b) in zip(drawn, signal, strict=True)])
    plain = bench.plain_toys(np.random.default_rng(3), N_PLAIN, bench.plain_inputs(population), bench.N_SIGNAL)
    assert_same_distribution(population, evaluate(population, n_events, sums), plain)
    assert abs(plain[0].mean() - background(population)[0].mean() - bench.N_SIGNAL) < ERRORS * np.sqrt(6670 / N_PLAIN)


def test_plain_vectors_follow_every_photon():
    """The same recoils, electrons and numbers of photons, but other charges."""
    energy_keV = np.full(400, 20.0)
    (fast, _), (plain, _) = bench.vectors(energy_keV), bench.plain_vectors(energy_keV)
    np.testing.assert_array_equal(fast["s1_pe"], plain["s1_pe"])
    assert np.all(fast["s2_pe"] != plain["s2_pe"])
    np.testing.assert_allclose(fast["s2_pe"], plain["s2_pe"], rtol=0.025)  # five sigma of the charges of 20 000 photons


def test_every_comparison_has_a_ratio():
    found = bench.run(seconds=0.02)
    assert len({comparison.name for comparison in found}) == len(found) == 5
    for comparison in found:
        assert comparison.ratio == comparison.fast_per_s / comparison.slow_per_s > 0
        assert comparison.unit.endswith("/ s")


def test_per_second_counts_units():
    calls = []
    rate = bench.per_second(lambda: calls.append(sum(range(1000))), 7, 0.01)
    assert rate > 7 * (len(calls) - 1) / 0.1
