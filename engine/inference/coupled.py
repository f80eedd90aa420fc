"""Toys of pools that differ by a few events, from the same uniform numbers: what differs between them is the pools.

A toy's number of events of a component, and the place of each event in the pool, are quantiles of uniform numbers that
know nothing of the pool. Events are put in the order of what the statistic makes of them, so that the same number falls
on the same event of another pool or, where that one lacks it, on its neighbour (common random numbers: Glasserman
2003, section 4.7). Alias tables would put any event in its place, and toys in the tail would be others altogether.
"""

from dataclasses import replace

import numpy as np
import scipy
from numba import njit

from engine.inference import cells, toys
from engine.inference.cells import Choice
from engine.inference.hypothesis import Law, Null
from engine.lineage import mix64
from engine.sampling import fill_guide, search

SIGNAL = "signal"  # a component's name among those of the background
CELLS_PER_EVENT = 4  # of the guide to a cumulative sum: a search takes a step or two


def q_values(null: Null, choice: Choice, signal: np.ndarray | None, n_toys: int, key: tuple) -> np.ndarray:
    """(n_toys,) q of toys that follow from `key`, a rate's name and its pool events in their order.

    signal (drawn events,): expected events of each, or None for background only.
    """
    statistic = choice.prepare(null)
    law = null.drawn.grouped if signal is None else _with_signal(null.drawn, signal).grouped
    rates, row, leaked = law.names, np.arange(len(law.names)), np.zeros(len(law.names), bool)
    if signal is None and not null.leakage.is_known:
        law, row, leaked = law.split()
    drawn = toys.quantities([cells.quantity(statistic, law.events)])
    takes_events = cells.takes_events(statistic)
    order = _order(statistic.columns(law.events) if takes_events else drawn.values, drawn.bins)
    tables = [_table(row_weights[order]) for row_weights in law.weights]
    q = []
    for block in range(-(-n_toys // toys.BLOCK)):
        n_events, totals = np.zeros(toys.BLOCK, np.int64), np.zeros((toys.BLOCK, drawn.n_totals))
        held = toys.Drawn(np.empty(0, np.int32), np.zeros(toys.BLOCK, np.int64))
        factors = np.empty((toys.BLOCK, len(tables)))
        of_leakage = null.leakage.at(toys.stream(*key, "leakage", block).standard_normal(toys.BLOCK))
        for i, table in enumerate(tables):
            factor = _rate(toys.stream(*key, rates[row[i]], "rate", block), law.relative_sd[i])
            factors[:, i] = factor * np.where(leaked[i], of_leakage, 1.0)
            rng = toys.stream(*key, law.names[i], block)
            mean = law.weights[i].sum() * factors[:, i]
            counts = scipy.stats.poisson.ppf(rng.random(toys.BLOCK), mean).astype(np.int64)
            bits = rng.integers(2**64, dtype=np.uint64)
            if takes_events:
                held = held.joined(toys.Drawn(order[_events(bits, counts, *table)].astype(np.int32), np.cumsum(counts)))
            else:
                _add(bits, counts, *table, drawn.values[order], drawn.bins[order], totals)
            n_events += counts
        if takes_events:
            totals = cells.made_of(statistic, law.events, held)
        if signal is None and hasattr(statistic, "widen"):
            expected = factors @ cells.expected_totals(statistic, law.events, law.weights)
            totals = statistic.widen(totals, expected, toys.stream(*key, "widen", block))
        q.append(statistic.q(n_events, totals))
    return np.concatenate(q)[:n_toys]


def _order(*looked_at: np.ndarray) -> np.ndarray:
    """(events,) places by the first column that is summed, counted or looked at; as they are where N is all."""
    for columns in looked_at:
        if columns.shape[1]:
            return np.argsort(columns[:, 0], kind="stable")
    return np.arange(len(looked_at[0]))


def _with_signal(law: Law, signal: np.ndarray) -> Law:
    if not signal.sum() > 0:
        return law
    weights, sd = np.vstack([law.weights, signal]), np.append(law.relative_sd, 0.0)
    return replace(law, names=(*law.names, SIGNAL), weights=weights, relative_sd=sd)


def _rate(rng: np.random.Generator, sd: float) -> np.ndarray:
    """(BLOCK,) factors on one rate: quantiles of uniform numbers."""
    v = rng.random(toys.BLOCK)
    return scipy.stats.truncnorm.ppf(v, -1 / sd, np.inf, loc=1, scale=sd) if sd > 0 else np.ones(toys.BLOCK)


def _table(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cumulative sum of weights (events,) over their sum, and its guide (`engine.sampling.search`)."""
    cdf, guide = np.cumsum(weights), np.empty(CELLS_PER_EVENT * len(weights), np.int64)
    cdf /= cdf[-1]
    fill_guide(cdf, guide)
    return cdf, guide


@njit(cache=True)
def _events(key, counts, cdf, guide):
    """(counts.sum(),) places of the events of one component, toy by toy."""
    events, done = np.empty(counts.sum(), np.int64), 0
    for toy in range(len(counts)):
        mine = mix64(key, np.uint64(toy))
        for k in range(counts[toy]):
            events[done] = search(cdf, guide, (mix64(mine, np.uint64(k)) >> np.uint64(11)) * 2.0**-53)
            done += 1
    return events


@njit(cache=True)
def _add(key, counts, cdf, guide, values, bins, totals):
    """Adds counts (toys,) events of one component to totals (toys, columns)."""
    for toy in range(len(counts)):
        mine = mix64(key, np.uint64(toy))
        for k in range(counts[toy]):
            event = search(cdf, guide, (mix64(mine, np.uint64(k)) >> np.uint64(11)) * 2.0**-53)
            for column in range(values.shape[1]):
                totals[toy, column] += values[event, column]
            for binning in range(bins.shape[1]):
                totals[toy, bins[event, binning]] += 1
