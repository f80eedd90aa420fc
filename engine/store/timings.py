"""How long fits took, beside the models in a store: measured, and so in no part and in no digest."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from engine.store.store import Store

FOLDER = "timings"


@dataclass
class Timing:
    """training_s: of a fit in one go, None where it was resumed; scored_per_s: events, on one thread of that worker."""

    training_s: float | None = None
    scored_per_s: float | None = None


@contextmanager
def stopwatch() -> Iterator[Timing]:
    """A timing whose seconds are known when the block ends."""
    timing, begun = Timing(), time.perf_counter()
    yield timing
    timing.training_s = time.perf_counter() - begun


def write(store: Store, item: str, timing: Timing) -> None:
    """Keeps the timing of one model; of a fit that is done again, the last."""
    store.keep(_path(item), timing)


def read(store: Store, item: str) -> Timing:
    """The timing of one model; empty where none is kept, as of models that were fitted before there were any."""
    return store.kept(_path(item), Timing) or Timing()


def _path(item: str) -> str:
    return f"{FOLDER}/{item}.json"
