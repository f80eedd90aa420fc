"""Events above a threshold in TS that background alone fixes: b0 are expected above it."""

import numpy as np

ADDITIVE = True
AFFINE_INVARIANT = True
MONOTONE_INVARIANT = True
MODEL_DEPENDENT = False
DEPENDS_ON = ("tail_b0", "tail_exposure_ty")


def per_event(ts: np.ndarray, null) -> np.ndarray:
    """1 above the threshold, else 0."""
    return (ts > null.tail_threshold).astype(np.float64)


def statistic(n_events: np.ndarray, total: np.ndarray, null) -> np.ndarray:
    """The number of events above the threshold."""
    return total


def widen(total: np.ndarray, null, rng: np.random.Generator) -> np.ndarray:
    """Null counts whose expectation b has the Gamma error of the pool events that b was counted from.

    A kind with effectively k pool events of weight w above the threshold gives b = w Gamma(k + 1), so a
    tail without a single pool event still expects w. Where the drawn b exceeds the nominal one, a Poisson
    count is added; where it falls short, the count is thinned: both leave a Poisson count of mean b.
    """
    nominal = sum(k * w for k, w in null.tail_pool)
    drawn = sum(w * rng.gamma(k + 1, size=len(total)) for k, w in null.tail_pool)
    kept = rng.binomial(total.astype(np.int64), np.minimum(drawn / nominal, 1.0) if nominal else 1.0)
    return kept + rng.poisson(np.maximum(drawn - nominal, 0.0)).astype(np.float64)
