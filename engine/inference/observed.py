"""What a search says of observed events: p of every statistic, of all together, and how rare each event is."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engine import lineage
from engine.inference import cells, leakage
from engine.inference.cells import BackgroundToys
from engine.inference.combined import Calibration
from engine.inference.exact import Distribution
from engine.inference.exact.power import P_THREE_SIGMA
from engine.inference.hypothesis import Scored
from engine.inference.pools import KINDS
from engine.inference.population import Population
from engine.inference.significance import clopper_pearson, n_at_or_above

FEW = 100  # null toys at or above q: p has 10 % of error, and a law, which may take a minute, is worth its time


@dataclass(frozen=True)
class Local:
    """q of a statistic and its p among n_toys null toys, with the central 68.27 % interval of their count (`tail`:
    counted, or bound where none reached q); p_exact: by its law averaged over the leakage, where it is known and fewer
    than FEW toys reach q.
    """

    q: float
    p: float
    p_low: float
    p_high: float
    tail: str
    n_toys: int
    pool_limited: bool = False
    p_exact: float | None = None
    exact_tail: str | None = None


def values(statistics: list, null: list[BackgroundToys], seen: list[Scored]) -> tuple[np.ndarray, np.ndarray]:
    """q of the observed events (statistics,), and of the null toys (toys, statistics)."""
    q = np.array([cells.value(*pair) for pair in zip(statistics, seen, strict=True)])
    return q, np.column_stack([one.q(toys.n_events, toys.totals) for one, toys in zip(statistics, null, strict=True)])


def judged(
    statistics: list, null: list[BackgroundToys], seen: list[Scored], laws: list[Callable[[], Distribution] | None]
) -> tuple[list[Local], Local]:
    """The local p of prepared statistics, and the global one, whose q is the smallest of them.

    One entry per statistic: its null toys, the same experiments for all; the observed events with its score; what makes
    its law under background, where there is one.
    """
    q, q_null = values(statistics, null, seen)
    alone = []
    for i, (statistic, law) in enumerate(zip(statistics, laws, strict=True)):
        k = n_at_or_above(np.sort(q_null[:, i]), q[i])
        limited = bool(getattr(statistic, "pool_limited", False))
        exact = _by_law(law(), q[i]) if law and k < FEW else (None, None)
        alone.append(Local(float(q[i]), *_counted(k, len(q_null)), limited, *exact))
    return alone, _smallest(alone, q, q_null)


def _smallest(alone: list[Local], q: np.ndarray, q_null: np.ndarray) -> Local:
    """The global p of several local ones."""
    k = int(Calibration(q_null).counts(q[None])[1][0])
    limited = any(one.pool_limited for one in alone)
    return Local(min(one.p for one in alone), *_counted(k, len(q_null)), limited)


def judged_together(lists: list[tuple[np.ndarray, np.ndarray]], limited: list[bool]) -> tuple[list[Local], Local]:
    """The p of each statistic in several independent lists at once, and the global one over statistics.

    lists: `values` of each list, of the same statistics; limited (statistics,): whether one of them is pool-limited.
    q is Fisher's -sum ln p over the lists (1932), which weighs evidence without knowing a signal, and which no
    combination of independent p beats as their evidence grows (Littell & Folks 1971). Toys of the lists, each under
    its own null, are paired at random, and p is the rank of q among the pairs, whatever the p it was made of look like.
    """
    p_seen = [(_reached(np.sort(q_null, axis=0), q[None]) + 1) / (len(q_null) + 1) for q, q_null in lists]
    q, q_null = fisher(p_seen)[0], fisher(null_p([q_null for _, q_null in lists]))
    alone = [Local(float(one), *_counted(n_at_or_above(np.sort(toys), one), len(toys)), poor)
             for one, toys, poor in zip(q, q_null.T, limited, strict=True)]  # fmt: skip
    return alone, _smallest(alone, q, q_null)


def fisher(p: list[np.ndarray]) -> np.ndarray:
    """-sum over lists of ln p (n, statistics)."""
    return -sum(np.log(of_list) for of_list in p)


def null_p(q_null: list[np.ndarray]) -> list[np.ndarray]:
    """(toys, statistics) p of each list's null toys among themselves, as many of each list, in an order of its own.

    Each counts itself, as an observed list does, so that no p is smaller than that of the largest q.
    """
    n = min(map(len, q_null))
    orders = (lineage.stream("observed together", place).permutation(len(q))[:n] for place, q in enumerate(q_null))
    ranks = [_reached(np.sort(q, axis=0), q) / (len(q) + 1) for q in q_null]
    return [p[order] for p, order in zip(ranks, orders, strict=True)]


def power_together(pairs: list[tuple[np.ndarray, np.ndarray]]) -> float:
    """`power` of Fisher's combination; pairs: q of null toys and of those with signal, of one statistic, by list."""
    n = min(len(q_signal) for _, q_signal in pairs)
    ranks = [(_reached(np.sort(q_null)[:, None], q[:n, None]) + 1) / (len(q_null) + 1) for q_null, q in pairs]
    return power(fisher(null_p([q_null[:, None] for q_null, _ in pairs]))[:, 0], fisher(ranks)[:, 0])


def _reached(ordered: np.ndarray, q: np.ndarray) -> np.ndarray:
    """(n, statistics) how many null toys (toys, statistics), each column ascending, reach q (n, statistics)."""
    below = [np.searchsorted(column, one, "left") for column, one in zip(ordered.T, q.T, strict=True)]
    return len(ordered) - np.stack(below, axis=1)


def _counted(k: int, n: int) -> tuple[float, float, float, str, int]:
    return (k + 1) / (n + 1), *clopper_pearson(k, n), "counted" if k else "bound", n


def power(q_null: np.ndarray, q_signal: np.ndarray) -> float:
    """The share of toys with signal whose p is at most that of three sigma; 0 where null toys are too few."""
    n_above = len(q_null) - np.searchsorted(np.sort(q_null), q_signal, side="left")
    return float(np.mean((n_above + 1) / (len(q_null) + 1) <= P_THREE_SIGMA))


def _by_law(law: Distribution, q: float) -> tuple[float, str]:
    p = float(law.sf(np.array([q]))[0])
    return max(p, law.smallest_p), "exact" if p >= law.smallest_p else "bound"


def expected_above(
    population: Population, exposure_ty: float, R: float, ts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(n,) background events expected at or above each score, of the whole pool, and the error that its size leaves.

    Of a kind with effectively k events of weight w there the error is w sqrt(k + 1) (as `tail_count` takes it).
    """
    scores, weights = population.ts[R], population.weights.sum(axis=0) * exposure_ty
    expected, variance = np.zeros(len(ts)), np.zeros(len(ts))
    for kind in range(len(population.pool.kinds)):
        mine = (population.pool.kind == kind) & (weights > 0)
        order = np.argsort(-scores[mine], kind="stable")
        n_above = np.searchsorted(-scores[mine][order], -ts, side="right")
        w, w2 = (np.concatenate([[0.0], np.cumsum(weights[mine][order] ** power)])[n_above] for power in (1, 2))
        one = np.where(w > 0, w2 / np.where(w > 0, w, 1.0), weights[mine].mean() if mine.any() else 0.0)
        expected, variance = expected + w, variance + w2 + one**2
    return expected, np.sqrt(variance)


def in_region(population: Population, cs1_pe: np.ndarray, cs2_pe: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n,) whether events lie in the signal region, beyond the line of nuclear recoils (`leakage.beyond`), and (pool,)
    the same of all events of the pool."""
    pool, n = population.pool, len(cs1_pe)
    is_nr = np.concatenate([pool.kind == KINDS.index("NR"), np.zeros(n, bool)])
    areas = (np.concatenate(pair) for pair in ((pool.cs1_pe, cs1_pe), (pool.cs2_pe, cs2_pe)))
    inside = leakage.beyond(*areas, is_nr, np.ones(len(is_nr), bool))
    return inside[len(pool.kind) :], inside[: len(pool.kind)]
