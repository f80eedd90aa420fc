"""Sums over bins by polynomials in their means, against the sums."""

import numpy as np
import pytest

from engine.inference.exact import bin_sums


@pytest.mark.parametrize("chunk", [4_000_000, 1])
def test_a_smooth_function_of_each_mean(monkeypatch, chunk):
    monkeypatch.setattr(bin_sums, "CHUNK", chunk)
    means = np.random.default_rng(1).uniform(0.3, 3.0, size=(50, 7)) * np.geomspace(0.1, 100, 7)
    together = bin_sums.BinSums(means)

    def f(m):
        return np.stack([np.log1p(m), np.exp(2j * np.sqrt(m) / 10)], axis=-1)

    assert together.points.shape == (7, bin_sums.N_POINTS)
    assert together.sum(f(together.points)) == pytest.approx(f(means).sum(axis=1), rel=1e-6)


def test_a_mean_that_does_not_move():
    together = bin_sums.BinSums(np.array([[2.0, 0.0], [2.0, 0.0]]))
    assert np.all(together.points > 0)
    assert together.sum(together.points[:, :, None])[:, 0] == pytest.approx([2.0, 2.0], abs=1e-6)
