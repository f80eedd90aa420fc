"""Energies of simulated events, estimated in three ways, and how often what is said of them is true.

Combined energy with a Gaussian width, a flow's posterior (`zoo.energy_flow`), and WALDO's confidence intervals out of
it (`engine.inference.waldo`). Three sets of events of their own: the flow is fitted to the first, the width of CES and
WALDO's quantiles to the second, and all are judged by the third. Nothing here is tuned.
"""

import importlib
import math
from dataclasses import dataclass

import numpy as np
import scipy.stats

import zoo
from engine import lineage
from engine.inference import waldo
from engine.inference.significance import CENTRAL
from engine.physics import proposals
from engine.physics.events import charged
from engine.plan.plan import Plan

FEATURES = ("cs1_pe", "cs2_pe", "drift_us")  # of the representation `summary`, without a readout
MARGIN = 1.5  # factor by which events are thrown beyond the energies that are judged
ROUNDING = 1.001  # and by which the flow's range is wider yet: float32 puts no event on its end
PER_KIND = 5  # events thrown for each set, per event of the rest of the report
SHARD = 10_000  # events thrown at once, to bound memory
LEVELS = (CENTRAL, 0.95)
SIGMAS = tuple(float(scipy.stats.norm.isf((1 - level) / 2)) for level in LEVELS)
N_BINS, N_POSITIONS, N_RANKS = 10, 4, 20
FEWEST = 100  # judged events in a bin that is shown
N_WIDTHS = 5000  # events whose WALDO intervals are found; whether they hold the truth needs none of that


@dataclass(frozen=True)
class EventSet:
    """Registered events: true energies (n,), features (n, 3) and combined energies (n,)."""

    energy_keV: np.ndarray
    features: np.ndarray
    ces_keVee: np.ndarray

    @property
    def drift_us(self) -> np.ndarray:
        """(n,) position along the drift."""
        return self.features[:, FEATURES.index("drift_us")]


@dataclass(frozen=True)
class Estimate:
    """An estimate of the judged events' energies: its value (n,), whether the interval of each level holds the truth,
    (levels, n), and half the length of the first one (n,), NaN where it was not found.
    """

    value_keV: np.ndarray
    holds: np.ndarray
    half_keV: np.ndarray


@dataclass(frozen=True)
class Judgement:
    """The judged events, what each method says of them, and in how many of N_RANKS cells of its own posterior the
    truth lies, over all that was thrown: simulation-based calibration (Talts et al., arXiv:1804.06788).
    """

    kind: str
    range_keV: tuple[float, float]
    prior_keV: tuple[float, float]
    n_fitted: int
    n_calibrated: int
    events: EventSet
    estimates: dict[str, Estimate]
    ranks: np.ndarray

    @property
    def rank_chi2(self) -> tuple[float, float]:
        """chi2 of the ranks against uniform ones, and its p-value."""
        return tuple(map(float, scipy.stats.chisquare(self.ranks)))


def throw(plan: Plan, kind: str, purpose: str, prior_keV: tuple[float, float], n: int) -> EventSet:
    """The registered ones of `n` events, uniform in log E over the prior and everywhere in the detector."""
    key = "report energy flow", plan.study.seed, kind, purpose
    energy = proposals.draw("log_uniform", *prior_keV, n, lineage.stream(*key))
    tpc = plan.study.detector.constants
    shards = [charged(tpc, kind, energy[i : i + SHARD], (*key, i)) for i in range(0, n, SHARD)]
    columns = {name: np.concatenate([shard[name] for shard in shards]) for name in shards[0]}
    seen = columns["registered"]
    features = np.column_stack([columns[name][seen] for name in FEATURES]).astype(np.float32)
    return EventSet(energy[seen], features, columns["ces_keVee"][seen])


def prior(range_keV: tuple[float, float]) -> tuple[float, float]:
    """The energies thrown for those that are judged, within what NEST knows."""
    low, high = proposals.NEST_RANGE_KEV
    return max(range_keV[0] / MARGIN, low), min(range_keV[1] * MARGIN, high)


def judge(plan: Plan, kind: str, n: int, **fields: object) -> Judgement:
    """Fits, calibrates and judges on events of their own, `n` thrown for each; `fields` of the flow's configuration."""
    range_keV = plan.study.events.energy_keV
    thrown_keV = prior(range_keV)
    fitted_to, calibrated, judged = (throw(plan, kind, name, thrown_keV, n) for name in ("fit", "calibrate", "judge"))
    family = importlib.import_module("zoo.energy_flow")
    limits_keV = thrown_keV[0] / ROUNDING, thrown_keV[1] * ROUNDING
    config = zoo.configure(family, {"energy_keV": limits_keV} | fields)
    flow = zoo.fit(family, config, fitted_to.features, fitted_to.energy_keV, seed=plan.study.seed)
    estimates = {"flow": _posterior(flow, judged), "WALDO": _waldo(flow, calibrated, judged)}
    if kind == "ER":  # keVee are an electron's
        estimates = {"CES": _combined(calibrated, judged)} | estimates
    sizes = len(fitted_to.energy_keV), len(calibrated.energy_keV)
    return Judgement(kind, range_keV, thrown_keV, *sizes, judged, estimates, _ranks(flow, judged))


def _combined(calibrated: EventSet, judged: EventSet) -> Estimate:
    """CES with a Gaussian width: the spread of CES / E in bins of E, ln against ln, taken at E = CES."""
    edges = np.geomspace(calibrated.energy_keV.min(), calibrated.energy_keV.max(), N_BINS + 1)
    energy, of_bins = calibrated.energy_keV, []
    for low, high in zip(edges, edges[1:], strict=False):
        chosen = (energy >= low) & (energy < high)
        if chosen.sum() >= FEWEST:
            of_bins.append((energy[chosen].mean(), (calibrated.ces_keVee[chosen] / energy[chosen]).std()))
    at_keV, spread = np.log(np.transpose(of_bins))
    sigma = judged.ces_keVee * np.exp(np.interp(np.log(judged.ces_keVee), at_keV, spread))
    off = np.abs(judged.ces_keVee - judged.energy_keV)
    return Estimate(judged.ces_keVee, np.array([off <= n * sigma for n in SIGMAS]), SIGMAS[0] * sigma)


def _posterior(flow: "zoo.Fitted", judged: EventSet) -> Estimate:
    """The posterior's mean and its central intervals."""
    tails = [(1 - level) / 2 for level in LEVELS]
    ends = zoo.quantiles(flow, judged.features, [*tails, *(1 - tail for tail in tails)]).T
    low, high = ends[: len(tails)], ends[len(tails) :]
    holds = (low <= judged.energy_keV) & (judged.energy_keV <= high)
    return Estimate(zoo.terms(flow, judged.features)["mean"], holds, (high[0] - low[0]) / 2)


def _waldo(flow: "zoo.Fitted", calibrated: EventSet, judged: EventSet) -> Estimate:
    """Neyman intervals out of the posterior's mean and spread; quantiles are functions of energy and drift time."""
    (mean, sd), (of_mean, of_sd) = (zoo.terms(flow, some.features).values() for some in (judged, calibrated))
    pulls = waldo.pull(of_mean, of_sd, calibrated.energy_keV)
    at = [waldo.critical(level, pulls, calibrated.energy_keV, calibrated.drift_us) for level in LEVELS]
    pulls = waldo.pull(mean, sd, judged.energy_keV)
    holds = np.array([pulls <= critical(judged.energy_keV, judged.drift_us) for critical in at])
    some, half = slice(N_WIDTHS), np.full(len(mean), math.nan)
    low, high = waldo.intervals(at[0], mean[some], sd[some], judged.drift_us[some])
    half[some] = (high - low) / 2
    return Estimate(mean, holds, half)


def _ranks(flow: "zoo.Fitted", judged: EventSet) -> np.ndarray:
    """(N_RANKS,) events whose truth lies in each of so many equal shares of its own posterior."""
    inner = zoo.quantiles(flow, judged.features, np.arange(1, N_RANKS) / N_RANKS)
    return np.bincount((inner < judged.energy_keV[:, None]).sum(1), minlength=N_RANKS)


def edges_keV(judgement: Judgement) -> np.ndarray:
    """(N_BINS + 1,) of the bins of true energy."""
    return np.geomspace(*judgement.range_keV, N_BINS + 1)


def rows(judgement: Judgement) -> list[dict[str, float | str]]:
    """A row per bin of true energy with enough events, and method: bias, resolution and coverage.

    Bias and resolution: mean and standard deviation of value / E, the one less 1; half_width: median of half the
    68 % interval over E. The error of a coverage is that of a share of that level among so many events.
    """
    events, found = judgement.events, []
    edges = edges_keV(judgement)
    for low, high in zip(edges, edges[1:], strict=False):
        chosen = (events.energy_keV >= low) & (events.energy_keV < high)
        if (n := int(chosen.sum())) < FEWEST:
            continue
        bin_of = {"low_keV": float(low), "high_keV": float(high), "n": n}
        found += [bin_of | {"method": name} | _row(estimate, events.energy_keV, chosen)
                  for name, estimate in judgement.estimates.items()]  # fmt: skip
    return found


def _row(estimate: Estimate, energy_keV: np.ndarray, chosen: np.ndarray) -> dict[str, float]:
    n, ratio = chosen.sum(), estimate.value_keV[chosen] / energy_keV[chosen]
    bias, spread, half = ratio.mean() - 1, ratio.std(), (estimate.half_keV / energy_keV)[chosen]
    row = {"bias": bias, "bias_error": spread / math.sqrt(n), "resolution": spread}
    row |= {"resolution_error": spread / math.sqrt(2 * n), "half_width": np.median(half[np.isfinite(half)])}
    for level, holds in zip(LEVELS, estimate.holds, strict=True):
        row |= {_name(level): holds[chosen].mean(), f"{_name(level)}_error": math.sqrt(level * (1 - level) / n)}
    return {name: float(value) for name, value in row.items()}


def _name(level: float) -> str:
    return f"coverage_{level * 100:.0f}"


def largest_off(judgement: Judgement, method: str, by_keV: np.ndarray) -> list[tuple[float, float]]:
    """By level, the coverage farthest from it among the bins of an energy `by_keV`, (n,), less the level; its error."""
    place, found = np.digitize(by_keV, edges_keV(judgement)), []
    for level, holds in zip(LEVELS, judgement.estimates[method].holds, strict=True):
        of_bins = [(chosen.sum(), holds[chosen].mean() - level) for i in range(1, N_BINS + 1)
                   if (chosen := place == i).sum() >= FEWEST]  # fmt: skip
        n, off = max(of_bins, key=lambda pair: abs(pair[1]), default=(1, math.nan))
        found.append((float(off), math.sqrt(level * (1 - level) / n)))
    return found


def grid(judgement: Judgement, method: str) -> dict[str, float]:
    """Coverage at each energy and position: chi2 against the level, over the cells of the bins in energy times
    N_POSITIONS equal shares of drift times, by level; `cells` and the smallest number of events in one.
    """
    events, bins = judgement.events, edges_keV(judgement)
    positions = np.quantile(events.drift_us, np.linspace(0, 1, N_POSITIONS + 1)[1:-1])
    cell = np.digitize(events.energy_keV, bins) * N_POSITIONS + np.digitize(events.drift_us, positions)
    inside = (events.energy_keV >= bins[0]) & (events.energy_keV < bins[-1])
    n = np.bincount(cell[inside], minlength=(N_BINS + 2) * N_POSITIONS)
    used = n >= FEWEST / N_POSITIONS
    found = {"cells": int(used.sum()), "fewest": int(n[used].min(initial=len(cell)))}
    for level, holds in zip(LEVELS, judgement.estimates[method].holds, strict=True):
        held = np.bincount(cell[inside], weights=holds[inside], minlength=len(n))
        chi2 = (held - n * level)[used] ** 2 / (n[used] * level * (1 - level))
        found[_name(level)] = float(chi2.sum())
    return found
