"""The bare number of selected events: the counting test that every density statistic contains."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from engine.inference.exact import counts
from engine.inference.hypothesis import Null, Scored
from engine.options import Options

ADDITIVE = True
EXACT = True
AFFINE_INVARIANT = True
MONOTONE_INVARIANT = True
MODEL_DEPENDENT = False
NEEDS = ()
LAW_VERSION = 2  # tables of another arithmetic: 1e-8 of p


@dataclass(frozen=True)
class Count:
    """q = N."""

    null: Null

    def columns(self, events: Scored) -> np.ndarray:
        """(n, 0): nothing is summed but the events themselves."""
        return np.zeros((len(events), 0))

    def q(self, n_events: np.ndarray, totals: np.ndarray) -> np.ndarray:
        """N of each toy."""
        return n_events.astype(np.float64)

    @cached_property
    def background(self) -> counts.CountLaw:
        """The law of q under background."""
        law = self.null.drawn.grouped
        return counts.law(law.weights.sum(axis=1), law.relative_sd)

    def distributions(self, signal: np.ndarray) -> tuple[counts.CountLaw, counts.CountLaw]:
        """The law of N under background, and with Poisson(signal.sum()) more events."""
        return self.background, self.background.with_signal(signal.sum())


def prepare(null: Null, options: Options) -> Count:
    """The count under this null."""
    return Count(null)
