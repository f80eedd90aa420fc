"""Status tells done, missing, stale, corrupt and failed apart, says why, and changes nothing."""

import json

import numpy as np
import pyarrow as pa
import pytest

from engine import stages, study
from engine.plan.plan import Plan
from engine.plots.coverage import COLOURS, coverage
from engine.run import request
from engine.run.coverage import LETTERS, STATES
from engine.run.status import status
from engine.store import sealed
from engine.store.parts import Entry, Failure, Part, encode, sha256
from engine.store.store import Ledger, Store


@pytest.fixture
def place(tmp_path):
    return tmp_path / "store"


@pytest.fixture
def finished(tiny, place):
    """A store with a part for every item, whatever is in it; and the study."""
    parsed, store = study.load(str(tiny)), Store(str(place))
    plan, ledger = Plan(parsed), Ledger(store)
    for stage, items in stages.items(plan).items():
        for item in items:
            add(store, ledger, Part(f"{stage}/{item}.parquet", (item,), pa.table({"item": [item]})))
    ledger.flush()
    request.keep(store, "tiny", plan)
    return parsed, store


def add(store, ledger, part):
    data = encode(part)
    store.put_new(part.path, data)
    ledger.add([Entry(part.path, sha256(data), part.items)])


def everything(folder) -> dict:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_all_is_done_and_nothing_was_touched(finished, place):
    before, found = everything(place), status(*finished, "tiny")
    assert (found.missing, found.stale, found.corrupt, found.failed) == (0, 0, [], {})
    assert found.done == sum(stage.of for stage in found.by_stage.values())
    assert found.table == str(next(place.glob("tables/*")))
    assert all(set(one.states.flat) == {0} for one in found.coverage)
    assert everything(place) == before


def test_a_folder_that_is_not_there_is_not_made(run_here, tiny, tmp_path):
    done = run_here("status", tiny, "--store", tmp_path / "nowhere")
    assert "there is no store at" in done.stdout and "none was made" in done.stdout
    assert not (tmp_path / "nowhere").exists()
    found = json.loads(run_here("status", tiny, "--store", tmp_path / "nowhere", "--json").stdout)
    assert (found["exists"], found["done"], found["table"]) == (False, 0, None)
    assert not (tmp_path / "nowhere").exists()


def test_each_state_is_told_apart(finished, place):
    parsed, store = finished
    plan = Plan(parsed)
    gone, broken, failed, *_ = [item for item, (point, _, _) in plan.cells.items() if point.origin == "grid"]
    part = place / "cells" / f"{broken}.parquet"
    part.write_bytes(part.read_bytes()[:-1] + b"?")
    for item in (gone, failed):
        ledger = Ledger(store)
        entry = ledger.entries[item]
        forget(place, item)
        store.delete(entry.path)
    ledger = Ledger(store)
    ledger.add([Failure((failed,), "cell at 50 GeV", "ValueError: no root")])
    ledger.flush()
    found = status(parsed, store, "tiny")
    assert found.corrupt == [f"cells/{broken}.parquet"]
    assert found.failed == {"cell at 50 GeV": "ValueError: no root"}
    assert (found.missing, found.by_stage["cells"].failed, found.by_stage["cells"].corrupt) == (3, 1, 1)
    points = {name: sum(one.counts[name] for one in found.coverage) for name in STATES}
    assert points["failed"] + points["corrupt"] + points["missing"] in (2, 3)  # two may share a point
    text = "".join(line.split(" ", 1)[1] for one in found.coverage for line in map(str.strip, one.lines))
    assert [text.count(letter) for letter in LETTERS] == list(points.values())
    words = "\n".join(found.lines())
    assert "failed: cell at 50 GeV: ValueError: no root" in words and "# done, . missing, x failed, ! corrupt" in words


def forget(place, item):
    """As if the ledger had never heard of an item."""
    for segment in (place / "ledger").iterdir():
        _, lines = sealed.unsealed("ledger", segment.read_bytes())
        kept = [line for line in lines.splitlines() if item not in json.loads(line)["items"]]
        segment.write_bytes(sealed.sealed("ledger", b"\n".join(kept), lines=True))


def test_what_the_last_scan_asked_for_and_this_one_does_not_is_stale(finished, tiny, place):
    _, store = finished
    changed = study.load(str(tiny), ("toys.null=2500",))
    found = status(changed, store, "tiny")
    assert found.stale_since == "toys.null: 1500 -> 2500"
    n_cells = len(Plan(changed).cells)
    assert (found.by_stage["cells"].stale, found.by_stage["tables"].stale) == (n_cells, 1)
    assert found.by_stage["events"].stale == found.by_stage["nulls"].stale == 0
    assert found.by_stage["cells"].done == 0 and found.by_stage["events"].done == found.by_stage["events"].of
    assert "toys.null: 1500 -> 2500" in "\n".join(found.lines())


def test_a_new_version_of_a_stage_is_named(finished):
    now = request.of_plan(Plan(finished[0]))
    fields = now.fields | {"version": now.fields["version"] | {"cells": 1}}
    before = request.Request(fields, now.items | {"cells": ["x"]})
    assert request.stale(before, now) == {"cells": ["x"]}
    assert request.first_difference(before.fields, now.fields) == f"version.cells: 1 -> {stages.cells.VERSION}"


def test_a_wider_grid_makes_nothing_stale_but_its_tables(finished, tiny):
    found = status(study.load(str(tiny), ("grid.m_chi_GeV={values=[20,50,100]}",)), finished[1], "tiny")
    stale = {name: stage.stale for name, stage in found.by_stage.items() if stage.stale}
    assert stale == {"tables": 1, "limit_tables": 1}
    assert {one.counts["missing"] for one in found.coverage} == {3}


def test_an_unreadable_last_plan_makes_nothing_stale(finished, place):
    (place / "plans" / "tiny.json").write_text("{")
    assert status(*finished, "tiny").stale == 0


def test_the_map_is_drawn(finished, tiny, place, run_here, tmp_path):
    run_here("status", tiny, "--store", place, "--map", tmp_path / "map.png")
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")


def test_the_map_has_a_tile_for_every_point(tiny):
    states = np.array([[0, 1], [2, 3], [-1, 0]])
    size = study.load(str(tiny)).signal.size
    figure = coverage([states], [20.0], [10.0, 50.0], [1e-48, 1e-47, 1e-46], size)
    (image,) = figure.axes[0].get_images()
    assert np.array_equal(image.get_array(), states)
    colours = [tuple(image.cmap(image.norm(state))) for state in range(-1, 4)]
    assert len(set(colours)) == 5
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(COLOURS) == list(STATES)
    assert figure.axes[0].get_ylabel() == size.label
    assert "40% done" in figure.axes[0].get_title(loc="left")
