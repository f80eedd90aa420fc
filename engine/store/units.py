"""Work in units: what a task is made of, how it is done in a worker, and what becomes of a unit that fails."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from resource import RUSAGE_SELF, getrusage
from typing import Any

from engine.errors import AS_IT_IS, UNANSWERED, TaskFailed, Unanswerable, said
from engine.store import tracebacks
from engine.store.parts import Entry, Failure, Part, encode, sha256
from engine.store.store import Store


@dataclass(frozen=True)
class Unit:
    """The least that can be asked: work(*arguments); or, with a piece, a share of work(*arguments, [piece, ...]).

    `items`: digests of what it makes; `name`: what a user calls it.
    """

    arguments: tuple
    piece: Any = None
    items: tuple[str, ...] = ()
    name: str = ""


@dataclass(frozen=True)
class Group:
    """Processes that do one unit together, each with a GPU, a share of one, or none."""

    workers: int
    gpus_per_worker: float


Work = Callable[..., Iterable[Part]]


@dataclass(frozen=True, eq=False)
class Job:
    """Units of one stage, by its name: what does them, where their parts go, and how they may end.

    tolerant: a unit without an answer is a Failure, and the others go on; stalls: that no task ends for long is an
    error; group: processes that share a unit; gpus: of a GPU, what a task asks for.
    """

    work: Work
    units: Iterable[Unit]
    store: Store
    n_items: int
    stage: str = ""
    tolerant: bool = False
    stalls: bool = True
    group: Group | None = None
    gpus: float = 0.0


@dataclass(frozen=True)
class Shared:
    """Where an argument stands among those that tasks share."""

    place: int


@dataclass(frozen=True)
class Done:
    """What a task did, and what it took: seconds of work, and the most memory that its process ever had for itself."""

    entries: list[Entry]
    failures: list[Failure]
    seconds: float
    peak_bytes: int


def totals(amounts: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Amounts of work, added up by what they are amounts of."""
    made: dict[str, float] = {}
    for name, amount in amounts:
        made[name] = made.get(name, 0.0) + amount
    return made


def commit(store: Store, parts: Iterable[Part]) -> list[Entry]:
    """Writes parts as they are made, and says what the ledger needs to know of them."""
    entries = []
    for part in parts:
        there, e_tag = store.put_new(part.path, encode(part), part.items)
        entries.append(Entry(part.path, sha256(there), part.items, len(there), e_tag))
    return entries


def perform(work: Work, store: Store, units: list[Unit], shared: tuple, tolerant: bool) -> Done:
    """Does the units, those with equal arguments together; a failing one is found by halves and, if tolerant, noted.

    What else is raised takes along, as `told`, what `told` makes of it.
    """
    start, entries, failures = time.perf_counter(), [], []
    todo = list(reversed(_together(units)))
    while todo:
        group = todo.pop()
        try:
            entries += commit(store, work(*_arguments(group, shared)))
        except AS_IT_IS:
            raise
        except Exception as error:
            may_pass = isinstance(error, UNANSWERED)
            if may_pass and len(group) > 1:
                half = len(group) // 2
                todo += [group[half:], group[:half]]
            elif may_pass and tolerant:
                entries += commit(store, getattr(error, "parts", ()))
                failures += _failures(store, group[0], error)
            else:
                error.told = told(store, group, error)
                raise
    return Done(entries, failures, time.perf_counter() - start, _peak_bytes())


def _failures(store: Store, unit: Unit, error: Exception) -> list[Failure]:
    """Of a unit whose items fail together, one; of one that knows which of them failed, as many as they are."""
    if not isinstance(error, Unanswerable):
        return [told(store, [unit], error)[0]]
    return [told(store, [replace(unit, items=(item,), name=f"{unit.name}, {name}")], reason)[0]
            for item, (name, reason) in error.reasons.items()]  # fmt: skip


Told = tuple[Failure, str | None]


def told(store: Store, units: list[Unit], error: Exception) -> Told:
    """What is noted of units whose work raised together, and where their traceback is from now on."""
    failure = Failure(tuple(item for unit in units for item in unit.items), called(units), said(error))
    return failure, tracebacks.keep(store, failure, error) if failure.items else None


def ended(units: list[Unit], error: Exception) -> TaskFailed:
    """What the driver raises where the work of a task of these units raised this."""
    if hasattr(error, "told"):
        failure, where = error.told
        return TaskFailed(failure.words, failure, where)
    return TaskFailed(f"{units[0].name}: {said(error)}" if len(units) == 1 and units[0].name else said(error))


def called(units: list[Unit]) -> str:
    """What a user calls units that are done together."""
    more = f" and {len(units) - 1} more" if len(units) > 1 else ""
    return f"{units[0].name}{more}" if units[0].name else ""


def _peak_bytes() -> int:
    """The process's largest resident set without what it shares with others: the object store is counted once."""
    with open("/proc/self/status") as file:
        shared_kB = next((int(line.split()[1]) for line in file if line.startswith("RssShmem:")), 0)
    return 1024 * (getrusage(RUSAGE_SELF).ru_maxrss - shared_kB)


def _together(units: list[Unit]) -> list[list[Unit]]:
    """Neighbours whose pieces one call can take; a unit without a piece is a call of its own."""
    groups: list[list[Unit]] = []
    for unit in units:
        if groups and unit.piece is not None and _alike(groups[-1][0], unit):
            groups[-1].append(unit)
        else:
            groups.append([unit])
    return groups


def _alike(one: Unit, other: Unit) -> bool:
    if len(one.arguments) != len(other.arguments):
        return False
    pairs = zip(one.arguments, other.arguments, strict=True)
    return all(a is b or (isinstance(a, str | int | float | tuple | Shared) and a == b) for a, b in pairs)


def _arguments(group: list[Unit], shared: tuple) -> list:
    arguments = [shared[a.place] if isinstance(a, Shared) else a for a in group[0].arguments]
    return arguments if group[0].piece is None else [*arguments, [unit.piece for unit in group]]
