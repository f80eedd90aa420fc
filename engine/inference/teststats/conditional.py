"""The density statistic given the number of events: P(S_N >= s given N), S_N the sum of -ln f0 over the events.

Affine-invariant, and immune to the total rate: whatever the count says is not in it (`count` stands beside it). Its
values are q = -ln p, with p under f0 at nominal rates; toys with rates drawn anew calibrate it.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from engine.inference.exact.conditional import Conditional
from engine.inference.hypothesis import Null, Scored
from engine.options import Options

ADDITIVE = True
EXACT = False  # a value of its law costs one law of a sum: minutes for a plane
AFFINE_INVARIANT = True
MONOTONE_INVARIANT = False
MODEL_DEPENDENT = False
NEEDS = ("score", "density")

SPREAD = 12.0  # standard deviations of N, and as many events more, that tables reach beyond B


@dataclass(frozen=True)
class GivenN:
    """q = -ln P(S_N >= s given N)."""

    null: Null

    @cached_property
    def _table(self) -> Conditional:
        law = self.null.drawn
        rate = np.square(law.weights.sum(axis=1) * law.relative_sd).sum()
        most = 1.5 * law.n_expected + SPREAD * (np.sqrt(law.n_expected + rate) + SPREAD)
        return Conditional(-self.null.f0.ln(law.events.ts), law.weights, law.relative_sd, int(most))

    def columns(self, events: Scored) -> np.ndarray:
        """(n, 1) -ln f0(TS)."""
        return -self.null.f0.ln(events.ts)[:, None]

    def q(self, n_events: np.ndarray, totals: np.ndarray) -> np.ndarray:
        """-ln p of each toy; beyond the tables' N, where only the largest signals are, as at their end."""
        n, s = np.asarray(n_events), totals[:, 0]
        within = np.minimum(n, self._table.most_events)
        scaled = np.where(n > within, s * within / np.maximum(n, 1), s)
        return -self._table.ln_p(within, scaled)


def prepare(null: Null, options: Options) -> GivenN:
    """The conditional statistic under this null."""
    return GivenN(null)
