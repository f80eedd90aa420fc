"""What a search says of observed events: p of every statistic, of all together, and how rare each event is."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engine.inference import cells, leakage
from engine.inference.cells import Toys
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


def judged(
    statistics: list, null: list[Toys], seen: list[Scored], laws: list[Callable[[], Distribution] | None]
) -> tuple[list[Local], Local]:
    """The local p of prepared statistics, and the global one, whose q is the smallest of them.

    One entry per statistic: its null toys, the same experiments for all; the observed events with its score; what makes
    its law under background, where there is one.
    """
    q = np.array([cells.value(*pair) for pair in zip(statistics, seen, strict=True)])
    q_null = np.column_stack([one.q(toys.n_events, toys.totals) for one, toys in zip(statistics, null, strict=True)])
    alone = []
    for i, (statistic, law) in enumerate(zip(statistics, laws, strict=True)):
        k = n_at_or_above(np.sort(q_null[:, i]), q[i])
        limited = bool(getattr(statistic, "pool_limited", False))
        exact = _by_law(law(), q[i]) if law and k < FEW else (None, None)
        alone.append(Local(float(q[i]), *_counted(k, len(q_null)), limited, *exact))
    k = int(Calibration(q_null).counts(q[None])[1][0])
    limited = any(one.pool_limited for one in alone)
    return alone, Local(min(one.p for one in alone), *_counted(k, len(q_null)), limited)


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
