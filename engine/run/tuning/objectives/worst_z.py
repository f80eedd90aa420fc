"""Exact Z of the objective's statistic at the signal where it is smallest, in sigma."""

from engine.inference.population import Population
from engine.plan.tune_plan import TunePlan
from engine.run.tuning.objectives import Measure
from engine.run.tuning.trials import by_law, worst_error

LARGER_IS_BETTER = True


def rank(plan: TunePlan, population: Population, signals: dict, R: float) -> float:
    """The worst Z over the signals."""
    return _worst(plan, population, signals, R)[0]


def measure(plan: TunePlan, population: Population, signals: dict, R: float) -> Measure:
    """The worst Z with its error, at that signal."""
    z, mass = _worst(plan, population, signals, R)
    return Measure(z, worst_error(plan, population, plan.choice(R), signals, mass), mass)


def _worst(plan: TunePlan, population: Population, signals: dict, R: float) -> tuple[float, float | None]:
    name = plan.tune.ranked_by
    laws = by_law(plan, population, {name: plan.choice(R)}, signals)
    return min(((law["z_exact"], mass) for (mass, _), law in laws.items()), key=lambda pair: pair[0])
