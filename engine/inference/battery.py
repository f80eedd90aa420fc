"""Exposures from which on a statistic finds each of many signals, by laws whose nulls the signals share.

An exposure costs one law under background, and one with each signal. So exposures are steps of one ladder for all
signals, factors of two first and then halved in their logarithm where a signal's Z passes what is wanted. Between two
rungs Z is linear in ln t: right to 1 % of an exposure, and to 10 % where a count is of few events. Z is that across the
steps of a discrete statistic (`reach.Reading.smooth_z`); a dip shorter than a factor of two is not seen.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from engine.inference import jackknife
from engine.inference.cells import Choice
from engine.inference.exact import Distribution
from engine.inference.hypothesis import Law, Null
from engine.inference.population import Population
from engine.inference.reach import BELOW, BEYOND, FOUND, N_HELD, STRIDE, Aim, reading
from engine.inference.significance import z_one_sided

RESOLUTION = 2**0.25  # of the ladder, where Z passes what is wanted
LEAST_Z, MOST_Z = 0.0, 37.0  # of a reading: a median experiment that says nothing; a p that no double holds


@dataclass(frozen=True)
class Alternative:
    """A signal: weights (pool,), selected events per t y; replaces: the component that it stands in place of."""

    weights: np.ndarray
    replaces: str | None = None


Alternatives = dict[str, Alternative]
Readings = dict[str, dict[float, float]]  # Z by signal and exposure


@dataclass(frozen=True)
class Crossing:
    """Where Z passes what is wanted for good: status and exposure (inf beyond the range, its beginning below it);
    slope: dZ / dln t there; rung_ty: the nearest exposure of the ladder. Both None where it is not found."""

    status: str
    exposure_ty: float
    slope: float | None = None
    rung_ty: float | None = None


def laws(
    null: Null, choice: Choice, population: Population, alternatives: Alternatives
) -> Iterator[tuple[str, Distribution, Distribution]]:
    """Of each signal its name, and the laws of q without it, averaged over the leakage, and with it."""
    of_null = choice.laws(null)
    for name, one in alternatives.items():
        signal = population.signal(one.weights) * null.exposure_ty
        background, alternative = of_null.distributions(signal)
        if one.replaces is not None:
            truth = replace(null, drawn=_without(null.drawn, one.replaces), stated=null.n_background)
            alternative = choice.prepare(truth).distributions(signal)[1]
        yield name, background, alternative


def _without(law: Law, component: str) -> Law:
    """What events are drawn from where a component is not there."""
    kept = [name != component for name in law.names]
    names = tuple(name for name in law.names if name != component)
    return replace(law, names=names, weights=law.weights[kept], relative_sd=law.relative_sd[kept])


def readings(
    population: Population, choice: Choice, alternatives: Alternatives, exposure_ty: float, aim: Aim
) -> dict[str, float]:
    """Z of each signal's median experiment at an exposure, from LEAST_Z to MOST_Z."""
    null = population.null(choice.R, exposure_ty)
    return {name: _z(pair, aim) for name, *pair in laws(null, choice, population, alternatives)}


def climbed(
    population: Population, choice: Choice, alternatives: Alternatives, aim: Aim, wanted_z: tuple[float, ...],
    low_ty: float, high_ty: float,
) -> Readings:  # fmt: skip
    """Readings of every signal on the rungs that it needs: see `climb`."""

    def read(exposure_ty: float, names: list[str]) -> dict[str, float]:
        return readings(population, choice, {one: alternatives[one] for one in names}, exposure_ty, aim)

    return climb(read, alternatives, wanted_z, low_ty, high_ty)


def _z(pair: list[Distribution], aim: Aim) -> float:
    """Z of a median experiment, across steps. One without any event says nothing, however near the next step is; where
    both ends of a step are infinite, their difference is no number."""
    found = reading(*pair, aim)
    smooth_z = LEAST_Z if found.z == -np.inf else np.nan_to_num(found.smooth_z, nan=MOST_Z)
    return float(np.clip(smooth_z, LEAST_Z, MOST_Z))


def climb(
    read: Callable[[float, list[str]], dict[str, float]], names: Iterable[str], wanted_z: tuple[float, ...],
    low_ty: float, high_ty: float,
) -> Readings:  # fmt: skip
    """Z of every signal at the rungs of the ladder that it needs; read(exposure, names): of these at an exposure.

    wanted_z: what is looked for, of which the largest says how far to climb.
    """
    known: Readings = {name: {} for name in names}

    def add(exposure_ty: float, some: list[str]) -> None:
        for name, z in read(exposure_ty, some).items():
            known[name][exposure_ty] = z

    for exposure_ty in rungs(low_ty, high_ty):
        if climbing := [name for name in known if not _held(known[name], max(wanted_z))]:
            add(exposure_ty, climbing)
    while wider := _middles(known, wanted_z):
        for exposure_ty in sorted(wider):
            add(exposure_ty, wider[exposure_ty])
    return known


def rungs(low_ty: float, high_ty: float) -> list[float]:
    """Exposures a STRIDE or less apart, with both ends."""
    grid = np.geomspace(low_ty, high_ty, 1 + int(np.ceil(np.log(high_ty / low_ty) / np.log(STRIDE) - 1e-9)))
    return [low_ty, *grid[1:-1].tolist(), high_ty]


def _held(z: dict[float, float], wanted: float) -> bool:
    """Whether the last N_HELD strides began and ended with what is wanted."""
    last = list(z.values())[-N_HELD - 1 :]
    return len(last) > N_HELD and all(one >= wanted for one in last)


def _middles(known: Readings, wanted_z: tuple[float, ...]) -> dict[float, list[str]]:
    """Middles of the brackets that are wider than RESOLUTION, with the signals that want them."""
    middles: dict[float, list[str]] = {}
    for name, z in known.items():
        for a, b in {_bracket(z, wanted) for wanted in wanted_z} - {None}:
            if b > a * RESOLUTION * (1 + 1e-9):
                middles.setdefault(float(np.sqrt(a * b)), []).append(name)
    return middles


def _bracket(z: dict[float, float], wanted: float) -> tuple[float, float] | None:
    """The last rung below what is wanted, and the next; None where there is none below, or none after."""
    at = sorted(z)
    below = [i for i, exposure_ty in enumerate(at) if z[exposure_ty] < wanted]
    return (at[below[-1]], at[below[-1] + 1]) if below and below[-1] + 1 < len(at) else None


def passed(z: dict[float, float], wanted: float) -> Crossing:
    """Where Z passes what is wanted, from its readings."""
    at = sorted(z)
    if (bracket := _bracket(z, wanted)) is None:
        return Crossing(BEYOND, np.inf) if z[at[-1]] < wanted else Crossing(BELOW, at[0])
    a, b = bracket
    slope = (z[b] - z[a]) / np.log(b / a)
    share = (wanted - z[a]) / (z[b] - z[a])
    exposure_ty = float(a * (b / a) ** share)
    return Crossing(FOUND, exposure_ty, float(slope), a if share < 0.5 else b)


def t3_errors(
    population: Population, choice: Choice, alternatives: Alternatives, found: dict[str, Crossing], aim: Aim,
    groups: int,
) -> dict[str, float]:  # fmt: skip
    """Jack-knife errors of the exposures that were found, in t y: that of Z on the nearest rung over its slope."""
    at_ty = {name: one.rung_ty for name, one in found.items() if one.status == FOUND}
    errors = z_errors(population, choice, alternatives, at_ty, aim, groups)
    return {name: found[name].exposure_ty * error / found[name].slope for name, error in errors.items()}


def z_errors(
    population: Population, choice: Choice, alternatives: Alternatives, at_ty: dict[str, float], aim: Aim, groups: int
) -> dict[str, float]:
    """Jack-knife error of the Z of each signal at an exposure of its own, from so many groups of the finite pool.

    As `jackknife.replicates`: at the nominal leakage, and the larger of what is left out of null and signal together
    and of the null alone. Signals with one exposure share its nulls.
    """
    population = population.nominal(choice.R)
    z: dict[str, list[list[float]]] = {name: [] for name in at_ty}
    for group in range(groups):
        kept, fewer = population.pool.groups(groups) != group, population.without(group, groups)
        for exposure_ty in sorted(set(at_ty.values())):
            mine = {name: alternatives[name] for name, at in at_ty.items() if at == exposure_ty}
            less = {name: replace(one, weights=one.weights[kept] * groups / (groups - 1)) for name, one in mine.items()}
            null = fewer.null(choice.R, exposure_ty)
            both = {name: _z(pair, aim) for name, *pair in laws(null, choice, fewer, less)}
            alone = {} if choice.module.MODEL_DEPENDENT else _null_alone(null, choice, population, mine, aim)
            for name, of_both in both.items():
                z[name].append([of_both, alone.get(name, of_both)])
    return {name: jackknife.error(of_groups) for name, of_groups in z.items()}


def _null_alone(
    null: Null, choice: Choice, population: Population, alternatives: Alternatives, aim: Aim
) -> dict[str, float]:
    """Z where thresholds and null are of fewer events, and experiments with signal are drawn from all."""
    background = choice.laws(null).background
    whole = replace(null, drawn=population.null(choice.R, null.exposure_ty).drawn, stated=null.n_background)
    return {name: _z([background, with_signal], aim)
            for name, _, with_signal in laws(whole, choice, population, alternatives)}  # fmt: skip


def priced_z(p: float, n_choices: int) -> float:
    """What each of n statistics must show so that the smallest of their p is p: Bonferroni's, which no dependence
    between them makes too small."""
    return z_one_sided(p / n_choices)


def median(values: list[float], bounds: list[bool]) -> tuple[float, bool]:
    """The lower median of values of which some are lower bounds, and whether it is such a bound itself.

    It is no bound where to take every bound for infinite would not change it.
    """
    middle = (len(values) - 1) // 2
    low = sorted(values)[middle]
    high = sorted(np.inf if is_bound else value for value, is_bound in zip(values, bounds, strict=True))[middle]
    return low, bool(high > low)


def worst(values: list[float], bounds: list[bool]) -> tuple[float, bool]:
    """The largest of values of which some are lower bounds, and whether it is only a bound: where one of them is."""
    return max(values), any(bounds)
