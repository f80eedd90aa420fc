"""The median upper limit of a search that knows the signal, at every mass and exposure; its discovery of one."""

import itertools
from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa

from engine import lineage, schemas
from engine.assembly import population, results, rows
from engine.assembly.inputs import Inputs
from engine.inference import discovery, experiments, limits, neyman
from engine.inference.experiments import ExpectedBackground
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

NAME, VERSION, SCHEMA = "limits", 3, schemas.LIMIT
TABLES, table_schema = "limit_tables", schemas.limits
OF_SCORES, MAY_FAIL = True, True
STATISTIC = "profile_likelihood"
ORDER = ["exposure_ty", "m_chi_GeV"]
NO_SIGNAL = "none"  # a method: the pool has no signal event, and so no limit
LIMIT = (*schemas.LIMITS_ON_SIZE, "n_signal")
DISCOVERY = ("z_discovery", "discovery_tail", "z_discovery_asymptotic")


def items(plan: Plan) -> list[str]:
    """Every limit."""
    return list(places(plan))


def places(plan: Plan) -> dict[str, tuple[float, float | None]]:
    """Every limit: item -> (exposure_ty, m_chi_GeV)."""
    study = plan.study
    masses = study.limits.masses(study.grid.masses, study.benchmark_signal.m_chi_GeV)
    return {_item(plan, *place): place for place in itertools.product(plan.exposures, masses)}


def _item(plan: Plan, exposure_ty: float, m_chi_GeV: float | None) -> str:
    """It follows from the pool's events, and from no model or score."""
    study, section = plan.study, plan.study.limits
    fields = {
        "exposure_ty": exposure_ty, "m_chi_GeV": m_chi_GeV, "signal": plan.signal, "power": section.power,
        "toys": section.n_toys, "interval": section.interval, "discovered": _discovered(study, m_chi_GeV),
        "seed": study.seed if section.n_toys else None,
        "rates": study.backgrounds.rates, "components": plan.components,
    }  # fmt: skip
    return lineage.digest("limits", VERSION, fields, [shard.item for shard in plan.shards["pool"]])


def _discovered(study: Study, m_chi_GeV: float | None) -> float | None:
    """The size of which discovery is told beside the limit at this mass: the benchmark's at its own."""
    at = study.benchmark_signal
    return at.value if m_chi_GeV == at.m_chi_GeV else None


def amounts(plan: Plan, missing: set[str]) -> dict[str, float]:
    """Limits; and toys, at each strength of their ladders."""
    n_limits = len(set(places(plan)) & missing)
    return totals([("limits", n_limits), ("toys", n_limits * (plan.study.limits.n_toys or 0))])


def units(inputs: Inputs, missing: set[str]) -> Iterable[Unit]:
    """A mass at one exposure each, or the exposure of a signal without one."""
    plan: Plan = inputs.plan
    wanted = {item: place for item, place in places(plan).items() if item in missing}
    masses = dict.fromkeys(mass for _, mass in wanted.values())
    weights = {mass: population.signal_weights(plan.study.signal.at(mass), inputs.population) for mass in masses}
    shared = inputs.share(plan), inputs.share(inputs.population), inputs.share(weights)
    for item, (exposure_ty, mass) in wanted.items():
        massless = ([None],) if mass is None else ()  # which is no piece, and shares its call with no other
        yield Unit((*shared, exposure_ty, *massless), mass, (item,), _name(mass, exposure_ty))


def _name(m_chi_GeV: float | None, exposure_ty: float) -> str:
    return f"limit at {'' if m_chi_GeV is None else f'{m_chi_GeV:g} GeV, '}{exposure_ty:g} t y"


def work(
    plan: Plan, pool: Population, signal_weights: dict[float | None, np.ndarray], exposure_ty: float,
    masses: list[float | None],
) -> list[Part]:  # fmt: skip
    """The rows of one exposure, whose templates are made once. signal_weights: by mass, (pool,) at the reference."""
    background = experiments.backgrounds(pool.null(None, exposure_ty))
    return [of_rows(NAME, SCHEMA, [
        _row(plan, pool, background, signal_weights[mass], exposure_ty, mass)
        | {"lineage": _item(plan, exposure_ty, mass)} for mass in masses
    ])]  # fmt: skip


def _row(
    plan: Plan, pool: Population, background: ExpectedBackground, weights: np.ndarray, exposure_ty: float,
    m_chi_GeV: float | None,
) -> dict:  # fmt: skip
    study, section = plan.study, plan.study.limits
    row = {
        "signal_pool_size": rows.Expectation(plan, pool, weights, exposure_ty).of_pool["signal_pool_size"],
        "level": limits.LEVEL, "power": section.power, "interval": section.interval,
        "left_out": ", ".join(background.left_out),
        "n_background": float(background.weights.sum()), "background_pool_size": 0.0, "pool_limited": True,
        "method": NO_SIGNAL, "n_toys": section.n_toys, **dict.fromkeys((*LIMIT, *DISCOVERY)),
    }  # fmt: skip
    halves = weights[pool.pool.half == DENSITY_HALF], pool.signal(weights) * exposure_ty
    unbinned = background.unbinned(*halves)
    if unbinned is None:
        return row
    size = experiments.like_signal(unbinned)
    row |= {"background_pool_size": size, "pool_limited": min(size, row["signal_pool_size"]) < SMALLEST_TAIL}
    where, key = experiments.settled(unbinned), (*pool.stream_key, "limits", exposure_ty, m_chi_GeV)
    if section.n_toys:
        limit = neyman.limit(where, section.n_toys, key, section.interval, section.power)
    else:
        limit = limits.median_limit(where, power=section.power)
    row |= _limit(limit, where, study.signal.size.reference)
    if size := _discovered(study, m_chi_GeV):
        mu = size / study.signal.size.reference
        row |= _discovery(discovery.median(limits.binned(unbinned, mu), mu, section.n_toys, key))
    return row


def _limit(limit: limits.Limit, where: Experiment, reference: float) -> dict:
    strengths = {"limit_90": limit.mu_90, "limit_90_error": limit.error, "limit_low": limit.low,
                 "limit_high": limit.high, "power_constrained": limit.power_constrained,
                 "lower_end": limit.lower_end}  # fmt: skip
    sizes = {name: None if mu is None else mu * reference for name, mu in strengths.items()}
    return sizes | {"n_signal": float(limit.mu_90 * where.expected[-1]), "method": limit.method}


def _discovery(found: discovery.Discovery) -> dict:
    return dict(zip(DISCOVERY, (found.z, found.tail, found.z_asymptotic), strict=True))


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
    """One line an exposure: the limit at the benchmark's mass with its band, and its discovery there."""
    for row in limited.table.to_pylist():
        if row["m_chi_GeV"] == study.benchmark_signal.m_chi_GeV:
            said = _words(row, study.signal.size)
            yield f"{_name(row['m_chi_GeV'], row['exposure_ty'])}: {said}{_discovery_words(row, study)}"


def metrics(limited: results.Result, study: Study) -> dict[str, float]:
    """The limit and the discovery at the benchmark's mass by exposure, under names for MLflow."""
    limit, mass = study.signal.size.named("90"), study.benchmark_signal.m_chi_GeV
    names = {limit: f"limits/{limit}", "z_discovery": f"z/{STATISTIC}"}
    at_mass = [row for row in limited.table.to_pylist() if row["m_chi_GeV"] == mass]
    return {f"{name}_{lineage.label(row['exposure_ty'])}ty": row[column]
            for row in at_mass for column, name in names.items() if row[column] is not None}  # fmt: skip


def _words(row: dict, size: Size) -> str:
    limit, low, high = (row[size.named(word)] for word in ("90", "low", "high"))
    unit = f" {size.unit}" if size.unit else ""
    if limit is None:
        return "none, the pool has no signal event"
    poor = " (pool limited)" if row["pool_limited"] else ""
    end = "90 % CL" if row["interval"] == "upper" else "upper end of the unified 90 % CL interval"
    how = "asymptotic" if row["n_toys"] is None else f"Neyman construction by {row['n_toys']} toys"
    return f"{limit:.3g} [{low:.3g}, {high:.3g}]{unit}, median {end}, profile likelihood, {how}{poor}"


def _discovery_words(row: dict, study: Study) -> str:
    """Nothing where there is none: in a pool without signal."""
    if row["z_discovery_asymptotic"] is None:
        return ""
    size, asymptotic = study.signal.size, f"{row['z_discovery_asymptotic']:.2f} asymptotically"
    discovery = f"discovery of {study.benchmark_signal.value:g} {size.unit}".rstrip()
    if row["z_discovery"] is None:
        return f"; {discovery}: Z = {asymptotic}"
    bound = "> " if row["discovery_tail"] == "bound" else "= "
    return f"; {discovery}: Z {bound}{row['z_discovery']:.2f}, {asymptotic}"
