"""One nuisance moved one way: what is asked of the simulation and of the statistics. Pure; touches no store."""

from collections.abc import Iterator
from dataclasses import dataclass

from engine import lineage
from engine.study.systematics import NAMES, Systematics

VERSION = 1  # raised whenever a row of systematics changes for unchanged fields
UP, DOWN, AVERAGED, DRAWN = "up", "down", "averaged", "drawn"

Shift = tuple[tuple[str, float], ...]  # relative shifts of detector constants by name


@dataclass(frozen=True)
class Variation:
    """A nuisance, which way it is moved, and the amount.

    `amount` is a factor for the leakage (also the log-normal's, when averaged), a signed relative shift of a constant,
    and 1 for rates, which are drawn from their own uncertainties.
    """

    nuisance: str
    direction: str
    amount: float

    @property
    def shift(self) -> Shift:
        """What the simulation must be told; nothing where the nominal pool serves."""
        return () if self.nuisance in NAMES or self.amount == 0 else ((self.nuisance, self.amount),)


def variations(asked: Systematics | None) -> tuple[Variation, ...]:
    """All variations of a study in the order of its table; none without the section."""
    return tuple(_variations(asked)) if asked else ()


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


Row = tuple[Variation, float, float | None, str]  # a variation, an exposure, R and the name of a statistic


def rows(plan) -> dict[str, Row]:
    """Every row of a plan's systematics: item -> (variation, exposure_ty, R, statistic)."""
    found = {}
    for variation in variations(plan.study.systematics):
        shards = plan.shards["pool"], plan.pool_shards("pool", variation.shift)
        pools = [plan.scored_digest(pool) for pool in shards]
        for exposure in plan.study.grid.exposure_ty.points():
            for R, statistic in plan.by_toys:
                fields = _fields(plan, variation, exposure, R, statistic)
                found[lineage.digest("systematics", VERSION, fields, pools)] = variation, exposure, R, statistic
    return found


def _fields(plan, variation: Variation, exposure_ty: float, R: float | None, statistic: str) -> dict:
    acceptance = plan.study.systematics.nr_acceptance if variation.nuisance == "leakage" else None
    return {
        "variation": [variation.nuisance, variation.direction, variation.amount, acceptance],
        "law": plan.law(exposure_ty, R, statistic), "benchmark": [plan.signal, plan.study.at],
        "n_toys": None if plan.study.toys.statistic(statistic)[0].EXACT is True else plan.study.toys.null,
    }  # fmt: skip
