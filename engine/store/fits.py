"""How far a fit is: a small record beside its checkpoint, renewed while it runs, for whoever watches the store.

It is there while the fit runs, and after a kill until the fit goes on. No result depends on it.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from engine.errors import StoreError, StoreFault
from engine.progress import FitProgress
from engine.store.checkpoints import FOLDER, Checkpoint
from engine.store.store import Store, Stored

EVERY_S = 2.0
SHARE = 20  # times as long as a record took to write, none is: a store that hangs costs a fit a twentieth of its time

History = dict[str, list[float]]


@contextmanager
def telling(checkpoint: Checkpoint, name: str, epochs: int, may_stop: bool) -> Iterator[Callable[[History], None]]:
    """What a fit is to call with its curves, at its beginning and after every epoch; see `FitProgress`."""
    tell = _Teller(checkpoint, name, epochs, may_stop)
    try:
        yield tell
    finally:
        tell.end()


class _Teller:
    def __init__(self, checkpoint: Checkpoint, *about: object):
        self.store, self.path, self.about = checkpoint.store, str(Path(checkpoint.path).with_suffix(".json")), about
        self.since: tuple[float, int] | None = None  # when it began here, and the epochs it had then
        self.due_s = 0.0

    def __call__(self, history: History) -> None:
        now, n = time.monotonic(), len(history.get("train_loss", ()))
        self.since = self.since or (now, n)
        if now < self.due_s:
            return
        begun, before = self.since
        name, epochs, may_stop = self.about
        epoch_s = (now - begun) / (n - before) if n > before else None
        losses = (history.get(f"{part}_loss", []) for part in ("train", "validation"))
        self.store.keep(self.path, FitProgress(name, epochs, *losses, epoch_s, may_stop, time.time()))
        took_s = time.monotonic() - now
        self.due_s = now + max(EVERY_S, (1 + SHARE) * took_s)

    def end(self) -> None:
        """Removes the record, if this process wrote one: of several that share a fit, one does."""
        if self.since:
            with suppress(StoreFault):  # as `discard` will
                self.store.delete(self.path)


class FitWatch:
    """The fits of these items from now on; what one that was killed left before is passed over."""

    def __init__(self, store: Store, items: Iterable[str]):
        self.store, self.items = store, tuple(items)
        self.before, self.read = set(self._listed()), {}

    def look(self) -> dict[str, FitProgress]:
        """What is said of them, by the name of their checkpoint; nothing while the store does not answer."""
        listed = [one for one in self._listed() if one not in self.before]
        self.read = {
            one: self.read[one] if one in self.read else self.store.kept(one.path, FitProgress) for one in listed
        }
        return {Path(one.path).stem: fit for one, fit in self.read.items() if fit}

    def _listed(self) -> list[Stored]:
        if not self.items:
            return []
        with suppress(StoreError):  # the fits will say so, if it lasts
            return [one for one in self.store.objects(FOLDER) if _is_of(one.path, self.items)]
        return []


def under_way(store: Store, items: Iterable[str]) -> dict[str, FitProgress]:
    """The fits of these items that run, or ran until they were killed."""
    wanted = tuple(items)
    found = {path: store.kept(path, FitProgress) for path in store.list(FOLDER) if _is_of(path, wanted)}
    return {Path(path).stem: fit for path, fit in found.items() if fit}


def _is_of(path: str, items: tuple[str, ...]) -> bool:
    return path.endswith(".json") and Path(path).name.startswith(items)
