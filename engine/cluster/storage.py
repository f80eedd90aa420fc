"""A search as others may look at it: a copy in an Optuna storage, written by the driver alone.

The copy is for dashboards and people. What a search reuses is in the store, and the search that goes on follows from
that, so that a lost copy costs nothing. Of a driver that died the copy has trials under way: they are failed when it
is opened again, and asked for anew with the same values. One driver writes at a time.
"""

import importlib.util
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
from optuna.exceptions import OptunaError, StorageInternalError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from engine.cluster.sampler import PRUNED, Copy, Search, Trial
from engine.errors import BadInput, TaskFailed, said, warn
from engine.urls import hidden

JOURNAL = "optuna/journal.log"  # in the store's folder
CONNECT_S = 10
PLACE, STATE = "place", "state"  # a trial's number in its search, and how it ended
FAULTS = (OptunaError, SQLAlchemyError, OSError, LookupError, ValueError, TypeError)  # the last: of a damaged journal


def opened(url: str | None, folder: Path | None) -> BaseStorage | None:
    """The storage at a URL (sqlite:///, postgresql://), else a journal in a local store; None for one without folder.

    Raises BadInput, in one line and without a password, where it cannot be opened.
    """
    if url is None:
        return None if folder is None else _journal(folder / JOURNAL)
    scheme = url.partition("://")[0].partition("+")[0]
    if scheme not in ("sqlite", "postgresql") or "://" not in url:
        raise BadInput(f"--storage {hidden(url)!r}: expected sqlite:///FILE or postgresql://USER@HOST/DATABASE")
    try:
        return RDBStorage(_with_driver(url), engine_kwargs=_options(scheme))
    except (*FAULTS, ImportError) as error:
        raise BadInput(f"cannot open the storage {hidden(url)!r}: {_line(error)}") from None  # its text has the URL


def _with_driver(url: str) -> str:
    """A PostgreSQL URL with the driver that is there, where it names none; raises BadInput without any."""
    scheme, _, rest = url.partition("://")
    if scheme != "postgresql":
        return url
    driver = next((name for name in ("psycopg", "psycopg2") if importlib.util.find_spec(name)), None)
    if driver is None:
        raise BadInput("a PostgreSQL storage needs a driver: pip install 'recoilscan[postgresql]'")
    return f"postgresql+{driver}://{rest}"


def _options(scheme: str) -> dict:
    return {"connect_args": {"connect_timeout": CONNECT_S}, "pool_pre_ping": True} if scheme == "postgresql" else {}


def _journal(path: Path) -> JournalStorage:
    """The journal at a path; one that cannot be read is set aside and begun anew, since no result follows from it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        repair(path)
        return JournalStorage(JournalFileBackend(str(path)))
    except Exception as error:  # whatever Optuna makes of a journal that was damaged in its middle
        aside = path.rename(path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}"))
        warn(f"the journal {path} cannot be read ({said(error)}); it is now {aside.name}, and another is begun")
        return JournalStorage(JournalFileBackend(str(path)))


def repair(path: Path) -> int:
    """Cuts off what a driver that died left behind the last whole line of a journal; returns how many bytes.

    Optuna reads such a file, and fails at the next trial.
    """
    data = path.read_bytes() if path.exists() else b""
    whole = data[: data.rfind(b"\n") + 1]
    while whole and not _parses(whole[whole.rfind(b"\n", 0, -1) + 1 :]):
        whole = whole[: whole.rfind(b"\n", 0, -1) + 1]
    if len(whole) < len(data):
        with path.open("r+b") as file:
            file.truncate(len(whole))
    return len(data) - len(whole)


def _parses(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


class StoredSearch(Copy):
    """The copy of one search, under its name. What has ended there stays as it is."""

    def __init__(self, storage: BaseStorage, name: str, search: Search):
        direction = search.rules.direction
        with _faults():
            self.study = optuna.create_study(
                storage=storage, study_name=name, direction=direction, load_if_exists=True,
                sampler=optuna.samplers.RandomSampler(seed=0),  # every value is given
            )  # fmt: skip
            self.ended_before = {t.user_attrs[PLACE] for t in self._trials(TrialState.COMPLETE, TrialState.PRUNED)}
            self._fail_unfinished()
        self.search, self.running = search, {}

    def _trials(self, *states: TrialState) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False, states=states)

    def _fail_unfinished(self) -> None:
        """Trials of a driver that died: those waiting are begun first, since only such can end."""
        for _ in self._trials(TrialState.WAITING):
            self.study.ask()
        for trial in self._trials(TrialState.RUNNING):
            self.study.tell(trial.number, state=TrialState.FAIL)

    def begun(self, trial: Trial, drawn: dict) -> None:
        """Enqueues the trial with its values and begins it, unless it has ended here before."""
        if trial.number in self.ended_before:
            return
        with _faults():
            self.study.enqueue_trial(drawn, user_attrs={PLACE: trial.number})
            self.running[trial.number] = self.study.ask(self.search.axes)

    def reported(self, trial: Trial, step: int) -> None:
        """A report at a step."""
        if trial.number in self.running:
            with _faults():
                self.running[trial.number].report(trial.reports[-1], step)

    def ended(self, trial: Trial) -> None:
        """Complete or pruned; a fit that diverged is complete with the worst value there is."""
        if mine := self.running.pop(trial.number, None):
            with _faults():
                mine.set_user_attr(STATE, trial.state)
                if trial.state == PRUNED:
                    self.study.tell(mine, state=TrialState.PRUNED)
                else:
                    self.study.tell(mine, self.search.worst if trial.value is None else trial.value)


@contextmanager
def _faults() -> Iterator[None]:
    """What a storage raises, as one line without a password."""
    try:
        yield
    except FAULTS as error:
        raise TaskFailed(f"the storage of the search: {_line(error)}") from None


def _line(error: Exception) -> str:
    cause: BaseException = error
    while isinstance(cause, StorageInternalError) and cause.__cause__:
        cause = cause.__cause__
    text = str(cause).strip().splitlines()
    return hidden(text[0]) if text else type(cause).__name__
