"""The table's columns are the rows that an obvious loop makes, for whatever the parts say; and cost no more memory."""

import tracemalloc

import numpy as np
import pyarrow as pa
import pytest
from studies import TINY

from engine import schemas, study
from engine.assembly.columns import empty
from engine.assembly.results import rows_at, spread
from engine.assembly.rows import joined
from engine.bench import driver
from engine.inference.significance import z_one_sided
from engine.physics.spectra.wimp_si import SIZE
from engine.plan.plan import Plan
from engine.stages import tables
from engine.store.parts import Part
from engine.store.store import Ledger, Store
from engine.store.units import commit

SETTINGS = ("toys.statistics=['count','tail_count','extended_poisson','excess_scan']", "training.n_seeds=3")
PER_PART = 7
RESULTS = schemas.results(SIZE)
TAILS = {"tail": ("counted", "kde", "bound"), "exact_tail": ("exact", "exact", "bound")}


def random_value(rng, field):
    """A value of a column of parts; of one that may be null, now and then none."""
    if field.nullable and rng.random() < 0.3:
        return None
    if field.name in ("p_exact", "p_median", "p_at_toys", "level_at_toys"):
        return float(rng.choice([0.0, 1.0, rng.random(), 10 ** -rng.uniform(0, 300)]))
    if field.name in ("n_toys_null", "n_toys_signal"):
        return int(rng.integers(1000, 1200))
    if field.type == pa.string():
        return str(rng.choice(TAILS.get(field.name, ("one", "other", "third"))))
    if field.type == pa.int64():
        return int(rng.integers(0, 1000))
    return bool(rng.random() < 0.5) if field.type == pa.bool_() else float(rng.choice([rng.normal(), np.nan]))


def random_rows(rng, schema, items):
    return [{field.name: random_value(rng, field) for field in schema} | {"lineage": item} for item in items]


def fill(store, rng, stage, schema, items):
    """Random rows of all items in parts of a few, in an order of no meaning; returns them by item."""
    rows, ledger = random_rows(rng, schema, rng.permutation(items).tolist()), Ledger(store)
    for start in range(0, len(rows), PER_PART):
        some = rows[start : start + PER_PART]
        content = schemas.table(schema, {name: [row[name] for row in some] for name in schema.names})
        names = tuple(row["lineage"] for row in some)
        ledger.add(commit(store, [Part(f"{stage}/{names[0]}.parquet", names, content)]))
    ledger.flush()
    return {row["lineage"]: row for row in rows}


def row_by_row(plan, parts, failed):
    """The table as one would write it down: a loop over rows, and a dict of each."""
    rows, tail = [], plan.study.toys.tail
    for (point, R, statistic), items in plan.rows():
        toys, exact = (parts[item] if item and item not in failed else None for item in items)
        row = one_row(toys, exact, tail)
        reasons = [failed[item] for item in items if item in failed]
        of_seeds = [z_of(parts[item]) for sibling in plan.siblings
                    for item, place in sibling.exact.items() if place == (point, R, statistic)]  # fmt: skip
        z = row["z_exact"] if row["exact_tail"] == "exact" else None
        rows.append(row | joined(plan, point, R, statistic) | {
            "m_chi_GeV": point.m_chi_GeV, "sigma_si_cm2": point.size,
            "exposure_ty": point.exposure_ty, "R": R, "statistic": statistic, "point": point.origin,
            "level": point.level, "lineage": items[0] or items[1],
            "reason": "; ".join(dict.fromkeys(reasons)) or None, "z_seed_error": spread([z, *of_seeds]),
        })  # fmt: skip
    disagree = {place_of(row) for row in rows if halves_disagree(row)}
    for row in rows:
        if row["pool_limited"] is not None:
            row["pool_limited"] = row["pool_limited"] or place_of(row) in disagree
    found = schemas.of_rows(schemas.nullable(RESULTS) if failed else RESULTS, rows)
    return found.sort_by([(name, "ascending") for name in schemas.row_order(SIZE)])


def place_of(row):
    return row["exposure_ty"], row["R"], row["statistic"]


def halves_disagree(row):
    """By more than three errors of a difference."""
    shift, error = row["half_z_shift"], row["z_pool_error"]
    return None not in (shift, error) and abs(shift) > 3 * 2**0.5 * error


def z_of(exact):
    return z_one_sided(exact["p_exact"]) if exact["exact_tail"] == "exact" else None


def one_row(toys, exact, tail):
    """What toys and the law say of a row, either of which may be missing."""
    exact = exact or dict.fromkeys(schemas.EXACT.names)
    row = dict.fromkeys(RESULTS.names) | exact | (toys or {"n_toys_null": 0, "n_toys_signal": 0})
    if exact["p_exact"] is not None:
        row["z_exact"] = z_one_sided(exact["p_exact"])
    if toys and exact["p_exact"] is not None:
        k = round(toys["p_median"] * (toys["n_toys_null"] + 1)) - 1
        null = one_pull(k, toys["n_toys_null"], exact["p_at_toys"])
        row["pull"] = null if toys["tail"] == "counted" else None
        row["pull_median"] = one_pull(toys["n_below"], toys["n_toys_signal"], exact["level_at_toys"])
    if toys is None or (tail == "exact" and exact["p_exact"] is not None):
        row |= {"q_median": exact["q_exact"], "tail": exact["exact_tail"]}
        row |= dict.fromkeys(("p_median", "p_low", "p_high"), exact["p_exact"])
    return row | {"z_median": None if row["p_median"] is None else z_one_sided(row["p_median"])}


def one_pull(k, n, p):
    if p is None or min(n * p, n - n * p) < 10:
        return None
    return (k - n * p) / (n * p * (1 - p)) ** 0.5


@pytest.fixture(scope="module", params=["all", "exact"])
def stored(request, tmp_path_factory):
    """A plan whose rows are random, with them by item: laws beside all toys, and laws in place of toys' p."""
    asked = "toys.exact='all'" if request.param == "all" else "toys.tail='exact'"
    plan, store = Plan(study.load(str(TINY), (*SETTINGS, asked))), Store(str(tmp_path_factory.mktemp("random")))
    rng = np.random.default_rng(1)  # with which every column has a number somewhere
    laws = [*plan.exact, *(item for sibling in plan.siblings for item in sibling.exact)]
    cells, exact = fill(store, rng, "cells", schemas.CELLS, list(plan.cells)), fill(
        store, rng, "exact", schemas.EXACT, laws)  # fmt: skip
    return plan, Ledger(store), cells | exact


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_columns_are_the_rows_of_a_loop(stored, share):
    plan, ledger, parts = stored
    rng = np.random.default_rng(8)
    items = [*plan.cells, *plan.exact]
    failed = {item: str(rng.choice(["one reason", "another"])) for item in items if rng.random() < share}
    found, expected = tables.table(plan, ledger, failed), row_by_row(plan, parts, failed)
    assert found.schema.equals(expected.schema, check_metadata=True) and len(found) == len(expected) > 50
    for row, other in zip(found.to_pylist(), expected.to_pylist(), strict=True):
        assert repr(row) == repr(other)  # NaN as NaN, and -0.0 as itself
    for name in ("z_exact", "pull", "pull_median", "z_seed_error"):
        assert found[name].null_count < len(found) or share > 0


def test_every_row_has_the_words_of_the_study_and_of_its_statistic(stored):
    """No part knows them."""
    plan, ledger, _ = stored
    said = {"models": "vae = dense_vae, classifier = mlp_classifier", "score": "elbo_and_classifier, beta = 10",
            "detector": "darwin", "representation": "vector", "signal": "wimp_si", "rates": "prior_predictive",
            "tuned_on": "nothing"}  # fmt: skip
    rows = tables.table(plan, ledger).to_pylist()
    assert all(row[name] == words for row in rows for name, words in said.items())
    assert {row["statistic"] for row in rows if not row["monotone_invariant"]} == {"extended_poisson"}
    assert not {*said, "monotone_invariant"} & {*schemas.CELLS.names, *schemas.EXACT.names}


def test_a_table_of_one_statistic_is_its_rows(stored):
    plan, ledger, _ = stored
    whole, pair = tables.table(plan, ledger), plan.wanted[0]
    mine = [row for row in whole.to_pylist() if (row["R"], row["statistic"]) == pair]
    assert repr(tables.table(plan, ledger, only=pair).to_pylist()) == repr(mine)
    assert repr(rows_at(whole, dict(zip(("R", "statistic"), pair, strict=True)))) == repr(mine) and mine
    without = rows_at(whole, {"R": None})
    assert without and all(row["R"] is None for row in without)


def test_rows_of_an_unanswered_law_say_why_in_both_words_once(stored):
    plan, ledger, _ = stored
    cell, law = next(items for _, items in plan.rows() if all(items))
    row = next(row for row in tables.table(plan, ledger, {cell: "a", law: "b"}).to_pylist() if row["lineage"] == cell)
    assert row["reason"] == "a; b" and row["n_toys_null"] == 0 and row["p_median"] is None
    row = next(row for row in tables.table(plan, ledger, {cell: "a", law: "a"}).to_pylist() if row["lineage"] == cell)
    assert row["reason"] == "a"


def test_words_of_two_columns_are_one_alphabet():
    column, other = empty(pa.string(), 4), empty(pa.string(), 4)
    column.put(np.array([0, 2]), pa.chunked_array([["b", "a"]]))
    other.put(np.array([1, 3, 2]), pa.chunked_array([["c", None, "b"]]))
    column.put_from(other, np.array([False, True, True, True]))
    assert column.arrow(np.array([3, 2, 1, 0])).to_pylist() == [None, "b", "c", "b"]
    assert column.is_word("b").tolist() == [True, False, True, False]


def test_a_row_of_the_table_takes_its_bytes_and_few_more(tmp_path, monkeypatch):
    monkeypatch.setitem(driver.SIDES, 10_000, (100, 50, 2))
    plan, store = driver.plan(10_000), Store(str(tmp_path))
    driver.fill(store, plan)
    ledger, before = Ledger(store), pa.total_allocated_bytes()
    tracemalloc.start()
    try:
        found = tables.table(plan, ledger)
        # Arrow's own peak is left out: it is the process's, with every test before
        peak_bytes = tracemalloc.get_traced_memory()[1] + pa.total_allocated_bytes() - before
    finally:
        tracemalloc.stop()
    assert len(found) == 10_002  # two exposures of the benchmark
    assert peak_bytes / len(found) < 1500  # a dict of a row takes five thousand, and there were two of each
