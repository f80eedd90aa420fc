"""What the papers and talks compare with: Pearson's formula on expected histograms, and a count after a veto."""

import numpy as np
import pytest
from scipy import stats

from engine.inference.exact import counts, normal, pearson, veto


def test_equation_12_by_hand():
    assert pearson.pearson([4.0, 0.0, 10.0], [6.0, 0.0, 6.0]) == pytest.approx(4 / 10 + 16 / 16)
    assert pearson.pearson([4.0, 1.0], [[4.0, 1.0], [8.0, 0.0]]) == pytest.approx([0, 16 / 12 + 1])


def test_equation_13_on_expected_histograms():
    background, signal = np.array([100.0, 10.0, 1.0]), np.array([1.0, 2.0, 9.0])
    q = pearson.AsimovLaw(background, signal).median()
    assert q == pytest.approx((signal**2 / (2 * background + signal)).sum())
    assert pearson.ChiSquareLaw().sf(q) == pytest.approx(2 * stats.norm.sf(np.sqrt(q)))
    assert pearson.ChiSquareLaw().sf(pearson.ChiSquareLaw().median()) == pytest.approx(0.5)


def test_asimov_data_do_not_fluctuate():
    law = pearson.AsimovLaw([4.0], [2.0])
    assert law.sf(np.array([0.0, law.median(), law.median() + 1e-9])).tolist() == [1, 1, law.smallest_p]
    assert 0 < pearson.ChiSquareLaw().sf(1e9) == pearson.ChiSquareLaw.smallest_p


def test_on_data_that_fluctuate_equation_13_is_no_p_value():
    """With 50 bins and no signal at all it would claim three sigma nearly always."""
    background = np.full(50, 100.0)
    q = pearson.pearson(background, np.random.default_rng(0).poisson(background, size=(1000, 50)))
    assert q.mean() == pytest.approx(25, rel=0.1)
    assert np.mean(pearson.ChiSquareLaw().sf(q) < 1.35e-3) > 0.99


def test_the_veto_keeps_its_shares():
    kept = veto.after_veto([[1000.0, 500.0], [10.0, 20.0]], [True, False], er_rejection=0.99)
    assert kept == pytest.approx(np.array([[10.0, 5.0], [3.0, 6.0]]))
    assert veto.after_veto([6500.0, 7.5], [True, False]) == pytest.approx([1.3, 2.25])


def test_the_count_after_the_veto():
    """200 t y of the papers' benchmark: 171 WIMP events on 6670 ER and 7.5 NR, rates known."""
    b = veto.after_veto([6670.0, 7.5], [True, False])
    null, with_signal = counts.law(b, np.zeros(2)), counts.law(b, np.zeros(2)).with_signal(0.3 * 171)
    assert null.sf(with_signal.median()) == pytest.approx(stats.poisson.sf(55 - 1, b.sum()), rel=1e-9)
    assert with_signal.median() == stats.poisson.median(b.sum() + 51.3) == 55


def test_moments_of_a_poisson_probability_are_those_of_its_draws():
    expected, means = np.array([1e-3, 0.4, 7.0, 60.0]), np.array([1e-3, 2.0, 7.0, 80.0])
    n = np.random.default_rng(5).poisson(means, size=(200_000, 4))
    q = -2 * stats.poisson.logpmf(n, expected)
    mean, variance = normal.ln_poisson_moments(expected, means)
    assert np.all(np.abs(q.mean(axis=0) - mean) < 5 * q.std(axis=0) / np.sqrt(len(q)))
    assert q.var(axis=0)[1:] == pytest.approx(variance[1:], rel=0.03)  # of the first a few draws say all


def test_a_normal_law_ends_in_a_bound():
    law = normal.NormalLaw(3.0, 2.0)
    assert law.median() == 3 and law.sf(np.array([5.0, 1e9])) == pytest.approx([stats.norm.sf(1), law.smallest_p])
