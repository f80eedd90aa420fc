"""The significance with which a search that knows the signal finds it: q_0 of the profile likelihood ratio, mu >= 0."""

from dataclasses import dataclass

import numpy as np

from engine.inference import limits, neyman, toys
from engine.inference.limits import Experiment
from engine.inference.significance import median_significance, n_at_or_above


@dataclass(frozen=True)
class Discovery:
    """One-sided Z of the median experiment with signal: by toys, how its p was obtained, and asymptotically."""

    z: float | None
    tail: str | None
    z_asymptotic: float


def median(where: Experiment, mu: float, n_toys: int | None, key: tuple) -> Discovery:
    """At strength mu, by n_toys with and as many without signal; none: asymptotically alone.

    q_0 is Eq. 12 of Cowan et al. 2011 (1007.1727), one-sided as 2105.00599 recommends; asymptotically Z is the root of
    what the Asimov data set with signal has (Eqs. 52 and 53). Beyond 1 / (n_toys + 1) the toys say a bound.
    """
    asimov = where.content @ np.append(np.ones(where.content.shape[1] - 1), mu)
    asymptotic = float(np.sqrt(_q_zero(where, asimov[None])[0]))
    if n_toys is None:
        return Discovery(None, None, asymptotic)
    null, signal = (_q_zero(where, limits.draw(where, true, n_toys, toys.stream(*key, name)))
                    for true, name in ((0.0, "q_0 without"), (mu, "q_0 with")))  # fmt: skip
    found = median_significance(np.sort(null), signal)
    return Discovery(max(found.z, 0.0), found.tail, asymptotic)  # p is 1 where the median has no excess


def observed(where: Experiment, counts: np.ndarray, n_toys: int | None, key: tuple) -> tuple[float, float | None]:
    """One-sided Z of counts (rows,) asymptotically, and p of their q_0 among n_toys without signal, (k + 1) / (n + 1).

    The toys are those of `median`; none: None.
    """
    q = _q_zero(where, counts[None])[0]
    if n_toys is None:
        return float(np.sqrt(q)), None
    null = _q_zero(where, limits.draw(where, 0.0, n_toys, toys.stream(*key, "q_0 without")))
    return float(np.sqrt(q)), (n_at_or_above(np.sort(null), q) + 1) / (n_toys + 1)


def _q_zero(where: Experiment, counts: np.ndarray) -> np.ndarray:
    """(experiments,) q_0 of counts (experiments, rows), zero without an excess."""
    return neyman.q_ladder(where, counts, np.zeros(1), "unified")[:, 0]
