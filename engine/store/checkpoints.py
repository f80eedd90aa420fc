"""The state of an unfinished fit in the run's store: replaced as the fit goes on, gone once its model is there."""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from engine.errors import StoreFault, warn
from engine.store.parts import Part, encode, items_of
from engine.store.store import Store

FOLDER = "checkpoints"
EVERY_S = 60.0  # what a kill may cost, beside the epoch at work; Table 1's 315 MB take a second


class Checkpoint:
    """Where the fit of one item keeps its state, at most every `every_s` seconds (EVERY_S by default).

    `before`: the name under which an earlier part of the same fit left its last state, to go on from.
    """

    def __init__(self, store: Store, item: str, every_s: float | None = None, before: str | None = None):
        self.every_s = EVERY_S if every_s is None else every_s
        self.store, self.path = store, _path(item)
        self.before = before and _path(before)
        self.written_s = time.monotonic()

    def read(self) -> bytes | None:
        """The state as it was last written, or None."""
        for path in filter(None, (self.path, self.before)):
            try:
                items_of(path, data := self.store.get(path))
                return data
            except FileNotFoundError:
                continue
            except ValueError as error:
                warn(f"{error}; the fit goes on without it")
                self._set_aside(path)
        return None

    def offer(self, state: Callable[[], bytes]) -> None:
        """Writes the state if the last one is old enough; else it is not even made."""
        if time.monotonic() - self.written_s >= self.every_s:
            try:
                self.store.put(self.path, encode(Part(self.path, (Path(self.path).stem,), state())))
            except StoreFault as fault:  # the model will say so, if it lasts
                warn(str(fault))
            self.written_s = time.monotonic()

    def set_aside(self) -> None:
        """Moves a state that is of no use out of the way."""
        self._set_aside(self.path)

    def _set_aside(self, path: str) -> None:
        with suppress(FileNotFoundError):  # another member of the same fit was here first
            self.store.set_aside(path)


def _path(name: str) -> str:
    return f"{FOLDER}/{name}.safetensors"


def discard(store: Store, items: Iterable[str]) -> None:
    """Removes what is kept of the fits of these items."""
    wanted = tuple(items)
    for path in store.list(FOLDER):
        if any(item in path for item in wanted):
            store.delete(path)
