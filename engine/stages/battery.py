"""The battery: from which exposure on every statistic on every score finds each of a list of signals, none of which the
search knows, beside oracles that know each."""

from collections.abc import Iterable, Iterator
from itertools import groupby

import numpy as np
import pyarrow as pa

from engine import lineage
from engine.assembly import battery as arenas
from engine.assembly import battery_rows, results
from engine.assembly.battery import Arena
from engine.assembly.inputs import Inputs
from engine.inference import battery, reach
from engine.inference.battery import Alternatives, Crossing
from engine.inference.cells import Choice
from engine.inference.pools import TOY_HALF, effective_size
from engine.inference.population import Population
from engine.plan import battery_plan
from engine.plan.battery_plan import KNOWN_PLANE, Target, chosen_scores, n_choices, targets
from engine.plan.plan import Plan
from engine.stages import battery_schemas
from engine.store.parts import Part, of_rows
from engine.store.store import Ledger
from engine.store.units import Unit, totals
from engine.study import Study

NAME, VERSION, SCHEMA = "battery", 2, battery_schemas.BATTERY_ROW
OF_SCORES, MAY_FAIL, STALLS = True, True, False  # a unit is the search of all signals by one statistic
TABLES, table_schema, TABLE_VERSION = "battery_tables", battery_schemas.battery, 1


def items(plan: Plan) -> list[str]:
    """Every exposure that is sought; none without the section, and for further training seeds."""
    return list(places(plan))


def places(plan: Plan) -> dict[str, Target]:
    """Every exposure that is sought, by its item."""
    if not (plan.study.battery and plan.tabled):
        return {}
    return plan.once(NAME, lambda: {battery_plan.item(plan, VERSION, one): one for one in targets(plan)})


def amounts(plan: Plan, missing: set[str]) -> dict[str, float]:
    """Searches, by statistic; each takes as many laws under background as an average over the leakage does."""
    name = plan.study.toys.statistic_name
    return totals((name(one.statistic), plan.n_laws) for item, one in places(plan).items() if item in missing)


def units(inputs: Inputs, missing: set[str]) -> Iterable[Unit]:
    """A statistic on a score each, with all signals; of oracles, whose null is another for every signal, a signal."""
    plan: Plan = inputs.plan
    arena, shared = arenas.arena(plan, inputs.ledger, inputs.population), inputs.share(plan)
    on_score = {one.name: inputs.share(arena.on(one.R, arenas.ts(plan, arena.population, one)))
                for one in chosen_scores(plan)} | {None: inputs.share(arena)}  # fmt: skip
    wanted = [(item, target) for item, target in places(plan).items() if item in missing]
    for (score, statistic, alone), some in groupby(wanted, lambda pair: _together(pair[1])):
        mine, name = list(some), f"battery: {statistic}, {score or 'no score'}{f', {alone}' if alone else ''}"
        of_unit = inputs.share(arenas.of_oracle(arena, alone)) if score == KNOWN_PLANE else on_score[score]
        yield Unit((shared, of_unit, mine), items=tuple(item for item, _ in mine), name=name)


def _together(target: Target) -> tuple[str | None, str, str | None]:
    return target.score, target.statistic, target.signal if target.is_oracle else None


def work(plan: Plan, arena: Arena, wanted: list[tuple[str, Target]]) -> list[Part]:
    """The exposures of several signals by one statistic on one score, as one part."""
    first = wanted[0][1]
    arena = arena.only(first.signal) if first.is_oracle else arena
    alternatives = {target.signal: arena.alternatives[target.signal] for _, target in wanted}
    choice = Choice(first.R, *plan.study.toys.statistic(first.statistic))
    found = _sought(plan, arena.population, choice, alternatives)
    return [of_rows(NAME, SCHEMA, [found[target.signal] | {"lineage": item} for item, target in wanted])]


def _sought(plan: Plan, population: Population, choice: Choice, alternatives: Alternatives) -> dict[str, dict]:
    """The row of each signal, but for its lineage."""
    section, k = plan.study.reach, n_choices(plan)
    aim = reach.Aim(section.p, section.power)
    of_k = aim.z if choice.module.MODEL_DEPENDENT else battery.priced_z(section.p, k)
    z = battery.climbed(population, choice, alternatives, aim, (aim.z, of_k), *section.exposure_ty)
    alone = {name: battery.passed(one, aim.z) for name, one in z.items()}
    errors = battery.t3_errors(population, choice, alternatives, alone, aim, section.groups)
    low, high = section.exposure_ty
    limited = _limited(population, choice, {name: one.rung_ty or high for name, one in alone.items()})
    shared = {
        "from_ty": low, "to_ty": high, "p_false_alarm": section.p, "power": section.power, "n_choices": k,
        "groups": section.groups, "n_background_per_ty": population.n_background(1.0),
        "er_leakage": population.er_leakage, "leakage_known": population.leakage.known_to,
    }  # fmt: skip
    half = population.pool.half == TOY_HALF
    return {name: shared | {
        "status": one.status, "t3_ty": _finite(one), "t3_error_ty": errors.get(name),
        "t3_priced_ty": _finite(battery.passed(z[name], of_k)), "pool_limited": limited[name],
        "n_signal_per_ty": float(alternatives[name].weights.sum()),
        "signal_pool_size": effective_size(alternatives[name].weights[half]),
    } for name, one in alone.items()}  # fmt: skip


def _finite(found: Crossing) -> float | None:
    return found.exposure_ty if np.isfinite(found.exposure_ty) else None


def _limited(population: Population, choice: Choice, at_ty: dict[str, float]) -> dict[str, bool]:
    """Whether too few pool events stand behind the statistic, at an exposure of each signal."""
    of_exposure = {one: bool(getattr(choice.prepare(population.null(choice.R, one)), "pool_limited", False))
                   for one in set(at_ty.values())}  # fmt: skip
    return {name: of_exposure[one] for name, one in at_ty.items()}


def table_item(plan: Plan) -> str | None:
    """Item of the table; None where there is none."""
    made = items(plan)
    return lineage.digest("battery_table", TABLE_VERSION, plan.words_of_rows, made) if made else None


def table(plan: Plan, ledger: Ledger) -> pa.Table:
    """All rows in the order of the plan, of each signal beside the oracle's, and `combined` behind them."""
    stored = ledger.rows(list(places(plan)), "lineage").to_pylist()
    return battery_rows.table(plan, table_schema(plan.study.signal.size), stored, places(plan))


def lines(found: results.Result, study: Study) -> Iterator[str]:
    """What every statistic on every score is blind to, and of each signal the oracle, the best and the combined."""
    if not len(found.table):
        return
    for one in battery_rows.ranking(found.table):
        yield f"battery, {one.words}: {one.said}"
    for signal in battery_rows.signals(found.table):
        yield f"battery, {signal}: {battery_rows.said_of(found.table, signal)}"
    yield f"battery: {battery_rows.answer(found.table)}"


def metrics(found: results.Result, study: Study) -> dict[str, float]:
    """Worst and median ratio to the oracle of `combined`, and of every statistic on a score; a lower bound is logged
    under a name that says so. Ratios of `combined` by signal."""
    made = {}
    for one in battery_rows.ranking(found.table) if len(found.table) else ():
        place = "" if one.is_combined else f"_{one.label}"
        for what, (value, is_bound) in (("worst", one.worst), ("median", one.median)):
            made[f"battery/{what}_ratio{place}{'_at_least' if is_bound else ''}"] = value
        made[f"battery/blind_to{place}"] = float(len(one.blind_to))
    return made | battery_rows.ratios_of_combined(found.table)
