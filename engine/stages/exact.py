"""What exact laws say of points, with no toys: the median of q with signal and its p under background only."""

from collections.abc import Iterable
from itertools import groupby

import numpy as np

from engine import schemas
from engine.assembly import population, rows
from engine.assembly.inputs import Inputs
from engine.inference.exact import Distribution
from engine.inference.jackknife import GROUPS, half_z_shift, z_pool_error
from engine.inference.population import Population
from engine.lineage import row_label
from engine.plan.event_plan import VERSIONS
from engine.plan.plan import Plan, Point, Wanted
from engine.plan.points import Cell
from engine.stages.cells import by_place, wanted
from engine.store.parts import Part, of_rows
from engine.store.units import Unit, totals

NAME, VERSION, SCHEMA = "exact", VERSIONS["exact"], schemas.EXACT
MAY_FAIL = True


def items(plan: Plan) -> list[str]:
    """Every point, score and statistic whose law is asked for."""
    return list(plan.exact)


def amounts(plan: Plan, missing: set[str]) -> dict[str, float]:
    """Laws, by statistic; those of the jack-knife at the benchmark, too."""
    name = plan.study.toys.statistic_name
    made = [(name(cell[2]), plan.at_benchmark(cell[0])) for _, cell in wanted(plan.exact, missing)]
    return totals((statistic, plan.n_laws + GROUPS * with_error) for statistic, with_error in made)


def units(inputs: Inputs, missing: set[str]) -> Iterable[Unit]:
    """A point each, of one exposure, R and statistic; those whose toys have failed wait for them."""
    plan: Plan = inputs.plan
    signals = population.signals(plan, inputs.population, (cell[0] for _, cell in wanted(plan.exact, missing)))
    shared, weights = (inputs.share(plan), inputs.share(inputs.population)), inputs.share(signals)
    for exposure_ty, of_exposure in groupby(wanted(plan.exact, missing), lambda cell: cell[1][0].exposure_ty):
        with_toys = {cell: item for item, cell in plan.cells.items() if cell[0].exposure_ty == exposure_ty}
        q_median, laws = _medians(inputs, with_toys), {}
        for item, cell in of_exposure:
            if cell in q_median or cell not in with_toys:
                laws.setdefault(cell[1:], []).append((item, cell[0], q_median.get(cell)))
        for pair, of_pair in laws.items():
            for item, point, q in of_pair:
                name = f"exact {row_label(pair[1], pair[0])}, {plan.words(point)}"
                yield Unit((*shared, exposure_ty, pair, weights), (point, q), (item,), name)


def _medians(inputs: Inputs, cells: dict[Cell, str]) -> dict[Cell, float]:
    """q_median of the toys by cell; cells that failed have none."""
    known = [cell for cell, item in cells.items() if item in inputs.ledger.entries]
    pieces = inputs.ledger.pieces([cells[cell] for cell in known], "lineage", ["q_median"])
    return {known[i]: q for places, part in pieces for i, q in zip(places, part["q_median"].to_pylist(), strict=True)}


def work(
    plan: Plan,
    pool: Population,
    exposure_ty: float,
    pair: Wanted,
    signal_weights: dict[float | None, np.ndarray],
    points: list[tuple[Point, float | None]],
) -> list[Part]:
    """What the exact law of one score and statistic says at one exposure, as one part.

    signal_weights: (pool,) by mass; points: each with the toys' q_median, None without toys.
    """
    item_of = by_place(plan.exact)
    choice = population.choices(plan, [pair])[0]
    laws = choice.laws(pool.null(choice.R, exposure_ty))
    expectation = {mass: rows.Expectation(plan, pool, w, exposure_ty) for mass, w in signal_weights.items()}
    made = []
    for point, q_toys in points:
        mass, size = point.m_chi_GeV, point.size
        weights = signal_weights[mass] * plan.signal_at(point).scale
        null, alternative = laws.distributions(pool.signal(weights) * exposure_ty)
        row = expectation[mass].row(*pair, size) | values(null, alternative, q_toys)
        row |= {"half_shift": None, "z_pool_error": None, "half_z_shift": None}
        if plan.at_benchmark(point) and row["exact_tail"] == "exact":
            of_pool = pool, choice, weights, exposure_ty
            row |= {"z_pool_error": z_pool_error(*of_pool), "half_z_shift": half_z_shift(*of_pool)}
        made.append(row | {"lineage": item_of[exposure_ty, mass, size, *pair]})
    return [of_rows(NAME, SCHEMA, made)]


def values(null: Distribution, alternative: Distribution, q_toys: float | None) -> dict:
    """The median with signal and its p, and where the toys' median lies under either law: columns of a row."""
    q = alternative.median()
    p = float(null.sf(np.array([q]))[0])
    at_toys = [None, None]
    if q_toys is not None:
        above = np.nextafter(q_toys, np.inf)
        at_toys = float(null.sf(np.array([q_toys]))[0]), float(1 - alternative.sf(np.array([above]))[0])
    return {
        "q_exact": q, "p_exact": max(p, null.smallest_p), "exact_tail": "exact" if p >= null.smallest_p else "bound",
        "p_at_toys": at_toys[0], "level_at_toys": at_toys[1],
    }  # fmt: skip
