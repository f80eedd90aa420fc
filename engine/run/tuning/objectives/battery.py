"""Exposure from which on a search finds signals that it knows nothing of, over the oracle's: the median of a battery.

The signals are those of [battery] that the oracle in (cS1, cS2) finds; a ratio is of the statistic `t3_of` on the score
of the study. The median and not the worst: that is mostly of a signal to which the search is blind, where it is the end
of the range, which no trial moves. Of an even number it is the lower of the middle two; inf where that is beyond the
range.

R is the one of the largest median Z at the section's exposure: exposures for each R of the grid would take longer than
a small fit. `[reach]` gives the range, p, power and groups of the jack-knife.
"""

from dataclasses import dataclass

from engine.assembly.battery import Arena
from engine.inference import battery, reach
from engine.inference.battery import Alternatives
from engine.inference.population import Population
from engine.plan.tune_plan import TunePlan
from engine.run.tuning.objectives import Measure

LARGER_IS_BETTER = False


@dataclass(frozen=True)
class Anomalies:
    """Signals by name, and the exposure in t y from which on the oracle finds each."""

    alternatives: Alternatives
    oracle_ty: dict[str, float]


def rank(plan: TunePlan, population: Population, signals: Anomalies, R: float) -> float:
    """The median Z over the signals."""
    aim, on = _aim(plan), _background(population, signals, R)
    z = battery.readings(on, plan.choice(R), signals.alternatives, plan.tune.exposure_ty, aim)
    return z[_middle(z)]


def measure(plan: TunePlan, population: Population, signals: Anomalies, R: float) -> Measure:
    """The median ratio with the error of its signal's exposure; the oracle's is the same for all trials."""
    section, choice = plan.study.reach, plan.choice(R)
    aim, on = _aim(plan), _background(population, signals, R)
    z = battery.climbed(on, choice, signals.alternatives, aim, (aim.z,), *section.exposure_ty)
    found = {name: battery.passed(one, aim.z) for name, one in z.items()}
    ratios = {name: one.exposure_ty / signals.oracle_ty[name] for name, one in found.items()}
    name = _middle(ratios)
    of_middle = {name: signals.alternatives[name]}
    errors = battery.t3_errors(on, choice, of_middle, {name: found[name]}, aim, section.groups)
    return Measure(ratios[name], errors[name] / signals.oracle_ty[name] if name in errors else None)


def _aim(plan: TunePlan) -> reach.Aim:
    return reach.Aim(plan.study.reach.p, plan.study.reach.power)


def _background(population: Population, signals: Anomalies, R: float) -> Population:
    """The population whose f0 knows nothing of the signals' events."""
    return Arena(population, signals.alternatives).on(R, population.ts[R]).population


def _middle(values: dict[str, float]) -> str:
    """The name of the median, of an even number the lower."""
    return sorted(values, key=values.get)[(len(values) - 1) // 2]
