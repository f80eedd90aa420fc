"""Time that passes while a stage computes: told to who listens, with how far its fits are."""

import threading
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager

from engine.progress import Silent
from engine.store.fits import Watch
from engine.store.store import Store

EVERY_S = 2.0
PATIENCE_S = 5.0  # for a look that is under way when the stage ends: a store or MLflow may hang


@contextmanager
def watching(progress: Silent, store: Store, items: Iterable[str], known: Container[str]) -> Iterator[None]:
    """Tells `progress` every EVERY_S of the fits among these items that are under way, and are not known yet."""
    watch, ended = Watch(store, items), threading.Event()

    def look_on() -> None:
        while not ended.wait(EVERY_S):
            under_way = {item: fit for item, fit in watch.look().items() if item not in known}
            if not ended.is_set():
                progress.fits(under_way)

    thread = threading.Thread(target=look_on, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(PATIENCE_S)
