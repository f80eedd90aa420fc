"""One search out of several: the smallest p over the statistics, values of R and fits of a study, on toys that all of
them share, with what the choice costs."""

from collections.abc import Iterable, Iterator
from itertools import groupby

import numpy as np
import pyarrow as pa

from engine import lineage, schemas
from engine.assembly import population, results, rows
from engine.assembly.inputs import Inputs
from engine.inference.cells import BackgroundToys, q_values
from engine.inference.combined import Calibration, combined
from engine.inference.population import Population
from engine.inference.significance import z_one_sided
from engine.lineage import row_label
from engine.plan.plan import HYPOTHESES, Plan
from engine.plan.points import Point, Wanted
from engine.store.parts import Part, of_rows
from engine.store.store import Ledger
from engine.store.units import Unit
from engine.study import Study

NAME, VERSION, SCHEMA = "combined", 1, schemas.COMBINED_ROW
MAY_FAIL = True
TABLES, table_schema, TABLE_VERSION = "combined_tables", schemas.combined, 1

Tried = list[tuple[Plan, list[Wanted]]]  # fits, and what is tried with each


def items(plan: Plan) -> list[str]:
    """Every point that the study names."""
    return list(places(plan))


def places(plan: Plan) -> dict[str, Point]:
    """Every point by its item; none without the section, and for further training seeds."""
    return plan.once(NAME, lambda: points_of(tried([plan, *plan.siblings]))) if plan.combined and plan.tabled else {}


def tried(plans: list[Plan]) -> Tried:
    """Of each fit what is tried: what looks at no score once."""
    found = [(plan, [pair for pair in plan.combined if plan is plans[0] or pair[0] is not None]) for plan in plans]
    return [(plan, pairs) for plan, pairs in found if pairs]


def points_of(choices: Tried, stage: str = NAME) -> dict[str, Point]:
    """Every point that a study names, by the item of what is tried there."""
    plan, numbers, drawn = choices[0][0], choices[0][0].study.toys, {}
    for exposure_ty in plan.exposures:
        items = [one.null_items(exposure_ty, hypothesis, *pair)
                 for one, pairs in choices for pair in pairs for hypothesis in HYPOTHESES]  # fmt: skip
        drawn[exposure_ty] = lineage.digest("toys", 1, None, items)
    n_toys, points = [numbers.null, numbers.signal], Plan(plan.study).points
    fields = [[plan.place(point) | {"density": None}, n_toys] for point in points]
    return {lineage.digest(stage, VERSION, of_point, [drawn[point.exposure_ty]]): point
            for point, of_point in zip(points, fields, strict=True)}  # fmt: skip


def amounts(plan: Plan, missing: set[str]) -> dict[str, float]:
    """Toys with signal, by statistic."""
    return amounts_of(tried([plan, *plan.siblings]), len(missing))


def amounts_of(choices: Tried, n_points: int) -> dict[str, float]:
    """Toys with signal at so many points, by statistic."""
    made: dict[str, float] = {}
    for plan, pairs in choices:
        for _, statistic in pairs:
            name = plan.study.toys.statistic_name(statistic)
            made[name] = made.get(name, 0.0) + plan.n_toys("signal") * n_points
    return made


def units(inputs: Inputs, missing: set[str]) -> Iterable[Unit]:
    """A point each; the cross-sections of one mass together have their toys once."""
    plan: Plan = inputs.plan
    return units_of(inputs, tried([plan, *plan.siblings]), places(plan), missing)


def units_of(
    inputs: Inputs, choices: Tried, places: dict[str, Point], missing: set[str], stage: str = NAME
) -> Iterator[Unit]:
    """Units for points `places`, of which `missing` are to be computed, over the fits `choices`."""
    plan, wanted = choices[0][0], [(item, point) for item, point in places.items() if item in missing]
    pools = [inputs.population if one is inputs.plan else inputs.under(one).population for one, _ in choices]
    signals = population.signals(plan, pools[0], (point for _, point in wanted))
    weights = {mass: inputs.share(of_mass) for mass, of_mass in signals.items()}
    shared = inputs.share(choices), inputs.share(pools)
    for exposure_ty, of_exposure in groupby(wanted, lambda one: one[1].exposure_ty):
        drawn = [[population.toys(one, inputs.ledger, exposure_ty, name, pairs) for name in HYPOTHESES]
                 for one, pairs in choices]  # fmt: skip
        toys = inputs.share(drawn)
        for item, point in of_exposure:
            mass = point.m_chi_GeV
            arguments = stage, *shared, toys, weights[mass], exposure_ty, mass
            yield Unit(arguments, (point.size, item), (item,), f"{stage}: {plan.words(point)}")


def work(
    stage: str,
    choices: Tried,
    pools: list[Population],
    toys: list[list[list[BackgroundToys]]],
    signal_weights: np.ndarray,
    exposure_ty: float,
    m_chi_GeV: float | None,
    wanted: list[tuple[float, str]],
) -> list[Part]:
    """The rows of one mass and exposure for ascending sizes, each with its item, as one part.

    pools and toys (null, with background): of each fit; signal_weights (pool,): at the size's reference.
    """
    plan, found = choices[0][0], []
    signals = [plan.study.signal.at(m_chi_GeV, size) for size, _ in wanted]
    where = signals[0].key, np.array([signal.scale for signal in signals]), exposure_ty
    for (one, pairs), pool, drawn in zip(choices, pools, toys, strict=True):
        found += q_values(pool, signal_weights, *where, population.choices(one, pairs), *drawn)
    null = Calibration(np.stack([q for q, _ in found], axis=1))
    expected = [rows.Expectation(one, pool, signal_weights, exposure_ty)
                for (one, _), pool in zip(choices, pools, strict=True)]  # fmt: skip
    limited = any(one.pool_limited(*pair) for one, (_, pairs) in zip(expected, choices, strict=True) for pair in pairs)
    made = []
    for step, (size, item) in enumerate(wanted):
        row = expected[0].row(*choices[0][1][0], size) | _said(null, np.stack([q[:, step] for _, q in found], axis=1))
        made.append(row | {"pool_limited": limited, "lineage": item})
    return [of_rows(stage, SCHEMA, made)]


def _said(null: Calibration, q_signal: np.ndarray) -> dict:
    """The columns that toys say. q_signal (toys, choices)."""
    said = combined(null, q_signal)
    return {
        "p_median": said.p, "p_low": said.p_low, "p_high": said.p_high, "tail": said.tail,
        "trial_factor": said.trial_factor, "best": said.best, "p_best": said.alone.p, "tail_best": said.alone.tail,
        "n_toys_null": len(null.q), "n_toys_signal": len(q_signal),
    }  # fmt: skip


def table_item(plan: Plan) -> str | None:
    """Item of the table; None where there is none."""
    made = items(plan)
    return lineage.digest("combined_table", TABLE_VERSION, plan.words_of_rows, made) if made else None


def table(plan: Plan, ledger: Ledger) -> pa.Table:
    """All rows in the order of the plan."""
    choices = tried([plan, *plan.siblings])
    return table_of(choices, [plan.study.pair] * len(choices), places(plan), ledger)


def table_of(choices: Tried, names: list[str], places: dict[str, Point], ledger: Ledger) -> pa.Table:
    """All rows, with what was tried; names: the pair of networks of every fit."""
    plan = choices[0][0]
    of_all = [(name, one.study.fit_seed, *pair) for name, (one, pairs) in zip(names, choices, strict=True)
              for pair in pairs]  # fmt: skip
    shared = rows.setting(plan) | {
        "pairs": ", ".join(dict.fromkeys(names)), "statistics": ", ".join(plan.study.combined.names(plan.study.toys)),
        "R": sorted({R for *_, R, _ in of_all if R is not None}), "n_choices": len(of_all),
        "n_seeds": plan.study.training.n_seeds,
    }  # fmt: skip
    made = []
    for row in ledger.rows(list(places), "lineage").to_pylist():
        point = places[row["lineage"]]
        best = dict(zip(("best_pair", "best_seed", "best_R", "best_statistic"), of_all[row["best"]], strict=True))
        z = {"z_median": z_one_sided(row["p_median"]), "z_best": z_one_sided(row["p_best"])}
        made.append(row | shared | plan.signal_at(point).columns | {"exposure_ty": point.exposure_ty} | best | z)
    return schemas.of_rows(schemas.combined(plan.study.signal.size), made)


def lines(found: results.Result, study: Study) -> Iterator[str]:
    """The benchmark by exposure."""
    for row in results.rows_at(found.table, study.at):
        yield (
            f"smallest p of {row['n_choices']} ({row['statistics']}), {row['exposure_ty']:g} t y: p = "
            f"{row['p_median']:.3g} [{row['p_low']:.3g}, {row['p_high']:.3g}] Z = {row['z_median']:.2f} "
            f"({row['tail']}), trial factor {row['trial_factor']:.3g}; the best one alone, {_best(row)}"
        )


def _best(row: dict) -> str:
    name = row_label(row["best_statistic"], row["best_R"])
    seed = f", seed {row['best_seed']}" if row["n_seeds"] > 1 else ""
    return f"{name}{seed}: Z {'>' if row['tail_best'] == 'bound' else '='} {row['z_best']:.2f}"


def metrics(found: results.Result, study: Study) -> dict[str, float]:
    """The benchmark by exposure, under names for MLflow."""
    made = {}
    for row in results.rows_at(found.table, study.at):
        exposure = f"{lineage.label(row['exposure_ty'])}ty"
        made |= {f"z/combined_{exposure}": row["z_median"], f"z/trial_factor_{exposure}": row["trial_factor"]}
    return made
