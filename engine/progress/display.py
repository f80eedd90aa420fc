"""What a user sees of a scan: a live view on a terminal, plain lines elsewhere."""

import time
from dataclasses import dataclass

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from engine.progress.listeners import FitProgress, Silent, spoken
from engine.urls import hidden

LINE_EVERY_S = 10.0
MOST_FITS = 8  # that are shown at a time
BAR, WITH_BARS = 16, 100  # characters: of a bar, and of a line that has room for one


class Stage:
    """How far a stage is."""

    def __init__(self, name: str, total: int, reused: int, before_s: float = 0.0):
        self.name, self.total, self.reused, self.computed = name, total, reused, 0
        self.begun = time.monotonic()
        self.first = self.last = (self.begun, 0)  # when items came, and how many there were then
        self.before_s = before_s  # that it took when it was gone through before
        self.took_s: float | None = None
        self.expected_s = 0.0  # by known costs
        self.fits: list[FitProgress] = []

    @property
    def missing(self) -> int:
        """Items to compute."""
        return self.total - self.reused

    @property
    def seconds(self) -> float:
        """Since it began, or that it took."""
        return self.before_s + (time.monotonic() - self.begun if self.took_s is None else self.took_s)

    def advance(self, n_items: int) -> None:
        """Notes the pace: between the first items and the last, since starting up says nothing of it."""
        self.computed += n_items
        self.last = time.monotonic(), self.computed
        if not self.first[1]:
            self.first = self.last

    def end(self) -> None:
        """Nothing more comes."""
        self.took_s, self.fits = time.monotonic() - self.begun, []

    @property
    def words(self) -> str:
        """What was computed, and the time left where the pace is known, else what has passed and is expected."""
        (since, before), (until, n) = self.first, self.last
        left_s = (self.missing - n) * (until - since) / (n - before) - (time.monotonic() - until) if n > before else 0
        in_all = f", perhaps {spoken(self.expected_s)} in all" if self.expected_s > self.seconds else ""
        time_s = f"about {spoken(left_s)} left" if left_s > 0 else f"{spoken(self.seconds)} so far{in_all}"
        return f"{self.computed} of {self.missing} computed, {time_s}"


class Lines(Silent):
    """Plain lines: one when a stage begins and ends, and in between every ten seconds how far it and its fits are."""

    now: Stage | None = None

    def __init__(self, console: Console):
        self.console = console

    def stage(self, name: str, total: int, reused: int) -> None:
        """A line that says what there is and what is missing."""
        self.now, self.spoken = Stage(name, total, reused), time.monotonic()
        self.note(f"{name}: {total} items, {reused} reused, {self.now.missing} to compute")

    def advance(self, n_items: int) -> None:
        """Counts them."""
        self.now.advance(n_items)

    def fits(self, under_way: dict[str, FitProgress]) -> None:
        """Lines every ten seconds."""
        if time.monotonic() - self.spoken > LINE_EVERY_S:
            self.spoken = time.monotonic()
            self.note(f"{self.now.name}: {self.now.words}")
            for fit in _first(under_way):
                self.note(f"{self.now.name}: {fit.name} {fit.words}")

    def expect(self, seconds: float) -> None:
        """Notes it."""
        self.now.expected_s = seconds

    def done(self) -> None:
        """A line with the time it took."""
        self.now.end()
        if self.now.missing:
            self.note(f"{self.now.name}: done in {self.now.seconds:.1f} s")

    def note(self, line: str) -> None:
        """The line as it is, but for secrets."""
        self.console.print(hidden(line), markup=False, highlight=False, soft_wrap=True)


class View(Lines):
    """A live view of all stages: what is done and how long it took, what runs, what is to come. It stays at the end."""

    live: Live | None = None

    def __init__(self, console: Console):
        super().__init__(console)
        self.stages: dict[str, Stage | None] = {}  # None: to come

    def ahead(self, names: list[str]) -> None:
        """Lists them."""
        self.stages = dict.fromkeys(names) | self.stages

    def stage(self, name: str, total: int, reused: int) -> None:
        """It runs: one that did so before goes on."""
        before = self.stages.get(name)
        self.now = self.stages[name] = Stage(name, total, reused, before.seconds if before else 0.0)
        if self.live is None:
            self.live = Live(get_renderable=self._seen, console=self.console)
            self.live.start()

    def fits(self, under_way: dict[str, FitProgress]) -> None:
        """Shows them under their stage."""
        self.now.fits = _first(under_way)

    def done(self) -> None:
        """Its time stands."""
        self.now.end()

    def close(self) -> None:
        """The view stays as it is, after a failure or Ctrl-C too, and the cursor comes back."""
        if self.live:
            self.live.stop()
            self.live = None

    def _seen(self) -> Table:
        """A row a stage and a fit; where the terminal has fewer, the first that are done go, then the last to come."""
        rows = [row for name, stage in list(self.stages.items()) for row in _rows(name, stage)]
        while len(rows) > max(self.console.height - 1, 1):
            rows.pop(0 if rows[0].is_over else -1)
        table, has_bars = Table.grid(padding=(0, 2)), self.console.width >= WITH_BARS
        for no_wrap in (True, True, False):  # the last gives way
            table.add_column(no_wrap=no_wrap)
        for row in rows:
            words = Text(row.words, no_wrap=True, overflow="ellipsis")
            table.add_row(Text(f"  {row.name}"), row.bar if has_bars else "", words)
        return table


@dataclass(frozen=True)
class _Row:
    name: str
    words: str
    bar: ProgressBar | str = ""
    is_over: bool = False


def _rows(name: str, stage: Stage | None) -> list[_Row]:
    if stage is None:
        return [_Row(name, "to come")]
    if not stage.total:  # not asked for
        return []
    items = f"{stage.total} items" + (f", {stage.reused} reused" if stage.reused else "")
    if stage.took_s is not None:
        return [_Row(name, f"{items}, done in {spoken(stage.seconds)}" if stage.missing else items, is_over=True)]
    fits = [_Row(f"  {fit.name}", fit.words, _bar(len(fit.train), fit.epochs)) for fit in stage.fits]
    return [_Row(name, stage.words, _bar(stage.computed, stage.missing)), *fits]


def _bar(done: int, of: int) -> ProgressBar:
    return ProgressBar(total=max(of, 1), completed=done, width=BAR)


def _first(under_way: dict[str, FitProgress]) -> list[FitProgress]:
    return list(under_way.values())[:MOST_FITS]
