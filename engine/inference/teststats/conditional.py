"""The density statistic given the number of events: P(S_N >= s given N), S_N the sum of -ln f0 over the events.

Affine-invariant, and immune to the total rate: whatever the count says is not in it (`count` stands beside it). Its
values are q = -ln p, with p under f0 at nominal rates; the law of q with rates drawn calibrates it. `fisher = true`
adds the count's -ln P(N >= n), under rates as they are drawn (Fisher's combination of the two; its law is that of the
pair, as exact as that of either).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from engine import options
from engine.inference.exact import conditional, counts
from engine.inference.hypothesis import Null, Scored

ADDITIVE = True
EXACT = True
AFFINE_INVARIANT = True
MONOTONE_INVARIANT = False
MODEL_DEPENDENT = False
NEEDS = ("score", "density")
LAW_VERSION = 3  # of another arithmetic than those before: 1e-9 of p

SMALLEST_SIGNAL_P = 1e-12  # of laws with signal: medians are asked of them
SPREAD = 12.0  # standard deviations of N, and as many events more, that tables reach beyond B


class Options(options.Options):
    """fisher: the p of the count is combined with that of the density."""

    fisher: bool = False


@dataclass(frozen=True)
class GivenN:
    """q = -ln P(S_N >= s given N), and with `fisher` - ln P(N >= n) more."""

    null: Null
    fisher: bool

    @cached_property
    def _table(self) -> conditional.Conditional:
        law = self.null.reference.grouped
        rate = np.square(law.weights.sum(axis=1) * law.relative_sd).sum()
        most = 1.5 * law.n_expected + SPREAD * (np.sqrt(law.n_expected + rate) + SPREAD)
        return conditional.Conditional(-self.null.f0.ln(law.events.ts), law.total, int(most))

    @cached_property
    def _values(self) -> np.ndarray:
        return -self.null.f0.ln(self.null.drawn.events.ts)

    @cached_property
    def _count(self) -> counts.CountLaw:
        """The law of N that the statistic is made with."""
        law = self.null.reference.grouped
        return counts.law(law.weights.sum(axis=1), law.relative_sd)

    def _minus_ln_p_n(self, n_events: np.ndarray) -> np.ndarray:
        return -np.log(self._count.sf(n_events))

    def columns(self, events: Scored) -> np.ndarray:
        """(n, 1) -ln f0(TS)."""
        return -self.null.f0.ln(events.ts)[:, None]

    def q(self, n_events: np.ndarray, totals: np.ndarray) -> np.ndarray:
        """q of each toy; beyond the tables' N, where only the largest signals are, as at their end."""
        n, s = np.asarray(n_events), totals[:, 0]
        within = np.minimum(n, self._table.most_events)
        scaled = np.where(n > within, s * within / np.maximum(n, 1), s)
        return (self._minus_ln_p_n(n) if self.fisher else 0.0) - self._table.ln_p(within, scaled)

    def _law(self, weights: np.ndarray, relative_sd: np.ndarray, **down_to: float) -> conditional.ConditionalLaw:
        beside = self._minus_ln_p_n if self.fisher else None
        return conditional.law(self._table, self._values, weights, relative_sd, beside, **down_to)

    @cached_property
    def background(self) -> conditional.ConditionalLaw:
        """The law of q under background."""
        law = self.null.drawn.grouped
        return self._law(law.weights, law.relative_sd)

    def distributions(self, signal: np.ndarray) -> tuple[conditional.ConditionalLaw, conditional.ConditionalLaw]:
        """The law of q under background, and with a signal of these expected events."""
        drawn = self.null.drawn.grouped
        weights, sd = np.vstack([drawn.weights, signal]), np.append(drawn.relative_sd, 0.0)
        return self.background, self._law(weights, sd, smallest_p=SMALLEST_SIGNAL_P)


def prepare(null: Null, options: Options) -> GivenN:
    """The conditional statistic under this null."""
    return GivenN(null, options.fisher)
