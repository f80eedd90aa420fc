"""The median upper limit as a result of a scan: its tasks, their work, its table, and the lines that say it."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from engine import lineage, schemas
from engine.assembly import assemble, rows
from engine.inference import experiments, limits, toys
from engine.inference.experiments import Backgrounds
from engine.inference.limits import Experiment
from engine.inference.pools import DENSITY_HALF
from engine.inference.population import Population
from engine.inference.teststats.tail_count import SMALLEST_TAIL
from engine.plan.plan import Plan
from engine.store.parts import Part
from engine.store.store import Ledger, Store

STATISTIC = "profile_likelihood"
REFERENCE_CM2 = assemble.REFERENCE["sigma_si_cm2"]
EMPTY = schemas.LIMITS.empty_table()  # where nothing was asked, or not all of it has an answer
ORDER = ["exposure_ty", "m_chi_GeV"]
NO_SIGNAL = "none"  # a method: the pool has no signal event, and so no limit
LIMIT = ("sigma_90_cm2", "sigma_low_cm2", "sigma_high_cm2", "power_constrained_cm2", "n_signal")
CHECK = ("n_toys", "critical_z", "coverage", "coverage_low", "coverage_high")


def wanted(plan: Plan, missing: set[str]) -> dict[float, list[float]]:
    """Masses by exposure that are missing: a task each."""
    found: dict[float, list[float]] = {}
    for item, (exposure_ty, m_chi_GeV) in plan.limits.items():
        if item in missing:
            found.setdefault(exposure_ty, []).append(m_chi_GeV)
    return found


def signals(plan: Plan, population: Population, missing: set[str]) -> dict[float, np.ndarray]:
    """(pool,) signal weights at the cross-section of REFERENCE, by mass."""
    masses = {mass for asked in wanted(plan, missing).values() for mass in asked}
    return {mass: assemble.signal_weights(plan.study.signal, population, mass) for mass in sorted(masses)}


def compute(
    plan: Plan, population: Population, signal_weights: dict[float, np.ndarray], exposure_ty: float,
    masses: list[float],
) -> list[Part]:  # fmt: skip
    """The rows of one exposure, whose templates are made once. signal_weights: by mass, (pool,) at REFERENCE."""
    background = experiments.backgrounds(population.null(None, exposure_ty))
    items = {mass: plan.limit_item(exposure_ty, mass) for mass in masses}
    found = [
        _row(plan, population, background, signal_weights[mass], exposure_ty, mass) | {"lineage": item}
        for mass, item in items.items()
    ]
    made = tuple(items.values())
    name = lineage.digest("bundle", 1, None, made)
    return [Part(f"limits/{name}.parquet", made, _table(found))]


def _row(plan, population, background: Backgrounds, weights, exposure_ty: float, m_chi_GeV: float) -> dict:
    described = rows.Describer(plan, population, weights, exposure_ty).setting
    row = {name: described[name] for name in schemas.LIMITS.names if name in described} | {
        "m_chi_GeV": m_chi_GeV, "exposure_ty": exposure_ty, "statistic": STATISTIC, "model_dependent": True,
        "level": limits.LEVEL, "power": plan.study.limits.power, "left_out": ", ".join(background.left_out),
        "n_background": float(background.weights.sum()), "background_pool_size": 0.0, "pool_limited": True,
        "method": NO_SIGNAL, **dict.fromkeys((*LIMIT, *CHECK)),
    }  # fmt: skip
    halves = weights[population.pool.half == DENSITY_HALF], population.signal(weights) * exposure_ty
    unbinned = background.unbinned(*halves)
    if unbinned is None:
        return row
    size = experiments.like_signal(unbinned)
    row |= {"background_pool_size": size, "pool_limited": min(size, row["signal_pool_size"]) < SMALLEST_TAIL}
    where = experiments.settled(unbinned)
    limit = limits.median_limit(where, power=plan.study.limits.power)
    row |= _limit(limit, where)
    if m_chi_GeV in plan.study.limits.check_m_chi_GeV:
        key = *population.stream_key, "limits", exposure_ty, m_chi_GeV
        row |= _check(where, limit.mu_90, plan.study.limits.check_toys, key)
    return row


def _limit(limit: limits.Limit, where: Experiment) -> dict:
    strengths = {"sigma_90_cm2": limit.mu_90, "sigma_low_cm2": limit.low, "sigma_high_cm2": limit.high,
                 "power_constrained_cm2": limit.power_constrained}  # fmt: skip
    sigmas = {name: mu * REFERENCE_CM2 for name, mu in strengths.items()}
    return sigmas | {"n_signal": float(limit.mu_90 * where.expected[-1]), "method": limit.method}


def _check(where: Experiment, mu: float, n_toys: int, key: tuple) -> dict:
    """What toys at the limit say of it."""
    found = vars(limits.calibrate(where, mu, n_toys, toys.stream(*key)))
    return {name: found[name] for name in CHECK}


def _table(found: list[dict]) -> pa.Table:
    return schemas.table(schemas.LIMITS, {name: [row[name] for row in found] for name in schemas.LIMITS.names})


def table(plan: Plan, ledger: Ledger) -> pa.Table:
    """All rows of the study (`engine.schemas.LIMITS`), sorted."""
    found = ledger.rows(list(plan.limits), "lineage").to_pylist()
    return _table(found).sort_by([(name, "ascending") for name in ORDER])


def path(item: str) -> str:
    """Where the table is in a store."""
    return f"limit_tables/{item}.parquet"


def stored(plan: Plan, ledger: Ledger, store: Store) -> tuple[pa.Table, str | None]:
    """The table of a finished scan, and where it is; an empty one, and None, where no limit was asked for."""
    if not plan.limits:
        return EMPTY, None
    return ledger.table(plan.limit_table), store.where(path(plan.limit_table))


def lines(found: pa.Table, m_chi_GeV: float | None) -> Iterator[str]:
    """One line an exposure: the limit at this mass with its band, and what toys say of those checked."""
    rows = found.to_pylist()
    for row in rows:
        if row["m_chi_GeV"] == m_chi_GeV:
            checked = [one for one in rows if one["exposure_ty"] == row["exposure_ty"] and one["coverage"] is not None]
            yield f"limit at {m_chi_GeV:g} GeV, {row['exposure_ty']:g} t y: {_words(row)}{_coverage(checked)}"


def metrics(found: pa.Table, m_chi_GeV: float | None) -> dict[str, float]:
    """The limit at this mass by exposure, under names for MLflow."""
    rows = [row for row in found.to_pylist() if row["m_chi_GeV"] == m_chi_GeV and row["sigma_90_cm2"] is not None]
    return {f"limit_sigma_90_cm2_{lineage.label(row['exposure_ty'])}ty": row["sigma_90_cm2"] for row in rows}


def _words(row: dict) -> str:
    if row["sigma_90_cm2"] is None:
        return "none, the pool has no signal event"
    limited = " (pool limited)" if row["pool_limited"] else ""
    band = f"[{row['sigma_low_cm2']:.3g}, {row['sigma_high_cm2']:.3g}]"
    return f"{row['sigma_90_cm2']:.3g} {band} cm2, median 90 % CL, profile likelihood{limited}"


def _coverage(checked: list[dict]) -> str:
    said = [f"{row['coverage']:.3g} [{row['coverage_low']:.3g}, {row['coverage_high']:.3g}] at {row['m_chi_GeV']:g} GeV"
            for row in checked]  # fmt: skip
    return f"; toys cover {', '.join(said)}" if said else ""
