"""The work that a store is missing, stage by stage, and its price. Writes nothing and starts nothing.

What is stored is taken for whole if a part is there by its name: a scan verifies every byte.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from types import ModuleType

from rich.table import Table

from engine import stages
from engine.estimate.costs import Cost, Costs, shipped
from engine.plan import lattice
from engine.plan.event_plan import EventPlan
from engine.plan.members import JointPlan, plan_of
from engine.plan.plan import Plan
from engine.plan.refined_plan import Refined
from engine.run import refine
from engine.stages import STAGES
from engine.store.store import Ledger, Store
from engine.study import Study

ROUNDS = "rounds"  # of refinement, beyond those that are known


@dataclass(frozen=True)
class StageCost:
    """A stage's items, and processor time of one core and bytes of those that are missing.

    priced_as: what has no cost of its own, and was priced as the dearest of its stage.
    """

    name: str
    items: int
    done: int
    core_s: float
    n_bytes: float
    priced_as: tuple[str, ...] = ()


@dataclass(frozen=True)
class Estimate:
    """All stages; stored_bytes: of this study's parts; how: what the costs were measured on."""

    stages: list[StageCost]
    stored_bytes: int
    how: str

    @property
    def core_h(self) -> float:
        """Core-hours of all that is missing."""
        return sum(stage.core_s for stage in self.stages) / 3600

    @property
    def n_bytes(self) -> float:
        """Bytes by which the store will grow."""
        return sum(stage.n_bytes for stage in self.stages)

    def as_json(self) -> str:
        """For machines: all stages, and the sums."""
        return json.dumps(asdict(self) | {"core_h": self.core_h, "n_bytes": self.n_bytes})

    def as_table(self) -> Table:
        """One row a stage."""
        rows = Table("stage", "items", "done", "missing", "core time", "to write")
        for stage in self.stages:
            numbers = stage.items, stage.done, stage.items - stage.done
            rows.add_row(stage.name, *map(str, numbers), _time(stage.core_s), as_bytes(stage.n_bytes))
        return rows

    def lines(self) -> Iterator[str]:
        """What stands below the table of stages."""
        for stage in self.stages:
            if stage.priced_as:
                yield f"{stage.name}: no cost is known of {', '.join(stage.priced_as)}; priced as its dearest"
            if stage.name == ROUNDS:
                yield f"{ROUNDS}: at most, a bracket is halved for each contour of every mass and exposure"
        yield f"stored already: {as_bytes(self.stored_bytes)}; to be written: about {as_bytes(self.n_bytes)}"
        yield f"about {self.core_h:.2g} core-hours, {self.how}; nothing was written"


def estimate(study: Study, store: Store, costs: Costs) -> Estimate:
    """The work that is missing in a store, which need not exist. Raises StoreError where it cannot be read."""
    ledger, joint, is_settled = Ledger(store), plan_of(study), True
    plans = joint.parts if isinstance(joint, JointPlan) else [joint]
    if not study.compare:
        plan, is_settled = refine.replay(study, ledger)
        plans = [plan, *plan.siblings]
    sizes = {entry.path: n for folder in folders(joint) for entry, n in _sized(ledger, folder)}
    done = {item for item, entry in ledger.entries.items() if entry.path in sizes}
    rows = [_stage(name, items, done, _amounts(name, joint, plans, done), costs)
            for name, items in _items(joint, plans).items()]  # fmt: skip
    if not is_settled:
        rows.append(_rounds(plans[0], costs))
    mine = {ledger.entries[item].path for items in _items(joint, plans).values() for item in items if item in done}
    return Estimate(rows, sum(sizes[path] for path in mine), costs.how)


def folders(plan: EventPlan) -> list[str]:
    """The folders of a store that a plan's items are in."""
    return list(stages.items(plan))


def _sized(ledger: Ledger, folder: str) -> Iterator[tuple]:
    sizes = ledger.store.sizes(f"{folder}/")
    entries = {entry.path: entry for entry in ledger.entries.values()}
    return ((entries[path], n) for path, n in sizes.items() if path in entries)


def _items(joint: EventPlan, plans: list[Plan]) -> dict[str, list[str]]:
    """All items by stage, each once; those of further seeds and of known rounds of refinement, too."""
    made: dict[str, dict[str, None]] = {}
    for plan in [joint, *plans] if not isinstance(plans[0], Refined) else plans:
        for folder, items in stages.items(plan).items():
            made.setdefault(folder, {}).update(dict.fromkeys(items))
    return {folder: list(items) for folder, items in made.items()}


def _amounts(name: str, joint: EventPlan, plans: list[Plan], done: set[str]) -> dict[str, float]:
    """The work of a stage, of every plan in turn what the plans before it do not make."""
    stage = next((stage for stage in STAGES if stage.NAME == name), None)
    if not hasattr(stage, "items"):
        return {}
    made, left_out = {}, set(done)
    for plan in [joint] if stages.trait(stage, "OF_ALL") else plans:
        if plan.has(stage.NAME):
            missing = set(stage.items(plan)) - left_out
            for key, amount in (of_stage(stage, plan, missing) if missing else {}).items():
                made[key] = made.get(key, 0.0) + amount
            left_out |= missing
    return made


def of_stage(stage, plan: EventPlan, missing: set[str]) -> dict[str, float]:
    """The work of a stage by what costs are known for; items, where it does not say."""
    return stage.amounts(plan, missing) if hasattr(stage, "amounts") else {"items": len(missing)}


def pricing() -> Callable[[ModuleType, EventPlan, set[str]], float]:
    """What says the seconds of a core that missing items of a stage take, by the costs that ship; the pace of this
    machine is measured when it is first asked."""
    known = cache(shipped)
    return lambda stage, plan, missing: known().of(stage.NAME, of_stage(stage, plan, missing), len(missing))[0].core_s


def _stage(name: str, items: list[str], done: set[str], amounts: dict[str, float], costs: Costs) -> StageCost:
    n_done = len(done.intersection(items))
    cost, unknown = costs.of(name, amounts, len(items) - n_done)
    return StageCost(name, len(items), n_done, cost.core_s, cost.n_bytes, unknown)


def _rounds(plan: Refined, costs: Costs) -> StageCost:
    """What rounds of refinement may ask for beyond those that are known."""
    study, section = plan.study, plan.section
    masses, exposures = study.grid.masses, study.grid.exposure_ty.points()
    left = min(lattice.halvings(study.grid.size.points(), section.log10_sigma), section.max_rounds)
    points = max(left - len(plan.rounds), 0) * len(masses) * len(section.z)
    of_pair, n_items = study.toys.statistic_name(plan.pair[1]), points * len(exposures)
    amounts = {}
    if plan.pair in plan.by_toys:
        amounts["cells"] = plan.n_toys("signal") * section.toys_factor
    if any(tuple(pair) == plan.pair and not plan.at_benchmark(point) for point, *pair in plan.exact.values()):
        amounts["exact"] = 1
    made = [costs.of(name, {of_pair: n_items * amount}, n_items)[0] for name, amount in amounts.items()]
    total = sum(made, Cost(0.0, 0.0))
    return StageCost(ROUNDS, n_items, 0, total.core_s, total.n_bytes)


def as_bytes(n_bytes: float) -> str:
    """Bytes as one reads them."""
    for unit in ("B", "kB", "MB"):
        if n_bytes < 1000:
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.3g} GB"


def _time(core_s: float) -> str:
    if core_s < 120:
        return f"{core_s:.2g} s"
    return f"{core_s / 60:.3g} min" if core_s < 7200 else f"{core_s / 3600:.3g} h"
