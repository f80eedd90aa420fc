"""New Physics Learning Machine: a likelihood ratio learnt from the experiment itself, by kernels of several widths.

(D'Agnolo & Wulzer 2019, arXiv:1806.02350; kernels: arXiv:2204.02317; several widths: arXiv:2408.12296.) It looks at the
models' terms and at cS1 and cS2 at once, and at no score of them. Rates and leakage are fitted under both hypotheses.
Its law is unknown, and toys give it.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import numpy as np
from pydantic import Field
from scipy import special

from engine import lineage, options
from engine.inference import learned_ratio
from engine.inference.hypothesis import Law, Null, Scored
from engine.inference.learned_ratio import Ratio, Reference
from engine.inference.pools import effective_size

ADDITIVE = False
EXACT = False
AFFINE_INVARIANT = True
MONOTONE_INVARIANT = True  # of every term by itself
MODEL_DEPENDENT = False
NEEDS = ()

KNOTS = 1001  # quantiles that a column is standardised by
NODES = 1000  # points that stand for the reference in a fit
PAIRS = 4000  # events whose distances give the widths
REFERENCE_FACTOR = 5  # events of the reference for each expected one: the papers' least


class Options(options.Options):
    """widths: of the kernels, in per cent of the distances between pool events that are shorter; centres: of kernels;
    prior_sd: of ln of the density ratio."""

    widths: tuple[Annotated[float, Field(gt=0, le=100)], ...] = Field((1.0, 25.0, 50.0, 75.0, 99.0), min_length=1)
    centres: int = Field(64, ge=2, le=1000)
    prior_sd: float = Field(3.0, gt=0)


@dataclass(frozen=True)
class LearnedTest:
    """q = the largest -ln p over the widths, p by a law that fits t under background to second order. It puts widths on
    one scale, no more: toys give the p of q, whatever that law is worth."""

    null: Null
    options: Options
    sees_deficit = True

    @property
    def pool_limited(self) -> bool:
        """Whether the reference holds too few events for what is expected."""
        return effective_size(self.null.reference.total) < REFERENCE_FACTOR * self.null.n_background

    @cached_property
    def _knots(self) -> np.ndarray:
        """(columns, KNOTS) quantiles of what is looked at, of the pool as it was thrown."""
        return np.quantile(_looked_at(self.null.reference.events), np.linspace(0, 1, KNOTS), axis=0).T

    def columns(self, events: Scored) -> np.ndarray:
        """(n, k) normal scores, float32, of the models' terms, cS1 and cS2, by their ranks among pool events."""
        normal = special.ndtri((np.arange(KNOTS) + 0.5) / KNOTS)
        looked_at = _looked_at(events).T
        scores = [np.interp(one, knots, normal) for one, knots in zip(looked_at, self._knots, strict=True)]
        return np.stack(scores, axis=1).astype(np.float32)

    @cached_property
    def _reference(self) -> Reference:
        law, leakage = self.null.reference, self.null.leakage
        rates = _open(law.grouped)
        nuisances, sd = rates.weights, rates.relative_sd
        if not leakage.is_known and law.n_leaking > 0:
            nuisances = np.vstack([nuisances, law.total * law.leaks])
            sd = np.append(sd, np.log(leakage.known_to))
        return Reference(self.columns(law.events), law.total, nuisances, sd)

    @cached_property
    def _centres(self) -> np.ndarray:
        return self._picked("centres", self.options.centres)

    @cached_property
    def _ratios(self) -> list[Ratio]:
        sample = self._picked("pairs", PAIRS)
        first, second = np.array_split(sample, 2)
        distances = np.linalg.norm(first[: len(second)] - second[: len(first)], axis=1)
        widths = np.percentile(distances[distances > 0], self.options.widths)
        nodes = self._picked("nodes", NODES)
        return learned_ratio.ratios(self._reference, self._centres, nodes, widths.tolist(), self.options.prior_sd)

    def _picked(self, what: str, n: int) -> np.ndarray:
        """(n, columns) places of reference events, of fewer if it has no more: half as they were thrown, which is where
        a detector can see something, and half as they are expected."""
        rng, x, expected = lineage.stream("nplm", what), self._reference.x, self._reference.weights
        n = min(n, np.count_nonzero(expected))
        thrown = rng.choice(len(x), n // 2, replace=False)
        others = np.where(np.isin(np.arange(len(x)), thrown), 0.0, expected)
        return x[np.append(thrown, rng.choice(len(x), n - n // 2, replace=False, p=others / others.sum()))]

    def of_toys(self, columns: np.ndarray, event: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """(toys, widths) -ln p of each width."""
        ratios, centres, start = self._ratios, self._centres, 0
        t = np.empty((len(ends), len(ratios)))
        for toy, end in enumerate(ends):
            sums = np.zeros((len(ratios), len(centres)))
            for first in range(start, end, learned_ratio.EVENTS_AT_ONCE):
                some = event[first : min(first + learned_ratio.EVENTS_AT_ONCE, end)]
                squares = learned_ratio.squared_distances(columns, some, centres)
                for i, ratio in enumerate(ratios):
                    sums[i] += learned_ratio.kernels(squares, ratio.width).sum(axis=0, dtype=np.float64)
            t[toy] = [ratio.t(of_width) for ratio, of_width in zip(ratios, sums, strict=True)]
            start = end
        return np.stack([ratio.minus_ln_p(of_width) for ratio, of_width in zip(ratios, t.T, strict=True)], axis=1)

    def q(self, n_events: np.ndarray, made: np.ndarray) -> np.ndarray:
        """The smallest p of the widths, as -ln p."""
        return made.max(axis=1)


def _looked_at(events: Scored) -> np.ndarray:
    """(n, k) terms of the models, ln cS1 and ln cS2; one without S1 or S2 is put at 1 PE."""
    charges = np.log(np.maximum(np.stack([events.cs1_pe, events.cs2_pe], axis=1), 1.0))
    return charges if events.terms is None else np.concatenate([events.terms, charges], axis=1)


def _open(law: Law) -> Law:
    """The rates of a law that are not known."""
    kept = law.relative_sd > 0
    names = tuple(name for name, is_open in zip(law.names, kept, strict=True) if is_open)
    return Law(names, law.events, law.weights[kept], law.relative_sd[kept], law.leaks)


def prepare(null: Null, options: Options) -> LearnedTest:
    """The test against the half of the pool that toys do not draw from."""
    return LearnedTest(null, options)
