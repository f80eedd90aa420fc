"""p-values from toys with their errors; upper tails, one-sided Z, never zero."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

CENTRAL = 0.682689492137086  # the probability within one standard deviation


def z_one_sided(p: float) -> float:
    """One-sided significance, Z = Phi^-1(1 - p)."""
    return float(stats.norm.isf(p))


def z_of_each(p: np.ndarray) -> np.ndarray:
    """One-sided significance of every p, of any shape; of each the number that it has alone."""
    return stats.norm.isf(p)


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

    (Davison & Hinkley 1997, section 4.2.) The interval is Clopper and Pearson's, evaluated at the ends of
    the median's own order-statistic interval. With no null toy at or above the median the row is a bound.
    With `kde`, p is the tail of a Gaussian kernel density of the null toys (the papers' way), which is refused
    beyond the largest of them, since from there on it shows its kernel alone.
    """
    ranked = np.sort(q_signal)
    low, high = median_ranks(len(ranked))
    q_median = float(ranked[(len(ranked) - 1) // 2])  # the lower one of an even number: a value that q can take
    n = len(q_null)
    k, k_low, k_high = (n_at_or_above(q_null, q) for q in (q_median, ranked[high], ranked[low]))
    p_low, p_high = clopper_pearson(k_low, n)[0], clopper_pearson(k_high, n)[1]
    n_below = int(np.searchsorted(ranked, q_median, side="right"))
    if k and kde and len(np.unique(q_null)) > n / 2:  # a kernel shares out ties, and a discrete statistic is all ties
        p = float(stats.gaussian_kde(q_null).integrate_box_1d(q_median, np.inf))
        return Significance(q_median, p, min(p_low, p), max(p_high, p), "kde", n_below)
    return Significance(q_median, (k + 1) / (n + 1), p_low, p_high, "counted" if k else "bound", n_below)


def n_at_or_above(q_sorted: np.ndarray, q: float) -> int:
    """How many null toys reach q: P(q >= q_obs) counts ties."""
    return len(q_sorted) - int(np.searchsorted(q_sorted, q, side="left"))


def median_ranks(n: int) -> tuple[int, int]:
    """Ranks (from 0) whose order statistics enclose the median with at least 68.27 % probability."""
    low = int(stats.binom.ppf((1 - CENTRAL) / 2, n, 0.5))
    return max(low - 1, 0), min(n - low, n - 1)


def clopper_pearson(k: int, n: int, level: float = CENTRAL) -> tuple[float, float]:
    """The central interval of a probability from k successes in n trials (Clopper & Pearson 1934)."""
    alpha = (1 - level) / 2
    low = stats.beta.ppf(alpha, k, n - k + 1) if k > 0 else 0.0
    high = stats.beta.isf(alpha, k + 1, n - k) if k < n else 1.0
    return float(low), float(high)
