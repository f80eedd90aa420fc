"""Confidence intervals out of a network's estimates: WALDO (Masserano, Dorigo, Izbicki, Kuusela & Lee,
arXiv:2205.15680).

Credible intervals hold the truth as often as they say over all that the prior draws, not at each value of it. WALDO
takes the mean and the variance of the posterior into a Wald statistic, learns its quantiles at each value from
events of their own, and inverts the tests (Neyman): intervals that hold the truth as often as they say wherever it is.
"""

from collections.abc import Callable

import numpy as np

EVENTS_PER_LEAF = 500  # behind each step of a quantile: at 68 % its share is known to 2 % by them, and to less by many
REACH = 6.0  # posterior widths within which an interval ends
STEP = 0.1  # of them, between truths that are tried

Critical = Callable[..., np.ndarray]  # (truth, *known), each (n,) -> (n,)


def pull(mean: np.ndarray, sd: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """|mean - truth| / sd: the square root of WALDO's statistic, which orders events as that does."""
    return np.abs(mean - truth) / sd


def critical(level: float, pulls: np.ndarray, truth: np.ndarray, *known: np.ndarray) -> Critical:
    """Quantile `level` of the pulls, (n,), as a function of the truth and of what else is known of an event, such as
    its position: all (n,), of events that no network was fitted to.

    By boosted trees with the quantile loss. Nothing is drawn: the same events give the same function.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor  # a second, which nobody else need wait for

    trees = HistGradientBoostingRegressor(
        loss="quantile", quantile=level, max_leaf_nodes=8, min_samples_leaf=min(EVENTS_PER_LEAF, len(pulls) // 10),
        early_stopping=False,
    ).fit(np.column_stack([truth, *known]), pulls)  # fmt: skip
    return lambda truth, *known: trees.predict(np.column_stack([truth, *known]))


def intervals(at: Critical, mean: np.ndarray, sd: np.ndarray, *known: np.ndarray) -> np.ndarray:
    """(2, n) lowest and highest truth that each event, (n,), does not reject, within REACH of its mean.

    at: of `critical`; known: as it was fitted with. NaN where every truth is rejected.
    """
    ends = np.full((2, len(mean)), np.nan)
    for step in np.arange(-REACH, REACH + STEP / 2, STEP):
        truth = mean + step * sd
        kept = np.abs(step) <= at(truth, *known)
        ends[0] = np.where(kept & np.isnan(ends[0]), truth, ends[0])
        ends[1] = np.where(kept, truth, ends[1])
    half = STEP / 2 * sd  # each of them stands for what is nearer to it than to its neighbours
    return np.stack([ends[0] - half, ends[1] + half])
