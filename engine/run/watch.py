"""Time that passes while a stage computes: told to who listens, with how far its fits are."""

import threading
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import contextmanager
from itertools import count

from engine.progress import Silent
from engine.store.fits import FitWatch
from engine.store.store import Store

EVERY_S = 2.0
LONG = 3  # looks after which a stage is long enough for somebody to ask for its end
PATIENCE_S = 5.0  # for a look that is under way when the stage ends: a store or MLflow may hang


@contextmanager
def watching(
    progress: Silent, store: Store, items: Iterable[str], known: Container[str], expected_s: Callable[[], float | None]
) -> Iterator[None]:
    """Tells `progress` every EVERY_S of the fits among these items that are under way, and are not known yet; and once,
    of what is long, how long it is expected to be."""
    watch, ended = FitWatch(store, items), threading.Event()

    def look_on() -> None:
        for n_looks in count():
            if ended.wait(EVERY_S):
                return
            if n_looks == LONG and (seconds := expected_s()) is not None:
                progress.expect(seconds)
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
