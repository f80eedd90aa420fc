"""What the leakage's error does to a search: Z at the benchmark, and the exposure of three sigma, by how well it is
known."""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa

from engine import lineage, schemas
from engine.assembly import population, results, rows
from engine.assembly.inputs import Inputs
from engine.inference import reach
from engine.inference.leakage import LAWS
from engine.inference.population import Population
from engine.inference.significance import z_one_sided
from engine.lineage import row_label
from engine.plan.plan import Plan, Point
from engine.stages.exact import values
from engine.store.parts import Part, of_rows
from engine.store.store import Ledger
from engine.store.units import Unit, totals
from engine.study import Leakage, Study

NAME, VERSION, SCHEMA = "leakage", 3, schemas.LEAKAGE_ROW
OF_SCORES, MAY_FAIL, STALLS = True, True, False
TABLES, table_schema, TABLE_VERSION = "leakage_tables", schemas.leakage, 2

Row = tuple[Leakage, float | None, float | None, str]  # how well it is known, an exposure (None: sought), R, statistic


def items(plan: Plan) -> list[str]:
    """Every row."""
    return list(places(plan))


def places(plan: Plan) -> dict[str, Row]:
    """Every row: item -> what it says something of. None without the section, and for further training seeds."""
    return plan.once(NAME, lambda: _places(plan)) if plan.study.leakage_scan and plan.tabled else {}


def _places(plan: Plan) -> dict[str, Row]:
    exposures = [*plan.exposures, *([None] if plan.study.reach.enabled else [])]
    wanted = [(known, exposure_ty, *pair) for known in plan.study.leakage_scan.levels for exposure_ty in exposures
              for pair in plan.exactly]  # fmt: skip
    return {_item(plan, *row): row for row in wanted}


def _item(plan: Plan, known: Leakage, exposure_ty: float | None, R: float | None, statistic: str) -> str:
    section = plan.study.reach.model_dump(include={"exposure_ty", "p", "power"}) if exposure_ty is None else None
    benchmark = plan.study.benchmark_signal
    point = Point(exposure_ty, benchmark.m_chi_GeV, benchmark.value, "benchmark")
    fields = [known, section, plan.place(point), plan.law(exposure_ty, R, statistic) | {"leakage": None}]
    return lineage.digest(NAME, VERSION, fields, [plan.scored_pool])


def amounts(plan: Plan, missing: set[str]) -> dict[str, float]:
    """Laws at an exposure, and searches for one, by statistic: one law where the leakage is known, else many."""
    name, made = plan.study.toys.statistic_name, []
    for item, (known, exposure_ty, _, statistic) in places(plan).items():
        if item in missing:
            what = f"{name(statistic)} sought" if exposure_ty is None else name(statistic)
            made.append((what, 1.0 if known == Leakage() else LAWS))
    return totals(made)


def units(inputs: Inputs, missing: set[str]) -> Iterable[Unit]:
    """A row each."""
    plan: Plan = inputs.plan
    weights = population.benchmark_weights(plan, inputs.population)
    shared = inputs.share(plan), inputs.share(inputs.population), inputs.share(weights)
    for item, (known, exposure_ty, R, statistic) in places(plan).items():
        if item in missing:
            at = "exposure sought" if exposure_ty is None else f"{exposure_ty:g} t y"
            yield Unit((*shared, item), items=(item,), name=f"{row_label(statistic, R)}, leakage {known.words}, {at}")


def work(plan: Plan, pool: Population, signal_weights: np.ndarray, item: str) -> list[Part]:
    """One row. signal_weights (pool,): selected signal events per t y at the benchmark."""
    known, exposure_ty, R, statistic = places(plan)[item]
    pool = pool.knowing(known.factor, known.calibration_events)
    (choice,) = population.choices(plan, [(R, statistic)])
    row = dict.fromkeys(schemas.LEAKAGE_ROW.names)
    if exposure_ty is None:
        section = plan.study.reach
        aim = reach.Aim(section.p, section.power)
        sought, _ = reach.find(pool, choice, signal_weights, aim, *section.exposure_ty)
        is_beyond = sought.status == reach.BEYOND
        row |= {"status": sought.status, "t3_ty": None if is_beyond else sought.exposure_ty}
        at_ty = section.exposure_ty[1] if is_beyond else sought.exposure_ty
    else:
        laws, at_ty = choice.laws(pool.null(R, exposure_ty)), exposure_ty
        said = values(*laws.distributions(pool.signal(signal_weights) * exposure_ty), None)
        row |= {"p": said["p_exact"], "z": z_one_sided(said["p_exact"]), "tail": said["exact_tail"]}
    benchmark = plan.study.benchmark_signal
    expected = rows.Expectation(plan, pool, signal_weights / benchmark.scale, at_ty).row(R, statistic, benchmark.value)
    row |= {name: expected[name] for name in SCHEMA.names if name in expected}
    return [of_rows(NAME, SCHEMA, [row | {"lineage": item}])]


def table_item(plan: Plan) -> str | None:
    """Item of the table; None where there is none."""
    made = items(plan)
    return lineage.digest("leakage_table", TABLE_VERSION, plan.words_of_rows, made) if made else None


def table(plan: Plan, ledger: Ledger) -> pa.Table:
    """All rows in the order of the plan."""
    place_of, benchmark, made = places(plan), plan.study.benchmark_signal, []
    for row in ledger.rows(list(place_of), "lineage").to_pylist():
        known, exposure_ty, R, statistic = place_of[row["lineage"]]
        joined = rows.joined(plan, Point(exposure_ty, benchmark.m_chi_GeV, benchmark.value, "benchmark"), R, statistic)
        made.append(row | joined | {"calibration_events": known.calibration_events})
    return schemas.of_rows(schemas.leakage(plan.study.signal.size), made)


def lines(known: results.Result, study: Study) -> Iterator[str]:
    """Of each statistic at the largest exposure Z by how well the leakage is known, and the exposure sought."""
    groups: dict[tuple, list[str]] = {}
    largest = max((row["exposure_ty"] or 0.0 for row in known.table.to_pylist()), default=0.0)
    for row in known.table.to_pylist():
        if row["exposure_ty"] in (None, largest):
            title = "T3" if row["exposure_ty"] is None else f"Z at {largest:g} t y"
            groups.setdefault((title, row_label(row["statistic"], row["R"])), []).append(_words(row))
    for (title, name), said in groups.items():
        yield f"{title} by the leakage, {name}: {', '.join(said)}"


def _words(row: dict) -> str:
    if row["calibration_events"] is not None:
        level = f"{row['calibration_events']:g} calibration events"
    else:
        level = "exactly known" if row["leakage_known"] == 1 else f"x{row['leakage_known']:g}"
    if row["exposure_ty"] is None:
        sought = row["status"].replace("_", " ") if row["t3_ty"] is None else f"{row['t3_ty']:.3g} t y"
        return f"{sought} ({level})"
    return f"{'> ' if row['tail'] == 'bound' else ''}{row['z']:.2f} ({level})"
