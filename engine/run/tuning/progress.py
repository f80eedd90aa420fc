"""How far `recoilscan tune` is with a study in a store: its stages, its trials, the best of them so far."""

from engine.plan.search_plan import tuning_plan
from engine.run.status import Stage, Status, damaged_parts, reasons, stages
from engine.run.tuning.replayed import replay
from engine.store.store import Ledger, Store
from engine.study import Study

FOLLOWED = ("trials", "rungs", "tables")  # what is asked for there follows from what was said before


def status(study: Study, store: Store) -> Status:
    """The tuning of a study as it is in the store. Raises BadInput where the study cannot be tuned."""
    plan = tuning_plan(study)
    plan.check()
    ledger = Ledger(store)
    damaged = damaged_parts(plan, ledger)
    beforehand = {stage: items for stage, items in plan.items.items() if stage not in FOLLOWED}
    by_stage, _, failed = stages(beforehand, ledger, damaged)
    found = replay(plan, ledger)
    without = reasons(ledger.failures, (item for item in found.items if item not in ledger.entries))
    broken = [entry.path for entry in ledger.check(found.items)]
    by_stage["trials"] = Stage(found.done, found.of, len(without), len(broken), 0)
    table = store.where(ledger.entries[found.table].path) if found.table in ledger.entries else None
    corrupt = [*ledger.unreadable, *dict.fromkeys([*damaged, *broken])]
    return Status(store.exists, by_stage, corrupt, failed | without, None, table, [], best=found.best)
