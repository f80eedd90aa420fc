"""Exposure (t y) from which on a search finds the signal with three sigma, where it needs the most; inf beyond range.

R is the one of the largest worst Z at the section's exposure: an exposure for each R of the grid would take longer than
a small fit. `[reach]` gives the range, p and power.
"""

from engine.inference import reach
from engine.inference.population import Population
from engine.plan.tune_plan import TunePlan
from engine.run.tuning.objectives import Measure, worst_z

LARGER_IS_BETTER = False
rank = worst_z.rank


def measure(plan: TunePlan, population: Population, signals: dict, R: float) -> Measure:
    """The largest exposure over the signals, with its error."""
    section, choice, longest = plan.study.reach, plan.choice(R), None
    aim = reach.Aim(section.p, section.power)
    for point in plan.points:
        weights = signals[point.m_chi_GeV] * plan.signal_at(point).scale
        estimate, search = reach.find(population, choice, weights, aim, *section.exposure_ty)
        if longest is None or estimate.exposure_ty > longest[0].exposure_ty:
            longest = estimate, search, weights, point.m_chi_GeV
    estimate, search, weights, mass = longest
    errors = reach.pool_error(population, choice, weights, aim, search, estimate, section.groups)
    return Measure(estimate.exposure_ty, None if errors is None else errors[0], mass)
