"""Events above a threshold in TS that background alone fixes: b0 are expected above it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from pydantic import Field

from engine import options
from engine.inference.exact import counts
from engine.inference.hypothesis import Null, Scored

ADDITIVE = True
EXACT = True
AFFINE_INVARIANT = True
MONOTONE_INVARIANT = True
MODEL_DEPENDENT = False
NEEDS = ("score",)
LAW_VERSION = 2  # tables of another arithmetic: 1e-8 of p

# pool events above the threshold, below which the row is `pool_limited`: where the pool is taken for the truth; where
# the null has its error, which of 25 events is a fifth of the tail, as the error of a leakage known to 1.2
SMALLEST_TAIL, SMALLEST_WIDENED = 400, 25


class Options(options.Options):
    """`b0` background events are expected above the threshold at `exposure_ty`, one threshold for all exposures;
    without an exposure, the threshold is derived anew at each. pool_error: of what it expects, in the null."""

    b0: float = Field(1.0, gt=0)
    exposure_ty: float | None = Field(None, gt=0)
    pool_error: bool = True


@dataclass(frozen=True)
class TailCount:
    """q = number of events with TS above the threshold."""

    null: Null
    b0: float
    exposure_ty: float | None
    pool_error: bool

    @cached_property
    def threshold(self) -> float:
        """The lowest score above which at most b0 events are expected."""
        law = self.null.reference
        scale = 1.0 if self.exposure_ty is None else self.exposure_ty / self.null.exposure_ty
        return tail_threshold(law.events.ts, law.total * scale, self.b0)

    @cached_property
    def pool(self) -> tuple[tuple[float, float], ...]:
        """Per kind the effective number and the weight of the drawn events above the threshold."""
        return self.null.effective_above(self.null.drawn.events.ts > self.threshold)

    @property
    def pool_limited(self) -> bool:
        """Whether the tail of any kind that matters rests on too few pool events."""
        expected, enough = sum(k * w for k, w in self.pool), SMALLEST_WIDENED if self.pool_error else SMALLEST_TAIL
        return any(k < enough and (k + 1) * w > 0.1 * expected for k, w in self.pool)

    def columns(self, events: Scored) -> np.ndarray:
        """(n, 1): 1 above the threshold, else 0."""
        return (events.ts > self.threshold).astype(np.float64)[:, None]

    def q(self, n_events: np.ndarray, totals: np.ndarray) -> np.ndarray:
        """The number of events above the threshold."""
        return totals[:, 0]

    def widen(self, totals: np.ndarray, expected: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Null counts whose expectation b has the Gamma error of the pool events that b was counted from.

        A kind with effectively k pool events of weight w above the threshold gives b = w Gamma(k + 1), so a
        tail without a single pool event still expects w.
        """
        return widen(totals[:, 0], expected[:, 0], self.pool, rng)[:, None] if self.pool_error else totals

    @cached_property
    def _rates(self) -> tuple[np.ndarray, np.ndarray]:
        law = self.null.drawn.grouped
        return law.weights[:, law.events.ts > self.threshold].sum(axis=1), law.relative_sd

    @cached_property
    def _toys(self) -> counts.CountLaw:
        return counts.law(*self._rates)

    @cached_property
    def background(self) -> counts.CountLaw:
        """The law of the count under background, widened as its toys are."""
        return counts.widened_law(*self._rates, self.pool) if self.pool_error else self._toys

    def unwidened(self) -> counts.CountLaw:
        """The law of the count under background as if the pool were the truth."""
        return self._toys

    def distributions(self, signal: np.ndarray) -> tuple[counts.CountLaw, counts.CountLaw]:
        """The law of the count under background, widened as its toys are, and with signal."""
        above = self.null.drawn.events.ts > self.threshold
        return self.background, self._toys.with_signal(signal[above].sum())


def tail_threshold(ts: np.ndarray, expected: np.ndarray, b0: float) -> float:
    """The lowest of the scores above which at most b0 events are expected."""
    order = np.argsort(-ts, kind="stable")
    above = np.cumsum(expected[order])
    first = int(np.searchsorted(above, b0, side="right"))
    return float(ts[order[min(first, len(ts) - 1)]])


def widen(
    counts: np.ndarray, expected: np.ndarray, pool: tuple[tuple[float, float], ...], rng: np.random.Generator
) -> np.ndarray:
    """Poisson counts (n,) of the means `expected`, given these times sum w Gamma(k + 1) / sum k w instead, drawn for
    each: thinned where that is below 1, with a Poisson count more where it is above. Without any pool event, sum w
    Gamma(1) is the mean.
    """
    nominal = sum(k * w for k, w in pool)
    drawn = sum(w * rng.gamma(k + 1, size=len(counts)) for k, w in pool)
    if not nominal > 0:
        return counts + rng.poisson(drawn)
    kept = rng.binomial(counts.astype(np.int64), np.minimum(drawn / nominal, 1.0))
    return kept + rng.poisson(np.maximum(drawn / nominal - 1, 0.0) * expected).astype(np.float64)


def prepare(null: Null, options: Options) -> TailCount:
    """The tail's count under this null."""
    return TailCount(null, options.b0, options.exposure_ty, options.pool_error)
