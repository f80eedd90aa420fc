"""A segment of the ledger that holds all others: read in their place, never needed, and harmless to older readers."""

import pytest

from engine.store import store as module
from engine.store.parts import Entry, Failure
from engine.store.store import Ledger, Store

N = 5


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch):
    monkeypatch.setattr(module, "MANY", N)


@pytest.fixture
def read(monkeypatch):
    """The paths that are read from any store from now on."""
    paths, get = [], Store.get
    monkeypatch.setattr(Store, "get", lambda store, path: (paths.append(path), get(store, path))[1])
    return paths


def entry(name: str, *items: str) -> Entry:
    return Entry(f"cells/{name}", name * 64, items)


def filled(folder, n=N) -> Store:
    """A ledger of n segments: an item that two parts hold, one that failed, and one that failed and was made."""
    store = Store(str(folder))
    first = [entry("a", "1", "2"), Failure(("3",), "third", "none"), Failure(("4",), "fourth", "not yet")]
    for record in [*first, entry("b", "2"), entry("c", "4"), *(entry(f"d{i}", f"more{i}") for i in range(n - 5))]:
        ledger = Ledger(store)
        ledger.add([record])
        ledger.flush()
    return store


def said(ledger: Ledger) -> tuple:
    return ledger.entries, ledger.failures, ledger._paths, ledger.unreadable


def test_it_is_read_in_place_of_those_that_it_holds_and_nothing_is_gone(tmp_path, read):
    store = filled(tmp_path)
    before, segments = said(ledger := Ledger(store)), store.list("ledger")
    ledger.compact()
    (whole,) = {*store.list("ledger")} - {*segments}
    read.clear()
    assert said(Ledger(store)) == before and read == [whole]
    assert {item: one.path for item, one in before[0].items()} == {"1": "cells/a", "2": "cells/b", "4": "cells/c"}
    assert list(before[1]) == ["3"] and {*segments} < {*store.list("ledger")}


def test_what_is_noted_later_is_read_beside_it_until_that_is_much_again(tmp_path, read):
    store = filled(tmp_path)
    Ledger(store).compact()
    for number in range(N):
        ledger = Ledger(store)
        ledger.compact()
        assert sum(path.endswith("-all.jsonl") for path in store.list("ledger")) == 1
        ledger.add([entry("e", "1", f"e{number}")])
        ledger.flush()
    before = said(ledger := Ledger(store))
    ledger.compact()
    read.clear()
    assert said(Ledger(store)) == before and len(read) == 1 and before[0]["1"].path == "cells/e"


def test_an_older_reader_takes_it_for_one_more_segment(tmp_path):
    store = filled(tmp_path)
    before = Ledger(store)
    before.compact()
    records = [record for path in store.list("ledger") for record in module._parse(store.get(path))]
    (itself,) = [record for record in records if isinstance(record, Entry) and record.path[0] == "l"]
    assert len(itself.items) == N
    older = Ledger(Store(str(tmp_path / "none")))
    for record in records:
        older._learn(record)
    assert {item: older.entries[item] for item in before.entries} == before.entries
    assert older.failures == before.failures and set(older.entries) - set(before.entries) == set(itself.items)


def test_one_that_is_damaged_is_said_to_be_and_costs_nothing_else(tmp_path):
    store = filled(tmp_path)
    before = said(ledger := Ledger(store))
    ledger.compact()
    (whole,) = (path for path in store.list("ledger") if path.endswith("-all.jsonl"))
    store.put(whole, store.get(whole)[:-9])
    assert said(Ledger(store)) == (*before[:3], [whole])


def test_a_damaged_segment_is_held_by_none(tmp_path):
    store = filled(tmp_path, N + 1)
    broken = store.list("ledger")[-1]
    store.put(broken, b"{")
    Ledger(store).compact()
    again = Ledger(store)
    assert again.unreadable == [broken] and "more0" not in again.entries and "4" in again.entries


def test_gc_leaves_one_segment_which_says_what_it_is_to_say(tmp_path):
    store = filled(tmp_path)
    Ledger(store).compact()
    Ledger(store).rewrite(without={"cells/c"})
    assert len(store.list("ledger")) == 1
    again = Ledger(store)
    assert set(again.entries) == {"1", "2"} and set(again.failures) == {"3"}


def test_reading_side_by_side_keeps_the_order_and_says_what_was_raised():
    assert list(module.side_by_side(lambda x: x * x, list(range(100)))) == [x * x for x in range(100)]
    with pytest.raises(ZeroDivisionError):
        list(module.side_by_side(lambda x: 1 / (x - 50), list(range(100))))
