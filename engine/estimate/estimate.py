"""What a scan would do and cost, before it is started: from the ledger, and from a small piece of each kind of work.

Writes nothing to the store and starts no cluster. What is stored is taken for whole if a part is there by its name: a
scan verifies every byte.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from engine.estimate.costs.clock import NOTHING, Clock, Cost
from engine.estimate.costs.diagnostics import DiagnosticCosts
from engine.estimate.costs.events import EventCosts
from engine.estimate.costs.inference import InferenceCosts
from engine.plan import asked, lattice
from engine.plan.event_plan import EventPlan
from engine.plan.members import JointPlan, plan_of
from engine.plan.plan import HYPOTHESES, Plan
from engine.plan.refined_plan import Refined
from engine.run import refine
from engine.stages import limits, reach
from engine.store.store import Ledger, Store
from engine.study import Study

OF_ALL = ("events", "models", "scores", "paired")  # stages of all pairs and seeds together
BLOCKS_PER_TASK, EXACT_PER_TASK = 2, 200  # about as many as the pace of their stages has a task carry
HOW = {
    "events": "40 and 200 events of each kind, simulated and encoded",
    "models": "one epoch of 3 and of 8 steps, for as many events and all epochs: an early stop would save some",
    "scores": "40 and 200 events of each kind, simulated and scored by models that have hardly been trained",
    "nulls": "one block of toys and two, at the ends of the exposures, on a pool that stands in for the study's",
    "cells": "a mass in the middle with one block of toys and two, at the ends of the exposures, on that pool",
    "exact": "one law of every statistic in the middle of the exposures, for as many as an error takes, on that pool",
    "reach": "one law of every statistic in the middle, or a block of its toys, for as many as a search reads",
    "limits": "one mass and two, and a few toys, at the ends of the exposures, on that pool",
    "systematics": "one row of every nuisance and statistic at the smallest exposure, on that pool",
    "diagnostics": "the pool classified, one epoch of 3 and of 8 steps of the floor, the map of 60 events of a kind",
    "paired": "as a mass of cells with one cross-section",
    "rounds": "at most: a bracket is halved for each contour of every mass and exposure",
}


@dataclass(frozen=True)
class Stage:
    """A stage's items, and the tasks, core-seconds and bytes of those that are missing; `how`: by what estimated."""

    name: str
    items: int
    done: int
    tasks: int
    core_s: float
    n_bytes: int
    how: str


@dataclass(frozen=True)
class Estimate:
    """All stages, and what every scan of it spends beside them.

    stored_bytes: of this study's parts; driver_s: to read the scored pool; start_up_s: of every process, to load and
    compile; measured_s: what measuring took.
    """

    stages: list[Stage]
    stored_bytes: int
    driver_s: float
    start_up_s: float
    measured_s: float

    @property
    def core_h(self) -> float:
        """Core-hours of all tasks."""
        return sum(stage.core_s for stage in self.stages) / 3600

    @property
    def n_bytes(self) -> int:
        """Bytes by which the store will grow."""
        return sum(stage.n_bytes for stage in self.stages)


def estimate(study: Study, store_uri: str) -> Estimate:
    """The work that is missing in a store, which need not exist. Raises StoreError where it cannot be read.
    """
    begun = time.monotonic()
    ledger = Ledger(Store(store_uri, create=False))
    joint, is_settled = plan_of(study), True
    plans = joint.parts if study.compare else []
    if not plans:
        plan, is_settled = refine.replay(study, ledger)
        plans = [plan, *plan.siblings]
    items = _items(joint, plans[0])
    work = _Work(joint, plans, _stored(items, ledger))
    stages = [work.stage(name, some) for name, some in items.items()]
    if not is_settled:
        stages.append(work.rounds())
    is_missing = any(stage.items > stage.done for stage in stages)
    driver_s = work.pool_cost.read_pool.core_s * len(plans) if is_missing else 0.0
    stored = dict(work.there[item] for some in items.values() for item in some if item in work.there)
    return Estimate(stages, sum(stored.values()), driver_s, work.clock.start_up_s, time.monotonic() - begun)


def _items(joint: EventPlan, plan: Plan) -> dict[str, list[str]]:
    """All items by stage; those of the rounds of refinement that are known, too."""
    if not isinstance(plan, Refined):
        return joint.items
    both = {stage: [*dict.fromkeys([*some, *plan.items.get(stage, ())])] for stage, some in joint.items.items()}
    return both | {"tables": plan.items["tables"]}


def _stored(items: dict[str, list[str]], ledger: Ledger) -> dict[str, tuple[str, int]]:
    """Path and size of the part of every item that is there."""
    sizes = {}
    for stage in items:
        sizes |= ledger.store.sizes(f"{stage}/")
    found = ((item, entry.path) for item, entry in ledger.entries.items() if entry.path in sizes)
    return {item: (path, sizes[path]) for item, path in found}


@dataclass(frozen=True)
class _Work:
    """What is missing of a plan, task by task; a stage's costs are measured when the first of its tasks asks.

    joint: the events, fits and scores of all pairs and seeds; plans: what each of these asks for after them. Times are
    those of the first pair: the others have other scores, and as many of them.
    """

    joint: EventPlan
    plans: list[Plan]
    there: dict[str, tuple[str, int]]
    clock: Clock = field(default_factory=Clock)

    @cached_property
    def events_cost(self) -> EventCosts:
        """Of what comes before the scored pool."""
        return EventCosts(self.joint, self.clock)

    @cached_property
    def pool_cost(self) -> EventCosts:
        """Of the scored pool of the first pair."""
        return self.events_cost if self.joint is self.plans[0] else EventCosts(self.plans[0], self.clock)

    @cached_property
    def cost(self) -> InferenceCosts:
        """Of what comes after it."""
        return InferenceCosts(self.plans[0], self.clock, self.pool_cost.population)

    @cached_property
    def diagnostics_cost(self) -> DiagnosticCosts:
        """Of what is diagnosed."""
        return DiagnosticCosts(self.plans[0], self.clock, self.pool_cost)

    def stage(self, name: str, items: list[str]) -> Stage:
        """The tasks of a stage's method, which yields the cost of each; the driver makes tables in no time."""
        missing = {item for item in items if item not in self.there}
        costs = list(self._costs(name, missing)) if missing and name in HOW else []
        total = sum(costs, NOTHING)
        how = HOW.get(name, "") if missing else ""
        return Stage(name, len(items), len(items) - len(missing), len(costs), total.core_s, round(total.n_bytes), how)

    def _costs(self, name: str, missing: set[str]) -> Iterator[Cost]:
        """Of every plan in turn, what the plans before it do not make."""
        left = set(missing)
        for plan in [self.joint] if name in OF_ALL else self.plans:
            mine = left.intersection(plan.items.get(name, ()))
            yield from getattr(self, name)(plan, set(mine)) if mine else ()
            left -= mine

    def events(self, plan: EventPlan, missing: set[str]) -> Iterator[Cost]:
        """One a shard of training events."""
        return (self.events_cost.simulated(shard) for shard in plan.shards["train"] if shard.item in missing)

    def models(self, plan: EventPlan, missing: set[str]) -> Iterator[Cost]:
        """One a fit."""
        return (self.events_cost.fitted(slot) for slot in plan.fitted if plan.models[slot] in missing)

    def scores(self, plan: EventPlan, missing: set[str]) -> Iterator[Cost]:
        """One a shard of scored events."""
        shards = [shard for purpose in plan.scored for shard in plan.shards[purpose]]
        for shard in (*shards, *plan.varied_shards):
            slots = [slot for slot in plan.fitted if plan.score_item(shard, slot) in missing]
            if slots or shard.item in missing:
                yield self.events_cost.scored(shard, slots)

    def nulls(self, plan: Plan, missing: set[str]) -> Iterator[Cost]:
        """One a few blocks of background toys."""
        for one in [plan.named, plan.all_added] if isinstance(plan, Refined) else [plan]:
            for exposure, blocks in _blocks(one, missing):
                for start in range(0, len(blocks), BLOCKS_PER_TASK):
                    yield self.cost.nulls(exposure, blocks[start : start + BLOCKS_PER_TASK])

    def cells(self, plan: Plan, missing: set[str]) -> Iterator[Cost]:
        """One a mass and exposure."""
        wanted: dict[tuple, set[float]] = {}
        for item, (point, _, _) in plan.cells.items():
            if item in missing:
                wanted.setdefault((point.exposure_ty, point.m_chi_GeV), set()).add(point.size)
        return (self.cost.cells(exposure, len(sizes)) for (exposure, _), sizes in wanted.items())

    def exact(self, plan: Plan, missing: set[str]) -> Iterator[Cost]:
        """One a few points of one exposure, R and statistic."""
        wanted: dict[tuple, list] = {}
        for item, (point, *pair) in plan.exact.items():
            if item in missing:
                wanted.setdefault((point.exposure_ty, tuple(pair)), []).append(point)
        for (exposure, pair), points in wanted.items():
            for start in range(0, len(points), EXACT_PER_TASK):
                yield self.cost.exact(exposure, pair, points[start : start + EXACT_PER_TASK])

    def reach(self, plan: Plan, missing: set[str]) -> Iterator[Cost]:
        """One a search."""
        for item, (R, statistic, mass, size) in reach.wanted(plan, missing):
            search = self.cost.search_by_toys if item in plan.reach_by_toys else self.cost.search
            yield search((R, statistic), mass, size)

    def limits(self, plan: Plan, missing: set[str]) -> Iterator[Cost]:
        """One an exposure."""
        return (self.cost.limits(*place) for place in limits.wanted(plan, missing).items())

    def systematics(self, plan: Plan, missing: set[str]) -> Iterator[Cost]:
        """One a row."""
        for item, (variation, exposure, *pair) in plan.systematics.items():
            if item in missing:
                yield self.cost.varied(variation, exposure, tuple(pair))

    def diagnostics(self, plan: Plan, missing: set[str]) -> Iterator[Cost]:
        """One a classifier, and the autoencoder."""
        wanted = [what for what, item in plan.diagnostics.items() if item in missing]
        network = [what for what in wanted if what in asked.NETWORK]
        alone = [what for what in wanted if what not in network]
        return (self.diagnostics_cost.of(what) for what in alone + ([asked.LATENT] if network else []))

    def paired(self, plan: JointPlan, missing: set[str]) -> Iterator[Cost]:
        """One a pair of networks."""
        return (self.cost.cells(plan.study.yardstick.exposure_ty, 1) for _ in missing)

    def rounds(self) -> Stage:
        """What rounds of refinement may ask for beyond those that are known."""
        plan, grid = self.plans[0], self.plans[0].study.grid
        masses, exposures = grid.m_chi_GeV.points(), grid.exposure_ty.points()
        left = min(lattice.halvings(grid.sigma_si_cm2.points(), plan.asked.log10_sigma), plan.asked.max_rounds)
        left, n_z = max(left - len(plan.rounds), 0), len(plan.asked.z)
        total = NOTHING
        for exposure in exposures:
            if plan.pair in plan.by_toys:
                total += self.cost.cells(exposure, n_z) * (left * len(masses) * plan.asked.toys_factor)
            if any(tuple(pair) == plan.pair and not plan.at_benchmark(point) for point, *pair in plan.exact.values()):
                laws = [point for point, *pair in plan.exact.values()
                        if tuple(pair) == plan.pair and point.exposure_ty == exposure]  # fmt: skip
                total += self.cost.exact(exposure, plan.pair, laws) * (left * len(masses) * n_z / len(laws))
        n_tasks = left * len(masses) * len(exposures)
        return Stage("rounds", n_tasks * n_z, 0, n_tasks, total.core_s, round(total.n_bytes), HOW["rounds"])


def _blocks(plan: Plan, missing: set[str]) -> Iterator[tuple[float, list[int]]]:
    """Exposure and missing blocks of either hypothesis, whose items are then missing no more."""
    for exposure in plan.study.grid.exposure_ty.points():
        for hypothesis in HYPOTHESES:
            items = [plan.null_items(exposure, hypothesis, *pair) for pair in plan.by_toys]
            blocks = [number for number, row in enumerate(zip(*items, strict=True)) if missing & set(row)]
            missing.difference_update(*items)
            yield exposure, blocks
