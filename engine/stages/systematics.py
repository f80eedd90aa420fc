"""Systematics: pools thrown in another detector, or scored by networks fitted with another seed, and the truths behind
each nuisance."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, replace

import numpy as np

from engine import lineage, schemas
from engine.assembly import population, results, rows
from engine.assembly.inputs import Inputs
from engine.errors import UNANSWERED, Unanswerable
from engine.inference import truth as truths
from engine.inference.cells import Choice
from engine.inference.hypothesis import Law
from engine.inference.pools import TOY_HALF
from engine.inference.population import Population
from engine.inference.systematics import GROUPS, Nominal, refit
from engine.inference.truth import Truth
from engine.lineage import row_label
from engine.plan.plan import Plan, Point, Wanted
from engine.plan.variations import AVERAGED, SEED, Variation, variations
from engine.store.parts import Part, of_rows
from engine.store.store import Ledger
from engine.store.units import Unit, totals
from engine.study import Study

NAME, VERSION, SCHEMA = "systematics", 6, schemas.VARIED
OF_SCORES, MAY_FAIL, REREAD = True, True, True
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
    """One nuisance, exposure, R and statistic each, whichever ways it is moved: what is nominal is made once.

    Every further fit is a unit, since two thresholds are made for each.
    """
    plan: Plan = inputs.plan
    nominal, shared = inputs.population, inputs.share(plan)
    thrown, wanted = inputs.share((nominal, population.benchmark_weights(plan, nominal))), {}
    for item, (variation, *place) in places(plan).items():
        if item in missing:
            together = variation if variation.nuisance == SEED else variation.nuisance
            wanted.setdefault(together, {}).setdefault(tuple(place), []).append((item, variation))
    for of_nuisance in wanted.values():
        pools: dict[Variation, object] = {}
        for (exposure_ty, *pair), moved in of_nuisance.items():
            for _, variation in moved:
                if variation not in pools:
                    varied = varied_population(plan, inputs.ledger, nominal, variation)
                    is_nominal = varied is nominal
                    weights = None if is_nominal else population.benchmark_weights(plan, varied)
                    pools[variation] = thrown if is_nominal else inputs.share((varied, weights))
            asked, name = tuple(item for item, _ in moved), f"{row_label(pair[1], pair[0])}, {exposure_ty:g} t y"
            arguments = (shared, thrown, asked, *(pools[variation] for _, variation in moved))
            yield Unit(arguments, items=asked, name=f"{moved[0][1].nuisance}, {name}")


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


def work(plan: Plan, nominal: Thrown, asked: tuple[str, ...], *moved: Thrown) -> list[Part]:
    """The rows of variations of one nuisance at one exposure, for one score and statistic; moved: the pool of each.

    Raises Unanswerable, with the others' rows, where some variations have no answer.
    """
    benchmark, (first, exposure_ty, R, statistic) = plan.study.benchmark_signal, places(plan)[asked[0]]
    expected = rows.Expectation(plan, nominal[0], nominal[1] / benchmark.scale, exposure_ty)
    row, parts, reasons = expected.row(R, statistic, benchmark.value), [], {}
    columns = _columns_of(plan, nominal, first.nuisance, exposure_ty, (R, statistic))
    for item, thrown in zip(asked, moved, strict=True):
        variation = places(plan)[item][0]
        try:
            parts.append(of_rows(NAME, SCHEMA, [row | {"lineage": item} | columns(variation, thrown)]))
        except UNANSWERED as error:
            reasons[item] = f"{variation.direction} {variation.amount:g}", error
    if reasons:
        raise Unanswerable(parts, reasons)
    return parts


def _columns_of(
    plan: Plan, nominal: Thrown, nuisance: str, exposure_ty: float, pair: Wanted
) -> Callable[[Variation, Thrown], dict]:
    """What gives the columns that say what a variation of the nuisance does, by it and its pool."""
    R, statistic = pair
    choice, numbers = Choice(R, *plan.study.toys.statistic(statistic)), (nominal[0].stream_key, plan.study.toys.null)
    null, truth = nominal[0].null(R, exposure_ty), _truth(nominal, R, exposure_ty)
    truth = truth.changed(_known) if nuisance == "rates" else truth
    effect = None if nuisance == SEED else Nominal(null, choice, truth, *numbers).effect
    same_unit = effect is not None or choice.module.MONOTONE_INVARIANT  # q follows from ranks, whatever the score is

    def columns(variation: Variation, thrown: Thrown) -> dict:
        varied = _varied(plan, variation, _truth(thrown, R, exposure_ty))
        if effect is None:
            done = refit((null, thrown[0].null(R, exposure_ty)), choice, (truth, varied), *numbers)
        else:
            done = effect(varied)
        n_background, n_varied = (sum(share * law.n_expected for share, law in one.laws) for one in (truth, varied))
        return dict.fromkeys((*OF_SEEDS, *OF_TRUTHS)) | asdict(done) | {
            "threshold_shift": done.threshold_varied - done.threshold if same_unit else None,
            "n_background": n_background, "n_background_varied": n_varied,
            "n_signal_varied": float(varied.signal.sum()),
        }  # fmt: skip

    return columns


def _truth(thrown: Thrown, R: float | None, exposure_ty: float) -> Truth:
    """What the half of a pool that toys draw from says of experiments."""
    pool, signal = thrown
    half = pool.pool.half == TOY_HALF
    law = pool.null(R, exposure_ty).drawn
    return Truth(((1.0, law),), pool.signal(signal) * exposure_ty, pool.pool.groups(GROUPS)[half])


def _varied(plan: Plan, variation: Variation, truth: Truth) -> Truth:
    """The truth behind a variation; a shift of constants is in its pool already."""
    if variation.nuisance == "leakage":
        if variation.direction == AVERAGED:
            return truth.changed(lambda law: truths.averaged(law, variation.amount))
        return truth.changed(lambda law: [(1.0, law.leaking(variation.amount))])
    if variation.nuisance == "rates":
        sd = {name: plan.study.backgrounds.relative_uncertainty(name) for name in plan.study.backgrounds.components}
        return truth.changed(lambda law: [(1.0, _drawn(law, sd))])
    return truth


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
