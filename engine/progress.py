"""What a user sees while a scan runs: bars on a terminal, plain lines elsewhere, nothing when quiet."""

import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from engine.urls import hidden

LINE_EVERY_S = 10.0


class Silent:
    """Reports nothing; the interface of its siblings."""

    def stage(self, name: str, total: int, reused: int) -> None:
        """A stage begins: `total` items, of which `reused` are there already."""

    def advance(self, n_items: int) -> None:
        """Some items of the current stage were computed."""

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

    def stage(self, name: str, total: int, reused: int) -> None:
        """A stage begins."""
        self.inner.stage(name, total, reused)

    def advance(self, n_items: int) -> None:
        """Items have ended."""
        self.inner.advance(n_items)

    def done(self) -> None:
        """A stage has ended."""
        self.inner.done()

    def note(self, line: str) -> None:
        """A line."""
        self.inner.note(line)

    def close(self) -> None:
        """No more stages."""
        self.inner.close()


class Lines(Silent):
    """Plain lines: one when a stage begins and ends, and every ten seconds in between."""

    def __init__(self, console: Console):
        self.console = console

    def stage(self, name: str, total: int, reused: int) -> None:
        """A line that says what there is and what is missing."""
        self.name, self.missing, self.computed = name, total - reused, 0
        self.begun = self.spoken = time.monotonic()
        self.first = None  # when the first items came, and how many: starting up says nothing of the pace
        self.note(f"{name}: {total} items, {reused} reused, {self.missing} to compute")

    def advance(self, n_items: int) -> None:
        """A line every ten seconds."""
        self.computed += n_items
        now = time.monotonic()
        self.first = self.first or (now, self.computed)
        if now - self.spoken > LINE_EVERY_S:
            since, before = self.first
            pace = (self.computed - before) / (now - since) if now > since else 0
            left = f", about {(self.missing - self.computed) / pace:.0f} s left" if pace else ""
            self.note(f"{self.name}: {self.computed} of {self.missing} computed{left}")
            self.spoken = now

    def done(self) -> None:
        """A line with the time it took."""
        if self.missing:
            self.note(f"{self.name}: done in {time.monotonic() - self.begun:.1f} s")

    def note(self, line: str) -> None:
        """The line as it is, but for secrets."""
        self.console.print(hidden(line), markup=False, highlight=False, soft_wrap=True)


class Bars(Lines):
    """Lines, with a live bar and an estimate of what is left."""

    bar: Progress | None = None

    def stage(self, name: str, total: int, reused: int) -> None:
        """The line, and a bar below it."""
        super().stage(name, total, reused)
        columns = TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        self.bar = Progress(*columns, console=self.console, transient=True)
        self.task = self.bar.add_task(name, total=total, completed=reused)
        if self.missing:
            self.bar.start()

    def advance(self, n_items: int) -> None:
        """The bar moves."""
        self.computed += n_items
        self.bar.advance(self.task, n_items)

    def done(self) -> None:
        """The bar goes, the line stays."""
        self.close()
        super().done()

    def close(self) -> None:
        """A bar that is left, after a failure or Ctrl-C, goes and gives the cursor back."""
        if self.bar:
            self.bar.stop()


def reporter(quiet: bool) -> Silent:
    """The reporter that suits where the output goes."""
    console = Console()
    if quiet:
        return Silent()
    return Bars(console) if console.is_terminal else Lines(console)
