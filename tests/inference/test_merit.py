"""ARGOS against a closed form, and its error against how it scatters."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from engine.inference.merit import FEWEST, argos


def drawn(n, distance, seed, nr_share=1.0):
    rng = np.random.default_rng(seed)
    score = np.concatenate([rng.normal(size=n), rng.normal(distance, 1, round(nr_share * n))])
    return score, np.repeat([1.0, 0.0], [n, len(score) - n]), np.repeat([0.0, 1.0], [n, len(score) - n])


def exact(distance):
    """Of two unit normals so far apart."""
    found = minimize_scalar(lambda x: -(norm.sf(x - distance) - norm.sf(x)) / np.sqrt(norm.sf(x)), (0, 5))
    return -found.fun, norm.sf(found.x)


def test_two_normals_have_the_value_of_two_normals():
    for distance in (1.0, 2.0):
        found, (value, leaked) = argos(*drawn(400_000, distance, 1)), exact(distance)
        assert abs(found.value - value) < 2 * found.error and found.error < 0.05 * value
        assert found.leaked == pytest.approx(leaked, rel=0.5)


def test_it_is_invariant_under_monotone_maps_and_units_of_weights_and_orders_scores():
    score, background, nr = drawn(20_000, 2.0, 2)
    found = argos(score, background, nr)
    assert argos(np.exp(score), 7 * background, nr / 3) == pytest.approx(found)
    noisy = score + np.random.default_rng(3).normal(0, 1, len(score))
    assert found.value > argos(noisy, background, nr).value > argos(-score, background, nr).value


def test_the_error_is_how_it_scatters():
    found = [argos(*drawn(20_000, 1.5, seed)) for seed in range(100)]
    scatter = np.std([one.value for one in found], ddof=1)
    assert np.median([one.error for one in found]) == pytest.approx(scatter, rel=0.4)
    bias = np.mean([one.value for one in found]) - exact(1.5)[0]
    assert 0 < bias < scatter, "the largest of many cuts is a lucky one"


def test_of_equal_scores_all_are_kept_and_of_few_events_nothing_is_known():
    assert argos(np.zeros(2000), *drawn(1000, 1.0, 1)[1:]).value == 0
    score, background, nr = drawn(int(FEWEST) - 1, 9.0, 1)
    assert argos(score, background, nr)[:2] == (0.0, np.inf)


def test_events_kept_for_their_score_are_counted_as_what_they_are():
    """Of the bulk one in twenty is kept, twenty times as heavy: value and error are those of all."""
    score, background, nr = drawn(400_000, 2.0, 5, nr_share=0.1)
    chance = np.where((score > 1) | (nr > 0), 1.0, 1 / 20)
    kept = np.random.default_rng(6).random(len(score)) < chance
    whole, part = argos(score, background, nr), argos(score[kept], (background / chance)[kept], nr[kept])
    assert part.value == pytest.approx(whole.value, rel=0.02) and part.error == pytest.approx(whole.error, rel=0.2)
