"""Toy experiments as sums over drawn events: an experiment's events are never stored."""

from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy import stats

from engine import lineage
from engine.lineage import mix64
from engine.sampling import alias_table, draw, search

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


@dataclass(frozen=True)
class Quantities:
    """What a toy sums over its events, for several statistics side by side.

    values (events, columns): summed; bins (events, binnings): the bin of each event, counted from n_values on, so
    that it is a column of the toy's totals too; n_totals: columns in all; places: each statistic's columns.
    """

    values: np.ndarray
    bins: np.ndarray
    n_totals: int
    places: tuple[np.ndarray, ...]


def quantities(parts: list[tuple[str, np.ndarray, int]]) -> Quantities:
    """Side by side: ("sums", values (events, k), k) or ("bins", bin (events,), number of bins), per statistic."""
    n_values = sum(width for form, _, width in parts if form == "sums")
    values, bins, places, next_sum, next_bin = [], [], [], 0, n_values
    for form, array, width in parts:
        start = next_sum if form == "sums" else next_bin
        places.append(np.arange(start, start + width))
        if form == "sums":
            values.append(array)
            next_sum += width
        else:
            bins.append(array.astype(np.int64) + next_bin)
            next_bin += width
    n_events = len(parts[0][1])
    columns = np.concatenate([*values, np.zeros((n_events, 0))], axis=1)
    indices = np.stack(bins, axis=1) if bins else np.zeros((n_events, 0))
    return Quantities(columns, np.ascontiguousarray(indices, dtype=np.int32), next_bin, tuple(places))


def background_totals(rng, counts: np.ndarray, weights: np.ndarray, wanted: Quantities) -> np.ndarray:
    """(n_toys, n_totals): for each toy the totals of its events, counts (n_toys, components) of which are drawn by
    weights (components, pool). A toy's events follow from 64 bits of rng and its place, not from the toys beside it.
    """
    tables = np.empty(weights.shape, dtype=np.uint64)
    for table, row in zip(tables, weights, strict=True):
        table[:] = alias_table(row)
    by_column = np.ascontiguousarray(wanted.values.T), np.ascontiguousarray(wanted.bins.T)
    return _background_totals(rng.integers(2**64, dtype=np.uint64), counts, tables, *by_column, wanted.n_totals)


@njit(cache=True)
def _background_totals(key, counts, tables, values, bins, n_totals):
    n_toys, n_components = counts.shape
    totals = np.zeros((n_toys, n_totals))
    events = np.empty(counts.sum(axis=1).max() + 1, dtype=np.int32)
    for toy in range(n_toys):
        n_events, mine = 0, mix64(key, np.uint64(toy))
        for component in range(n_components):
            stream_of_component = mix64(mine, np.uint64(component))
            draw(stream_of_component, counts[toy, component], tables[component], events[n_events:])
            n_events += counts[toy, component]
        for column in range(len(values)):
            totals[toy, column] = _sum(values[column], events, n_events)
        for binning in range(len(bins)):
            for k in range(n_events):
                totals[toy, bins[binning, events[k]]] += 1
    return totals


@njit(cache=True)
def _sum(values, events, n_events):
    """Four sums side by side, for one would wait for itself."""
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    last = n_events - n_events % 4
    for k in range(0, last, 4):
        a += values[events[k]]
        b += values[events[k + 1]]
        c += values[events[k + 2]]
        d += values[events[k + 3]]
    for k in range(last, n_events):
        a += values[events[k]]
    return (a + b) + (c + d)


@njit(cache=True)
def signal_totals(rng, counts, cdf, guide, values, bins, n_totals):
    """(n_toys, steps, n_totals): totals of the first counts[toy, step] signal events of each toy.

    `counts` grows along a row (a larger cross-section), so the events of one step contain those of the
    step before: the toys are nested, and p is monotone. Event k of all toys is drawn before event k + 1
    of any, so that what a step sees does not depend on the steps beside it.
    """
    n_toys, n_steps = counts.shape
    total = np.zeros((n_toys, n_totals))
    totals = np.zeros((n_toys, n_steps, n_totals))
    done = np.zeros(n_toys, dtype=np.int64)
    for k in range(counts.max() + 1):
        for toy in range(n_toys):
            while done[toy] < n_steps and counts[toy, done[toy]] == k:
                totals[toy, done[toy]] = total[toy]
                done[toy] += 1
            event = search(cdf, guide, rng.random())
            if done[toy] < n_steps:
                for column in range(values.shape[1]):
                    total[toy, column] += values[event, column]
                for binning in range(bins.shape[1]):
                    total[toy, bins[event, binning]] += 1
    return totals


def nested_counts(rng, mean: np.ndarray, n_toys: int) -> np.ndarray:
    """(n_toys, len(mean)) Poisson counts that grow with the mean: one quantile per toy serves all means."""
    counts = stats.poisson.ppf(rng.random(n_toys)[:, None], mean[None, :])
    return np.maximum(counts, 0).astype(np.int64)  # the inverse of a quantile of exactly 0 is -1


def stream(*keys: object) -> np.random.Generator:
    """The random stream of one block of toys; never keyed by model, statistic or R."""
    return lineage.stream("toys", *keys)
