"""A scan in MLflow while it runs: RUNNING from the first thing that it makes, with its progress, to its end."""

import threading
import time
from collections.abc import Callable, Iterable

from engine.progress import FitProgress, Relay, Silent
from engine.report.tracking import runs
from engine.report.tracking.client import connect, experiment
from engine.report.tracking.epochs import Epochs
from engine.report.tracking.record import Record
from engine.report.tracking.system import System

EVERY_S = 30.0  # between two points of progress


class Live(Relay):
    """Passes on what a scan reports, and shows it in the scan's run.

    `record` makes what is known at the beginning, `total` is the number of the scan's items; `record` and `uri` are
    asked for when the first items were made, after bad input was refused and while tasks are at work: MLflow takes
    seconds to import and to make a database. The first failure is told to `warn`, and the scan goes on unwatched.
    `fitted`: items of the fits whose epochs are shown, each in its run.
    """

    def __init__(
        self, inner: Silent, record: Callable[[], Record], total: int, uri: Callable[[], str],
        warn: Callable[[Exception], None], fitted: Iterable[str] = (),
    ):  # fmt: skip
        super().__init__(inner)
        self.record, self.total, self.uri, self.warn = record, total, uri, warn
        self.fitted, self.lock = set(fitted), threading.Lock()  # fits are told of by another thread
        self.client = self.run = self.epochs = self.system = None
        self.staged = self.begun = False
        self.n_done = 0
        self.logged, self.logged_s = -1, time.monotonic()

    def stage(self, name: str, total: int, reused: int) -> None:
        """Notes that there is a scan to tell of; the run begins when something is made, or nothing is missing."""
        super().stage(name, total, reused)
        self.staged = True
        self.n_done += reused

    def advance(self, n_items: int) -> None:
        """A point of progress every EVERY_S seconds."""
        super().advance(n_items)
        self.n_done += n_items
        if not self.begun or time.monotonic() - self.logged_s > EVERY_S:
            self._safely(self._tell)

    def fits(self, under_way: dict[str, FitProgress]) -> None:
        """The epochs that are new."""
        super().fits(under_way)
        if self.begun:  # by the scan's own thread: to import MLflow in another would meet its imports
            self._safely(lambda: self.epochs and self.epochs.tell(under_way))

    def done(self) -> None:
        """A point of progress where items were made."""
        super().done()
        self._safely(self._tell)

    def end(self, status: str | None = None) -> None:
        """Nothing is measured any more; the run of a scan that did not come to its end is FAILED or KILLED."""
        if status:
            self._safely(lambda: None)  # begins the run of a scan that made nothing, so that its end is seen
        if self.system:
            self.system.stop()
        if self.run and status:
            self._safely(lambda: self._end(status))

    def _end(self, status: str) -> None:
        self.epochs.end(status)
        self.client.set_terminated(self.run.info.run_id, status)

    def _begin(self) -> None:
        uri = self.uri()
        client = connect(uri)
        place = experiment(client, uri)
        run = runs.opened(client, place, self.record())
        if not runs.is_whole(run):
            self.client, self.run, self.system = client, run, System(run.info.run_id, uri)
            self.epochs = Epochs(client, place, run.info.run_id, self.fitted)
            # a scan that goes on repeats no point
            self.logged = round(run.data.metrics.get("progress", -1.0) * self.total)

    def _tell(self) -> None:
        n_done = min(self.n_done, self.total)  # stages are gone through again where a part was damaged
        if self.run and n_done > self.logged:
            self.client.log_metric(self.run.info.run_id, "progress", n_done / self.total, step=n_done)
            self.logged, self.logged_s = n_done, time.monotonic()

    def _safely(self, act: Callable[[], None]) -> None:
        """What is first to be told begins the run, or goes on with it."""
        with self.lock:
            try:
                if self.staged and not self.begun:
                    self.begun = True
                    self._begin()
                act()
            except Exception as error:  # the scan matters, not who watches it
                self.client = self.run = self.epochs = None
                self.warn(error)
