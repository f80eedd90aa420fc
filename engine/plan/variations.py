"""One nuisance moved one way: what is asked of the simulation and of the statistics. Pure; touches no store."""

from collections.abc import Iterator
from dataclasses import dataclass

from engine.study import Study
from engine.study.systematics import NAMES, Systematics

UP, DOWN, AVERAGED, DRAWN, REFITTED = "up", "down", "averaged", "drawn", "refitted"
SEED = "training_seed"

Shift = tuple[tuple[str, float], ...]  # relative shifts of constants by name; values of options, as component.option


def of_constants(shift: Shift) -> dict[str, float]:
    """What of a shift moves the detector."""
    return {name: amount for name, amount in shift if "." not in name}


def of_component(shift: Shift, component: str) -> dict[str, float]:
    """What of a shift moves options of a component's own events."""
    return {name.removeprefix(f"{component}."): value for name, value in shift if name.startswith(f"{component}.")}


@dataclass(frozen=True)
class Variation:
    """A nuisance, which way it is moved, and the amount.

    `amount` is a factor for the leakage (also the log-normal's, when averaged), a signed relative shift of a constant,
    the value of a component's option, 1 for rates, which are drawn from their own uncertainties, and the last model's
    seed where networks are fitted anew.
    """

    nuisance: str
    direction: str
    amount: float

    @property
    def shift(self) -> Shift:
        """What the simulation must be told; nothing where the nominal pool serves."""
        nothing = self.nuisance in (*NAMES, SEED) or (self.amount == 0 and "." not in self.nuisance)
        return () if nothing else ((self.nuisance, self.amount),)


def variations(study: Study) -> tuple[Variation, ...]:
    """All variations of a study in the order of its table; none without the section."""
    return (*_variations(study.systematics), *_refits(study)) if study.systematics else ()


def _variations(section: Systematics) -> Iterator[Variation]:
    if (factor := section.leakage_factor) is not None:
        yield Variation("leakage", UP, factor)
        yield Variation("leakage", DOWN, 1 / factor)
        yield Variation("leakage", AVERAGED, factor)
    if section.rates:
        yield Variation("rates", DRAWN, 1.0)
    for name, amount in section.constants.items():
        yield Variation(name, UP, amount)
        yield Variation(name, DOWN, -amount)
    for component, options in section.components.items():
        for option, (low, high) in options.items():
            yield Variation(f"{component}.{option}", UP, high)
            yield Variation(f"{component}.{option}", DOWN, low)


def _refits(study: Study) -> Iterator[Variation]:
    """One for every further fit that the study asks for."""
    for refitted in study.refitted if study.training.n_seeds > 1 else ():
        yield Variation(SEED, REFITTED, float(refitted.fit_seed))
