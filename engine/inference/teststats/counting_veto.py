"""The talks' baseline: the count of what an ER veto leaves, at 30 % acceptance of nuclear recoils.

The veto is taken as the talks have it, the same at all energies and by fiat: 99.98 % of electron recoils are
removed (99 % in the exposure curve of one talk: an option), and 70 % of nuclear ones. It looks at no score of ours.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from pydantic import Field

from engine import options
from engine.inference.exact import counts, veto
from engine.inference.hypothesis import Null

ADDITIVE = False
EXACT = True
AFFINE_INVARIANT = True
MONOTONE_INVARIANT = True
MODEL_DEPENDENT = False
NEEDS = ()

ER, NR = 0, 1  # places of the recoils among the pool's kinds; a component of its own kind is vetoed as ER is


class Options(options.Options):
    """er_rejection: share of electron recoils removed; nr_acceptance: share of nuclear recoils kept."""

    er_rejection: float = Field(veto.ER_REJECTION, ge=0, le=1)
    nr_acceptance: float = Field(veto.NR_ACCEPTANCE, ge=0, le=1)


@dataclass(frozen=True)
class CountingVeto:
    """q = number of events that the veto leaves."""

    null: Null
    options: Options

    @cached_property
    def _background(self) -> counts.CountLaw:
        law = self.null.drawn
        is_er = [not (w > 0)[law.events.kind == NR].any() for w in law.weights]
        return counts.law(veto.after_veto(law.weights.sum(axis=1), is_er, **self.options.model_dump()), law.relative_sd)

    def distributions(self, signal: np.ndarray) -> tuple[counts.CountLaw, counts.CountLaw]:
        """The law of q under background, and with a signal of these expected events, by their kinds."""
        is_nr = self.null.drawn.events.kind == NR
        left = self.options.nr_acceptance * signal[is_nr].sum()
        left += (1 - self.options.er_rejection) * signal[~is_nr].sum()
        return self._background, self._background.with_signal(float(left))


def prepare(null: Null, options: Options) -> CountingVeto:
    """The count after the veto."""
    return CountingVeto(null, options)
