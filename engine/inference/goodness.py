"""Whether the background model fits what is seen: Poisson deviances in bins of equal expectation, in (cS1, cS2) and in
the score, with p from background toys (a parametric bootstrap whose rates and leakage are drawn)."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from engine.inference import cells
from engine.inference.cells import Choice
from engine.inference.density import weighted_quantiles
from engine.inference.exact.bins import deviance
from engine.inference.hypothesis import Null, Scored
from engine.inference.population import Population
from engine.inference.significance import n_at_or_above
from engine.inference.teststats import deviance as of_score
from engine.options import Options

EVENTS_PER_BIN = 10.0  # expected
MOST_TOYS = 2000
UNFIT = 0.01  # below this p, the p-values of a search in these data are not to be trusted


@dataclass(frozen=True)
class Plane:
    """The deviance in (cS1, log10 cS2): columns of equal expectation in cS1, each in as many bins of cS2; what is
    expected follows from the half of the pool that toys do not draw from."""

    null: Null

    @cached_property
    def _edges(self) -> tuple[np.ndarray, np.ndarray]:
        """Edges in cS1 (n - 1,), and in cS2 of each column (n, n - 1)."""
        law = self.null.reference
        n = max(2, int(np.sqrt(self.null.n_background / EVENTS_PER_BIN)))
        at = tuple(np.arange(1, n) / n)
        x = weighted_quantiles(law.events.cs1_pe, law.total, at)
        column = np.searchsorted(x, law.events.cs1_pe)
        mine = [column == i for i in range(n)]
        return x, np.array([weighted_quantiles(law.events.cs2_pe[m], law.total[m], at) for m in mine])

    @property
    def n_bins(self) -> int:
        """Columns times bins in each."""
        x, y = self._edges
        return len(y) * (len(x) + 1)

    def bins(self, events: Scored) -> np.ndarray:
        """(n,) bin of each event."""
        x, y = self._edges
        column = np.searchsorted(x, events.cs1_pe)
        return column * (len(x) + 1) + (events.cs2_pe[:, None] > y[column]).sum(axis=1)

    @cached_property
    def _expected(self) -> np.ndarray:
        law = self.null.reference
        return np.maximum(np.bincount(self.bins(law.events), law.total, minlength=self.n_bins), 1e-9 * law.n_expected)

    def q(self, n_events: np.ndarray, totals: np.ndarray) -> np.ndarray:
        """The deviance of each toy."""
        return deviance(totals, self._expected)


class _OfPlane:
    """What a `Choice` takes for a module."""

    @staticmethod
    def prepare(null: Null, options: Options) -> Plane:
        """The deviance in (cS1, log10 cS2), which has no options."""
        return Plane(null)


@dataclass(frozen=True)
class GoodnessOfFit:
    """A deviance of what is seen, its p (at least 1 / (n_toys + 1)); R: of the score, None: in (cS1, log10 cS2)."""

    R: float | None
    deviance: float
    n_bins: int
    p: float
    n_toys: int


def fits(
    population: Population, exposure_ty: float, seen: dict[float | None, Scored], n_toys: int
) -> list[GoodnessOfFit]:
    """The fit in the plane and in each score; seen: the events by R, those under None with no score."""
    n_bins = int(np.clip(population.n_background(exposure_ty) / EVENTS_PER_BIN, 2, 64))
    scored = of_score.Options(bins=n_bins)
    choices = [Choice(R, _OfPlane, Options()) if R is None else Choice(R, of_score, scored) for R in seen]
    n_toys = min(n_toys, MOST_TOYS)
    toys = cells.background_toys(population, exposure_ty, "null", choices, n_toys)
    made = []
    for statistic, drawn, (R, events) in zip(
        cells.prepare(population, exposure_ty, choices), toys, seen.items(), strict=True
    ):
        q = cells.value(statistic, events)
        k = n_at_or_above(np.sort(statistic.q(drawn.n_events, drawn.totals)), q)
        made.append(GoodnessOfFit(R, q, statistic.n_bins, (k + 1) / (n_toys + 1), n_toys))
    return made
