"""Parts that are found damaged while a scan reads them, and other bytes for the same items."""

import pickle

import numpy as np
import pyarrow as pa
import pytest
from safetensors.numpy import save

from engine import stages, study
from engine.errors import CorruptPart, StoreFault
from engine.plan.plan import Plan
from engine.progress import Silent
from engine.run import state
from engine.run.state import Run, to_its_end
from engine.store.parts import Part, encode, holds
from engine.store.store import Ledger, Store
from engine.store.units import Unit, commit

X = np.linspace(1, 2, 50)


class Notes(Silent):
    def __init__(self):
        self.lines = []

    def note(self, line):
        self.lines.append(line)


def part(item: str = "a", values: np.ndarray = X) -> Part:
    return Part(f"cells/{item}.parquet", (item,), pa.table({"lineage": [item] * len(values), "x": values}))


@pytest.fixture
def run(tmp_path):
    store = Store(str(tmp_path / "store"))
    return Run(None, store, Ledger(store), Notes())


def read(run: Run) -> list[float]:
    """Makes a part if it is missing, and reads it: a way through one stage."""
    if "a" not in run.ledger.entries:
        run.commit(part())
    return run.ledger.table("a")["x"].to_pylist()


def flip(run: Run) -> None:
    data = bytearray(run.store.get("cells/a.parquet"))
    data[len(data) // 2] ^= 1
    run.store.put("cells/a.parquet", bytes(data))


def test_a_part_found_damaged_is_set_aside_and_made_again_in_the_same_pass(run):
    read(run)
    flip(run)
    run.ledger.know(run.ledger.entries.values())  # verified at the beginning of the pass
    assert to_its_end(run, read) == X.tolist()
    (line,) = run.progress.lines
    assert line == "corrupt: cells/a.parquet does not verify; set aside, its items are computed again"
    assert run.set_aside == ["cells/a.parquet"] and len(run.store.list("aside")) == 1


def test_there_is_an_end_to_it(run, monkeypatch):
    monkeypatch.setattr(state, "REPAIRS", 3)

    def damaging(run: Run) -> list[float]:
        read(run)
        flip(run)
        return read(run)

    with pytest.raises(StoreFault, match="were found damaged 3 times, at last cells/a.parquet does not have"):
        to_its_end(run, damaging)
    assert len(run.progress.lines) == 3


def test_what_is_whole_when_it_is_read_again_stays(run):
    read(run)
    failed = []

    def flaky(run: Run) -> list[float]:
        if not failed:
            failed.append(True)
            raise CorruptPart(run.ledger.entries["a"], "is gone")
        return read(run)

    assert to_its_end(run, flaky) == X.tolist() and not run.progress.lines


def test_a_worker_tells_which_part_it_was(run):
    read(run)
    error = pickle.loads(pickle.dumps(CorruptPart(run.ledger.entries["a"], "is gone")))
    assert error.entry == run.ledger.entries["a"] and str(error) == "cells/a.parquet is gone"


LAST_DIGITS = np.nextafter(X, 3)  # as another kind of processor adds them up


def test_of_two_kinds_of_processors_the_first_is_right_for_both(run):
    read(run)
    (entry,) = commit(run.store, [part(values=LAST_DIGITS)])
    assert entry == run.ledger.entries["a"]
    assert not run.store.list("aside")


def test_what_another_made_in_the_place_of_a_damaged_part_is_used_by_all(run):
    """Two drivers with other last digits, one of which repairs: neither undoes what the other did."""
    other = Run(None, run.store, Ledger(run.store), Notes())
    read(run)
    flip(run)
    other.ledger.know([run.ledger.entries["a"]])
    to_its_end(other, lambda one: one.ledger.table("a") if "a" in one.ledger.entries else one.commit(
        part(values=LAST_DIGITS)))  # fmt: skip
    for one in (run, other, run, other):
        assert to_its_end(one, read) == LAST_DIGITS.tolist()
    (line,) = run.progress.lines
    assert line.startswith("note: cells/a.parquet has other bytes than were noted and is whole by its own seal")
    assert len(run.store.list("aside")) == 1 and not run.set_aside
    run.ledger.flush()
    assert Ledger(run.store).table("a")["x"].to_pylist() == LAST_DIGITS.tolist()


def test_a_whole_file_that_does_not_say_what_it_is_is_no_twin():
    table, model = part(), Part("models/m.safetensors", ("m",), save({"x": X}))
    assert holds("cells/a.parquet", encode(table), ("a",)) and not holds("cells/a.parquet", encode(table), ("b",))
    assert not holds("models/aaa.safetensors", encode(table), ("aaa",))
    assert not holds("models/another.safetensors", encode(model), ("another",))
    assert not holds("cells/a.parquet", encode(table), ())


def test_a_part_of_other_items_is_no_such_part(run):
    read(run)
    (entry,) = commit(run.store, [part("b")])
    run.store.put("cells/a.parquet", run.store.get(entry.path))
    assert to_its_end(run, read) == X.tolist()
    assert run.set_aside == ["cells/a.parquet"]
    run.store.put("cells/a.parquet", b"no part at all")
    (entry,) = commit(run.store, [part()])
    assert run.store.get("cells/a.parquet") != b"no part at all" and len(run.store.list("aside")) == 2


# --- a fit that is made anew


@pytest.fixture(params=[0.0, 0.25])
def fitted(run, tiny, request):
    """A tiny study's run with a part of every stage, whose contents are of no concern here, and one of its fits; scores
    by a CPU, and by a GPU."""
    run.plan = Plan(study.load(str(tiny), (f"score.gpus_per_task={request.param}",)))
    for folder, items in stages.items(run.plan).items():
        for item in items if folder != "models" else ():
            run.commit(Part(f"{folder}/{item}.parquet", (item,), part(item).content))
    return run, run.plan.models["vae"]


def refit(run: Run, fit: str, weights: np.ndarray) -> set[str]:
    """Makes the fit where it is missing; returns the items that are known no more."""
    before = set(run.ledger.entries)
    made = Part(f"models/{fit}.safetensors", (fit,), save({"x": weights}))
    run.compute("models", [fit], lambda: [made], lambda missing: [Unit((), items=(fit,), name="fit")])
    return before - set(run.ledger.entries)


def lose(run: Run, fit: str) -> None:
    run.store.put(f"models/{fit}.safetensors", b"damaged")
    run.put_aside(run.ledger.entries[fit])


def test_a_fit_made_anew_with_the_same_weights_costs_nothing_else(fitted):
    run, fit = fitted
    refit(run, fit, X)
    lose(run, fit)
    assert not refit(run, fit, X)


def test_what_was_made_of_other_weights_is_made_anew(fitted):
    run, fit = fitted
    refit(run, fit, X)
    lose(run, fit)
    gone, made, plan = refit(run, fit, 2 * X), stages.items(run.plan), run.plan
    scores = {plan.score_item(shard, "vae") for shard in stages.scores.shards(plan)}
    assert gone.intersection(made["scores"]) == scores
    assert gone.isdisjoint(made["events"]) and gone >= {*made["nulls"], *made["cells"], *made["tables"]}
    assert "has other weights than the fit that was lost" in run.progress.lines[-1]


def test_a_driver_that_dies_over_a_fit_made_anew_leaves_it_to_the_next(fitted, monkeypatch):
    run, fit = fitted
    refit(run, fit, X)
    lose(run, fit)
    monkeypatch.setattr(Run, "_put_derived_aside", lambda *_: next(iter(())))
    with pytest.raises(StopIteration):
        refit(run, fit, 2 * X)
    monkeypatch.undo()
    again = Run(run.plan, run.store, Ledger(run.store), Notes())
    again.repair()
    assert fit in again.ledger.entries and again.ledger.entries.keys().isdisjoint(stages.items(run.plan)["cells"])
