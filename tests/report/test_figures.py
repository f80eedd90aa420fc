"""What was drawn is known by its hash: what does not verify is not sent on."""

from types import SimpleNamespace

import pytest

from engine.report import figures
from engine.store.store import Store


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """A store with two figures and a table of theirs, and how often they were drawn again."""
    store, calls = Store(str(tmp_path)), []
    monkeypatch.setattr(figures, "draw", lambda plan, outcome: calls.append(1) or {"a.png": b"A", "c.csv": b"new"})
    figures.keep(store, "table", {"a.png": b"A", "b.pdf": b"B"})
    figures.keep(store, "table", {"c.csv": b"C"})
    return store, SimpleNamespace(plan=SimpleNamespace(table="table")), calls


def test_whole_ones_are_as_they_were_kept_and_none_is_drawn(drawn):
    store, outcome, calls = drawn
    store.put("figures/table/strange.png", b"of somebody else")
    assert figures.whole(outcome, store) == {"a.png": b"A", "b.pdf": b"B", "c.csv": b"C"} and not calls


def test_a_damaged_one_is_drawn_again_or_left_out_with_a_note(drawn, capsys):
    store, outcome, calls = drawn
    store.put("figures/table/a.png", b"?")
    store.put("figures/table/b.pdf", b"?")
    assert figures.whole(outcome, store) == {"a.png": b"A", "c.csv": b"C"} and calls == [1]
    said = capsys.readouterr().err
    assert said == "note: figures/table/a.png does not verify (2 of 3): drawn again, or left out\n"


def test_without_what_they_are_known_by_all_are_drawn(drawn):
    store, outcome, calls = drawn
    store.put("figures/table.json", b"{")
    assert figures.whole(outcome, store) == {"a.png": b"A", "c.csv": b"new"} and calls == [1]
