"""The talks' baseline: a binned Poisson likelihood of what an ER veto leaves, at 30 % acceptance of nuclear recoils.

The veto is taken as the talks have it, the same at all energies and by fiat: 99.98 % of electron recoils are
removed (99 % in the exposure curve of one talk: an option), and 70 % of nuclear ones. It looks at no score of ours.
The talks name neither the bins nor a signal in them, so that one bin, the count, is the default; more are bins of
combined energy, in which the likelihood is compared with that of any expectation above background's.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from pydantic import Field

from engine import options
from engine.inference.exact import Distribution, counts, rates, veto
from engine.inference.exact.lattice import LatticeLaw
from engine.inference.hypothesis import Law, Null, Scored

ADDITIVE = False
EXACT = True
AFFINE_INVARIANT = True
MONOTONE_INVARIANT = True
MODEL_DEPENDENT = False
NEEDS = ()
LAW_VERSION = 2  # tables of another arithmetic: 1e-8 of p

ER, NR = 0, 1  # places of the recoils among the pool's kinds; a component of its own kind is vetoed as ER is


class Options(options.Options):
    """er_rejection: share of electron recoils removed; nr_acceptance: share of nuclear recoils kept; bins: of energy,
    of equal expectation and at least one event each under background alone; g2_over_g1: of the energy, DARWIN's."""

    er_rejection: float = Field(veto.ER_REJECTION, ge=0, le=1)
    nr_acceptance: float = Field(veto.NR_ACCEPTANCE, ge=0, le=1)
    bins: int = Field(1, ge=1, le=64)
    g2_over_g1: float = Field(363.0, gt=0)


@dataclass(frozen=True)
class CountingVeto:
    """q = number of events that the veto leaves; in bins, 2 sum [n_k ln(n_k / m_k) - (n_k - m_k)] over n_k > m_k."""

    null: Null
    options: Options

    def _left(self, law: Law) -> np.ndarray:
        """(components, events) expected events after the veto."""
        is_er = [not (w > 0)[law.events.kind == NR].any() for w in law.weights]
        efficiencies = self.options.model_dump(include={"er_rejection", "nr_acceptance"})
        return veto.after_veto(law.weights, is_er, **efficiencies)

    @cached_property
    def edges(self) -> np.ndarray:
        """Energies between the bins, rising."""
        law = self.null.reference
        expected = self._left(law).sum(axis=0)
        n_bins = min(self.options.bins, max(1, int(expected.sum())))
        energy = self._energy(law.events)
        order = np.argsort(energy, kind="stable")
        below = np.cumsum(expected[order])
        places = np.searchsorted(below, below[-1] * np.arange(1, n_bins) / n_bins)
        return np.unique(energy[order][np.minimum(places, len(order) - 1)])

    def _energy(self, events: Scored) -> np.ndarray:
        return veto.energy(events.cs1_pe, events.cs2_pe, self.options.g2_over_g1)

    def _binned(self, law: Law, weights: np.ndarray) -> np.ndarray:
        """(components, bins) from weights (components, events)."""
        bins = np.searchsorted(self.edges, self._energy(law.events), side="left")
        return np.array([np.bincount(bins, w, minlength=len(self.edges) + 1) for w in weights])

    @cached_property
    def _expected(self) -> np.ndarray:
        """(bins,) m_k."""
        return np.maximum(self._binned(self.null.reference, self._left(self.null.reference)).sum(axis=0), 1e-9)

    @cached_property
    def _means(self) -> np.ndarray:
        law = self.null.drawn.grouped
        return self._binned(law, self._left(law))

    @cached_property
    def background(self) -> Distribution:
        """The law of q under background."""
        sd = self.null.drawn.grouped.relative_sd
        if len(self.edges) == 0:
            return counts.law(self._means[:, 0], sd)
        return LatticeLaw(self._expected, rates.nodes(self._means, sd))

    def distributions(self, signal: np.ndarray) -> tuple[Distribution, Distribution]:
        """The law of q under background, and with a signal of these expected events, by their kinds."""
        law, given = self.null.drawn, self.options
        kept = np.where(law.events.kind == NR, given.nr_acceptance, 1 - given.er_rejection)
        left = self._binned(law, (signal * kept)[None])[0]
        if len(self.edges) == 0:
            return self.background, self.background.with_signal(float(left[0]))
        nodes = rates.nodes(self._means, law.grouped.relative_sd, left, z=0, step=1.5)
        return self.background, LatticeLaw(self._expected, nodes)


def prepare(null: Null, options: Options) -> CountingVeto:
    """The count after the veto."""
    return CountingVeto(null, options)
