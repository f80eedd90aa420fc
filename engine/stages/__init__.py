"""What is computed: a file is a stage, and STAGES lists them in the order of the work.

The way through the stages, `status`, `gc`, `--plan`, MLflow and the test of versions read this one list. Contract:

- `NAME`: the stage's folder in the store, and what it is called; `VERSION`: raised whenever its output changes for
  unchanged fields; `SCHEMA`: of its tables, one or several by name, None where it makes no tables;
- `items(plan) -> list of str`: the digest of everything that it is to make, in the order of the work;
- `units(inputs, missing) -> iterable of Unit`: the units of work that make what is missing; may raise BadInput;
- `amounts(plan, missing) -> dict`: how much work that is, by what costs are known for (`engine.estimate`);
- `work(*arguments) -> iterable of Part`: what a task does with them, anywhere.

A stage whose rows become a table has `TABLES`, the table's folder, `table_schema(size)` for what the signal is linear
in, `table_item(plan)` -> its digest (or None), and `table(plan, ledger)`; the driver makes it, and joins the words. A
stage may be such a table alone (`tables`).

What is not said has its default. `OF_ALL` (False): made once for all members of a comparison; `OF_SCORES` (False): it
reads nothing of the stages behind the scores, and may begin while the stage before it ends; `MAY_FAIL` (False): the
scan goes on where items have no answer, and says so at its end; `STALLS` (True): where no task ends for long, the
cluster is taken for dead; `FITS` (False): its items are fits, which say how far they are; `REREAD` (False): what shows
a finished scan reads its parts again; `group(plan)`: processes that share a unit; `gpus(plan)`: of a GPU, what a task
asks for; `finish(inputs)`: done when the stage has ended; `result(inputs)`: what lines, metrics and figures are made
of, by default the table; `lines(result, study)`, `metrics(result, study)`.
"""

from types import ModuleType

from engine.assembly.inputs import Inputs
from engine.assembly.results import Result
from engine.plan.event_plan import EventPlan
from engine.plan.members import JointPlan
from engine.stages import (
    battery,
    cells,
    combined,
    diagnostics,
    events,
    exact,
    leakage,
    limits,
    models,
    nulls,
    paired,
    reach,
    scores,
    systematics,
    tables,
    together,
)

STAGES: tuple[ModuleType, ...] = (
    events, models, scores, nulls, cells, exact, reach, leakage, combined, battery, limits, systematics, diagnostics,
    paired, together, tables,
)  # fmt: skip
DEFAULTS = {"OF_ALL": False, "OF_SCORES": False, "MAY_FAIL": False, "STALLS": True, "FITS": False, "REREAD": False}


def trait(stage: ModuleType, name: str) -> bool:
    """One of DEFAULTS as a stage says it, or by default."""
    return getattr(stage, name, DEFAULTS[name])


def items(plan: EventPlan) -> dict[str, list[str]]:
    """All items of a plan by the folder they are in, in the order of the work; each once."""
    made: dict[str, dict[str, None]] = {}
    for stage in STAGES:
        parts = plan.parts if isinstance(plan, JointPlan) and not trait(stage, "OF_ALL") else [plan]
        for part in parts:
            for folder, some in _of_stage(stage, part).items():
                made.setdefault(folder, {}).update(dict.fromkeys(some))
    for folder, some in plan.beside.items():
        made.setdefault(folder, {}).update(dict.fromkeys(some))
    return {folder: list(some) for folder, some in made.items()}


def made_of(plan: EventPlan, fit: str) -> list[str]:
    """Items that follow from a fit, scores first, of every study that the plan is of."""
    behind = STAGES[STAGES.index(models) + 1 :]
    scored = [plan.score_item(shard, role) for shard in scores.shards(plan) for role in plan.roles
              if fit in plan.fits_of(role)]  # fmt: skip
    parts = plan.parts if isinstance(plan, JointPlan) else [plan]
    later = [item for part in parts if fit in part.fits for stage in behind if stage is not scores
             for some in _of_stage(stage, part).values() for item in some]  # fmt: skip
    return list(dict.fromkeys([*scored, *later]))


def _of_stage(stage: ModuleType, plan: EventPlan) -> dict[str, list[str]]:
    if not plan.has(stage.NAME):
        return {}
    made = {stage.NAME: stage.items(plan)} if hasattr(stage, "items") else {}
    if hasattr(stage, "table_item") and plan.tabled:
        item = stage.table_item(plan)
        made[stage.TABLES] = [] if item is None else [item]
    return made


def result(stage: ModuleType, inputs: Inputs) -> object:
    """What a finished stage gives to lines, metrics and figures; an empty table where none was asked for."""
    if hasattr(stage, "result"):
        return stage.result(inputs)
    item = stage.table_item(inputs.plan)
    if item is None:
        return empty(stage, inputs.plan)
    return Result(inputs.ledger.table(item), inputs.store.where(inputs.ledger.entries[item].path))


def empty(stage: ModuleType, plan: EventPlan) -> Result:
    """The result of a stage that was not asked for, or not all of which has an answer."""
    return Result(stage.table_schema(plan.study.signal.size).empty_table(), None)


def shown() -> list[ModuleType]:
    """The stages with a result of their own."""
    return [stage for stage in STAGES if hasattr(stage, "result") or hasattr(stage, "table_item")]
