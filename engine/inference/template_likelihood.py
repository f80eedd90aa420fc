"""The template-likelihood baseline: -2 ln L of (cS1, cS2) under background only, its rates profiled.

Semi-supervised search in DARWIN (Aalbers et al.), Eqs. 8-10 with sigma = 0. What it says depends on the unit of
(cS1, cS2), as every -2 ln L without a ratio does: the same events in kPE give 2 N ln 1000 less, and N fluctuates.
`conditional` is the twin that looks at the events given their number, and knows no constant factor in the unit.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

from engine.inference import profile, strata
from engine.inference.strata import Strata

N_STRATA = 16


@dataclass(frozen=True)
class TemplateNull:
    """Background only. expected, relative_sd (groups,); strata of the pool; mean and sd of -ln sum b f per event."""

    expected: np.ndarray
    relative_sd: np.ndarray
    strata: Strata
    mean: float
    sd: float


def null(
    rows: np.ndarray, weights: np.ndarray, expected: np.ndarray, relative_sd: np.ndarray, n_strata: int = N_STRATA
) -> TemplateNull:
    """The null from rows (n, groups) of b_g f_g at pool events with weights (groups, n), and expected (groups,) b_g.

    Give it events that the templates have not seen: the moments, in the unit of `rows`, are those of the weighted
    events, and at a template's own events -ln f is too small, by several sd / sqrt(N) for a pool of 1e4.
    """
    value, mixed = -np.log(rows.sum(axis=1)), weights.sum(axis=0)
    mean = np.average(value, weights=mixed)
    sd = np.sqrt(np.average((value - mean) ** 2, weights=mixed))
    layers = strata.split(strata.shares(rows), strata.equal_weights(weights), n_strata)
    return TemplateNull(expected, relative_sd, layers, float(mean), float(sd))


def per_event(rows: np.ndarray, null: TemplateNull) -> np.ndarray:
    """(n, 1 + strata * groups) columns that add up over events: ln sum_g b_g f_g, and the shares by stratum."""
    return np.column_stack([np.log(rows.sum(axis=1)), null.strata.columns(strata.shares(rows))])


def statistic(
    n_events: np.ndarray, totals: np.ndarray, null: TemplateNull, *, profiled: bool = True, ln_n_factorial: bool = True
) -> np.ndarray:
    """q = -2 ln L(sigma = 0) per toy, from n_events (toys,) and totals (toys, columns of `per_event`).

    -ln L = sum theta b - sum_i ln sum_g theta_g b_g f_g(x_i) + ln N! + sum (theta - 1)^2 / (2 sd^2), at theta = 1 or at
    its minimum; the constraints' constant norm is left out, and ln N! where the caller says so (as in packages that
    write the extended likelihood without it).
    """
    half = null.expected.sum() - totals[:, 0]
    if profiled:
        by_stratum = totals[:, 1:].reshape(len(totals), len(null.strata), len(null.expected))
        half = _profiled(by_stratum, null) - totals[:, 0]
    return 2 * (half + gammaln(n_events + 1) if ln_n_factorial else half)


def _profiled(by_stratum: np.ndarray, null: TemplateNull) -> np.ndarray:
    """(toys,) minimum over theta of sum theta b - sum_k n_k ln(theta . mean share of k) + constraints.

    by_stratum (toys, strata, groups): summed shares; those of an event add up to one, those of a stratum to n_k.
    """
    counts = by_stratum.sum(axis=2)
    means = by_stratum / np.where(counts > 0, counts, 1.0)[..., None]
    fits = (profile.fit(mean, n, null.expected, null.relative_sd) for mean, n in zip(means, counts, strict=True))
    return np.array([value for _, value in fits])


def exact(rows: np.ndarray, null: TemplateNull, *, profiled: bool = True, ln_n_factorial: bool = True) -> float:
    """q of one experiment from rows (N, groups) of b_g f_g at its own events: slow, and without strata."""
    counts = np.ones(len(rows))
    if profiled:
        half = profile.fit(rows, counts, null.expected, null.relative_sd)[1]
    else:
        half = profile.objective(np.ones(len(null.expected)), rows, counts, null.expected, null.relative_sd)
    return 2 * float(half + gammaln(len(rows) + 1) if ln_n_factorial else half)


def conditional(n_events: np.ndarray, totals: np.ndarray, null: TemplateNull) -> np.ndarray:
    """(toys,) sum_i -ln sum b f against what N background events give: (S - N mean) / (sqrt(N) sd); 0 for N = 0.

    Given N it ranks experiments as S does, and its distribution hardly depends on N, so that toys of any N stand in
    for those of the observed one. A factor in the unit of (cS1, cS2) drops out; a map that is not affine, such as
    the logarithm of cS2, does not.
    """
    excess = -totals[:, 0] - n_events * null.mean
    return excess / (np.sqrt(np.maximum(n_events, 1)) * null.sd)
