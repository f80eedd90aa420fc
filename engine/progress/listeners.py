"""Who listens while a scan runs, and what is said of a fit."""

import time
from dataclasses import dataclass, field

SILENT_S = 60.0  # after which a fit may have been killed


@dataclass(frozen=True)
class FitProgress:
    """A fit under way: mean losses per event of the epochs that ended, of so many, and the seconds of one.

    may_stop: whether it may end sooner; seen_s: when it last said so, since 1970.
    """

    name: str
    epochs: int
    train: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    epoch_s: float | None = None
    may_stop: bool = False
    seen_s: float = 0.0

    @property
    def words(self) -> str:
        """How far it is, and for how long it will go on."""
        if not self.train:
            return f"{self._far}, {spoken(time.time() - self.seen_s)} so far"
        about = "at most" if self.may_stop else "about"
        return self._far if self.epoch_s is None else f"{self._far}, {about} {spoken(self._left_s)} left"

    @property
    def as_found(self) -> str:
        """The same, of one that may have been killed since it was heard of."""
        silent_s = time.time() - self.seen_s
        heard = silent_s < max(SILENT_S, 3 * (self.epoch_s or 0.0))
        return f"{self.name} {self.words}" if heard else f"{self.name} {self._far}, silent for {spoken(silent_s)}"

    @property
    def _far(self) -> str:
        if not self.train:
            return f"in the first of {self.epochs} epochs"
        losses = f"loss {self.train[-1]:.4g} (validation {self.validation[-1]:.4g})"
        return f"epoch {len(self.train)} of {self.epochs}, {losses}"

    @property
    def _left_s(self) -> float:
        all_of_it = (self.epochs - len(self.train)) * self.epoch_s
        return min(all_of_it, all_of_it - (time.time() - self.seen_s))  # clocks of two hosts may differ


def spoken(seconds: float) -> str:
    """A time as one says it; none is negative."""
    if seconds < 100:
        return f"{max(seconds, 0):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


class Silent:
    """Reports nothing; the interface of its siblings."""

    def ahead(self, names: list[str]) -> None:
        """The stages that are to come, as far as they are known."""

    def stage(self, name: str, total: int, reused: int) -> None:
        """A stage begins: `total` items, of which `reused` are there already."""

    def advance(self, n_items: int) -> None:
        """Some items of the current stage were computed."""

    def fits(self, under_way: dict[str, FitProgress]) -> None:
        """Every few seconds while a stage computes, from a thread of its own: its fits by item, if it has any."""

    def expect(self, seconds: float) -> None:
        """How long the current stage takes in all by known costs, which are good to a factor of two or three."""

    def done(self) -> None:
        """The current stage has ended."""

    def note(self, line: str) -> None:
        """Something the user should know."""

    def close(self) -> None:
        """No more stages, whether or not the last one ended: leaves the terminal as it was."""


class Relay(Silent):
    """Passes everything on to another reporter: for what listens beside it."""

    def __init__(self, inner: Silent):
        self.inner = inner

    def ahead(self, names: list[str]) -> None:
        """What is to come."""
        self.inner.ahead(names)

    def stage(self, name: str, total: int, reused: int) -> None:
        """A stage begins."""
        self.inner.stage(name, total, reused)

    def advance(self, n_items: int) -> None:
        """Items have ended."""
        self.inner.advance(n_items)

    def fits(self, under_way: dict[str, FitProgress]) -> None:
        """Time passes."""
        self.inner.fits(under_way)

    def expect(self, seconds: float) -> None:
        """An estimate."""
        self.inner.expect(seconds)

    def done(self) -> None:
        """A stage has ended."""
        self.inner.done()

    def note(self, line: str) -> None:
        """A line."""
        self.inner.note(line)

    def close(self) -> None:
        """No more stages."""
        self.inner.close()
