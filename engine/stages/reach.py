"""The exposure from which on a statistic finds the signal with three sigma: by laws, and where asked for, by toys."""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa

from engine import lineage, schemas
from engine.assembly import foresight, population, results, rows
from engine.assembly.inputs import Inputs
from engine.errors import BadInput
from engine.inference import jackknife, reach, reach_toys
from engine.inference.cells import Choice
from engine.inference.population import Population
from engine.lineage import row_label
from engine.plan.plan import Plan, Point, Wanted
from engine.stages import reach_schemas
from engine.store.parts import Part, of_rows
from engine.store.store import Ledger
from engine.store.units import Unit, totals
from engine.study import SignalPoint, Study

NAME, VERSION, SCHEMA = "reach", 6, reach_schemas.REACH_ROW
OF_SCORES, MAY_FAIL, STALLS = True, True, False  # a search is a task of many laws, any of which may take its time
TABLES, table_schema = "reach_tables", reach_schemas.reach
TABLE_VERSION, TOYS_VERSION = 6, 4
ORACLE, COUNT = "known_signal", "count"  # what a reach is compared with

Target = tuple[float | None, str, float | None, float]  # R, the name of a statistic, m_chi_GeV, size


def items(plan: Plan) -> list[str]:
    """Every exposure that is sought."""
    return list(targets(plan))


def targets(plan: Plan) -> dict[str, Target]:
    """Every exposure that is sought: by laws first, then by toys."""
    return by_law(plan) | by_toys(plan)


def by_law(plan: Plan) -> dict[str, Target]:
    """Targets in every place of the study: beside what it asks for, the oracle of every score and the count, which
    stand beside what toys and few statistics find too. Nothing where no law is known, nor toys asked for.
    """
    section, at = plan.study.reach, plan.study.at
    toys_places = section.toys_places(at) if without_law(plan) else []
    beside = [*((R, ORACLE) for R in plan.study.score.R), (None, COUNT)]
    pairs = [*plan.exactly, *(pair for pair in beside if pair not in plan.exactly)]
    is_on = section.enabled and plan.exactly
    wanted = [(pair, place) for place in section.places(at) for pair in pairs] if is_on else []
    wanted += [(pair, (point.m_chi_GeV, point.size)) for point in section.points if is_on
               for pair in pairs if pair in beside or point.is_sought_by(pair[1])]  # fmt: skip
    wanted += [(pair, place) for place in toys_places for pair in beside if (pair, place) not in wanted]
    numbers = section.model_dump(include={"exposure_ty", "p", "power", "groups"})
    return {_item(plan, "reach", VERSION, pair, place, numbers): (*pair, *place) for pair, place in wanted}


def by_toys(plan: Plan) -> dict[str, Target]:
    """Targets of the statistics without a law, at masses of their own."""
    section, toys = plan.study.reach, plan.study.toys
    numbers = section.model_dump(include={"exposure_ty", "p", "power"})
    numbers |= {"toys": [toys.null, toys.signal], "groups": section.toys_groups}
    wanted = [(pair, place) for place in section.toys_places(plan.study.at) for pair in without_law(plan)]
    return {_item(plan, "reach_toys", TOYS_VERSION, pair, place, numbers): (*pair, *place) for pair, place in wanted}


def without_law(plan: Plan) -> list[Wanted]:
    """(R, statistic) of those that only toys serve."""
    return [pair for pair in plan.by_toys if pair not in plan.exactly]


def _item(plan: Plan, stage: str, version: int, pair: Wanted, place: tuple, numbers: dict) -> str:
    """`numbers`: what an exposure follows from beside the statistic and its place."""
    fields = [numbers, plan.place(Point(None, *place, "reach")), plan.law(None, *pair)]
    return lineage.digest(stage, version, fields, [plan.scored_pool])


def amounts(plan: Plan, missing: set[str]) -> dict[str, float]:
    """Searches and those of their jack-knives, by statistic; by toys, in toys times the smallest exposure."""
    toys, section, name = plan.study.toys, plan.study.reach, plan.study.toys.statistic_name
    named = {statistic: name(statistic) for statistic in toys.statistics}
    by_laws = [named.get(of[1], of[1]) for item, of in by_law(plan).items() if item in missing]
    drawn = (toys.null + toys.signal) * section.exposure_ty[0] * (1 + (section.toys_groups or 0))
    drawing = [f"{named[of[1]]} by toys" for item, of in by_toys(plan).items() if item in missing]
    return totals([*((one, plan.n_laws + section.groups) for one in by_laws), *((one, drawn) for one in drawing)])


def units(inputs: Inputs, missing: set[str]) -> Iterable[Unit]:
    """One search each."""
    plan: Plan = inputs.plan
    wanted = {item: target for item, target in targets(plan).items() if item in missing}
    shared = inputs.share(plan), inputs.share(inputs.population)
    weights = {mass: inputs.share(w) for mass, w in _signals(plan, inputs.population, wanted).items()}
    for item, target in wanted.items():
        R, statistic, mass, size = target
        name = f"reach of {row_label(statistic, R)}, {plan.words(Point(None, mass, size, 'reach'))}"
        yield Unit((*shared, weights[mass], item, target), items=(item,), name=name)


def _signals(plan: Plan, pool: Population, wanted: dict[str, Target]) -> dict[float | None, np.ndarray]:
    """(pool,) signal weights at the size's reference, by mass.

    Raises BadInput where the first toys of a search would be so full that a digit has slipped.
    """
    masses = {mass for _, _, mass, _ in wanted.values()}
    weights = {mass: population.signal_weights(plan.study.signal.at(mass), pool) for mass in masses}
    low_ty = plan.study.reach.exposure_ty[0]
    for item in by_toys(plan).keys() & wanted.keys():
        _, _, mass, size = wanted[item]
        n_events = weights[mass].sum() * plan.study.signal.at(mass, size).scale * low_ty
        if n_events > foresight.MOST_EVENTS:
            words = plan.words(Point(low_ty, mass, size, "reach"))
            raise BadInput(f"reach.by_toys: {words}: {n_events:.2g} signal events are expected in a toy; "
                           f"at most {foresight.MOST_EVENTS:.0e} are drawn")  # fmt: skip
    return weights


def work(plan: Plan, pool: Population, signal_weights: np.ndarray, item: str, target: Target) -> list[Part]:
    """The exposure of one statistic, R and mass, with its error. signal_weights (pool,): at the size's reference."""
    (R, statistic, mass, size), is_by_toys = target, item in by_toys(plan)
    (choice,) = population.choices(plan, [(R, statistic)])
    signal = plan.study.signal.at(mass, size)
    reached = (_by_toys if is_by_toys else _by_law)(plan, pool, choice, signal_weights * signal.scale, signal)
    section, schema = plan.study.reach, reach_schemas.REACH_TOYS_ROW if is_by_toys else reach_schemas.REACH_ROW
    low, high = section.exposure_ty
    at_ty = high if reached["t3_ty"] is None else reached["t3_ty"]
    expected = rows.Expectation(plan, pool, signal_weights, at_ty).row(R, statistic, size)
    expected["pool_limited"] |= reached.pop("disagree", False)
    row = {name: expected[name] for name in schema.names if name in expected} | reached | {
        "from_ty": low, "to_ty": high, "p_false_alarm": section.p, "power": section.power, "groups": section.groups,
        "lineage": item,
    }  # fmt: skip
    return [of_rows(NAME, schema, [row])]


def _by_law(plan: Plan, pool: Population, choice: Choice, weights: np.ndarray, signal: SignalPoint) -> dict:
    """What a row says of an exposure that laws give."""
    section = plan.study.reach
    aim = reach.Aim(section.p, section.power)
    estimate, search = reach.find(pool, choice, weights, aim, *section.exposure_ty)
    errors = reach.pool_error(pool, choice, weights, aim, search, estimate, section.groups)
    row = _of(estimate) | {"t3_error_ty": None}
    if errors is not None:
        row["t3_error_ty"], z_error = errors
        shift = jackknife.half_z_shift(pool, choice, weights, estimate.exposure_ty)
        row["disagree"] = shift is not None and bool(jackknife.halves_disagree(shift, z_error))
    return row


def _by_toys(plan: Plan, pool: Population, choice: Choice, weights: np.ndarray, signal: SignalPoint) -> dict:
    """What a row says of an exposure that toys give: those that a cell has."""
    section, n_toys = plan.study.reach, (plan.n_toys("null"), plan.n_toys("signal"))
    aim = reach.Aim(section.p, section.power)
    estimate = reach_toys.find(pool, choice, weights, signal.key, aim, section.exposure_ty, n_toys, section.toys_groups)
    return _of(estimate) | {
        "t3_error_ty": estimate.error_ty, "t3_low_ty": estimate.low_ty, "t3_high_ty": estimate.high_ty,
        "n_toys_null": n_toys[0], "n_toys_signal": n_toys[1],
    }  # fmt: skip


def _of(estimate: reach.FoundExposure | reach_toys.ToyReach) -> dict:
    t3_ty = None if estimate.status == reach.BEYOND else estimate.exposure_ty
    return {"status": estimate.status, "t3_ty": t3_ty, "checked_to_ty": estimate.checked_to_ty}


def table_item(plan: Plan) -> str | None:
    """Item of the table of all exposures sought; None where there is none."""
    if not by_law(plan):
        return None
    made = [*targets(plan), *(item for sibling in plan.siblings for item in by_law(sibling))]
    return lineage.digest("reach_table", TABLE_VERSION, None, made)


def table(plan: Plan, ledger: Ledger) -> pa.Table:
    """All rows of the study (`reach_schemas.reach`), sorted, each beside the oracle's and the count's."""
    laws, toys, of_seeds = by_law(plan), by_toys(plan), _t3_of_seeds(plan, ledger)
    nothing = dict.fromkeys(reach_schemas.REACH_TOYS_ROW.names) | {"n_toys_null": 0, "n_toys_signal": 0}
    stored = [nothing | row | {"method": "exact"} for row in ledger.rows(list(laws), "lineage").to_pylist()]
    if toys:
        stored += [row | {"method": "toys"} for row in ledger.rows(list(toys), "lineage").to_pylist()]
    t3_ty = {laws[row["lineage"]]: row["t3_ty"] for row in stored if row["method"] == "exact"}
    for row in stored:
        R, statistic, mass, size = target = (laws | toys)[row["lineage"]]
        # of a statistic that looks at no score, the best oracle that the scores have
        weights = [R] if R is not None else plan.study.score.R
        oracles = [t3 for weight in weights if (t3 := t3_ty[weight, ORACLE, mass, size]) is not None]
        own = [_found(row)] if plan.is_one_of_siblings else []
        row["t3_seed_error_ty"] = results.spread([*own, *of_seeds.get(target, ())])
        row["t3_oracle_ty"], row["t3_count_ty"] = min(oracles, default=None), t3_ty[None, COUNT, mass, size]
        row |= rows.joined(plan, Point(None, mass, size, "reach"), R, statistic)
    size = plan.study.signal.size
    order = [(name, "ascending") for name in ("m_chi_GeV", size.name, "R", "statistic")]
    return schemas.of_rows(reach_schemas.reach(size), stored).sort_by(order)


def _t3_of_seeds(plan: Plan, ledger: Ledger) -> dict[Target, list[float | None]]:
    """The exposures by further training seeds; None where one is outside the range."""
    t3_ty = {}
    for laws in map(by_law, plan.siblings):
        for row in ledger.rows(list(laws), "lineage").to_pylist() if laws else ():
            t3_ty.setdefault(laws[row["lineage"]], []).append(_found(row))
    return t3_ty


def _found(row: dict) -> float | None:
    return row["t3_ty"] if row["status"] == reach.FOUND else None


def lines(reached: results.Result, study: Study) -> Iterator[str]:
    """One line a row: statistic, exposure and its error, the oracle's."""
    size = study.signal.size
    for row in reached.table.to_pylist():
        at = "" if row["m_chi_GeV"] is None else f" at {row['m_chi_GeV']:g} GeV"
        at += f", {row[size.name]:g} {size.unit}" if row[size.name] != study.reach.size_at(study.at) else ""
        oracle = "" if row["statistic"] == ORACLE else f", oracle {_t3(row['t3_oracle_ty'], row)}"
        by = ", by toys" if row["method"] == "toys" else ""
        limited = " (pool limited)" if row["pool_limited"] else ""
        yield f"T3{at}: {row_label(row['statistic'], row['R'])} {_words(row)}{limited}{by}{oracle}"


def metrics(reached: results.Result, study: Study) -> dict[str, float]:
    """Every exposure that was found, by a name for MLflow, with its mass where there are several, or its point."""
    size = study.signal.size.name
    main = study.reach.size_at(study.at)
    several = len({row["m_chi_GeV"] for row in reached.table.to_pylist() if row[size] == main}) > 1
    t3_ty = {}
    for row in reached.table.to_pylist():
        if row["status"] == reach.FOUND:
            mass = f"_{lineage.label(row['m_chi_GeV'])}GeV" if several or row[size] != main else ""
            mass += f"_{lineage.label(row[size])}" if row[size] != main else ""
            label = f"{row_label(row['statistic'], row['R'])}{mass}"
            t3_ty[f"t3/ty_{label}"] = row["t3_ty"]
            if row["t3_seed_error_ty"] is not None:
                t3_ty[f"t3/seed_error_ty_{label}"] = row["t3_seed_error_ty"]
    return t3_ty


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
