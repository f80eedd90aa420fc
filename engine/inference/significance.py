"""p-values from toys with their errors; upper tails, one-sided Z, never zero."""

from dataclasses import dataclass

import numpy as np
import scipy

CENTRAL = 0.682689492137086  # the probability within one standard deviation


def z_one_sided(p: float) -> float:
    """One-sided significance, Z = Phi^-1(1 - p)."""
    return float(scipy.stats.norm.isf(p))


def z_of_median(null, alternative) -> float | None:
    """One-sided significance of the median of one law of q (`engine.inference.exact`) under another; None where that
    is a bound, or says nothing (p = 1)."""
    p = float(null.sf(np.array([alternative.median()]))[0])
    return z_one_sided(p) if null.smallest_p < p < 1 else None


def z_of_each(p: np.ndarray) -> np.ndarray:
    """One-sided significance of every p, of any shape; of each the number that it has alone."""
    return scipy.stats.norm.isf(p)


@dataclass(frozen=True)
class Significance:
    """A median p-value: p, its central 68.27 % interval, how its tail was obtained.

    n_below: signal toys at or below q_median, which for a discrete statistic are more than half of them.
    """

    q_median: float
    p: float
    p_low: float
    p_high: float
    tail: str
    n_below: int

    @property
    def z(self) -> float:
        """One-sided significance of p."""
        return z_one_sided(self.p)


def median_significance(q_null: np.ndarray, q_signal: np.ndarray, kde: bool = False) -> Significance:
    """The p-value of the median signal toy under sorted null toys, p = (k + 1) / (n + 1).

    (Davison & Hinkley 1997, section 4.2.) The interval holds two independent errors, added in squares as normal
    quantiles of p: that of the count (Jeffreys's interval, which covers as often as it says: Brown, Cai & DasGupta
    2001) and that of the median by its order statistics. With no null toy at or above the median the row is a bound.
    With `kde`, p is the tail of a Gaussian kernel density of the null toys (the papers' way), which is refused
    beyond the largest of them, since from there on it shows its kernel alone.
    """
    ranked = np.sort(q_signal)
    low, high = median_ranks(len(ranked))
    q_median = float(ranked[(len(ranked) - 1) // 2])  # the lower one of an even number: a value that q can take
    n = len(q_null)
    k, k_low, k_high = (n_at_or_above(q_null, q) for q in (q_median, ranked[high], ranked[low]))
    p_low, p_high = 0.0, clopper_pearson(k_high, n)[1]
    if k:
        p_low, p_high = joined(k / n, jeffreys(k, n), (k_low / n, k_high / n))
    n_below = int(np.searchsorted(ranked, q_median, side="right"))
    if k and kde and len(np.unique(q_null)) > n / 2:  # a kernel shares out ties, and a discrete statistic is all ties
        p = float(scipy.stats.gaussian_kde(q_null).integrate_box_1d(q_median, np.inf))
        return Significance(q_median, p, min(p_low, p), max(p_high, p), "kde", n_below)
    return Significance(q_median, (k + 1) / (n + 1), p_low, p_high, "counted" if k else "bound", n_below)


def joined(p: float, *intervals: tuple[float, float]) -> tuple[float, float]:
    """The interval about p that independent errors give together."""
    norm = scipy.stats.norm
    middle = norm.isf(np.clip(p, 1e-300, 1 - 1e-16))
    low, high = (np.sqrt(sum((norm.isf(ends[side]) - middle) ** 2 for ends in intervals)) for side in (0, 1))
    return float(norm.sf(middle + low)), float(norm.sf(middle - high))


def n_at_or_above(q_sorted: np.ndarray, q: float) -> int:
    """How many null toys reach q: P(q >= q_obs) counts ties."""
    return len(q_sorted) - int(np.searchsorted(q_sorted, q, side="left"))


def median_ranks(n: int) -> tuple[int, int]:
    """Ranks (from 0) whose order statistics enclose the median with at least 68.27 % probability."""
    low = int(scipy.stats.binom.ppf((1 - CENTRAL) / 2, n, 0.5))
    return max(low - 1, 0), min(n - low, n - 1)


def jeffreys(k: int, n: int, level: float = CENTRAL) -> tuple[float, float]:
    """The central interval of a probability from k successes in n trials under Jeffreys's prior."""
    alpha = (1 - level) / 2
    posterior = scipy.stats.beta(k + 0.5, n - k + 0.5)
    return float(posterior.ppf(alpha)), float(posterior.isf(alpha))


def clopper_pearson(k: int, n: int, level: float = CENTRAL) -> tuple[float, float]:
    """The central interval of a probability from k successes in n trials (Clopper & Pearson 1934)."""
    alpha = (1 - level) / 2
    low = scipy.stats.beta.ppf(alpha, k, n - k + 1) if k > 0 else 0.0
    high = scipy.stats.beta.isf(alpha, k + 1, n - k) if k < n else 1.0
    return float(low), float(high)
