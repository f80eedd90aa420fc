"""Confidence intervals on a signal strength mu by a Neyman construction: calibrated by toys at every true strength.

The statistic is the profile likelihood ratio with mu >= 0: one-sided for upper limits (Cowan, Cranmer, Gross & Vitells
2011, 1007.1727, Eq. 16), or two-sided, which is the ordering of Feldman & Cousins 1998 (physics/9711021) with rates
profiled and what 2105.00599 recommends. An experiment excludes mu where p = P(q_mu >= its own q_mu),
ties counted, among toys with true strength mu is 1 - level at most. That is to compare q_mu with its critical value;
but p moves smoothly with mu where counts are few and the critical value jumps, so that a ladder of strengths serves.
"""

from dataclasses import dataclass

import numpy as np
import scipy
from numba import njit

from engine.inference import limits, profile, toys
from engine.inference.limits import LEVEL, POWER, Experiment, Limit, Observed
from engine.inference.significance import CENTRAL, median_ranks

INTERVALS = ("upper", "unified")
N_RUNGS = 16  # some 0.2 sigma or 0.3 events apart: wider than their error, narrower than a limit's spread
TOP_EVENTS = 5.0  # of signal, at least, on the last rung: above ln 10 and the limit of an event on no background
MOST_BEYOND = 0.05  # share of experiments without signal whose interval may reach beyond the ladder
NEARLY_ONE = 0.999  # for a p of one, which a line in Phi^-1(1 - p) cannot start from
DECIMALS = 6  # of q: what is alike but for the fit's tolerance is a tie
TAIL_TOYS = 50  # of those at a true strength, beyond its critical value at least


@dataclass(frozen=True)
class Construction:
    """What experiments of one kind are compared with. mu (rungs,), from zero; q (rungs, n_toys), ascending."""

    where: Experiment
    interval: str
    mu: np.ndarray
    q: np.ndarray

    def p_values(self, counts: np.ndarray) -> np.ndarray:
        """(experiments, rungs) p of every strength, (k + 1) / (n + 1), for counts (experiments, rows)."""
        n_toys, seen = self.q.shape[1], q_ladder(self.where, counts, self.mu, self.interval)
        below = [np.searchsorted(at_mu, q, side="left") for at_mu, q in zip(self.q, seen.T, strict=True)]
        return (n_toys - np.stack(below, axis=1) + 1) / (n_toys + 1)


def least_toys(level: float = LEVEL) -> int:
    """Toys at each strength without which its critical value means nothing."""
    return int(np.ceil(TAIL_TOYS / (1 - level) - 1e-9))


def construction(where: Experiment, n_toys: int, key: tuple, interval: str = "upper") -> Construction:
    """Toys at each rung of a ladder that nearly all experiments without signal end within; key: of their streams."""
    one_event = 1 / where.expected[-1]
    top = max(1.5 * limits.median_limit(where).high, TOP_EVENTS * one_event)
    while _share_beyond(where, top, n_toys, key, interval) > MOST_BEYOND:
        top *= 1.5
    return _made(where, np.linspace(0.0, top, N_RUNGS + 1), n_toys, key, interval)


def _share_beyond(where: Experiment, top: float, n_toys: int, key: tuple, interval: str) -> float:
    p = _made(where, np.array([top]), n_toys, key, interval).p_values(without_signal(where, n_toys, key))
    return float(np.mean(p > 1 - LEVEL))


def _made(
    where: Experiment, mu: np.ndarray, n_toys: int, key: tuple, interval: str, first: int = 0
) -> Construction:  # fmt: skip
    q = [q_ladder(where, limits.draw(where, true, n_toys, toys.stream(*key, rung)), np.array([true]), interval)[:, 0]
         for rung, true in enumerate(mu, first)]  # fmt: skip
    return Construction(where, interval, mu, np.sort(q, axis=1))


def limit(where: Experiment, n_toys: int, key: tuple, interval: str = "upper", power: float = POWER) -> Limit:
    """The median limit of experiments without signal, and its band; its error is that of the toys on both sides."""
    made = construction(where, n_toys, key, interval)
    p = made.p_values(without_signal(where, n_toys, key))
    lower, upper = ends(p, made.mu)
    median, low, high, constrained = _quantiles(upper, [0.5, (1 - CENTRAL) / 2, (1 + CENTRAL) / 2, power])
    lower_end = _quantiles(lower, [0.5])[0] if interval == "unified" else None
    return Limit(median, low, high, constrained, "neyman", _error(p, made.mu, n_toys), lower_end)


def observed(
    where: Experiment, counts: np.ndarray, n_toys: int, key: tuple, interval: str = "upper", power: float = POWER
) -> Observed:  # fmt: skip
    """The interval that counts (rows,) give, beside those of the same experiments without signal as in `limit`.

    The ladder is that of `limit`, and longer where the observed interval or the band's +2 sigma ends beyond it.
    """
    made, without = construction(where, n_toys, key, interval), without_signal(where, n_toys, key)
    p_seen, p = made.p_values(counts[None]), made.p_values(without)
    while not (np.isfinite(ends(p_seen, made.mu, (1 - LEVEL) / 2)[1][0]) and np.isfinite(_band(p, made.mu)[-1])):
        more = _longer(made, key)
        p_seen, p = (np.hstack([old, more.p_values(n)]) for old, n in ((p_seen, counts[None]), (p, without)))
        made = Construction(where, interval, np.append(made.mu, more.mu), np.vstack([made.q, more.q]))
    (lower,), (upper,) = ends(p_seen, made.mu)
    constrained = _quantiles(ends(p, made.mu)[1], [power])[0]
    lower_end = float(lower) if interval == "unified" else None
    errors = _calibration(p_seen, made.mu, n_toys), _error(p, made.mu, n_toys)
    return Observed(float(upper), errors[0], lower_end, tuple(_band(p, made.mu)), errors[1], constrained)


def _longer(made: Construction, key: tuple) -> Construction:
    """Further rungs above a ladder, at twice the distance of its last."""
    mu = made.mu[-1] + 2 * (made.mu[-1] - made.mu[-2]) * np.arange(1, N_RUNGS // 2 + 1)
    return _made(made.where, mu, made.q.shape[1], key, made.interval, len(made.mu))


def _band(p: np.ndarray, mu: np.ndarray) -> list[float]:
    return _quantiles(ends(p, mu)[1], scipy.stats.norm.cdf(limits.N_SIGMA).tolist())


def without_signal(where: Experiment, n_toys: int, key: tuple) -> np.ndarray:
    """(n_toys, rows) counts of the experiments whose limits are wanted."""
    return limits.draw(where, 0.0, n_toys, toys.stream(*key, "without signal"))


def ends(p: np.ndarray, mu: np.ndarray, alpha: float = 1 - LEVEL) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper end of each interval, from p (experiments, rungs): the crossings of p = alpha on the outside.

    Between two rungs Phi^-1(1 - p) is a line. Where p is not monotone, by its error or because counts are discrete,
    the interval has all that lies between strengths which are not excluded. Beyond the ladder it has no end.
    """
    z, at = scipy.stats.norm.isf(np.minimum(p, NEARLY_ONE)), scipy.stats.norm.isf(alpha)
    kept = p > alpha
    kept[~kept.any(axis=1), 0] = True  # all is excluded: an end at zero
    first, last = np.argmax(kept, axis=1), p.shape[1] - 1 - np.argmax(kept[:, ::-1], axis=1)
    upper = np.where(last < p.shape[1] - 1, _crossings(z, mu, last, last + 1, at), np.inf)
    return _crossings(z, mu, first, first - 1, at), upper


def _crossings(z: np.ndarray, mu: np.ndarray, inside: np.ndarray, outside: np.ndarray, at: float) -> np.ndarray:
    row, outside = np.arange(len(z)), np.clip(outside, 0, len(mu) - 1)
    z_in, z_out = np.minimum(z[row, inside], at), z[row, outside]
    share = np.divide(at - z_in, z_out - z_in, out=np.zeros(len(z)), where=z_out > z_in)
    return mu[inside] + np.where(inside == outside, 0.0, share) * (mu[outside] - mu[inside])


def _error(p: np.ndarray, mu: np.ndarray, n_toys: int) -> float:
    """Of the median upper end: that of p = alpha among the toys, and that of the median, in squares."""
    low, high = np.sort(ends(p, mu)[1])[list(median_ranks(n_toys))]
    return float(np.hypot(_calibration(p, mu, n_toys), (high - low) / 2))


def _calibration(p: np.ndarray, mu: np.ndarray, n_toys: int) -> float:
    """The error of the median upper end from that of p = alpha among the toys."""
    alpha = 1 - LEVEL
    strict, loose = (np.median(ends(p, mu, at)[1]) for at in (alpha / 2, 3 * alpha / 2))  # a slope over a few rungs
    return float((strict - loose) / alpha * np.sqrt(alpha * LEVEL / n_toys))


def _quantiles(values: np.ndarray, at: list[float]) -> list[float]:
    """Values that occur: the smallest below or at which lies this share of them."""
    return np.quantile(values, at, method="inverted_cdf").tolist()


def q_ladder(where: Experiment, counts: np.ndarray, mu: np.ndarray, interval: str) -> np.ndarray:
    """(experiments, rungs) q_mu of counts (experiments, rows); infinite where strength zero is impossible."""
    one_sided, start = interval == "upper", 1 / where.expected[-1]
    q = _q_ladder(counts.astype(np.float64), mu, where.rows, where.expected, where.relative_sd, start, one_sided)
    return np.round(q, DECIMALS)


@njit(cache=True)
def _q_ladder(counts, mu, rows, expected, relative_sd, start, one_sided):
    theta, q = np.ones(len(expected)), np.zeros((len(counts), len(mu)))
    held, free = relative_sd == 0, relative_sd == 0
    held[-1], free[-1] = True, False
    for toy in range(len(counts)):
        theta[-1] = start
        best, lowest = profile.minimise(theta, free, rows, counts[toy], expected, relative_sd)
        for rung in range(len(mu)):
            theta[-1] = mu[rung]
            if one_sided and best[-1] >= mu[rung]:
                continue
            if np.isinf(profile.objective(theta, rows, counts[toy], expected, relative_sd)):
                q[toy, rung] = np.inf
                continue
            value = profile.minimise(theta, held, rows, counts[toy], expected, relative_sd)[1]
            q[toy, rung] = max(2 * (value - lowest), 0.0)
    return q
