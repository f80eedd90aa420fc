"""The systematics of a study and their rows: pools thrown in another detector, or scored by networks fitted with
another seed, and the truths behind each nuisance."""

from dataclasses import asdict, replace

import numpy as np
import pyarrow as pa

from engine import schemas
from engine.assembly import assemble, rows
from engine.inference import truth as truths
from engine.inference.cells import Choice
from engine.inference.hypothesis import Law
from engine.inference.pools import KINDS, TOY_HALF
from engine.inference.population import Population
from engine.inference.systematics import GROUPS, effect, refit
from engine.inference.truth import Truth
from engine.lineage import row_label
from engine.physics import spectra
from engine.plan.plan import Plan, Wanted
from engine.plan.variations import AVERAGED, SEED, Variation, pool_plan
from engine.store.parts import Part
from engine.store.store import Ledger

OF_SEEDS, OF_TRUTHS = ("z", "z_varied"), ("false_alarm_varied", "inflation", "inflation_error", "power_varied")


def population(plan: Plan, ledger: Ledger, nominal: Population, variation: Variation) -> Population:
    """The pool of a variation, with the weights of every background.

    Thrown under a shift of constants, whose f0 stays the nominal one; or the nominal events, as networks with another
    seed score them, and f0 of these scores.
    """
    if variation.nuisance == SEED:
        return assemble.population(pool_plan(plan, variation), ledger)
    if not variation.shift:
        return nominal
    return replace(assemble.population(plan, ledger, shift=variation.shift), f0=nominal.f0)


def benchmark(plan: Plan, population: Population) -> np.ndarray:
    """(pool,) selected signal events per t y that each pool event stands for, at the benchmark."""
    weights = assemble.signal_weights(plan.study.signal, population, plan.study.at.get("m_chi_GeV"))
    return weights * _scale(plan)


def compute(
    plan: Plan, nominal: Population, varied: Population, signals: tuple[np.ndarray, np.ndarray],
    variation: Variation, exposure_ty: float, pair: Wanted,
) -> list[Part]:  # fmt: skip
    """The row of one variation at one exposure, for one score and statistic.

    signals: (pool,) selected signal events per t y at the benchmark, of the nominal and of the varied pool.
    """
    item = next(item for item, place in plan.systematics.items() if place == (variation, exposure_ty, *pair))
    mass, size = plan.study.at.get("m_chi_GeV"), plan.study.at[plan.study.signal.axes[-1]]
    described = rows.Describer(plan, nominal, signals[0] / _scale(plan), exposure_ty).row(*pair, mass, size)
    row = {name: described[name] for name in schemas.SYSTEMATICS.names if name in described} | {"lineage": item}
    row |= _moved(plan, nominal, varied, signals, variation, exposure_ty, pair)
    table = schemas.table(schemas.SYSTEMATICS, {name: [value] for name, value in row.items()})
    return [Part(f"systematics/{item}.parquet", (item,), table)]


def _scale(plan: Plan) -> float:
    size = plan.study.signal.axes[-1]
    return plan.study.at[size] / assemble.REFERENCE[size]


def _moved(plan, nominal, varied, signals, variation: Variation, exposure_ty: float, pair: Wanted) -> dict:
    """The columns that say what the variation does."""
    R, statistic = pair
    sides = [_truth(one, R, exposure_ty, s) for one, s in zip((nominal, varied), signals, strict=True)]
    sides = _changed(plan, nominal, variation, *sides)
    choice, numbers = Choice(R, *plan.study.toys.statistic(statistic)), (nominal.stream_key, plan.study.toys.null)
    null, refitted = nominal.null(R, exposure_ty), variation.nuisance == SEED
    if refitted:
        found = asdict(refit((null, varied.null(R, exposure_ty)), choice, tuple(sides), *numbers))
    else:
        found = asdict(effect(null, choice, *sides, *numbers))
    same_unit = not refitted or choice.module.MONOTONE_INVARIANT  # then q follows from ranks, whatever the score is
    expected = [sum(share * law.n_expected for share, law in side.laws) for side in sides]
    return dict.fromkeys((*OF_SEEDS, *OF_TRUTHS)) | found | {
        "nuisance": variation.nuisance, "direction": variation.direction, "amount": variation.amount,
        "threshold_shift": found["threshold_varied"] - found["threshold"] if same_unit else None,
        "n_background": expected[0], "n_background_varied": expected[1],
        "n_signal_varied": float(sides[1].signal.sum()),
        "rates": "idealised" if variation.nuisance == "rates" else plan.study.backgrounds.rates,
    }  # fmt: skip


def _truth(population: Population, R: float | None, exposure_ty: float, signal: np.ndarray) -> Truth:
    """What the half of a pool that toys draw from says of experiments."""
    half = population.pool.half == TOY_HALF
    law = population.null(R, exposure_ty).drawn
    return Truth(((1.0, law),), population.signal(signal) * exposure_ty, population.pool.groups(GROUPS)[half])


def _changed(plan: Plan, population: Population, variation: Variation, nominal: Truth, varied: Truth):
    """The two truths: a shift of constants is in the varied pool already."""
    if variation.nuisance == "leakage":
        leak = leak_of(plan, population)
        if variation.direction == AVERAGED:
            return nominal, varied.changed(lambda law: truths.averaged(law, leak, variation.amount))
        return nominal, varied.changed(lambda law: [(1.0, truths.leaking(law, leak, variation.amount))])
    if variation.nuisance == "rates":
        sd = {name: spectra.describe(*plan.study.backgrounds.spectrum(name))[1] for name in population.names}
        return nominal.changed(_known), varied.changed(lambda law: [(1.0, _drawn(law, sd))])
    return nominal, varied


def _known(law: Law) -> list[tuple[float, Law]]:
    return [(1.0, replace(law, relative_sd=np.zeros(len(law.names))))]


def _drawn(law: Law, relative_sd: dict[str, float]) -> Law:
    return replace(law, relative_sd=np.array([relative_sd[name] for name in law.names]))


def leak_of(plan: Plan, population: Population) -> np.ndarray:
    """(drawn events,) whether an event leaks; the point above which it does is set by the half of f0."""
    pool, nr = population.pool, KINDS.index("NR")
    half = pool.half == TOY_HALF
    recoils = np.where((pool.kind == nr) & ~half, population.weights.sum(axis=0), 0.0)
    acceptance = plan.study.systematics.nr_acceptance
    return truths.leaks(pool.terms["logit"], pool.kind, nr, recoils, acceptance)[half]


def table(plan: Plan, ledger: Ledger) -> pa.Table | None:
    """All rows in the order of the plan; None where the study asks for no systematics."""
    items = list(plan.systematics)
    return ledger.rows(items, "lineage").select(schemas.SYSTEMATICS.names) if items else None


def lines(table: pa.Table | None) -> list[str]:
    """Of each statistic at the largest exposure, what every nuisance makes of its false alarms, and seeds of power."""
    if table is None:
        return []
    rows, said = table.to_pylist(), {}
    largest = max(row["exposure_ty"] for row in rows)
    for row in rows:
        if row["exposure_ty"] == largest:
            title = "power" if row["nuisance"] == SEED else "false alarms"
            said.setdefault((title, row_label(row["statistic"], row["R"])), []).append(_words(row))
    return [f"{title} at 3 sigma, {largest:g} t y, {name}: {', '.join(what)}" for (title, name), what in said.items()]


def _words(row: dict) -> str:
    if row["nuisance"] == SEED:
        return f"{row['power_recalibrated']:.3g} with seed {row['amount']:g}, not {row['power']:.3g}"
    return f"{row['nuisance']} {row['direction']} x{row['inflation']:.3g}+-{row['inflation_error']:.1g}"
