"""Who is at work on a study in a store: a small record that its driver renews, for a second one to read.

No lease: commits are idempotent, so that two drivers cost work and never a result.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from engine.errors import StoreFault, one_line
from engine.store.store import Store

FOLDER = "drivers"
EVERY_S = 10.0
DEAD_S = 60.0  # since the last sign of life; clocks of two hosts may differ by less


Time = Annotated[float, Field(ge=0, le=4e9)]  # as a clock may have it


@dataclass(frozen=True)
class Owner:
    """A driver: where it runs, since when, and when it last said so (seconds since the epoch).

    doing: of one that shares its study with others, the items that it is making.
    """

    host: str
    pid: int
    started: Time
    seen: Time
    doing: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """As a user would look for it."""
        since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(self.started))
        return f"process {self.pid} on {one_line(self.host)}, since {since}"


def others(store: Store, name: str) -> list[Owner]:
    """Drivers that gave a sign of life on the work of this name within DEAD_S, but for this process."""
    owners = []
    for path in store.list(f"{FOLDER}/{name}"):
        if (owner := store.kept(path, Owner)) is None:  # it has just ended, or was cut short
            continue
        me = (owner.host, owner.pid) == (socket.gethostname(), os.getpid())
        if not me and time.time() - owner.seen < DEAD_S and _may_live(owner):
            owners.append(owner)
    return owners


def _may_live(owner: Owner) -> bool:
    """Whether a process of that number is there; of another host nothing is known."""
    return owner.host != socket.gethostname() or os.path.exists(f"/proc/{owner.pid}")


@dataclass
class Beat:
    """The record of this process."""

    store: Store
    name: str
    started: float = field(default_factory=time.time)
    doing: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """Where this process's signs of life are kept."""
        return f"{FOLDER}/{self.name}/{socket.gethostname()}-{os.getpid()}.json"

    def give(self) -> None:
        """A sign of life, now."""
        self.store.keep(self.path, Owner(socket.gethostname(), os.getpid(), self.started, time.time(), self.doing))

    def at(self, items: Iterable[str]) -> None:
        """Says which items this process makes from now on."""
        self.doing = tuple(items)
        self.give()

    def taken(self) -> set[str]:
        """Items that others who may be alive say they are making."""
        return {item for owner in others(self.store, self.name) for item in owner.doing}


@contextmanager
def beating(store: Store, name: str, warn: Callable[[str], None]) -> Iterator[Beat]:
    """Gives signs of life until the end, and warns of drivers that do the same."""
    for owner in others(store, name):
        warn(f"warning: {owner.words} is at work on the same study in this store; the table will be the same, "
             "but both may compute the same cells")  # fmt: skip
    beat, ended = Beat(store, name), threading.Event()

    def beat_on() -> None:
        while not ended.wait(EVERY_S):
            beat.give()

    beat.give()
    thread = threading.Thread(target=beat_on, daemon=True)
    thread.start()
    try:
        yield beat
    finally:
        ended.set()
        thread.join()
        with suppress(StoreFault):  # a sign of life that stays is old in a minute
            store.delete(beat.path)
