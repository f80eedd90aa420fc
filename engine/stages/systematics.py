"""Systematics: pools thrown in another detector, or scored by networks fitted with another seed, and the truths behind
each nuisance."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace

import numpy as np

from engine import lineage, schemas
from engine.assembly import population, results, rows
from engine.assembly.inputs import Inputs
from engine.inference import truth as truths
from engine.inference.cells import Choice
from engine.inference.hypothesis import Law
from engine.inference.pools import TOY_HALF
from engine.inference.population import Population
from engine.inference.systematics import GROUPS, effects, refit
from engine.inference.truth import Truth
from engine.lineage import row_label
from engine.plan.plan import Plan, Point, Wanted
from engine.plan.variations import AVERAGED, SEED, Variation, variations
from engine.store.parts import Part, of_rows
from engine.store.store import Ledger
from engine.store.units import Unit, totals
from engine.study import Study

NAME, VERSION, SCHEMA = "systematics", 6, schemas.VARIED
MAY_FAIL, REREAD = True, True
OF_SEEDS, OF_TRUTHS = ("z", "z_varied"), ("false_alarm_varied", "inflation", "inflation_error", "power_varied")

Row = tuple[Variation, float, float | None, str]  # a variation, an exposure, R and the name of a statistic
Thrown = tuple[Population, np.ndarray]  # a pool, and (pool,) its selected signal events per t y at the benchmark


def items(plan: Plan) -> list[str]:
    """Every row."""
    return list(places(plan))


def places(plan: Plan) -> dict[str, Row]:
    """Every row: item -> (variation, exposure_ty, R, statistic)."""
    return plan.once("systematics", lambda: _places(plan))


def _places(plan: Plan) -> dict[str, Row]:
    made = {}
    for variation in variations(plan.study):
        varied = pool_plan(plan, variation)
        pools = [plan.scored_pool, varied.scored_digest(varied.pool_shards("pool", variation.shift))]
        for exposure_ty in plan.exposures:
            for R, statistic in _moved(plan, variation):
                fields = _fields(plan, variation, exposure_ty, R, statistic)
                made[lineage.digest(NAME, VERSION, fields, pools)] = variation, exposure_ty, R, statistic
    return made


def pool_plan(plan: Plan, variation: Variation) -> Plan:
    """The plan whose networks score the pool of a variation: with another seed that of the fit, else the study's."""
    if variation.nuisance != SEED:
        return plan
    return next(one for one in plan.siblings if one.study.fit_seed == variation.amount)


def _moved(plan: Plan, variation: Variation) -> list[Wanted]:
    """(R, statistic) that a variation may move: another fit is another score, and nothing to those that see none."""
    return [pair for pair in plan.by_toys if variation.nuisance != SEED or pair[0] is not None]


def _fields(plan: Plan, variation: Variation, exposure_ty: float, R: float | None, statistic: str) -> dict:
    return {
        "variation": [variation.nuisance, variation.direction, variation.amount],
        "law": plan.law(exposure_ty, R, statistic), "benchmark": [plan.signal, plan.study.at],
        "n_toys": None if plan.study.toys.statistic(statistic)[0].EXACT is True else plan.study.toys.null,
    }  # fmt: skip


def amounts(plan: Plan, missing: set[str]) -> dict[str, float]:
    """Laws, by statistic; of those without one, toys times t y."""
    toys, made = plan.study.toys, []
    for item, (_, exposure_ty, _, statistic) in places(plan).items():
        if item in missing:
            has_law, name = toys.statistic(statistic)[0].EXACT is True, toys.statistic_name(statistic)
            made.append((name, 1) if has_law else (f"{name} by toys", toys.null * exposure_ty))
    return totals(made)


def units(inputs: Inputs, missing: set[str]) -> Iterable[Unit]:
    """One nuisance, exposure, R and statistic each, whichever ways it is moved: what is nominal is made once."""
    plan: Plan = inputs.plan
    nominal, signal = inputs.population, population.benchmark_weights(plan, inputs.population)
    shared, wanted = (inputs.share(plan), inputs.share((nominal, signal))), {}
    for item, (variation, *place) in places(plan).items():
        if item in missing:
            of_nuisance = wanted.setdefault(variation.nuisance, {})
            of_nuisance.setdefault(tuple(place), []).append((item, variation))
    for nuisance, of_nuisance in wanted.items():
        pools: dict[Variation, object] = {}
        for (exposure_ty, *pair), moved in of_nuisance.items():
            for _, variation in moved:
                if variation not in pools:
                    varied = varied_population(plan, inputs.ledger, nominal, variation)
                    pools[variation] = inputs.share((varied, population.benchmark_weights(plan, varied)))
            items, name = tuple(item for item, _ in moved), f"{row_label(pair[1], pair[0])}, {exposure_ty:g} t y"
            pools_moved = [pools[variation] for _, variation in moved]
            yield Unit((*shared, items, *pools_moved), items=items, name=f"{nuisance}, {name}")


def varied_population(plan: Plan, ledger: Ledger, nominal: Population, variation: Variation) -> Population:
    """The pool of a variation, with the weights of every background.

    Thrown under a shift of constants, whose f0 stays the nominal one; or the nominal events, as networks with another
    seed score them, and f0 of these scores.
    """
    if variation.nuisance == SEED:
        return population.population(pool_plan(plan, variation), ledger)
    if not variation.shift:
        return nominal
    return replace(population.population(plan, ledger, shift=variation.shift), f0=nominal.f0)


def work(plan: Plan, nominal: Thrown, items: tuple[str, ...], *moved: Thrown) -> Iterator[Part]:
    """The rows of the variations of one nuisance at one exposure, for one score and statistic; moved: of each item."""
    benchmark, (_, exposure_ty, R, statistic) = plan.study.benchmark_signal, places(plan)[items[0]]
    expected = rows.Expectation(plan, nominal[0], nominal[1] / benchmark.scale, exposure_ty)
    pairs = [(places(plan)[item][0], thrown) for item, thrown in zip(items, moved, strict=True)]
    columns = _moved_columns(plan, nominal, pairs, exposure_ty, (R, statistic))
    for item, of_item in zip(items, columns, strict=True):
        row = expected.row(R, statistic, benchmark.value) | {"lineage": item} | of_item
        yield of_rows(NAME, SCHEMA, [row])


def _moved_columns(
    plan: Plan, nominal: Thrown, moved: list[tuple[Variation, Thrown]], exposure_ty: float, pair: Wanted
) -> Iterator[dict]:
    """The columns that say what each variation does; all are of one nuisance."""
    R, statistic = pair
    sides = [
        _changed(plan, variation, _truth(nominal, R, exposure_ty), _truth(thrown, R, exposure_ty))
        for variation, thrown in moved
    ]
    choice, numbers = Choice(R, *plan.study.toys.statistic(statistic)), (nominal[0].stream_key, plan.study.toys.null)
    null, refitted = nominal[0].null(R, exposure_ty), moved[0][0].nuisance == SEED
    if refitted:
        nulls = [(null, thrown[0].null(R, exposure_ty)) for _, thrown in moved]
        done = (refit(of_both, choice, side, *numbers) for of_both, side in zip(nulls, sides, strict=True))
    else:
        done = effects(null, choice, sides[0][0], [varied for _, varied in sides], *numbers)
    same_unit = not refitted or choice.module.MONOTONE_INVARIANT  # then q follows from ranks, whatever the score is
    for side, one in zip(sides, done, strict=True):
        columns, expected = asdict(one), [sum(share * law.n_expected for share, law in truth.laws) for truth in side]
        yield dict.fromkeys((*OF_SEEDS, *OF_TRUTHS)) | columns | {
            "threshold_shift": columns["threshold_varied"] - columns["threshold"] if same_unit else None,
            "n_background": expected[0], "n_background_varied": expected[1],
            "n_signal_varied": float(side[1].signal.sum()),
        }  # fmt: skip


def _truth(thrown: Thrown, R: float | None, exposure_ty: float) -> Truth:
    """What the half of a pool that toys draw from says of experiments."""
    pool, signal = thrown
    half = pool.pool.half == TOY_HALF
    law = pool.null(R, exposure_ty).drawn
    return Truth(((1.0, law),), pool.signal(signal) * exposure_ty, pool.pool.groups(GROUPS)[half])


def _changed(plan: Plan, variation: Variation, nominal: Truth, varied: Truth) -> tuple[Truth, Truth]:
    """The two truths: a shift of constants is in the varied pool already."""
    if variation.nuisance == "leakage":
        if variation.direction == AVERAGED:
            return nominal, varied.changed(lambda law: truths.averaged(law, variation.amount))
        return nominal, varied.changed(lambda law: [(1.0, law.leaking(variation.amount))])
    if variation.nuisance == "rates":
        sd = {name: plan.study.backgrounds.relative_uncertainty(name) for name in plan.study.backgrounds.components}
        return nominal.changed(_known), varied.changed(lambda law: [(1.0, _drawn(law, sd))])
    return nominal, varied


def _known(law: Law) -> list[tuple[float, Law]]:
    return [(1.0, replace(law, relative_sd=np.zeros(len(law.names))))]


def _drawn(law: Law, relative_sd: dict[str, float]) -> Law:
    return replace(law, relative_sd=np.array([relative_sd[name] for name in law.names]))


def result(inputs: Inputs) -> results.Result | None:
    """All rows in the order of the plan; None where the study asks for no systematics."""
    plan, place_of = inputs.plan, places(inputs.plan)
    if not place_of:
        return None
    stored, benchmark = [], plan.study.benchmark_signal
    for row in inputs.ledger.rows(list(place_of), "lineage").to_pylist():
        variation, exposure_ty, R, statistic = place_of[row["lineage"]]
        point = Point(exposure_ty, benchmark.m_chi_GeV, benchmark.value, "benchmark")
        row |= rows.joined(plan, point, R, statistic) | asdict(variation)
        stored.append(row | ({"rates": "idealised"} if variation.nuisance == "rates" else {}))
    return results.Result(schemas.of_rows(schemas.systematics(plan.study.signal.size), stored), None)


def lines(varied: results.Result | None, study: Study) -> Iterator[str]:
    """Of each statistic at the largest exposure, what every nuisance makes of its false alarms, and seeds of power."""
    if varied is None:
        return
    all_rows, groups = varied.table.to_pylist(), {}
    largest = max(row["exposure_ty"] for row in all_rows)
    for row in all_rows:
        if row["exposure_ty"] == largest:
            title = "power" if row["nuisance"] == SEED else "false alarms"
            groups.setdefault((title, row_label(row["statistic"], row["R"])), []).append(_words(row))
    for (title, name), what in groups.items():
        yield f"{title} at 3 sigma, {largest:g} t y, {name}: {', '.join(what)}"


def _words(row: dict) -> str:
    if row["nuisance"] == SEED:
        return f"{row['power_recalibrated']:.3g} with seed {row['amount']:g}, not {row['power']:.3g}"
    error = "" if row["inflation_error"] is None else f"+-{row['inflation_error']:.1g}"
    return f"{row['nuisance']} {row['direction']} x{row['inflation']:.3g}{error}"
