"""The median upper limit of a search that knows the signal, at every mass and exposure."""

import itertools
from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa

from engine import lineage, schemas
from engine.assembly import population, results, rows
from engine.assembly.inputs import Inputs
from engine.inference import experiments, limits, toys
from engine.inference.experiments import Backgrounds
from engine.inference.limits import Experiment
from engine.inference.pools import DENSITY_HALF
from engine.inference.population import Population
from engine.inference.teststats.tail_count import SMALLEST_TAIL
from engine.plan.plan import Plan
from engine.size import Size
from engine.store.parts import Part, of_rows
from engine.store.store import Ledger
from engine.store.units import Unit, totals
from engine.study import Study

NAME, VERSION, SCHEMA = "limits", 2, schemas.LIMIT
TABLES, table_schema = "limit_tables", schemas.limits
MAY_FAIL = True
STATISTIC = "profile_likelihood"
ORDER = ["exposure_ty", "m_chi_GeV"]
NO_SIGNAL = "none"  # a method: the pool has no signal event, and so no limit
LIMIT = (*schemas.LIMITS_ON_SIZE, "n_signal")
CHECK = ("n_toys", "critical_z", "coverage", "coverage_low", "coverage_high")


def items(plan: Plan) -> list[str]:
    """Every limit."""
    return list(places(plan))


def places(plan: Plan) -> dict[str, tuple[float, float]]:
    """Every limit: item -> (exposure_ty, m_chi_GeV)."""
    study = plan.study
    masses = study.limits.masses(study.signal.axes, study.grid.masses, study.benchmark_signal.m_chi_GeV)
    return {_item(plan, *place): place for place in itertools.product(plan.exposures, masses)}


def _item(plan: Plan, exposure_ty: float, m_chi_GeV: float) -> str:
    """It follows from the pool's events, and from no model or score."""
    study, section = plan.study, plan.study.limits
    fields = {
        "exposure_ty": exposure_ty, "m_chi_GeV": m_chi_GeV, "signal": plan.signal, "power": section.power,
        "toys": section.check_toys if m_chi_GeV in section.check_m_chi_GeV else None, "seed": study.seed,
        "rates": study.backgrounds.rates, "components": plan.components,
    }  # fmt: skip
    return lineage.digest("limits", VERSION, fields, [shard.item for shard in plan.shards["pool"]])


def amounts(plan: Plan, missing: set[str]) -> dict[str, float]:
    """Limits; and toys times t y, on which their coverage is checked."""
    section = plan.study.limits
    made = [place for item, place in places(plan).items() if item in missing]
    checked = [exposure_ty for exposure_ty, mass in made if mass in section.check_m_chi_GeV]
    return totals([("limits", len(made)), ("checks", section.check_toys * sum(checked))])


def units(inputs: Inputs, missing: set[str]) -> Iterable[Unit]:
    """A mass at one exposure each."""
    plan: Plan = inputs.plan
    wanted = {item: place for item, place in places(plan).items() if item in missing}
    masses = sorted({mass for _, mass in wanted.values()})
    weights = {mass: population.signal_weights(plan.study.signal.at(mass), inputs.population) for mass in masses}
    shared = inputs.share(plan), inputs.share(inputs.population), inputs.share(weights)
    for item, (exposure_ty, mass) in wanted.items():
        yield Unit((*shared, exposure_ty), mass, (item,), f"limit at {mass:g} GeV, {exposure_ty:g} t y")


def work(
    plan: Plan, pool: Population, signal_weights: dict[float, np.ndarray], exposure_ty: float, masses: list[float],
) -> list[Part]:  # fmt: skip
    """The rows of one exposure, whose templates are made once. signal_weights: by mass, (pool,) at the reference."""
    background = experiments.backgrounds(pool.null(None, exposure_ty))
    return [of_rows(NAME, SCHEMA, [
        _row(plan, pool, background, signal_weights[mass], exposure_ty, mass)
        | {"lineage": _item(plan, exposure_ty, mass)} for mass in masses
    ])]  # fmt: skip


def _row(
    plan: Plan, pool: Population, background: Backgrounds, weights: np.ndarray, exposure_ty: float, m_chi_GeV: float
) -> dict:
    row = {
        "signal_pool_size": rows.Expectation(plan, pool, weights, exposure_ty).of_pool["signal_pool_size"],
        "level": limits.LEVEL, "power": plan.study.limits.power, "left_out": ", ".join(background.left_out),
        "n_background": float(background.weights.sum()), "background_pool_size": 0.0, "pool_limited": True,
        "method": NO_SIGNAL, **dict.fromkeys((*LIMIT, *CHECK)),
    }  # fmt: skip
    halves = weights[pool.pool.half == DENSITY_HALF], pool.signal(weights) * exposure_ty
    unbinned = background.unbinned(*halves)
    if unbinned is None:
        return row
    size = experiments.like_signal(unbinned)
    row |= {"background_pool_size": size, "pool_limited": min(size, row["signal_pool_size"]) < SMALLEST_TAIL}
    where = experiments.settled(unbinned)
    limit = limits.median_limit(where, power=plan.study.limits.power)
    row |= _limit(limit, where, plan.study.signal.size.reference)
    if m_chi_GeV in plan.study.limits.check_m_chi_GeV:
        key = *pool.stream_key, "limits", exposure_ty, m_chi_GeV
        row |= _check(where, limit.mu_90, plan.study.limits.check_toys, key)
    return row


def _limit(limit: limits.Limit, where: Experiment, reference: float) -> dict:
    strengths = {"limit_90": limit.mu_90, "limit_low": limit.low, "limit_high": limit.high,
                 "power_constrained": limit.power_constrained}  # fmt: skip
    sizes = {name: mu * reference for name, mu in strengths.items()}
    return sizes | {"n_signal": float(limit.mu_90 * where.expected[-1]), "method": limit.method}


def _check(where: Experiment, mu: float, n_toys: int, key: tuple) -> dict:
    """What toys at the limit say of it."""
    calibration = vars(limits.calibrate(where, mu, n_toys, toys.stream(*key)))
    return {name: calibration[name] for name in CHECK}


def table_item(plan: Plan) -> str | None:
    """Item of the table of all limits; None where none is asked for."""
    made = items(plan)
    return lineage.digest("limit_table", VERSION, None, made) if made else None


def table(plan: Plan, ledger: Ledger) -> pa.Table:
    """All rows of the study (`engine.schemas.limits`), sorted."""
    size, place_of, setting = plan.study.signal.size, places(plan), rows.setting(plan)
    named = {name: size.named(name.removeprefix("limit_")) for name in schemas.LIMITS_ON_SIZE}
    stored = []
    for row in ledger.rows(list(place_of), "lineage").to_pylist():
        exposure_ty, mass = place_of[row["lineage"]]
        place = {"m_chi_GeV": mass, "exposure_ty": exposure_ty, "statistic": STATISTIC, "model_dependent": True}
        stored.append({named.get(name, name): value for name, value in row.items()} | setting | place)
    return schemas.of_rows(schemas.limits(size), stored).sort_by([(name, "ascending") for name in ORDER])


def lines(limited: results.Result, study: Study) -> Iterator[str]:
    """One line an exposure: the limit at the benchmark's mass with its band, and what toys say of those checked."""
    all_rows, m_chi_GeV = limited.table.to_pylist(), study.benchmark_signal.m_chi_GeV
    for row in all_rows:
        if row["m_chi_GeV"] == m_chi_GeV:
            checked = [one for one in all_rows
                       if one["exposure_ty"] == row["exposure_ty"] and one["coverage"] is not None]  # fmt: skip
            words = _words(row, study.signal.size)
            yield f"limit at {m_chi_GeV:g} GeV, {row['exposure_ty']:g} t y: {words}{_coverage(checked)}"


def metrics(limited: results.Result, study: Study) -> dict[str, float]:
    """The limit at the benchmark's mass by exposure, under names for MLflow."""
    name, mass = study.signal.size.named("90"), study.benchmark_signal.m_chi_GeV
    at_mass = [row for row in limited.table.to_pylist() if row["m_chi_GeV"] == mass and row[name] is not None]
    return {f"limit_{name}_{lineage.label(row['exposure_ty'])}ty": row[name] for row in at_mass}


def _words(row: dict, size: Size) -> str:
    limit, low, high = (row[size.named(word)] for word in ("90", "low", "high"))
    if limit is None:
        return "none, the pool has no signal event"
    limited = " (pool limited)" if row["pool_limited"] else ""
    return f"{limit:.3g} [{low:.3g}, {high:.3g}] {size.unit}, median 90 % CL, profile likelihood{limited}"


def _coverage(checked: list[dict]) -> str:
    intervals = [f"{row['coverage']:.3g} [{row['coverage_low']:.3g}, {row['coverage_high']:.3g}] "
                 f"at {row['m_chi_GeV']:g} GeV" for row in checked]  # fmt: skip
    return f"; toys cover {', '.join(intervals)}" if intervals else ""
