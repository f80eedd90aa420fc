"""Scans under the eyes of MLflow, which may look away: no outage fails or loses a scan."""

import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from engine import stages
from engine.errors import one_line
from engine.plan.plan import Plan
from engine.progress import Silent
from engine.report import tracking
from engine.report.tracking import records
from engine.report.tracking.journal import Journal
from engine.run.pipeline import Outcome
from engine.store.store import Store
from engine.urls import hidden


@contextmanager
def followed(name: str, plan: Plan, store: Store, uri: str | None, progress: Silent, again: str) -> Iterator[Silent]:
    """A reporter for the scan of a plan: keeps its journal in the store, and shows it in MLflow while it runs.

    `again` is the command that sends what an outage withholds. A scan that raises leaves a FAILED run, one that the
    user stops a KILLED one; the next attempt goes on with either.
    """
    total = sum(map(len, stages.items(plan).values()))
    live = tracking.Live(
        Journal(progress, store, plan.table), lambda: records.opening(name, plan), total,
        lambda: uri or tracking.default_uri(store.folder()), lambda error: _warn(error, uri, again),
        [item for one in (plan, *plan.siblings) for item in one.models.values()],
    )  # fmt: skip
    try:
        yield live
    except KeyboardInterrupt:
        live.end("KILLED")
        raise
    except BaseException:
        live.end("FAILED")
        raise
    else:
        live.end()


def send(
    runs: Callable[[], list[tracking.Record]], store: Store, uri: str | None, progress: Silent, again: str
) -> bool:
    """Logs records; returns whether they could be made and MLflow took them all. A failure is one warning with `again`.
    """
    try:
        tracking_uri = uri or tracking.default_uri(store.folder())
        new, link = tracking.log(runs(), tracking_uri), tracking.link(tracking_uri)
    except Exception as error:  # the results are safe in the store: tracking never decides success
        _warn(error, uri, again)
        return False
    shown = hidden(tracking_uri)
    served = shown.startswith("http")
    look = "" if served else f"; look: {shlex.join(['mlflow', 'ui', '--backend-store-uri', shown])}"
    progress.note(f"tracking: {new} new runs in {shown}{look}")
    progress.note(f"runs: {link}{'' if served else ' (while mlflow ui runs)'}")
    return True


def send_partial(
    name: str, outcome: Outcome, store: Store, files: dict[str, bytes], uri: str | None, progress: Silent, again: str
) -> bool:
    """What there is of a scan without all answers, in its run, which stays open: the next attempt goes on with it."""
    try:
        tracking_uri = uri or tracking.default_uri(store.folder())
        tracking.show(records.partial(name, outcome, files), tracking_uri)
    except Exception as error:  # as of a whole scan
        _warn(error, uri, again)
        return False
    progress.note(f"tracking: the run in {hidden(tracking_uri)} is open, with the partial table")
    return True


def send_scan(
    name: str, outcome: Outcome, store: Store, files: dict[str, bytes], uri: str | None, progress: Silent, again: str
) -> bool:
    """Sends a finished scan; `files` are its figures by name. Returns whether the server took it."""
    return send(lambda: records.records(name, outcome.plan, store, outcome, files), store, uri, progress, again)


def _warn(error: Exception, uri: str | None, again: str) -> None:
    where = hidden(uri) if uri else "the store"
    said = one_line(f"{type(error).__name__}: {' '.join(str(error).split())}")
    print(f"warning: MLflow at {where} is not told ({said}); later: {again}", file=sys.stderr)
