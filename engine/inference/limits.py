"""Upper limits on a signal strength mu by the profile likelihood ratio: what they follow from, and asymptotic ones.

mu multiplies a reference cross-section, in which the signal is linear. The statistic is the one-sided q~_mu of
Cowan, Cranmer, Gross & Vitells 2011 (1007.1727), Eq. 16: the strength is bounded below by zero, since a negative one
would make the density of an unbinned likelihood negative.
"""

from dataclasses import dataclass

import numpy as np
import scipy
from scipy.linalg import block_diag
from scipy.optimize import brentq

from engine.errors import BadInput
from engine.inference import profile, strata
from engine.inference.strata import Strata

LEVEL = 0.9
N_SIGMA = (-2, -1, 0, 1, 2)  # of the band around the median limit
POWER = 0.16  # power constraint of Cowan et al. 1105.3166, section 4: the limit's own -1 sigma
N_STRATA = 16  # more would isolate what few pool events leave empty: 64 make the limit 12 % too low at 6000 per kind
MU_TOLERANCE = 1e-4  # relative, of a limit


@dataclass(frozen=True)
class Experiment:
    """What an experiment of one exposure expects; in every last axis the signal at mu = 1 stands last.

    rows (rows, groups + 1): density b_g f_g at each row; content (rows, groups + 1): events of each group that the row
    stands for; relative_sd (groups + 1,): that of the signal is FREE.
    """

    rows: np.ndarray
    content: np.ndarray
    relative_sd: np.ndarray

    @property
    def expected(self) -> np.ndarray:
        """(groups + 1,) expected events of each group."""
        return self.content.sum(axis=0)

    @property
    def asimov(self) -> np.ndarray:
        """(rows,) the events of an experiment without fluctuations and without signal."""
        return self.content[:, :-1].sum(axis=1)


@dataclass(frozen=True)
class Limit:
    """An upper limit without signal, in units of the reference cross-section.

    mu_90: its median; low, high: its central 68.27 %; power_constrained: below it, an observed limit is replaced by
    it; method: "asymptotic" or "neyman", as it stands in tables. By toys alone: error of mu_90, and the median lower
    end of an interval that has two.
    """

    mu_90: float
    low: float
    high: float
    power_constrained: float
    method: str
    error: float | None = None
    lower_end: float | None = None


@dataclass(frozen=True)
class Observed:
    """The interval of observed events, in units of the reference cross-section, beside experiments without signal.

    upper: its upper end; error: of that from the toys, None where asymptotic; lower: of an interval with two ends;
    sensitivity (5,): the quantiles -2, -1, 0, +1 and +2 sigma of the upper ends without signal, None where there is
    none; median_error, power_constrained: as in `Limit`.
    """

    upper: float
    error: float | None
    lower: float | None
    sensitivity: tuple[float | None, ...]
    median_error: float | None
    power_constrained: float

    @property
    def constrained(self) -> float:
        """The upper end that is told: no lower than the power constraint."""
        return max(self.upper, self.power_constrained)


def experiment(
    background: np.ndarray, signal: np.ndarray, weights: np.ndarray, signal_weights: np.ndarray, relative_sd: np.ndarray
) -> Experiment:
    """An unbinned experiment whose rows are pool events: densities (n, groups) and (n,), weights (groups, n) and (n,).

    The densities integrate to one, in any unit; weights are expected events at the exposure, the signal's at mu = 1.
    """
    content = np.column_stack([weights.T, signal_weights])
    if not content[:, -1].sum() > 0:
        raise BadInput("the signal expects no event in this pool; no limit follows")
    rows = np.column_stack([background, signal]) * content.sum(axis=0)
    return Experiment(rows, content, np.append(relative_sd, profile.FREE))


@dataclass(frozen=True)
class Binning:
    """Strata of events that look alike at one strength; theta (groups + 1,): the rates there."""

    layers: Strata
    theta: np.ndarray

    def index(self, rows: np.ndarray) -> np.ndarray:
        """(n,) stratum of each event, from rows (n, groups + 1) of the densities b_g f_g."""
        return self.layers.index(strata.shares(rows * self.theta))

    def counts(self, rows: np.ndarray) -> np.ndarray:
        """(strata,) numbers of observed events, from rows (n, groups + 1)."""
        return np.bincount(self.index(rows), minlength=len(self.layers))

    def merged(self, unbinned: Experiment) -> Experiment:
        """An unbinned experiment with a row for each stratum, and the pool's own contents as densities."""
        content = np.zeros((len(self.layers), unbinned.content.shape[1]))
        np.add.at(content, self.index(unbinned.rows), unbinned.content)
        return Experiment(content, content, unbinned.relative_sd)


def binning(unbinned: Experiment, mu: float, n_strata: int = N_STRATA) -> Binning:
    """The strata of an unbinned experiment at strength mu."""
    theta = np.append(np.ones(unbinned.rows.shape[1] - 1), mu)
    weights = strata.equal_weights(unbinned.content.T)
    return Binning(strata.split(strata.shares(unbinned.rows * theta), weights, n_strata), theta)


def binned(unbinned: Experiment, mu: float, n_strata: int = N_STRATA) -> Experiment:
    """An unbinned experiment in strata of events alike at strength mu, with the pool's own contents as densities.

    Some ten thousand rows become n_strata, so that a toy costs microseconds, and the Asimov data set is exact: its
    best fit is mu = 0 and nominal rates whatever the templates. Unbinned, templates that a pool of 1e4 smooths give
    it a best fit of an event or so above zero, and the limit moves by as much.
    """
    return binning(unbinned, mu, n_strata).merged(unbinned)


def together(experiments: list[Experiment]) -> Experiment:
    """Independent experiments as one: they share the signal's strength alone, and each has its own rates."""
    relative_sd = np.concatenate([*(one.relative_sd[:-1] for one in experiments), [profile.FREE]])
    rows, content = (_blocks([getattr(one, name) for one in experiments]) for name in ("rows", "content"))
    return Experiment(rows, content, relative_sd)


def _blocks(arrays: list[np.ndarray]) -> np.ndarray:
    signal = np.concatenate([array[:, -1:] for array in arrays])
    return np.hstack([block_diag(*(array[:, :-1] for array in arrays)), signal])


def _fit(where: Experiment, counts: np.ndarray, mu: float, *, hold: bool) -> tuple[float, float]:
    """Fitted mu and -ln L; with `hold`, mu stays and the rates alone are profiled."""
    start, held = np.ones(len(where.relative_sd)), where.relative_sd == 0
    start[-1], held[-1] = mu, hold
    counts = np.asarray(counts, dtype=np.float64)
    theta, value = profile.minimise(start, held, where.rows, counts, where.expected, where.relative_sd)
    return float(theta[-1]), float(value)


def q_mu(where: Experiment, counts: np.ndarray, mu: float) -> float:
    """q~_mu of counts (rows,): -2 ln of the profile likelihood ratio, 0 if the best fit is above mu (Eq. 16)."""
    best, lowest = _fit(where, counts, mu, hold=False)
    if best > mu:
        return 0.0
    return max(2 * (_fit(where, counts, mu, hold=True)[1] - lowest), 0.0)


def z_mu(where: Experiment, counts: np.ndarray, mu: float) -> float:
    """Z with which mu is disfavoured, from the asymptotic distribution of q~_mu under mu (Eq. 65).

    sqrt(q~), and (q~ + q_A) / (2 sqrt(q_A)) above q_A = mu^2 / sigma^2, which the Asimov data set gives (Eq. 32).
    """
    q = q_mu(where, counts, mu)
    q_asimov = q_mu(where, where.asimov, mu)
    if q <= q_asimov or q_asimov == 0:  # at mu = 0 both are zero but for rounding
        return float(np.sqrt(q))
    return float((q + q_asimov) / (2 * np.sqrt(q_asimov)))


def median_limit(where: Experiment, level: float = LEVEL, power: float = POWER) -> Limit:
    """The median limit and its band, asymptotically: the mu of sqrt(q_mu,A) = Phi^-1(level) + N, N = 0, -1, +1.

    (Eqs. 88 and 89, with sigma taken at the limit itself.) The limit that background alone undercuts with
    probability `power` (1105.3166) is N = Phi^-1(power), where strength zero has just this power against mu.
    """
    at = [0, -1, 1, scipy.stats.norm.ppf(power)]
    return Limit(*(_without_signal(where, n, level) for n in at), "asymptotic")


def _without_signal(where: Experiment, n_sigma: float, level: float) -> float | None:
    """The limit that lies so many sigma off the median; None where the formula has none, at -1.28 sigma and below."""
    z = scipy.stats.norm.ppf(level) + n_sigma
    if z <= 0:
        return None
    return _crossing(lambda mu: np.sqrt(q_mu(where, where.asimov, mu)) - z, 0.0, 1 / where.expected[-1])


def observed(where: Experiment, counts: np.ndarray, power: float = POWER, level: float = LEVEL) -> Observed:
    """The upper limit that counts (rows,) give, asymptotically: the mu above the best fit with z_mu = Phi^-1(level)."""
    best, one_event = _fit(where, counts, 1 / where.expected[-1], hold=False)[0], 1 / where.expected[-1]
    upper = _crossing(lambda mu: z_mu(where, counts, mu) - scipy.stats.norm.ppf(level), best, one_event)
    sensitivity = tuple(_without_signal(where, n, level) for n in N_SIGMA)
    return Observed(upper, None, None, sensitivity, None, _without_signal(where, scipy.stats.norm.ppf(power), level))


def draw(where: Experiment, mu: float, n_toys: int, rng) -> np.ndarray:
    """(n_toys, rows) counts; each background rate is drawn from its constraint, truncated at zero, once per toy."""
    factor = np.ones((n_toys, len(where.relative_sd)))
    factor[:, -1] = mu
    for column, sd in zip(factor.T[:-1], where.relative_sd[:-1], strict=True):
        if sd > 0:
            column[:] = scipy.stats.truncnorm.ppf(rng.random(n_toys), -1 / sd, np.inf, loc=1, scale=sd)
    return rng.poisson(factor @ where.content.T)


def _crossing(excess, low: float, step: float) -> float:
    """The mu above `low` at which the rising function `excess` becomes positive, bracketed in doubling steps."""
    high = low + step
    while excess(high) < 0:
        low, high = high, high + 2 * (high - low)
    return float(brentq(excess, low, high, xtol=1e-12 + MU_TOLERANCE * step, rtol=MU_TOLERANCE))
