"""What a study asked for when it was last scanned: kept in the store, to say what has become stale and why."""

import json
from dataclasses import dataclass

from engine import lineage, stages
from engine.plan.event_plan import EventPlan
from engine.store.store import Store

FOLDER = "plans"


@dataclass(frozen=True)
class Request:
    """A plan as it was: the study's fields and the stages' versions, and all items by stage."""

    fields: dict
    items: dict[str, list[str]]


def path(name: str) -> str:
    """Where the last plan of the study of this name is."""
    return f"{FOLDER}/{name}.json"


def of_plan(plan: EventPlan) -> Request:
    """A plan as it is kept."""
    versions = {stage.NAME: stage.VERSION for stage in stages.STAGES}
    fields = json.loads(lineage.canonical({"study": plan.study, "version": versions}))
    return Request(fields["study"] | {"version": fields["version"]}, stages.items(plan))


def keep(store: Store, name: str, plan: EventPlan) -> None:
    """Makes this plan the last one of its name."""
    store.keep(path(name), of_plan(plan))


def last(store: Store, name: str) -> Request | None:
    """The plan of the last scan, or None; also where it cannot be read, since nothing but `status` asks for it."""
    return store.kept(path(name), Request)


def stale(before: Request | None, now: Request) -> dict[str, list[str]]:
    """Items by stage that the last plan has and this one has not."""
    if before is None:
        return {}
    wanted = {item for items in now.items.values() for item in items}
    gone = {stage: [item for item in items if item not in wanted] for stage, items in before.items.items()}
    return {stage: items for stage, items in gone.items() if items}


def first_difference(before: object, now: object, path: str = "") -> str | None:
    """The first field, in the order of names, that differs: where, what it was, what it is."""
    if isinstance(before, dict) and isinstance(now, dict):
        for name in sorted(before.keys() | now.keys()):
            difference = first_difference(before.get(name), now.get(name), f"{path}.{name}".lstrip("."))
            if difference:
                return difference
        return None
    return None if before == now else f"{path}: {_short(before)} -> {_short(now)}"


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
