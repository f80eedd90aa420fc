"""What is in a store that none of some studies refers to: found, and removed when told to."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from engine import stages
from engine.errors import BadInput
from engine.plan.event_plan import EventPlan
from engine.plan.members import plan_of
from engine.plan.search_plan import tuning_plan
from engine.run import refine
from engine.store import heartbeat
from engine.store.parts import UNREADABLE, Entry, items_of
from engine.store.store import ASIDE, ERRORS, Ledger, Store, Stored
from engine.study import Study

GRACE_S = 24 * 3600.0
BY_NAME = ("checkpoints", "partial", "figures", "reports", "timings", "comparisons")  # after an item
TUNED = ("trials", "tables", "figures")  # what a search for R makes there is known when it has ended, not before
SEARCHED = (*TUNED, "models", "timings", "rungs", "features")  # the same of a search for fields of the models
FOLDERS = {name for stage in stages.STAGES for name in (stage.NAME, getattr(stage, "TABLES", stage.NAME))}
FOLDERS |= {"trials", "features", "rungs"}  # of tuning


@dataclass(frozen=True)
class Found:
    """Objects that no study refers to, and how many were passed over since they are young."""

    objects: list[Stored]
    young: int

    @property
    def by_folder(self) -> dict[str, tuple[int, int]]:
        """Objects and bytes by the first name of their paths."""
        sums: dict[str, tuple[int, int]] = {}
        for one in self.objects:
            n, size = sums.get(folder := one.path.split("/")[0], (0, 0))
            sums[folder] = n + 1, size + one.size_bytes
        return dict(sorted(sums.items()))


def find(studies: list[Study], store: Store, grace_s: float = GRACE_S) -> Found:
    """What none of the studies refers to and is older than grace_s; raises BadInput without any study."""
    if not studies:
        raise BadInput("gc needs the studies whose results stay; without one, everything would go")
    ledger = Ledger(store)
    wanted = {item for study in studies for item in _wanted(study, ledger)}
    spared = {folder for study in studies if study.tune for folder in (SEARCHED if study.tune.search else TUNED)}
    gone = [one for one in _candidates(studies, store, ledger, wanted) if one.path.split("/")[0] not in spared]
    old = [one for one in gone if time.time() - one.modified_s >= grace_s]
    return Found(old, len(gone) - len(old))


def delete(store: Store, leftovers: Found) -> None:
    """Removes them, the ledger's memory of them first; raises BadInput while a driver is at work in the store."""
    names = {path.split("/")[1] for path in store.list(heartbeat.FOLDER)}
    for owner in (owner for name in names for owner in heartbeat.others(store, name)):
        raise BadInput(f"{owner.words} is at work in this store; nothing was removed")
    paths = {one.path for one in leftovers.objects}
    Ledger(store).rewrite(without=paths)
    for path in sorted(paths):
        store.delete(path)


def _plans(study: Study, ledger: Ledger) -> Iterator[EventPlan]:
    """All that a study may be asked for."""
    yield refine.replay(study, ledger)[0] if study.grid.refine else plan_of(study)
    if study.tune:
        yield tuning_plan(study)


def _wanted(study: Study, ledger: Ledger) -> Iterator[str]:
    for plan in _plans(study, ledger):
        for items in stages.items(plan).values():
            yield from items
        if study.compare and hasattr(plan, "comparison"):
            yield plan.comparison


def _candidates(studies: list[Study], store: Store, ledger: Ledger, wanted: set[str]) -> Iterator[Stored]:
    yield from store.objects(ASIDE)
    open_ = wanted - ledger.entries.keys()  # whose tracebacks somebody may still ask for
    for one in store.objects(ERRORS):
        if open_.isdisjoint(_names(one.path)):
            yield one
    for folder in BY_NAME:
        for one in store.objects(folder):
            if wanted.isdisjoint(_names(one.path)):
                yield one
    known = {entry.path: entry for entry in ledger.entries.values()}
    for stage in sorted(FOLDERS):
        for one in store.objects(stage):
            if wanted.isdisjoint(_items(store, known.get(one.path), one.path)):
                yield one


def _names(path: str) -> set[str]:
    return {PurePosixPath(part).stem for part in path.split("/")[1:]} | set(path.split("/")[1:])


def _items(store: Store, entry: Entry | None, path: str) -> Iterable[str]:
    """The items of a part; of one that the ledger does not know, by what it says itself, if it is whole."""
    if entry:
        return entry.items
    try:
        return items_of(path, store.get(path))
    except UNREADABLE:
        return ()
