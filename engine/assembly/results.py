"""The rows of the result table, by column: from what toys and exact laws say, either of which may be missing."""

from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine import schemas
from engine.assembly.columns import Column, empty, numbers
from engine.assembly.rows import flags, setting
from engine.inference.jackknife import halves_disagree
from engine.inference.significance import z_of_each
from engine.plan.plan import Plan
from engine.plan.points import Cell, Wanted
from engine.store.store import Ledger

BESIDE = ("n_below", "q_exact", "p_at_toys", "level_at_toys")  # columns of parts that the table follows from
FEWEST_EXPECTED = 10  # toys on either side: with fewer, the error of their number is no Gaussian's


@dataclass(frozen=True)
class Result:
    """A table of a finished scan, and where it is in its store; no path where it is not kept, or holds nothing."""

    table: pa.Table
    path: str | None


@dataclass(frozen=True)
class Requested:
    """The rows that a plan asks for, in its order; toys, laws: items, None where a row has none."""

    places: list[Cell]
    toys: list[str | None]
    laws: list[str | None]

    def has_toys(self, failed: dict[str, str]) -> np.ndarray:
        """(n,) whether toys say something of a row."""
        return np.array([bool(item) and item not in failed for item in self.toys], bool)


def requested(plan: Plan, only: Wanted | None = None) -> Requested:
    """All rows, or those of one statistic."""
    rows = Requested([], [], [])
    for place, (toys, law) in plan.rows():
        if only in (None, place[1:]):
            rows.places.append(place)
            rows.toys.append(toys)
            rows.laws.append(law)
    return rows


def gathered(ledger: Ledger, rows: Requested, failed: dict[str, str]) -> dict[str, Column]:
    """What parts say, by column: where toys and law say the same of a row, the toys' word."""
    fields = [schemas.CELLS.field("n_below"), *(schemas.EXACT.field(name) for name in BESIDE[1:])]
    fields += [*schemas.RESULT, *schemas.EXPECTED]
    fields += [schemas.CELLS.field(name) for name in ("n_toys_null", "n_toys_signal")]
    columns = {field.name: empty(field.type, len(rows.places)) for field in fields}
    for schema, items in ((schemas.EXACT, rows.laws), (schemas.CELLS, rows.toys)):
        names = [name for name in schema.names if name in columns]
        known = np.array([row for row, item in enumerate(items) if item and item not in failed], np.int64)
        for places, part in ledger.pieces([items[row] for row in known], "lineage", names):
            for name in names:
                columns[name].put(known[places], part[name])
    return columns


def conclude(columns: dict[str, Column], has_toys: np.ndarray, tail: str) -> None:
    """Adds what follows from toys and law together: pulls, Z, and whose p is the row's."""
    has_law = columns["p_exact"].known.copy()
    for name in ("n_toys_null", "n_toys_signal"):
        columns[name].put_value(~has_toys, 0)
    columns["pull"], columns["pull_median"] = pulls(columns, has_toys & has_law)
    by_law = ~has_toys | (has_law if tail == "exact" else False)
    columns["q_median"].put_from(columns["q_exact"], by_law)
    columns["tail"].put_from(columns["exact_tail"], by_law)
    for name in ("p_median", "p_low", "p_high"):
        columns[name].put_from(columns["p_exact"], by_law)
    columns["z_exact"], columns["z_median"] = _z(columns["p_exact"]), _z(columns["p_median"])


def limit(rows: Requested, columns: dict[str, Column]) -> None:
    """Adds to `pool_limited` all rows of an exposure, score and statistic whose halves of the pool disagree where an
    error is known."""
    shift, error = (
        np.where(columns[name].known, columns[name].values, np.nan) for name in ("half_z_shift", "z_pool_error")
    )
    over = np.flatnonzero(halves_disagree(shift, error))
    if len(over):
        found = {(point.exposure_ty, *pair) for point, *pair in (rows.places[row] for row in over)}
        limited = [(point.exposure_ty, *pair) in found for point, *pair in rows.places]
        columns["pool_limited"].put_value(np.array(limited) & columns["pool_limited"].known, True)


def _z(p: Column) -> Column:
    z = np.zeros(len(p.values))
    z[p.known] = z_of_each(p.values[p.known])
    return numbers(z, p.known.copy())


def pulls(columns: dict[str, Column], has_both: np.ndarray) -> tuple[Column, Column]:
    """Null toys at or above the toys' q_median, and signal toys at or below it, against what the laws expect."""
    n_null, n_signal = (columns[name].values for name in ("n_toys_null", "n_toys_signal"))
    k = np.rint(columns["p_median"].values * (n_null + 1)) - 1
    null = _pull(k, n_null, columns["p_at_toys"], has_both & columns["tail"].is_word("counted"))
    return null, _pull(columns["n_below"].values, n_signal, columns["level_at_toys"], has_both)


def _pull(k: np.ndarray, n: np.ndarray, p: Column, where: np.ndarray) -> Column:
    """(k - n p) over its binomial error; null where fewer are expected than make a Gaussian."""
    expected = n * p.values
    known = where & p.known & (np.minimum(expected, n - expected) >= FEWEST_EXPECTED)
    variance = expected[known] * (1 - p.values[known])
    pull = np.zeros(len(k))
    # the power of C's library, as a row alone would be given: np.sqrt is another number in one of a thousand
    pull[known] = (k[known] - expected[known]) / np.array([one**0.5 for one in variance.tolist()])
    return numbers(pull, known)


def seed_errors(
    rows: Requested, columns: dict[str, Column], z_of_seeds: dict[Cell, list[float | None]], with_own: bool = True
) -> Column:
    """The spread of Z over training seeds, where there are others; with_own: of which the rows' own Z is one."""
    errors = empty(pa.float64(), len(rows.places))
    z, is_exact = columns["z_exact"], columns["exact_tail"].is_word("exact")
    for row in (row for row, place in enumerate(rows.places) if place in z_of_seeds):
        own = [z.values[row] if is_exact[row] else None] if with_own else []
        error = spread([*own, *z_of_seeds[rows.places[row]]])
        if error is not None:
            errors.put_value(np.array([row]), error)
    return errors


def spread(values: Iterable[float | None]) -> float | None:
    """Standard deviation of what fits with other seeds give; None of fewer than two, or where one gives none."""
    known = list(values)
    if len(known) < 2 or any(value is None or not np.isfinite(value) for value in known):
        return None
    return float(np.std(known, ddof=1))


def arranged(plan: Plan, rows: Requested, columns: dict[str, Column], failed: dict[str, str]) -> pa.Table:
    """The table, sorted; empties `columns`, so that none is held twice."""
    size = plan.study.signal.size
    schema, by = schemas.results(size), schemas.row_order(size)
    keys = pa.table({name: _of_plan(plan, schema.field(name), rows) for name in by})
    order = pc.sort_indices(keys, [(name, "ascending") for name in by])
    del keys  # a column is made again in its turn: they would be held beside those that are finished
    arrays = [_ordered(plan, field, rows, columns, failed, order) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schemas.nullable(schema) if failed else schema)


def _ordered(
    plan: Plan, field: pa.Field, rows: Requested, columns: dict[str, Column], failed: dict[str, str], order: pa.Array
) -> pa.Array:
    if field.name in columns:
        return columns.pop(field.name).arrow(order.to_numpy())
    return (_reasons(rows, failed) if field.name == "reason" else _of_plan(plan, field, rows)).take(order)


def _of_plan(plan: Plan, field: pa.Field, rows: Requested) -> pa.Array:
    """A column that says where rows are, by whom they were asked for, which items they are, or the study's setting."""
    name, kind, places = field.name, field.type, rows.places
    if name == "lineage":
        return pa.array([toys or law for toys, law in zip(rows.toys, rows.laws, strict=True)], kind)
    if name in ("R", "statistic"):
        return pa.array([place[1 if name == "R" else 2] for place in places], kind)
    if name in (shared := setting(plan)):
        return pa.repeat(pa.scalar(shared[name], kind), len(places))
    if name in (flag.name for flag in schemas.FLAGS):
        of_statistic = {statistic: flags(plan, statistic)[name] for _, statistic in plan.wanted}
        return pa.array([of_statistic[statistic] for _, _, statistic in places], kind)
    what = attrgetter({"point": "origin", plan.study.signal.size.name: "size"}.get(name, name))
    return pa.array([what(point) for point, _, _ in places], kind)


def _reasons(rows: Requested, failed: dict[str, str]) -> pa.Array:
    """Why a row's items have no answer."""
    if not failed:
        return pa.nulls(len(rows.places), pa.string())
    of_rows = ([failed[item] for item in items if item in failed] for items in zip(rows.toys, rows.laws, strict=True))
    return pa.array(["; ".join(dict.fromkeys(reasons)) or None for reasons in of_rows], pa.string())


def at(table: pa.Table, place: dict[str, object]) -> pa.Table:
    """The rows whose columns hold these values."""
    for name, value in place.items():
        table = table.filter(pc.field(name).is_null() if value is None else pc.field(name) == value)
    return table


def rows_at(table: pa.Table, place: dict[str, object]) -> list[dict]:
    """The rows whose columns hold these values, as dicts: of a whole grid these would be ten times its table."""
    return at(table, place).to_pylist()
