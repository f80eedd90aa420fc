"""Statistics of an experiment of 6500 events: the engine beside the slow way to the same number."""

import numpy as np
import scipy

from engine.bench import toys as surrogate
from engine.bench.speed import Side, Work
from engine.inference import cells, template_likelihood, toys
from engine.inference.exact.sums import Sums
from engine.inference.hypothesis import Null
from engine.inference.population import Population
from engine.inference.systematics import GROUPS
from engine.inference.teststats import extended_poisson
from engine.inference.teststats import template_likelihood as template
from engine.options import configure

FEW = 20.0  # signal events: what a small cross-section adds to a background toy


def sides() -> list[Side]:
    """Beside a density that is evaluated per toy, toys drawn whole, a fit event by event, a law made anew, circles, and
    laws of what is left of a pool."""
    population = surrogate.surrogate()
    makers = _kde, _increments, _profiled, _law, _oracle, _without_groups
    return [make(population) for make in makers]


def _kde(population: Population) -> Side:
    null, rng = population.null(surrogate.R, 1.0), np.random.default_rng(1)
    law = null.drawn
    kde, share = scipy.stats.gaussian_kde(law.events.ts, weights=law.total), law.total / law.n_expected
    return Side(
        "literal q against a KDE per toy", "toys / s",
        Work(lambda: cells.background_block(population, 1.0, "null", 0, surrogate.CHOICES[:1]), toys.BLOCK),
        Work(lambda: np.log(kde(rng.choice(law.events.ts, rng.poisson(law.n_expected), p=share))).sum(), 1),
    )  # fmt: skip


def _increments(population: Population) -> Side:
    null, rng = population.null(surrogate.R, 1.0), np.random.default_rng(1)
    columns = [choice.prepare(null).columns(null.drawn.events) for choice in surrogate.CHOICES]
    wanted = toys.quantities([("sums", column, 1) for column in columns])
    weights, mean = np.where(null.drawn.events.kind == 1, 1.0, 0.0), np.array([FEW])

    def increment():
        return toys.signal_totals(rng, toys.nested_counts(rng, mean, toys.BLOCK), weights, wanted)

    return Side(
        "signal increments (S = 20) against toys drawn whole", "toys / s", Work(increment, toys.BLOCK),
        Work(lambda: cells.background_block(population, 1.0, "null", 0, surrogate.CHOICES), toys.BLOCK),
    )  # fmt: skip


def _profiled(population: Population) -> Side:
    null, rng = with_charges(population), np.random.default_rng(1)
    statistic = template.prepare(null, configure(template, {}))
    counts, rows = rng.poisson(null.drawn.weights.sum(axis=1), (200, 2)), statistic.rows(null.drawn.events)
    columns = statistic.columns(null.drawn.events)
    wanted = toys.quantities([("sums", columns, columns.shape[1])])
    totals = toys.background_totals(rng, counts, null.drawn.weights, wanted)
    prepared, share = statistic._prepared, null.drawn.total / null.n_background
    events = rows[rng.choice(len(rows), rng.poisson(null.n_background), p=share)]
    return Side(
        "template likelihood, rates profiled", "toys / s",
        Work(lambda: statistic.q(counts.sum(axis=1), totals), len(counts)),
        Work(lambda: template_likelihood.exact(events, prepared), 1),
    )  # fmt: skip


def with_charges(population: Population) -> Null:
    """The surrogate's null with the charges of two bands."""
    null, rng = population.null(surrogate.R, 1.0), np.random.default_rng(2)

    def charged(law):
        cs1 = rng.uniform(5, 80, len(law.events))
        ratio = np.where(law.events.kind == 0, 2.6, 1.9) + rng.normal(0, 0.15, len(cs1))
        events = type(law.events)(law.events.ts, law.events.kind, cs1, cs1 * 10**ratio)
        return type(law)(law.names, events, law.weights, np.array([0.03, 0.3]))

    return Null(null.exposure_ty, null.f0, charged(null.reference), charged(null.drawn))


def _law(population: Population) -> Side:
    null = population.null(surrogate.R, 1.0)
    signal = np.where(null.drawn.events.kind == 1, 1.0, 0.0)
    signal *= FEW / signal.sum()

    def point(statistic):
        background, alternative = statistic.distributions(signal)
        return background.sf(np.array([alternative.median()]))

    once = extended_poisson.prepare(null, configure(extended_poisson, {}))
    return Side(
        "one more exact p against a law made anew", "points / s",
        Work(lambda: point(once), 1),
        Work(lambda: point(extended_poisson.prepare(null, configure(extended_poisson, {}))), 1),
    )  # fmt: skip


def _oracle(population: Population) -> Side:
    law = population.null(surrogate.R, 1.0).drawn
    signal = np.where(law.events.kind == 1, 1.0, 0.0)
    signal *= FEW / signal.sum()
    ratio, sd = np.log1p(signal / np.maximum(law.total, 1e-9)), np.array([0.03, 0.3])

    def point(penalty):
        background = Sums(ratio, law.weights, sd, penalty, 1.0).distribution()
        return background.sf(np.array([3.0, 10.0]))

    return Side(
        "an oracle's p against circles over the number of events", "laws / s",
        Work(lambda: point(None), 1), Work(lambda: point(np.zeros_like), 1),
    )  # fmt: skip


def _without_groups(population: Population) -> Side:
    law, sd = population.null(surrogate.R, 1.0).drawn, np.array([0.03, 0.3])
    values, group = np.log(population.f0[surrogate.R](law.events.ts)), np.arange(len(law.events)) % GROUPS
    at = (values, law.weights, sd, np.zeros_like, -2.0)
    q = 1.02 * Sums(*at).distribution().median()

    def anew(left_out: int) -> float:
        kept = group != left_out
        weights = law.weights[:, kept] * (GROUPS / (GROUPS - 1))
        return Sums(values[kept], weights, *at[2:]).distribution().sf(np.array([q]))[0]

    return Side(
        "p without each tenth of the pool, along one contour, against laws made anew", "pools / s",
        Work(lambda: Sums(*at).tails_without(q, group, GROUPS), GROUPS), Work(lambda: anew(0), 1),
    )  # fmt: skip
