"""A plan with the points that rounds of refinement add to those a study names. Pure; touches no store."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from engine import lineage
from engine.plan.event_plan import VERSIONS
from engine.plan.plan import Cell, Plan, Point, Wanted
from engine.study import Study
from engine.study.refine import Refine

ROUNDS = ("nulls", "cells", "exact")  # the stages that work for a point


@dataclass(frozen=True)
class Added(Plan):
    """Points for one statistic on one score: their items are those that any other study would have for them."""

    at: tuple[Point, ...] = ()
    stages = ROUNDS

    @property
    def points(self) -> list[Point]:
        """These points and no other."""
        return list(self.at)


@dataclass(frozen=True)
class Refined(Plan):
    """A study's plan with the points of the rounds so far; every point in `rounds` has its round as `level`."""

    rounds: tuple[tuple[Point, ...], ...] = ()

    @property
    def section(self) -> Refine:
        """The section that asks for it."""
        return self.study.grid.refine

    @property
    def pair(self) -> Wanted:
        """R and statistic of the contours."""
        return self.section.pair(self.study.toys, self.study.score)

    def with_round(self, points: tuple[Point, ...]) -> "Refined":
        """The plan with one round more."""
        return replace(self, rounds=(*self.rounds, points))

    @cached_property
    def named(self) -> Plan:
        """What the study itself names."""
        return Plan(self.study)

    def added(self, *rounds: tuple[Point, ...]) -> Added:
        """The points of these rounds; a benchmark that is one of them is there already, and for all statistics."""
        named = set(self.named.points)
        return Added(_of_pair(self.study, self.pair), tuple(p for each in rounds for p in each if p not in named))

    @cached_property
    def all_added(self) -> Added:
        """The points of all rounds."""
        return self.added(*self.rounds)

    @cached_property
    def points(self) -> list[Point]:
        """Named and added ones; of a benchmark that was added, what the grid says."""
        added = {point: point for points in self.rounds for point in points}
        all_points = [point for point in self.named.points if point not in added] + list(added)
        return sorted(all_points, key=lambda point: (point.exposure_ty, point.m_chi_GeV, point.size))

    @cached_property
    def cells(self) -> dict[str, Cell]:
        """Those of the points that the study names, and those of the added ones."""
        return self.named.cells | self.all_added.cells

    @cached_property
    def exact(self) -> dict[str, Cell]:
        """Exact laws of the points that the study names, and of the added ones."""
        return self.named.exact | self.all_added.exact

    def rows(self) -> Iterator[tuple[Cell, tuple[str | None, str | None]]]:
        """Every row of the table, as `Plan.rows`; added points are between those that the study names."""
        toys, exact = ({place: item for item, place in cells.items()} for cells in (self.cells, self.exact))
        for place in ((point, *pair) for point in self.points for pair in self.wanted):
            if place in toys or place in exact:
                yield place, (toys.get(place), exact.get(place))

    @cached_property
    def table(self) -> str:
        """Item of the table."""
        points = [(point.origin, point.level) for point in self.points]
        fields = [points, self.study.toys.tail, self.section, self.words_of_rows]
        return lineage.digest("refined_table", VERSIONS["table"], fields, (items for _, items in self.rows()))

    @cached_property
    def nulls(self) -> list[str]:
        """Those of the points that the study names, and those of the added ones."""
        return list(dict.fromkeys([*self.named.nulls, *self.all_added.nulls]))


def _of_pair(study: Study, pair: Wanted) -> Study:
    """A study of one statistic on one score, with the toys of an added point."""
    (R, name), factor = pair, study.grid.refine.toys_factor
    toys = study.toys.model_copy(update={
        "statistics": (name,), "options": {key: value for key, value in study.toys.options.items() if key == name},
        "null": study.toys.null * factor, "signal": study.toys.signal * factor,
    })  # fmt: skip
    score = study.score if R is None else study.score.model_copy(update={"R": (R,)})
    return study.model_copy(update={"toys": toys, "score": score})
