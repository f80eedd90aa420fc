"""The table of a study: all that toys and exact laws say of its points, made by the driver."""

from collections.abc import Iterator

import pyarrow as pa

from engine import schemas
from engine.assembly import results
from engine.inference.significance import z_one_sided
from engine.lineage import row_label
from engine.plan.event_plan import VERSIONS
from engine.plan.plan import Plan, Wanted
from engine.plan.points import Cell
from engine.store.store import Ledger
from engine.study import Study

NAME, VERSION, SCHEMA = "tables", VERSIONS["table"], None
TABLES, table_schema = NAME, schemas.results
OF = ("cells", "exact")  # the stages whose rows it holds: where they have no answer, the table is partial


def table_item(plan: Plan) -> str:
    """Item of the table."""
    return plan.table


def table(plan: Plan, ledger: Ledger, failed: dict[str, str] | None = None, only: Wanted | None = None) -> pa.Table:
    """All rows of the study, or of one statistic, sorted; `point` says whether the grid or the benchmark asked for
    the row, and `level` in which round of refinement.

    failed: items that have no answer, and why; their rows have a `reason`, and null for what is not known.
    By column: a grid may have very many rows.
    """
    failed = failed or {}
    rows = results.requested(plan, only)
    columns = results.gathered(ledger, rows, failed)
    results.conclude(columns, rows.has_toys(failed), plan.study.toys.tail)
    results.limit(rows, columns)
    columns["z_seed_error"] = results.seed_errors(rows, columns, z_of_seeds(plan, ledger), plan.is_one_of_siblings)
    return results.arranged(plan, rows, columns, failed)


def z_of_seeds(plan: Plan, ledger: Ledger) -> dict[Cell, list[float | None]]:
    """Z by further training seeds, in their order; None where it is only a bound."""
    z_of_cell = {}
    for sibling in plan.siblings:
        exact = ledger.rows(list(sibling.exact), "lineage").to_pylist() if sibling.exact else ()
        for row in exact:
            z = z_one_sided(row["p_exact"]) if row["exact_tail"] == "exact" else None
            z_of_cell.setdefault(sibling.exact[row["lineage"]], []).append(z)
    return z_of_cell


def lines(result: results.Result, study: Study) -> Iterator[str]:
    """The benchmark by every statistic, score and exposure."""
    size, benchmark = study.signal.size, study.benchmark_signal
    of_size = f"{benchmark.value:g} {size.unit}" if size.unit else f"{size.name} {benchmark.value:g}"
    place = f"{benchmark.m_chi_GeV:g} GeV, {of_size}" if size.has_mass else of_size
    yield f"every Z: rates {study.backgrounds.rates}, leakage of electron recoils {study.backgrounds.leakage.words}"
    for row in results.rows_at(result.table, study.at):
        yield (
            f"{place}, {row['exposure_ty']:g} t y: {row_label(row['statistic'], row['R'])} "
            f"p = {row['p_median']:.3g} [{row['p_low']:.3g}, {row['p_high']:.3g}] "
            f"Z = {row['z_median']:.2f} ({row['tail']}{_exact(row)}), count alone Z = {row['z_count']:.2f}"
        )


def _exact(row: dict) -> str:
    if row["z_exact"] is None:
        return ""
    seed = "" if row["z_seed_error"] is None else f" +- {row['z_seed_error']:.2f} (seed)"
    return f"; exact Z {'>' if row['exact_tail'] == 'bound' else '='} {row['z_exact']:.2f}{seed}"
