"""All pairs of a comparison and all their fits as one search: the smallest p of everything that the study tries."""

from collections.abc import Iterable

import pyarrow as pa

from engine import schemas
from engine.assembly.inputs import Inputs
from engine.plan.members import JointPlan
from engine.plan.points import Point
from engine.stages import combined
from engine.stages.combined import Tried
from engine.store.store import Ledger
from engine.store.units import Unit

NAME, VERSION, SCHEMA = "together", combined.VERSION, schemas.COMBINED_ROW
OF_ALL = True
work = combined.work


def items(plan: JointPlan) -> list[str]:
    """Every point that the study names."""
    return list(places(plan))


def places(plan: JointPlan) -> dict[str, Point]:
    """Every point by its item; none without both sections."""
    asked = isinstance(plan, JointPlan) and plan.study.compare and plan.study.combined
    return plan.once(NAME, lambda: combined.points_of(tried(plan), NAME)) if asked else {}


def tried(plan: JointPlan) -> Tried:
    """Of each fit of each pair what is tried."""
    return combined.tried(plan.parts)


def amounts(plan: JointPlan, missing: set[str]) -> dict[str, float]:
    """Toys with signal, by statistic."""
    return combined.amounts_of(tried(plan), len(missing)) if missing else {}


def units(inputs: Inputs, missing: set[str]) -> Iterable[Unit]:
    """A point each."""
    return combined.units_of(inputs, tried(inputs.plan), places(inputs.plan), missing, NAME)


def smallest(plan: JointPlan, ledger: Ledger) -> pa.Table:
    """All rows; empty where there are none."""
    if not items(plan):
        return schemas.combined(plan.study.signal.size).empty_table()
    name_of = {id(one): name for name, member in plan.members.items() for one in (member, *member.siblings)}
    names = [name_of[id(one)] for one, _ in tried(plan)]
    return combined.table_of(tried(plan), names, places(plan), ledger)
