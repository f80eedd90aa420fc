"""Toy experiments as sums over drawn events: an experiment's events are never stored."""

import numpy as np
from numba import njit
from scipy import stats

from engine import lineage
from engine.sampling import search

BLOCK = 1000  # toys per random stream; a block is always drawn whole, then sliced


def background_counts(rng, mean, relative_sd, n_toys: int) -> np.ndarray:
    """(n_toys, components) numbers of events; each component's rate is drawn once per toy.

    The rate's Gaussian is truncated at zero; relative_sd = 0 keeps it fixed (`idealised`).
    """
    factor = np.ones((n_toys, len(mean)))
    for column, sd in zip(factor.T, relative_sd, strict=True):
        if sd > 0:
            column[:] = stats.truncnorm.ppf(rng.random(n_toys), -1 / sd, np.inf, loc=1, scale=sd)
    return rng.poisson(mean * factor)


@njit(cache=True)
def background_sums(rng, counts, cdf, guide, values):
    """(n_toys, columns): for each toy the sum of `values[event]` over its drawn events.

    counts (n_toys, components); cdf, guide (components, pool): one table per component;
    values (pool, columns): the additive quantity of each statistic.
    """
    n_toys, n_components = counts.shape
    sums = np.zeros((n_toys, values.shape[1]))
    for toy in range(n_toys):
        for component in range(n_components):
            for _ in range(counts[toy, component]):
                event = search(cdf[component], guide[component], rng.random())
                for column in range(values.shape[1]):
                    sums[toy, column] += values[event, column]
    return sums


@njit(cache=True)
def signal_sums(rng, counts, cdf, guide, values):
    """(n_toys, steps, columns): sums over the first counts[toy, step] signal events of each toy.

    `counts` grows along a row (a larger cross-section), so the events of one step contain those of the
    step before: the toys are nested, and p is monotone. Event k of all toys is drawn before event k + 1
    of any, so that what a step sees does not depend on the steps beside it.
    """
    n_toys, n_steps = counts.shape
    total = np.zeros((n_toys, values.shape[1]))
    sums = np.zeros((n_toys, n_steps, values.shape[1]))
    done = np.zeros(n_toys, dtype=np.int64)
    for k in range(counts.max() + 1):
        for toy in range(n_toys):
            while done[toy] < n_steps and counts[toy, done[toy]] == k:
                sums[toy, done[toy]] = total[toy]
                done[toy] += 1
            event = search(cdf, guide, rng.random())
            if done[toy] < n_steps:
                for column in range(values.shape[1]):
                    total[toy, column] += values[event, column]
    return sums


def nested_counts(rng, mean: np.ndarray, n_toys: int) -> np.ndarray:
    """(n_toys, len(mean)) Poisson counts that grow with the mean: one quantile per toy serves all means."""
    counts = stats.poisson.ppf(rng.random(n_toys)[:, None], mean[None, :])
    return np.maximum(counts, 0).astype(np.int64)  # the inverse of a quantile of exactly 0 is -1


def stream(*keys: object) -> np.random.Generator:
    """The random stream of one block of toys; never keyed by model, statistic or R."""
    return lineage.stream("toys", *keys)
