"""Status tells done, missing, stale, corrupt and failed apart, says why, and changes nothing."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from engine import stages, study
from engine.plan.plan import Plan
from engine.plots.coverage import COLOURS, coverage
from engine.run import request
from engine.run.coverage import LETTERS, STATES
from engine.run.status import status
from engine.store import fits, sealed, tracebacks
from engine.store.checkpoints import Checkpoint
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


BROKEN = Failure(("a" * 24,), "limit at 20 GeV, 5 t y", "ValueError: no root")
OTHER = Failure(("b" * 24,), "limit at 50 GeV, 5 t y", "KeyError: 'x'")


@pytest.fixture
def failed(finished, place, monkeypatch):
    """The same with limits that have failed, one of which has its traceback."""
    parsed, store = finished
    items = stages.items(Plan(parsed))["limits"]
    ledger = Ledger(store)
    failures = [replace(one, items=(item,)) for one, item in zip((BROKEN, OTHER), items[:2], strict=True)]
    for failure in failures:
        store.delete(ledger.entries[failure.items[0]].path)
        forget(place, failure.items[0])
    ledger = Ledger(store)
    ledger.add(failures)
    ledger.flush()
    try:
        raise ValueError("no root, password=s3cret-of-mine")
    except ValueError as error:
        tracebacks.keep(store, failures[0], error)
    return parsed, store


class TestWhy:
    def test_status_says_where_the_traceback_is(self, failed):
        found, item = status(*failed, "tiny"), stages.items(Plan(failed[0]))["limits"][0]
        assert found.details == {BROKEN.name: f"errors/{item}.txt"} == found.as_json()["details"]
        lines = list(found.lines())
        assert f"failed: {BROKEN.name}: {BROKEN.reason}; traceback: errors/{item}.txt" in lines
        assert f"failed: {OTHER.name}: {OTHER.reason}" in lines

    @pytest.mark.parametrize("asked", [BROKEN.name, "limit at 20", "20 GeV"])
    def test_an_item_is_told_by_its_name_or_a_part_of_it(self, failed, run_here, tiny, place, asked):
        said = run_here("status", tiny, "--store", place, "--why", asked).stdout
        assert said.startswith(f"{BROKEN.name}: {BROKEN.reason}\n")
        assert "Traceback (most recent call last)" in said and "in failed" in said and "s3cret" not in said

    def test_without_a_traceback_there_is_the_reason(self, failed, run_here, tiny, place):
        said = run_here("status", tiny, "--store", place, "--why", "50 GeV").stdout.splitlines()
        assert said == [f"{OTHER.name}: {OTHER.reason}", "no traceback was kept, or it was removed"]

    @pytest.mark.parametrize(
        ("asked", "said"),
        [
            ("limit", "--why 'limit': 2 failed items have that in their names: limit at 20 GeV, 5 t y, limit at 50"),
            ("limit at 51 GeV, 5 t y", "did you mean 'limit at 50 GeV, 5 t y'? (accepted: limit at 20 GeV, 5 t y"),
        ],
    )
    def test_what_is_none_or_several_is_one_line(self, failed, run_here, tiny, place, asked, said):
        done = run_here("status", tiny, "--store", place, "--why", asked, check=2)
        assert said in done.stderr and done.stderr.count("\n") == 1 and not done.stdout

    def test_where_nothing_failed_there_is_nothing_to_ask(self, finished, run_here, tiny, place):
        done = run_here("status", tiny, "--store", place, "--why", "limit", check=2)
        assert done.stderr == "error: --why 'limit': nothing has failed\n"


def test_a_fit_that_runs_elsewhere_is_shown(finished):
    parsed, store = finished
    item = Plan(parsed).models["vae"]
    with fits.telling(Checkpoint(store, item), "dense_vae", 9, False) as tell:
        tell({"train_loss": [3.0], "validation_loss": [3.5]})
        found = status(parsed, store, "tiny")
    assert found.fits == found.as_json()["fits"] == ["dense_vae epoch 1 of 9, loss 3 (validation 3.5)"]
    assert "fit: dense_vae epoch 1 of 9, loss 3 (validation 3.5)" in list(found.lines())
    assert status(parsed, store, "tiny").fits == []


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
