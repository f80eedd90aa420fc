"""Fits as they are asked: one blob for a role, whether it is one fit or an ensemble of them."""

from functools import lru_cache
from types import ModuleType

import zoo
from engine.plan.event_plan import EventPlan
from engine.store import timings
from engine.store.store import Ledger, Store
from engine.store.timings import Timing


def blob(plan: EventPlan, ledger: Ledger, role: str) -> bytes:
    """The model of a role as `zoo.load` takes it: the stored fit, or the members of an ensemble together."""
    first, *others = (ledger.read(item) for item in plan.fits_of(role))
    return zoo.joined([first, *others]) if others else first  # to join them takes torch, which takes a second to import


def fitted(plan: EventPlan, role: str, data: bytes) -> "zoo.Fitted":
    """The model of a role, of its blob, as the study's score takes it."""
    return _loaded(data, plan.family(role)).averaging(plan.fitted[role].n_latent)


@lru_cache(maxsize=4)  # a task scores one shard of many
def _loaded(data: bytes, family: ModuleType) -> "zoo.Fitted":
    return zoo.load(data, family)


def timing(plan: EventPlan, store: Store, role: str) -> Timing:
    """Seconds of all fits of a role, and events per second that they score one after the other; None where unknown."""
    of_fits = [timings.read(store, item) for item in plan.fits_of(role)]
    training, speeds = [one.training_s for one in of_fits], [one.scored_per_s for one in of_fits]
    return Timing(
        None if None in training else sum(training),
        None if None in speeds else 1 / sum(1 / speed for speed in speeds) if len(speeds) > 1 else speeds[0],
    )
