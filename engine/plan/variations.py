"""One nuisance moved one way: what is asked of the simulation and of the statistics. Pure; touches no store."""

from collections.abc import Iterator
from dataclasses import dataclass

from engine import lineage
from engine.study import Study
from engine.study.systematics import NAMES, Systematics

VERSION = 2  # raised whenever a row of systematics changes for unchanged fields
UP, DOWN, AVERAGED, DRAWN, REFITTED = "up", "down", "averaged", "drawn", "refitted"
SEED = "training_seed"

Shift = tuple[tuple[str, float], ...]  # relative shifts of detector constants by name


@dataclass(frozen=True)
class Variation:
    """A nuisance, which way it is moved, and the amount.

    `amount` is a factor for the leakage (also the log-normal's, when averaged), a signed relative shift of a constant,
    1 for rates, which are drawn from their own uncertainties, and the classifier's seed where networks are fitted anew.
    """

    nuisance: str
    direction: str
    amount: float

    @property
    def shift(self) -> Shift:
        """What the simulation must be told; nothing where the nominal pool serves."""
        return () if self.nuisance in (*NAMES, SEED) or self.amount == 0 else ((self.nuisance, self.amount),)


def variations(study: Study) -> tuple[Variation, ...]:
    """All variations of a study in the order of its table; none without the section."""
    return (*_variations(study.systematics), *_refits(study)) if study.systematics else ()


def _variations(asked: Systematics) -> Iterator[Variation]:
    if (factor := asked.leakage_factor) is not None:
        yield Variation("leakage", UP, factor)
        yield Variation("leakage", DOWN, 1 / factor)
        yield Variation("leakage", AVERAGED, factor)
    if asked.rates:
        yield Variation("rates", DRAWN, 1.0)
    for name, amount in asked.constants.items():
        yield Variation(name, UP, amount)
        yield Variation(name, DOWN, -amount)


def _refits(study: Study) -> Iterator[Variation]:
    """One for every further fit that the study asks for."""
    for more in range(1, study.training.n_seeds):
        yield Variation(SEED, REFITTED, float(study.seed_of(study.models.classifier) + more))


def pool_plan(plan, variation: Variation):
    """The plan whose networks score the pool of a variation: with another seed that of the fit, else the study's."""
    if variation.nuisance != SEED:
        return plan
    return next(one for one in plan.siblings if one.study.seed_of(one.study.models.classifier) == variation.amount)


Row = tuple[Variation, float, float | None, str]  # a variation, an exposure, R and the name of a statistic


def rows(plan) -> dict[str, Row]:
    """Every row of a plan's systematics: item -> (variation, exposure_ty, R, statistic)."""
    found = {}
    for variation in variations(plan.study):
        varied = pool_plan(plan, variation)
        pools = [plan.scored_pool, varied.scored_digest(varied.pool_shards("pool", variation.shift))]
        for exposure in plan.study.grid.exposure_ty.points():
            for R, statistic in _moved(plan, variation):
                fields = _fields(plan, variation, exposure, R, statistic)
                found[lineage.digest("systematics", VERSION, fields, pools)] = variation, exposure, R, statistic
    return found


def _moved(plan, variation: Variation) -> list[tuple[float | None, str]]:
    """(R, statistic) that a variation may move: another fit is another score, and nothing to those that see none."""
    return [pair for pair in plan.by_toys if variation.nuisance != SEED or pair[0] is not None]


def _fields(plan, variation: Variation, exposure_ty: float, R: float | None, statistic: str) -> dict:
    acceptance = plan.study.systematics.nr_acceptance if variation.nuisance == "leakage" else None
    return {
        "variation": [variation.nuisance, variation.direction, variation.amount, acceptance],
        "law": plan.law(exposure_ty, R, statistic), "benchmark": [plan.signal, plan.study.at],
        "n_toys": None if plan.study.toys.statistic(statistic)[0].EXACT is True else plan.study.toys.null,
    }  # fmt: skip
