"""Toy experiments as sums over drawn events, or as the events for a while: an experiment's events are never stored."""

from dataclasses import dataclass

import numpy as np
import scipy
from numba import njit
from scipy import special

from engine import lineage
from engine.inference.hypothesis import Law
from engine.inference.leakage import LeakagePrior
from engine.lineage import mix64
from engine.sampling import alias_table, draw

BLOCK = 1000  # toys per random stream; a block is always drawn whole, then sliced


def rates(rng, law: Law, leakage: LeakagePrior, n_toys: int) -> tuple[Law, np.ndarray]:
    """A law with a row for each rate that is drawn, and (n_toys, rows) factors on them, drawn once per toy.

    Where the leakage is not known, what leaks has rows of its own, which have their rate's factor and the leakage's.
    """
    law = law.grouped
    factor = rate_factors(rng, law.relative_sd, n_toys)
    if leakage.is_known:
        return law, factor
    law, row, leaked = law.split()
    of_leakage = leakage.at(rng.standard_normal(n_toys))[:, None]
    return law, factor[:, row] * np.where(leaked, of_leakage, 1.0)


def rate_factors(rng, relative_sd: np.ndarray, n_toys: int) -> np.ndarray:
    """(n_toys, rates) from a Gaussian about 1, truncated at zero; relative_sd = 0 keeps it at 1 (`idealised`)."""
    factor = np.ones((n_toys, len(relative_sd)))
    for column, sd in zip(factor.T, relative_sd, strict=True):
        if sd > 0:
            column[:] = scipy.stats.truncnorm.ppf(rng.random(n_toys), -1 / sd, np.inf, loc=1, scale=sd)
    return factor


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


@dataclass(frozen=True)
class Drawn:
    """Events of toys, one toy behind the other: event (n,), places in the pool; ends (n_toys,), where each toy ends."""

    event: np.ndarray
    ends: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """(n_toys,) events of each."""
        return np.diff(self.ends, prepend=0)

    def joined(self, other: "Drawn") -> "Drawn":
        """The same toys with the events of another draw behind their own."""
        return Drawn(_joined(self.event, self.ends, other.event, other.ends), self.ends + other.ends)

    def only(self, chosen: np.ndarray) -> "Drawn":
        """These toys alone (n_toys,) bool."""
        return Drawn(self.event[np.repeat(chosen, self.counts)], np.cumsum(self.counts[chosen]))


@dataclass(frozen=True)
class Drawing:
    """From what toys of the background draw: 64 random bits and a table for each component (components, pool). A toy's
    events follow from these and its place, not from the toys beside it."""

    key: np.uint64
    tables: np.ndarray

    def totals(self, counts: np.ndarray, wanted: Quantities) -> np.ndarray:
        """(n_toys, n_totals): for each toy the totals of its events, counts (n_toys, components)."""
        by_column = np.ascontiguousarray(wanted.values.T), np.ascontiguousarray(wanted.bins.T)
        return _background_totals(self.key, counts, self.tables, *by_column, wanted.n_totals)

    def events(self, counts: np.ndarray) -> Drawn:
        """The events themselves."""
        ends = np.cumsum(counts.sum(axis=1))
        return Drawn(_background_events(self.key, counts, self.tables)[: ends[-1]], ends)


def drawing(rng, weights: np.ndarray) -> Drawing:
    """What draws events of components by weights (components, pool), with 64 bits of rng."""
    tables = np.empty(weights.shape, dtype=np.uint64)
    for table, row in zip(tables, weights, strict=True):
        table[:] = alias_table(row)
    return Drawing(rng.integers(2**64, dtype=np.uint64), tables)


def background_totals(rng, counts: np.ndarray, weights: np.ndarray, wanted: Quantities) -> np.ndarray:
    """(n_toys, n_totals): for each toy the totals of its events, counts (n_toys, components) of which are drawn by
    weights (components, pool)."""
    return drawing(rng, weights).totals(counts, wanted)


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
def _joined(event, ends, others, their_ends):
    joined, start, their_start = np.empty(len(event) + len(others), dtype=event.dtype), 0, 0
    for toy in range(len(ends)):
        place, n = start + their_start, ends[toy] - start
        joined[place : place + n] = event[start : ends[toy]]
        joined[place + n : ends[toy] + their_ends[toy]] = others[their_start : their_ends[toy]]
        start, their_start = ends[toy], their_ends[toy]
    return joined


@njit(cache=True)
def _background_events(key, counts, tables):
    n_toys, n_components = counts.shape
    events, n_events = np.empty(counts.sum() + 1, dtype=np.int32), 0
    for toy in range(n_toys):
        mine = mix64(key, np.uint64(toy))
        for component in range(n_components):
            n = counts[toy, component]
            draw(mix64(mine, np.uint64(component)), n, tables[component], events[n_events:])
            n_events += n
    return events


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


@dataclass(frozen=True)
class SignalDrawing:
    """From what toys draw signal events: 64 random bits and a table (pool,), or None where there is no signal."""

    key: np.uint64
    table: np.ndarray | None

    def totals(self, counts: np.ndarray, wanted: Quantities) -> np.ndarray:
        """(n_toys, steps, n_totals): totals of the first counts[toy, step] signal events of each toy.

        `counts` grows along a row (a larger cross-section), so the events of one step contain those of the
        step before: the toys are nested, and p is monotone. What a step sees does not depend on the steps beside it.
        """
        if self.table is None:
            return np.zeros((*counts.shape, wanted.n_totals))
        return _signal_totals(self.key, counts, self.table, wanted.values, wanted.bins, wanted.n_totals)

    def events(self, counts: np.ndarray) -> Drawn:
        """The events themselves of one step, counts (n_toys,)."""
        ends = np.cumsum(counts)
        if self.table is None:
            return Drawn(np.empty(0, np.int32), ends)
        return Drawn(_signal_events(self.key, counts, self.table)[: ends[-1]], ends)


def signal_drawing(rng, weights: np.ndarray) -> SignalDrawing:
    """What draws signal events by weights (pool,), with 64 bits of rng."""
    key = rng.integers(2**64, dtype=np.uint64)
    return SignalDrawing(key, alias_table(weights) if weights.sum() > 0 else None)


def signal_totals(rng, counts: np.ndarray, weights: np.ndarray, wanted: Quantities) -> np.ndarray:
    """(n_toys, steps, n_totals): totals of the first counts[toy, step] signal events of each toy; weights (pool,)."""
    return signal_drawing(rng, weights).totals(counts, wanted)


@njit(cache=True)
def _signal_events(key, counts, table):
    events, n_events = np.empty(counts.sum() + 1, dtype=np.int32), 0
    for toy in range(len(counts)):
        draw(mix64(key, np.uint64(toy)), counts[toy], table, events[n_events:])
        n_events += counts[toy]
    return events


@njit(cache=True)
def _signal_totals(key, counts, table, values, bins, n_totals):
    n_toys, n_steps = counts.shape
    totals = np.zeros((n_toys, n_steps, n_totals))
    events = np.empty(counts.max() + 1, dtype=np.int32)
    for toy in range(n_toys):
        draw(mix64(key, np.uint64(toy)), counts[toy, -1], table, events)
        done = 0
        for step in range(n_steps):
            if step > 0:
                totals[toy, step] = totals[toy, step - 1]
            for k in range(done, counts[toy, step]):
                for column in range(values.shape[1]):
                    totals[toy, step, column] += values[events[k], column]
                for binning in range(bins.shape[1]):
                    totals[toy, step, bins[events[k], binning]] += 1
            done = counts[toy, step]
    return totals


def nested_counts(rng, mean: np.ndarray, n_toys: int) -> np.ndarray:
    """(n_toys, len(mean)) Poisson counts that grow with the mean: one quantile per toy serves all means."""
    u = rng.random(n_toys)
    counts = [np.searchsorted(_poisson_cdf(m), u, side="left") for m in mean]
    return np.stack(counts, axis=1).astype(np.int64)


def _poisson_cdf(mean: float) -> np.ndarray:
    """P(N <= n) from 0 on, until it is 1."""
    return special.pdtr(np.arange(int(mean + 12 * np.sqrt(mean) + 40)), mean)


def stream(*keys: object) -> np.random.Generator:
    """The random stream of one block of toys; never keyed by model, statistic or R."""
    return lineage.stream("toys", *keys)
