"""The cost of toys, cells, laws and what is asked beside the grid, on a pool that stands in for the study's."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from engine.assembly import assemble, rows
from engine.estimate.costs.clock import NOTHING, Clock, Cost, Line, line
from engine.inference import cells, jackknife, reach, reach_toys
from engine.inference.population import Population
from engine.inference.toys import BLOCK
from engine.plan.plan import Plan, Point, Wanted
from engine.plan.variations import Variation
from engine.stages import limits, systematics, work
from engine.store.parts import Part

MOST_DRAWN = 3e7  # events in a block that is timed: a third of a second; at larger exposures, the line goes on
DEAR_S = 0.1  # a law that takes longer is timed at one exposure: all that it costs is little more at others
READINGS = 30  # laws that a search for an exposure reads
TOY_READINGS = 15  # powers that a search by toys reads, most of them near the exposure it finds
CHECKED = 20  # toys at a limit that is timed
ROW_BYTES = 16_000  # of a part with few rows, most of which is its schema


@dataclass(frozen=True)
class InferenceCosts:
    """Costs from the scored pool on."""

    plan: Plan
    clock: Clock
    population: Population
    known: dict = field(default_factory=dict)

    def _at(self, kind: tuple, exposure_ty: float, ends: tuple[float, float], measured) -> Cost:
        """A cost at an exposure, on the line through `measured(exposure)` at two."""
        if kind not in self.known:
            self.known[kind] = line(*((end, measured(end)) for end in ends))
        return self.known[kind].at(exposure_ty)

    @cached_property
    def _ends(self) -> tuple[float, float]:
        """The study's smallest exposure, and the largest whose toys are timed."""
        exposures = self.plan.study.grid.exposure_ty.points()
        per_ty = self.population.n_background(1.0) + self._mass_weights.sum() * self._scale(self._sizes[-1])
        drawn = [exposure for exposure in exposures if exposure * per_ty * BLOCK <= MOST_DRAWN]
        return exposures[0], max(drawn, default=exposures[0])

    @property
    def _sizes(self) -> tuple[float, ...]:
        grid = self.plan.study.grid
        return getattr(grid, self.plan.study.signal.axes[-1]).points()

    @property
    def mass(self) -> float | None:
        """The mass in the middle of the grid, at which cells are timed."""
        masses = self.plan.study.grid.m_chi_GeV
        return masses.points()[len(masses.points()) // 2] if masses else None

    @cached_property
    def _mass_weights(self) -> np.ndarray:
        return assemble.signal_weights(self.plan.study.signal, self.population, self.mass)

    def _scale(self, size: float) -> float:
        return size / assemble.REFERENCE[self.plan.study.signal.axes[-1]]

    def _fresh(self) -> Population:
        """The population as a task gets it, whose laws are to be made."""
        return replace(self.population, laws={})

    def nulls(self, exposure_ty: float, blocks: list[int]) -> Cost:
        """Of a task of background toys."""
        return self._lines("nulls", exposure_ty, self._toys_cost, len(blocks))

    def _toys_cost(self, exposure_ty: float, n_blocks: int) -> Cost:
        return self.clock.time(
            lambda: work.background_toys(self.plan, self._fresh(), exposure_ty, "null", [*range(n_blocks)])
        )

    def _lines(self, kind: str, exposure_ty: float, measured, x: float) -> Cost:
        """A cost that is linear in blocks x, each of which is linear in exposure: from three measurements."""
        low, high = self._ends
        if kind not in self.known:
            one, two = ((n, measured(low, n)) for n in (1, 2))
            self.known[kind] = line(one, two), line((low, two[1]), (high, measured(high, 2) if high > low else two[1]))
        of_blocks, of_exposure = self.known[kind]
        if low == high:
            return of_blocks.at(x) * (exposure_ty / low)
        return of_blocks.at(x) + of_exposure.slope * ((exposure_ty - low) * x / 2)

    def cells(self, exposure_ty: float, n_sizes: int) -> Cost:
        """Of a mass at an exposure: so many cross-sections, with all toys."""
        n_blocks = max(self.plan.study.toys.null, self.plan.study.toys.signal) / BLOCK
        whole = self._lines("cells", exposure_ty, self._cells_cost, n_blocks)
        return whole * (0.3 + 0.7 * n_sizes / len(self._sizes))  # the signal's events are drawn for all together

    def _cells_cost(self, exposure_ty: float, n_blocks: int) -> Cost:
        choices = assemble.choices(self.plan, self.plan.by_toys)
        drawn = cells.background_toys(self.population, exposure_ty, "null", choices, n_blocks * BLOCK)
        toys = {"null": drawn, "background": drawn}
        return self.clock.time(lambda: work.cells(
            self.plan, self._fresh(), toys, self._mass_weights, exposure_ty, self.mass, list(self._sizes),
        ))  # fmt: skip

    def exact(self, exposure_ty: float, pair: Wanted, points: Iterable[Point]) -> Cost:
        """Of a task of laws of one statistic."""
        costs = [self._law(exposure_ty, pair, self.plan.at_benchmark(point)) for point in points]
        total = sum(costs, Cost(0.0))
        return Cost(total.core_s, ROW_BYTES + 400 * len(costs))

    def _law(self, exposure_ty: float, pair: Wanted, at_benchmark: bool) -> Cost:
        """Of one point: a reading, and what describes a row; at the benchmark, those of the jack-knife, too.

        Each of these leaves a part of the pool out, so that all of them are one reading less than the groups.
        """
        mass, size = self.plan.study.at.get("m_chi_GeV"), self.plan.study.at[self.plan.study.signal.axes[-1]]
        reading = self.reading(exposure_ty, pair, self._weights(mass) * self._scale(size))
        return self._row_cost(exposure_ty) + reading * (jackknife.GROUPS if at_benchmark else 1)

    def _row_cost(self, exposure_ty: float) -> Cost:
        """Of what a row says beside its law."""
        at, size = self.plan.study.at, self.plan.study.signal.axes[-1]

        def described(end: float) -> Cost:
            place = *self.plan.exactly[0], at.get("m_chi_GeV"), at[size]

            def describe() -> list[Part]:
                rows.Describer(self.plan, self._fresh(), self._weights(at.get("m_chi_GeV")), end).row(*place)
                return []

            return self.clock.time(describe)

        return self._at(("row",), exposure_ty, self._grid_ends, described)

    @property
    def _grid_ends(self) -> tuple[float, float]:
        exposures = self.plan.study.grid.exposure_ty.points()
        return exposures[0], exposures[-1]

    def reading(self, exposure_ty: float, pair: Wanted, weights: np.ndarray) -> Cost:
        """Of a law of one statistic and its median: at all exposures as in the middle, where it is dear."""
        exposures, kind = self.plan.study.grid.exposure_ty.points(), ("reading", pair[1])
        if kind not in self.known:
            cost = self._reading(exposures[len(exposures) // 2], pair, weights)
            is_one = cost.core_s > DEAR_S or len(exposures) == 1
            ends = ((end, self._reading(end, pair, weights)) for end in self._grid_ends)
            self.known[kind] = Line(cost, NOTHING) if is_one else line(*ends)
        return self.known[kind].at(exposure_ty)

    def _weights(self, mass: float | None) -> np.ndarray:
        key = "weights", mass
        if key not in self.known:
            self.known[key] = assemble.signal_weights(self.plan.study.signal, self.population, mass)
        return self.known[key]

    def search(self, pair: Wanted, mass: float | None, size: float) -> Cost:
        """Of the search for an exposure: readings between the ends of its range, and the jack-knife at one of them."""
        (middle, _), weights = self._sought, self._weights(mass) * self._scale(size)
        reading = self.reading(middle, pair, weights)
        return Cost(reading.core_s * (READINGS + self.plan.study.reach.groups), ROW_BYTES)

    def search_by_toys(self, pair: Wanted, mass: float | None, size: float) -> Cost:
        """Of the search by toys: readings in the middle of its range, and the jack-knife there."""
        asked, weights, (choice,) = (
            self.plan.study.reach, self._weights(mass) * self._scale(size), assemble.choices(self.plan, [pair])
        )  # fmt: skip
        core_s = TOY_READINGS * self._of_toys(
            f"toy reading {pair[1]}",
            lambda pool, t, n_toys: reach_toys.read(pool, choice, weights, ("timed",), t, asked.p, n_toys),
        )
        if asked.toys_groups:
            core_s += asked.toys_groups / 2 * self._of_toys(
                f"toys of half a pool {pair[1]}",
                lambda pool, t, n_toys: reach_toys.pool_moves(pool, choice, weights, t, asked.p, n_toys, 2),
            )
        return Cost(core_s, ROW_BYTES)

    def _of_toys(self, name: str, make: Callable[[Population, float, tuple[int, int]], object]) -> float:
        """Seconds on a core of what is made of all toys in the middle of the range, from one block and from two."""
        n_blocks = (self.plan.n_blocks("null") + self.plan.n_blocks("background")) / 2

        def timed(exposure_ty: float, n: int) -> Cost:
            def work() -> list[Part]:
                make(self._fresh(), exposure_ty, (n * BLOCK, n * BLOCK))
                return []

            return self.clock.time(work)

        def measured(exposure_ty: float) -> Cost:
            return line(*((n, timed(exposure_ty, n)) for n in (1, 2))).at(n_blocks)

        return self._at((name,), *self._sought, measured).core_s

    @property
    def _sought(self) -> tuple[float, tuple[float, float]]:
        """The exposure in the middle of those sought between, and two at which readings are timed."""
        low, high = self.plan.study.reach.exposure_ty
        return float(np.sqrt(low * high)), (low, max(low, min(high, self.plan.study.grid.exposure_ty.points()[-1])))

    def _reading(self, exposure_ty: float, pair: Wanted, weights: np.ndarray) -> Cost:
        asked, (choice,) = self.plan.study.reach, assemble.choices(self.plan, [pair])
        aim = reach.Aim(asked.p, asked.power)

        def read() -> list[Part]:
            reach.read(self._fresh(), choice, weights, exposure_ty, aim)
            return []

        return self.clock.time(read)

    def limits(self, exposure_ty: float, masses: list[float]) -> Cost:
        """Of the limits of one exposure."""
        checked = set(self.plan.study.limits.check_m_chi_GeV) & {*masses}
        exposures = self.plan.study.grid.exposure_ty.points()
        ends = exposures[0], exposures[-1]
        first, more, toys = (
            self._at(("limits", *which), exposure_ty, ends, lambda t, which=which: self._limits_cost(t, *which))
            for which in ((1, 0), (2, 0), (1, CHECKED))
        )
        per_mass = max(more.core_s - first.core_s, 0.0)
        per_toy = max(toys.core_s - first.core_s, 0.0) / CHECKED
        n_toys = self.plan.study.limits.check_toys * len(checked)
        core_s = max(first.core_s - per_mass, 0.0) + len(masses) * per_mass + n_toys * per_toy
        return Cost(core_s, ROW_BYTES + 400 * len(masses))

    def _limits_cost(self, exposure_ty: float, n_masses: int, n_toys: int) -> Cost:
        study, places = self.plan.study, list(self.plan.limits.values())
        masses = sorted({mass for _, mass in places})
        some = ([self.mass if self.mass in masses else masses[0]] + masses[::-1])[:n_masses]
        asked = study.limits.model_copy(update={"check_m_chi_GeV": tuple(some) * (n_toys > 0), "check_toys": n_toys})
        plan = replace(self.plan, study=study.model_copy(update={"limits": asked}))
        weights = {mass: self._weights(mass) for mass in some}
        return self.clock.time(lambda: limits.compute(plan, self._fresh(), weights, exposure_ty, some))

    def varied(self, variation: Variation, exposure_ty: float, pair: Wanted) -> Cost:
        """Of a row of the systematics, from one at the smallest exposure: as a toy's events, it grows with it."""
        key, smallest = ("varied", variation.nuisance, pair[1]), self.plan.study.grid.exposure_ty.points()[0]
        if key not in self.known:
            weights = systematics.benchmark(self.plan, self.population)
            self.known[key] = self.clock.time(lambda: systematics.compute(
                self.plan, self._fresh(), self._fresh(), (weights, weights), variation, smallest, pair
            ))  # fmt: skip
        n_toys = self.plan.study.toys.statistic(pair[1])[0].EXACT is not True
        return self.known[key] * (exposure_ty / smallest if n_toys else 1.0)
