"""The exposure for three sigma as a result of a scan: its tasks, their work, its table, and the lines that say it."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from engine import lineage, plugins, schemas
from engine.assembly import assemble, results, rows
from engine.errors import BadInput
from engine.inference import reach, reach_toys
from engine.inference.cells import Choice
from engine.inference.population import Population
from engine.lineage import row_label
from engine.plan.plan import Plan
from engine.plan.sought import COUNT, ORACLE, Sought
from engine.stages import reach_schemas
from engine.store.parts import Part
from engine.store.store import Ledger, Store

EMPTY = reach_schemas.REACH.empty_table()  # where nothing was asked, or not all of it has an answer
ORDER = ["m_chi_GeV", "sigma_si_cm2", "strength", "R", "statistic"]
BESIDE = ("t3_oracle_ty", "t3_count_ty")  # known when all rows are


def wanted(plan: Plan, missing: set[str]) -> list[tuple[str, Sought]]:
    """(item, what is sought) of every task: one statistic, R and mass each."""
    return [(item, sought) for item, sought in (plan.reach | plan.reach_by_toys).items() if item in missing]


def signals(plan: Plan, population: Population, missing: set[str]) -> dict[float | None, np.ndarray]:
    """(pool,) signal weights at the size of REFERENCE, by mass.

    Raises BadInput where the first toys of a search would be so full that a digit has slipped.
    """
    masses = {mass for _, (_, _, mass, _) in wanted(plan, missing)}
    weights = {mass: assemble.signal_weights(plan.study.signal, population, mass) for mass in masses}
    low_ty, axis = plan.study.reach.exposure_ty[0], plan.study.signal.axes[-1]
    for item, (_, _, mass, size) in wanted(plan, missing):
        n_events = weights[mass].sum() * size / assemble.REFERENCE[axis] * low_ty
        if item in plan.reach_by_toys and n_events > assemble.MOST_EVENTS:
            raise BadInput(f"reach.by_toys: {axis} = {size:g}, exposure_ty = {low_ty:g}: {n_events:.2g} signal events "
                           f"are expected in a toy; at most {assemble.MOST_EVENTS:.0e} are drawn")  # fmt: skip
    return weights


def seek(plan: Plan, population: Population, signal_weights: np.ndarray, item: str, sought: Sought) -> list[Part]:
    """One row: the exposure of one statistic, R and mass, with its error. signal_weights (pool,): at REFERENCE."""
    (R, statistic, mass, size), by_toys = sought, item in plan.reach_by_toys
    (choice,) = assemble.choices(plan, [(R, statistic)])
    weights = signal_weights * (size / assemble.REFERENCE[plan.study.signal.axes[-1]])
    found = (_by_toys if by_toys else _by_law)(plan, population, choice, weights, mass)
    (low, high), asked = plan.study.reach.exposure_ty, plan.study.reach
    at_ty = high if found["t3_ty"] is None else found["t3_ty"]
    described = rows.Describer(plan, population, signal_weights, at_ty).row(R, statistic, mass, size)
    schema = reach_schemas.REACH_TOYS_ROW if by_toys else reach_schemas.REACH_ROW
    row = {name: described[name] for name in schema.names if name in described} | found | {
        "from_ty": low, "to_ty": high, "p_false_alarm": asked.p, "power": asked.power, "groups": asked.groups,
        "lineage": item,
    } | dict.fromkeys(BESIDE)  # fmt: skip
    columns = {name: [row[name]] for name in row}
    return [Part(f"reach/{lineage.digest('bundle', 1, None, [item])}.parquet", (item,),
                 schemas.table(schema, columns))]  # fmt: skip


def _by_law(plan: Plan, population: Population, choice: Choice, weights: np.ndarray, mass: float | None) -> dict:
    """What a row says of an exposure that laws give."""
    asked = plan.study.reach
    aim = reach.Aim(asked.p, asked.power)
    found, search = reach.find(population, choice, weights, aim, *asked.exposure_ty)
    error = reach.pool_error(population, choice, weights, aim, search, found, asked.groups)
    return _of(found) | {"t3_error_ty": error}


def _by_toys(plan: Plan, population: Population, choice: Choice, weights: np.ndarray, mass: float | None) -> dict:
    """What a row says of an exposure that toys give: those that a cell has."""
    asked, n_toys = plan.study.reach, (plan.n_toys("null"), plan.n_toys("signal"))
    key = plugins.identity("engine.physics.spectra", plan.study.signal.name), mass
    aim = reach.Aim(asked.p, asked.power)
    found = reach_toys.find(population, choice, weights, key, aim, asked.exposure_ty, n_toys, asked.toys_groups)
    return _of(found) | {
        "t3_error_ty": found.error_ty, "t3_low_ty": found.low_ty, "t3_high_ty": found.high_ty,
        "n_toys_null": n_toys[0], "n_toys_signal": n_toys[1],
    }  # fmt: skip


def _of(found: reach.Reach | reach_toys.ToyReach) -> dict:
    t3_ty = None if found.status == reach.BEYOND else found.exposure_ty
    return {"status": found.status, "t3_ty": t3_ty, "checked_to_ty": found.checked_to_ty}


def table(plan: Plan, ledger: Ledger) -> pa.Table:
    """All rows of the study (`reach_schemas.REACH`), sorted, each beside the oracle's and the count's."""
    found = ledger.rows(list(plan.reach), "lineage").to_pylist()
    of_seeds, nothing = _t3_of_seeds(plan, ledger), dict.fromkeys(reach_schemas.REACH_TOYS_ROW.names)
    found = [nothing | {"n_toys_null": 0, "n_toys_signal": 0} | row | {"method": "exact"} for row in found]
    t3_ty = {(row["statistic"], row["R"], row["m_chi_GeV"]): row["t3_ty"] for row in found}
    if plan.reach_by_toys:
        by_toys = ledger.rows(list(plan.reach_by_toys), "lineage").to_pylist()
        found += [row | {"method": "toys"} for row in by_toys]
    for row in found:
        scores = [row["R"]] if row["R"] is not None else plan.study.score.R
        # of a statistic that looks at no score, the best oracle that the scores have
        oracles = [t3 for R in scores if (t3 := t3_ty[ORACLE, R, row["m_chi_GeV"]]) is not None]
        row["t3_seed_error_ty"] = results.spread([_found(row), *of_seeds.get(plan.reach.get(row["lineage"]), ())])
        row["t3_oracle_ty"], row["t3_count_ty"] = min(oracles, default=None), t3_ty[COUNT, None, row["m_chi_GeV"]]
    columns = {name: [row[name] for row in found] for name in reach_schemas.REACH.names}
    return schemas.table(reach_schemas.REACH, columns).sort_by([(name, "ascending") for name in ORDER])


def _t3_of_seeds(plan: Plan, ledger: Ledger) -> dict[Sought, list[float | None]]:
    """The same exposures by further training seeds; None where it is outside the range."""
    found = {}
    for sibling in plan.siblings:
        for row in ledger.rows(list(sibling.reach), "lineage").to_pylist() if sibling.reach else ():
            found.setdefault(sibling.reach[row["lineage"]], []).append(_found(row))
    return found


def _found(row: dict) -> float | None:
    return row["t3_ty"] if row["status"] == reach.FOUND else None


def path(item: str) -> str:
    """Where the table is in a store."""
    return f"reach_tables/{item}.parquet"


def stored(plan: Plan, ledger: Ledger, store: Store) -> tuple[pa.Table, str | None]:
    """The table of a finished scan, and where it is; an empty one, and None, where nothing was sought."""
    if not plan.reach:
        return EMPTY, None
    return ledger.table(plan.reach_table), store.where(path(plan.reach_table))


def lines(table: pa.Table) -> Iterator[str]:
    """One line a row: statistic, exposure and its error, the oracle's."""
    for row in table.to_pylist():
        at = "" if row["m_chi_GeV"] is None else f" at {row['m_chi_GeV']:g} GeV"
        oracle = "" if row["statistic"] == ORACLE else f", oracle {_t3(row['t3_oracle_ty'], row)}"
        by = ", by toys" if row["method"] == "toys" else ""
        limited = " (pool limited)" if row["pool_limited"] else ""
        yield f"T3{at}: {row_label(row['statistic'], row['R'])} {_words(row)}{limited}{by}{oracle}"


def metrics(table: pa.Table) -> dict[str, float]:
    """Every exposure that was found, by a name for MLflow; masses in the name where there are several."""
    several = len(table["m_chi_GeV"].unique()) > 1
    found = {}
    for row in table.to_pylist():
        if row["status"] == reach.FOUND:
            mass = f"_{lineage.label(row['m_chi_GeV'])}GeV" if several else ""
            label = f"{row_label(row['statistic'], row['R'])}{mass}"
            found[f"t3_ty_{label}"] = row["t3_ty"]
            if row["t3_seed_error_ty"] is not None:
                found[f"t3_seed_error_ty_{label}"] = row["t3_seed_error_ty"]
    return found


def _words(row: dict) -> str:
    if row["status"] == reach.FOUND:
        error = "" if row["t3_error_ty"] is None else f" +- {row['t3_error_ty']:.2g}"
        if row["t3_low_ty"] is not None:
            of_pool = f"{error} (pool)" if error else ""
            error = f" ({row['t3_low_ty']:.4g} to {row['t3_high_ty']:.4g}){of_pool}"
        seeds = "" if row["t3_seed_error_ty"] is None else f" +- {row['t3_seed_error_ty']:.2g} (seed)"
        return f"{row['t3_ty']:.4g}{error}{seeds} t y"
    if row["status"] == reach.BELOW:
        return f"below {row['from_ty']:g} t y"
    return f"beyond {row['to_ty']:g} t y"


def _t3(t3_ty: float | None, row: dict) -> str:
    return f"beyond {row['to_ty']:g} t y" if t3_ty is None else f"{t3_ty:.4g} t y"
