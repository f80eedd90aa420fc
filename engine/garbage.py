"""What is in a store that none of some studies refers to: found, and removed when told to."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from engine.cluster import heartbeat
from engine.cluster.parts import Entry, items_of
from engine.cluster.store import ASIDE, Ledger, Store, Stored
from engine.errors import BadInput
from engine.plan import Plan
from engine.study import Study
from engine.tune_plan import TunePlan

GRACE_S = 24 * 3600.0
BY_NAME = ("checkpoints", "partial", "figures")  # an item gives the file or its folder the name
TUNED = ("trials", "tables", "figures")  # what a search for R makes there is known when it has ended, not before


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
    ledger, wanted = Ledger(store), {item for study in studies for item in _wanted(study)}
    spared = TUNED if any(study.tune for study in studies) else ()
    gone = [one for one in _candidates(studies, store, ledger, wanted) if one.path.split("/")[0] not in spared]
    old = [one for one in gone if time.time() - one.modified_s >= grace_s]
    return Found(old, len(gone) - len(old))


def delete(store: Store, found: Found) -> None:
    """Removes them, the ledger's memory of them first; raises BadInput while a driver is at work in the store."""
    names = {path.split("/")[1] for path in store.list(heartbeat.FOLDER)}
    for owner in (owner for name in names for owner in heartbeat.others(store, name)):
        raise BadInput(f"{owner.words} is at work in this store; nothing was removed")
    paths = {one.path for one in found.objects}
    Ledger(store).rewrite(without=paths)
    for path in sorted(paths):
        store.delete(path)


def _wanted(study: Study) -> Iterator[str]:
    for plan in [Plan(study), *([TunePlan(study)] if study.tune else [])]:
        for items in plan.items.values():
            yield from items


def _candidates(studies: list[Study], store: Store, ledger: Ledger, wanted: set[str]) -> Iterator[Stored]:
    yield from store.objects(ASIDE)
    for folder in BY_NAME:
        for one in store.objects(folder):
            if wanted.isdisjoint(_names(one.path)):
                yield one
    known = {entry.path: entry for entry in ledger.entries.values()}
    stages = {stage for study in studies for stage in Plan(study).items} | {"trials", "systematics"}
    for stage in sorted(stages):
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
    except (OSError, ValueError, KeyError, TypeError):
        return ()
