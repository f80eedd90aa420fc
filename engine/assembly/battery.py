"""The scored pool with the events of a battery's signals, and the scores that a battery looks at."""

from dataclasses import dataclass, replace

import numpy as np

from engine.assembly import population as assembled
from engine.inference import density, smoothed
from engine.inference.battery import Alternative, Alternatives
from engine.inference.pools import DENSITY_HALF, TOY_HALF, Pool
from engine.inference.population import Population
from engine.plan.battery_plan import parameters
from engine.plan.plan import Plan
from engine.store.store import Ledger
from engine.study.battery import OF_PLANE, BatteryScore


@dataclass(frozen=True)
class Arena:
    """A pool with the events of all signals behind it, which stand for no background, and the signals on it."""

    population: Population
    alternatives: Alternatives

    def on(self, R: float, ts: np.ndarray) -> "Arena":
        """The same with one score alone: (pool,) under its R. f0 is of the background's events, whatever signals are
        beside them."""
        expected = self.population.weights.any(axis=0)
        f0 = self.population.only(expected).with_scores({R: ts[expected]}).f0
        return replace(self, population=replace(self.population, ts={R: ts}, f0=f0))

    def only(self, name: str) -> "Arena":
        """The same with the events of one signal alone."""
        others = [one.weights > 0 for other, one in self.alternatives.items() if other != name]
        kept = ~np.any(others, axis=0) if others else np.ones(len(self.population.pool.kind), bool)
        one = self.alternatives[name]
        return Arena(self.population.only(kept), {name: replace(one, weights=one.weights[kept])})


def arena(plan: Plan, ledger: Ledger, nominal: Population) -> Arena:
    """The nominal pool with the events of every signal, with terms of the same models; it has no scores."""
    signals = plan.study.battery.signals
    kinds = (*nominal.pool.kinds, *signals)
    truth, thrown, terms = assembled.scored_events(plan, ledger, plan.battery_shards, tuple(nominal.pool.terms), kinds)
    pool, n_more = nominal.pool, len(truth["kind"])
    columns = {name: np.concatenate([getattr(pool, name), truth[name]])
               for name in ("kind", "energy_keV", "proposal_per_keV", "cs1_pe", "cs2_pe")}  # fmt: skip
    half = np.concatenate([pool.half, (truth["event"] % 2).astype(np.int8)])
    joined = {role: {name: np.concatenate([values, terms[role][name]]) for name, values in own.items()}
              for role, own in pool.terms.items()}  # fmt: skip
    n_thrown = np.concatenate([pool.n_thrown, [thrown[name] for name in signals]])
    more = Pool(**columns, half=half, n_thrown=n_thrown, terms=joined, kinds=kinds)
    weights = np.hstack([nominal.weights, np.zeros((len(nominal.weights), n_more))])
    leaks = np.concatenate([nominal.leaks, np.zeros(n_more, bool)])
    found = replace(nominal, pool=more, ts={}, f0={}, weights=weights, leaks=leaks)
    return Arena(found, {name: Alternative(more.weights(name, one.rate), one.replaces)
                         for name, one in signals.items()})  # fmt: skip


def ts(plan: Plan, population: Population, score: BatteryScore) -> np.ndarray:
    """(pool,) scores of all events."""
    if score.module is not None:
        return score.module.ts(population.pool.terms, score.R, parameters(plan, score))
    axes = [ts(plan, population, BatteryScore.of(name, plan.study.score)) for name in OF_PLANE]
    return two_dimensional(np.stack([_tamed(axis, population) for axis in axes]), population)


def _tamed(values: np.ndarray, population: Population) -> np.ndarray:
    """(pool,) asinh of a score about background's peak, in its width, as f0 has it."""
    half = population.pool.half == DENSITY_HALF
    low, high = density.shortest_interval(values[half], population.weights[:, half].sum(axis=0), density.PEAK)
    return np.arcsinh((values - (low + high) / 2) / (density.PEAK_TO_IQR * (high - low)))


def two_dimensional(x: np.ndarray, population: Population) -> np.ndarray:
    """(pool,) -ln f0 in a plane x (2, pool): how rare an event is under background alone, in any direction.

    Every event by the density of the half that it is not in, so that none makes itself less rare.
    """
    return -np.log(_crossed(x, population.weights, population))


def of_oracle(arena: Arena, name: str) -> Arena:
    """One signal alone on the score of the oracle that knows no network."""
    alone = arena.only(name)
    return alone.on(0.0, known_plane(alone, name))


def known_plane(arena: Arena, name: str) -> np.ndarray:
    """(pool,) ln of signal over background in (cS1, cS2), each event by the half that it is not in: what a search that
    knows the signal makes of two corrected areas, whatever networks say."""
    pool, weights = arena.population.pool, arena.alternatives[name].weights
    cs1, cs2 = np.maximum(pool.cs1_pe, 1.0), np.maximum(pool.cs2_pe, 1.0)
    x = np.stack([np.log(cs1), np.log(cs2 / cs1)])
    signal, background = (_crossed(x, one, arena.population) for one in (weights[None], arena.population.weights))
    return np.log(signal) - np.log(background)


def _crossed(x: np.ndarray, weights: np.ndarray, population: Population) -> np.ndarray:
    """(n,) density at x (2, n) from weights (components, n), of either half by the other; never below its floor."""
    half, found = population.pool.half, np.empty(x.shape[1])
    for mine, other in ((DENSITY_HALF, TOY_HALF), (TOY_HALF, DENSITY_HALF)):
        parts = smoothed.mixture(x[:, half == other], weights[:, half == other])
        found[half == mine] = smoothed.density(parts, x[:, half == mine])
    expected = population.weights.any(axis=0)
    return np.maximum(found, population.relative_floor * (found[expected].max() or 1.0))
