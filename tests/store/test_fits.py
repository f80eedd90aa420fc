"""A fit says in the store how far it is, seldom and cheaply, and what it says is gone when it has ended."""

import threading
import time

import pytest
from obstore.exceptions import GenericError

from engine.progress import FitProgress, Silent
from engine.run import watch
from engine.store import fits
from engine.store.checkpoints import Checkpoint
from engine.store.store import Store

ITEM = "a" * 24
CURVES = {"train_loss": [3.0, 2.0], "validation_loss": [3.5, 2.5], "train_kl": [1.0, 1.0]}


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"))


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(fits.time, "monotonic", lambda: now[0])
    return now


def telling(store, **about):
    return fits.telling(Checkpoint(store, ITEM), **{"name": "dense_vae", "epochs": 9, "may_stop": False} | about)


def of(n: int) -> dict[str, list[float]]:
    """Curves of n epochs."""
    return {"train_loss": [1.0] * n, "validation_loss": [2.0] * n} if n else {}


def there(store) -> FitProgress | None:
    return fits.under_way(store, [ITEM]).get(ITEM)


def test_it_says_what_it_is_from_its_beginning_until_its_end(store, clock):
    with telling(store) as tell:
        tell({})
        assert there(store).name == "dense_vae" and there(store).train == [] and there(store).epoch_s is None
        clock[0] += 10
        tell(CURVES)
        found = there(store)
        assert (found.train, found.validation, found.epochs, found.epoch_s) == ([3.0, 2.0], [3.5, 2.5], 9, 5.0)
    assert store.list("checkpoints") == []


def test_of_many_epochs_few_are_written(store, clock, monkeypatch):
    written, keep = [], Store.keep
    monkeypatch.setattr(Store, "keep", lambda self, path, fit: written.append(len(fit.train)) or keep(self, path, fit))
    with telling(store) as tell:
        for n in range(41):
            tell(of(n))
            clock[0] += 0.1
    assert written == [0, 20, 40]


def test_a_store_that_takes_long_is_asked_less(store, clock, monkeypatch):
    written = []

    def keep(self, path, fit):
        written.append(clock[0])
        clock[0] += 3.0

    monkeypatch.setattr(Store, "keep", keep)
    with telling(store) as tell:
        for n in range(200):
            tell(of(n))
            clock[0] += 1.0
    assert min(b - a for a, b in zip(written, written[1:], strict=False)) >= 3.0 * fits.SHARE


def test_a_fit_that_goes_on_has_the_pace_of_what_it_does_and_all_its_epochs(store, clock):
    with telling(store) as tell:
        tell(of(6))
        clock[0] += 4
        tell(of(8))
        assert (len(there(store).train), there(store).epoch_s) == (8, 2.0)


def test_a_store_that_fails_ends_no_fit(store, monkeypatch, capsys):
    def fail(*_, **__):
        raise GenericError("the disk is full")

    for name in ("put", "delete"):
        monkeypatch.setattr(f"engine.store.store.obstore.{name}", fail)
    with telling(store) as tell:
        tell(CURVES)
    assert "note: " in capsys.readouterr().err


def test_who_said_nothing_removes_nothing(store):
    """Of several processes that share a fit, the first alone is asked."""
    with telling(store) as tell:
        tell({})
        with telling(store):
            pass
        assert there(store)


class TestWatch:
    def test_it_sees_the_fits_of_its_items_and_not_what_a_killed_one_left(self, store, tmp_path):
        left = telling(store, name="killed").__enter__()
        left(CURVES)
        watched = fits.FitWatch(store, [ITEM])
        assert watched.look() == {}
        with telling(store) as tell, fits.telling(Checkpoint(store, "b" * 24), "other", 5, False) as other:
            tell(CURVES)
            other(CURVES)
            assert [fit.name for fit in watched.look().values()] == ["dense_vae"]
        assert watched.look() == {}

    def test_a_rung_of_a_search_is_a_fit_of_its_item(self, store):
        watched = fits.FitWatch(store, [ITEM])
        with fits.telling(Checkpoint(store, f"{ITEM}-4"), "dense_vae", 4, False) as tell:
            tell(CURVES)
            assert list(watched.look()) == [f"{ITEM}-4"]

    def test_what_has_not_changed_is_not_read_again(self, store, monkeypatch):
        watched, read, kept = fits.FitWatch(store, [ITEM]), [], Store.kept
        monkeypatch.setattr(Store, "kept", lambda self, path, kind: read.append(path) or kept(self, path, kind))
        with telling(store) as tell:
            tell(CURVES)
            assert watched.look() == watched.look() != {}
        assert len(read) == 1

    def test_a_damaged_record_is_left_out_with_a_note(self, store, capsys):
        watched = fits.FitWatch(store, [ITEM])
        store.put(f"checkpoints/{ITEM}.json", b'{"schema": "fit"')
        assert watched.look() == watched.look() == {}
        assert capsys.readouterr().err.count("is left out") == 1

    def test_a_store_that_does_not_answer_has_no_fits(self, store, monkeypatch):
        watched = fits.FitWatch(store, [ITEM])

        def fail(*_):
            raise GenericError("no answer")

        monkeypatch.setattr("engine.store.store.obstore.list", fail)
        assert watched.look() == {} == fits.FitWatch(store, [ITEM]).look()


class Listener(Silent):
    """Notes what it is told."""

    def __init__(self):
        self.told, self.heard = [], threading.Event()

    def fits(self, under_way):
        self.told.append(under_way)
        self.heard.set()

    def expect(self, seconds):
        self.expected = seconds


def test_a_reporter_is_told_of_fits_until_they_are_known_and_that_time_passes(store, monkeypatch):
    monkeypatch.setattr(watch, "EVERY_S", 0.01)
    listener, known = Listener(), set()
    with watch.watching(listener, store, [ITEM], known, lambda: 70.0), telling(store) as tell:
        assert listener.heard.wait(60) and listener.told[-1] == {}
        tell(CURVES)
        while not listener.told[-1]:
            assert listener.heard.wait(60)
        known.add(ITEM)
        while listener.told[-1] or len(listener.told) <= watch.LONG:
            time.sleep(0.01)
    n = len(listener.told)
    assert listener.expected == 70.0
    time.sleep(0.05)
    assert len(listener.told) == n, "after the stage nobody is told"
