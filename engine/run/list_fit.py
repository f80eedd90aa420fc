"""Components of a study fitted to a list of events before a search, outside the region that is blinded.

What is expected is thrown here and now: no scan is needed, and no score is looked at. Events of the signal region,
beyond the line that 30 % of nuclear recoils stay below, enter neither the fit nor what is said.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from engine.assembly.population import own_events, unscored
from engine.errors import BadInput, unknown
from engine.inference import component_fit, observed
from engine.inference.component_fit import Bins, FittedRates, Templates
from engine.inference.population import Population
from engine.physics import spectra
from engine.physics.event_list import EventList
from engine.plan.plan import Plan
from engine.study import Study
from engine.study.sources import FACTOR, MOST_UNCERTAIN, UNCERTAINTY

NODES = 21  # values of the option that its component is thrown at
MOVED = 0.02  # of its prior: a rate that the list moves less, in value and in error, is said to be left as it was
SPREAD = "charge_yield_sd"  # an option that, beside a charge yield, says how well it is known


@dataclass(frozen=True)
class Free:
    """An option of a component's own events that a fit may move, between two values."""

    component: str
    option: str
    low: float
    high: float


@dataclass(frozen=True)
class ListFit:
    """A fit: of how many events outside the signal region, with what was expected of them before."""

    study: Study
    n_events: int
    n_expected: float
    n_simulated: int
    fitted: FittedRates
    free: Free | None = None


def free(study: Study, words: str) -> Free:
    """What `component.option=low:high` asks for; raises BadInput, which says what may be moved."""
    backgrounds = study.backgrounds
    accepted = {f"{name}.{option}" for name in backgrounds.components
                for option in getattr(backgrounds.spectrum(name)[0], "MOVES_EVENTS", ())}  # fmt: skip
    name, _, ends = words.partition("=")
    if name not in accepted:
        raise unknown("option to fit", name, accepted)
    try:
        low, high = map(float, ends.split(":"))
    except ValueError as error:
        raise BadInput(f"--free {words}: expected {name}=LOW:HIGH, as in {name}=0.65:0.87") from error
    if not low < high:
        raise BadInput(f"--free {words}: the range must ascend")
    component, _, option = name.rpartition(".")
    module, options = backgrounds.spectrum(component)
    for value in (low, high):
        spectra.configure(module, options.model_dump() | {option: value})
    return Free(component, option, low, high)


def fit(study: Study, seen: EventList, exposure_ty: float, moving: Free | None, n_events: int) -> ListFit:
    """The fit of a study's components to the selected events of a list."""
    plan = Plan(study)
    population = unscored(plan, n_events)
    areas = [seen.columns[name] for name in ("cs1_pe", "cs2_pe")]
    inside, of_pool = observed.in_region(population, *areas)
    outside = population.only(~of_pool)
    bins = component_fit.bins(outside, exposure_ty)
    counts = bins.counts(*(area[~inside] for area in areas))
    made = _templates(plan, population, outside, exposure_ty, bins, moving, n_events)
    expected = outside.n_background(exposure_ty)
    return ListFit(study, int(counts.sum()), expected, n_events, component_fit.fit(made, counts), moving)


def _templates(
    plan: Plan, population: Population, outside: Population, exposure_ty: float, bins: Bins, moving: Free | None,
    n_events: int,
) -> Templates:  # fmt: skip
    if moving is None:
        return component_fit.templates(outside, exposure_ty, bins)
    moved = {}
    for value in np.linspace(moving.low, moving.high, NODES).tolist():
        *areas, weights = own_events(plan, moving.component, n_events, _shift(plan.study, moving, value))
        kept = ~observed.in_region(population, *areas)[0]
        moved[value] = *(area[kept] for area in areas), weights[kept]
    return component_fit.templates(outside, exposure_ty, bins, moving.component, moved)


def _shift(study: Study, moving: Free, value: float) -> tuple[tuple[str, float], ...]:
    """The option at a value, the same for all events: how well it is known is what the fit says."""
    _, options = study.backgrounds.spectrum(moving.component)
    alike = ((f"{moving.component}.{SPREAD}", 0.0),) if hasattr(options, SPREAD) else ()
    return ((f"{moving.component}.{moving.option}", value), *alike)


def priors(of: ListFit) -> dict[str, dict[str, float]]:
    """Options, by component, that make what was fitted a study's priors: the rates that the list moved, and the
    option. Correlations of rates are lost."""
    made, fitted, backgrounds = {}, of.fitted, of.study.backgrounds
    groups = dict(zip(fitted.groups.names, zip(fitted.factor, fitted.error, fitted.groups.relative_sd, strict=True),
                      strict=True))  # fmt: skip
    for name, member in _groups(of).items():
        factor, error, sd = groups[member]
        if sd > 0 and factor > 0 and (abs(factor - 1) > MOVED * sd or error < (1 - MOVED) * sd):
            uncertainty = min(error / factor, MOST_UNCERTAIN)
            made[name] = {FACTOR: _short(factor * backgrounds.rate_factor(name)), UNCERTAINTY: _short(uncertainty)}
    if of.free is not None:
        _, options = backgrounds.spectrum(of.free.component)
        known = {of.free.option: _short(fitted.value)}
        known |= {SPREAD: _short(_sd(of))} if hasattr(options, SPREAD) else {}
        made[of.free.component] = made.get(of.free.component, {}) | known
    return made


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def _sd(of: ListFit) -> float:
    """Of the option, absolute: half its interval, whose ends are those of the range where it leaves it."""
    low, high = (end if at is None else at for at, end in zip((of.fitted.low, of.fitted.high),
                                                              (of.free.low, of.free.high), strict=True))  # fmt: skip
    return (high - low) / 2


def _groups(of: ListFit) -> dict[str, str]:
    """The group of each component."""
    groups, names = of.fitted.groups, of.study.backgrounds.components
    return {name: groups.names[int(np.argmax(column))] for name, column in zip(names, groups.member.T, strict=True)}


def lines(of: ListFit) -> Iterator[str]:
    """What a fit says, and how it becomes a study's."""
    fitted, (total, error) = of.fitted, of.fitted.total
    yield (f"outside the signal region: {of.n_events} events, {of.n_expected:.1f} expected before the fit, {total:.1f} "
           f"+- {error:.1f} after it")  # fmt: skip
    yield ("rates as factors on the study's, by the curvature of the likelihood with the study's priors; yields by the "
           f"profile likelihood; templates from {of.n_simulated} events of each kind")  # fmt: skip
    members = {}
    for name, group in _groups(of).items():
        members.setdefault(group, []).append(name)
    for name, factor, own, sd, n in zip(fitted.groups.names, fitted.factor, fitted.error, fitted.groups.relative_sd,
                                        fitted.expected, strict=True):  # fmt: skip
        prior = "known" if sd == 0 else f"prior 1 +- {sd:.3g}"
        events = f"{factor * n:.4g} +- {own * n:.2g} events"
        yield f"{', '.join(members[name])}: {factor:.4f} +- {own:.4f} ({prior}), {events}"
    if of.free is not None:
        yield _of_option(of)
    yield "the study's from now on, rates as if independent, in its file or as --set of scan and observe alike:"
    yield "[backgrounds]"
    for name, options in priors(of).items():
        inner = ", ".join(f"{key} = {value:g}" for key, value in options.items())
        yield f"options.{name} = {{ {inner} }}"
    yield " ".join(f"--set backgrounds.options.{name}.{key}={value:g}" for name, options in priors(of).items()
                   for key, value in options.items())  # fmt: skip


def _of_option(of: ListFit) -> str:
    fitted, free = of.fitted, of.free
    low, high = (f"beyond {end:g}" if at is None else f"{at:.4f}" for at, end in ((fitted.low, free.low),
                                                                                 (fitted.high, free.high)))  # fmt: skip
    return (f"{free.component}.{free.option}: {fitted.value:.4f} in {free.low:g} to {free.high:g}, 68 % interval "
            f"{low} to {high}")  # fmt: skip
