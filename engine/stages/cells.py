"""What toys say of every point of the grid: the median of q with signal, and its p under background only."""

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import groupby

import numpy as np

from engine import lineage, schemas
from engine.assembly import population, rows
from engine.assembly.inputs import Inputs
from engine.errors import UNANSWERED, Unanswerable
from engine.inference import cells as inference
from engine.inference.cells import BackgroundToys
from engine.inference.population import Population
from engine.plan.event_plan import VERSIONS
from engine.plan.plan import HYPOTHESES, Plan
from engine.plan.points import Cell
from engine.store.parts import Part, of_rows
from engine.store.units import Unit, totals

NAME, VERSION, SCHEMA = "cells", VERSIONS["cells"], schemas.CELLS
MAY_FAIL = True


def items(plan: Plan) -> list[str]:
    """Every point, score and statistic that toys serve."""
    return list(plan.cells)


def amounts(plan: Plan, missing: set[str]) -> dict[str, float]:
    """Toys with signal, by statistic: the background under them is drawn once."""
    name, n_toys = plan.study.toys.statistic_name, plan.n_toys("signal")
    return totals((name(cell[2]), n_toys) for _, cell in wanted(plan.cells, missing))


def units(inputs: Inputs, missing: set[str]) -> Iterable[Unit]:
    """A point each, for every score and statistic; the cross-sections of one mass together have their toys once."""
    plan: Plan = inputs.plan
    signals = population.signals(plan, inputs.population, (cell[0] for _, cell in wanted(plan.cells, missing)))
    shared, weights = (inputs.share(plan), inputs.share(inputs.population)), {}
    for exposure_ty, of_exposure in groupby(wanted(plan.cells, missing), lambda cell: cell[1][0].exposure_ty):
        drawn = {name: population.toys(plan, inputs.ledger, exposure_ty, name) for name in HYPOTHESES}
        toys = inputs.share(drawn)
        for point, of_point in groupby(of_exposure, lambda cell: cell[1][0]):
            mass = point.m_chi_GeV
            if mass not in weights:
                weights[mass] = inputs.share(signals[mass])
            made = tuple(item for item, _ in of_point)
            yield Unit((*shared, toys, weights[mass], exposure_ty, mass), point.size, made, plan.words(point))


def wanted(cells: dict[str, Cell], missing: set[str]) -> Iterator[tuple[str, Cell]]:
    """Those of a plan's cells, in its order: by exposure, mass and size; one after the other, as there may be many."""
    return ((item, cell) for item, cell in cells.items() if item in missing)


def work(
    plan: Plan,
    pool: Population,
    toys: dict[str, list[BackgroundToys]],
    signal_weights: np.ndarray,
    exposure_ty: float,
    m_chi_GeV: float | None,
    sizes: list[float],
) -> list[Part]:
    """What toys say of one mass and exposure for ascending cross-sections, as one part.

    Raises Unanswerable, with the others' rows, where some statistics have no answer at a single cross-section.
    """
    of = partial(_rows, plan, pool, toys, signal_weights, exposure_ty, m_chi_GeV, sizes)
    everything = range(len(plan.by_toys))
    try:
        return [of_rows(NAME, SCHEMA, of(everything))]
    except UNANSWERED:
        if len(sizes) > 1:
            raise  # the caller asks again, for fewer
    answered, reasons, item_of = [], {}, by_place(plan.cells)
    for one in everything:
        try:
            answered += of([one])
        except UNANSWERED as error:
            R, statistic = plan.by_toys[one]
            item = item_of[exposure_ty, m_chi_GeV, sizes[0], R, statistic]
            reasons[item] = lineage.row_label(statistic, R), error
    raise Unanswerable([of_rows(NAME, SCHEMA, answered)] if answered else [], reasons)


def _rows(
    plan: Plan,
    pool: Population,
    toys: dict[str, list[BackgroundToys]],
    signal_weights: np.ndarray,
    exposure_ty: float,
    m_chi_GeV: float | None,
    sizes: list[float],
    which: Iterable[int],
) -> list[dict]:
    """The rows of these statistics, by their places in `plan.by_toys`."""
    pairs, signals = [plan.by_toys[i] for i in which], [plan.study.signal.at(m_chi_GeV, size) for size in sizes]
    results = inference.signal_cells(
        pool, signal_weights, signals[0].key, np.array([signal.scale for signal in signals]), exposure_ty,
        population.choices(plan, pairs),
        *([toys[hypothesis][i] for i in which] for hypothesis in HYPOTHESES), kde=plan.study.toys.tail == "kde",
    )  # fmt: skip
    item_of = by_place(plan.cells)
    expectation = rows.Expectation(plan, pool, signal_weights, exposure_ty)
    made = []
    for size, row in zip(sizes, results, strict=True):
        for (R, statistic), cell in zip(pairs, row, strict=True):
            made.append(expectation.row(R, statistic, size) | cell.columns | {
                "n_below": cell.significance.n_below,
                "n_toys_null": plan.study.toys.null, "n_toys_signal": plan.study.toys.signal,
                "lineage": item_of[exposure_ty, m_chi_GeV, size, R, statistic],
            })  # fmt: skip
    return made


def by_place(cells: dict[str, Cell]) -> dict[tuple, str]:
    """Items by (exposure_ty, m_chi_GeV, size, R, statistic)."""
    return {(point.exposure_ty, point.m_chi_GeV, point.size, R, statistic): item
            for item, (point, R, statistic) in cells.items()}  # fmt: skip
