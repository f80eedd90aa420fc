"""Background toys in blocks: what they sum or count of every score and statistic, for all points of an exposure."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from engine import schemas
from engine.assembly import population
from engine.assembly.inputs import Inputs
from engine.inference import cells as inference
from engine.inference.population import Population
from engine.plan.event_plan import VERSIONS
from engine.plan.plan import HYPOTHESES, Plan
from engine.store.parts import Part, bundle
from engine.store.units import Unit, totals

NAME, VERSION, SCHEMA = "nulls", VERSIONS["nulls"], schemas.TOYS
REREAD = True


def items(plan: Plan) -> list[str]:
    """Every block of either hypothesis, of every score and statistic that toys serve."""
    return plan.nulls


def amounts(plan: Plan, missing: set[str]) -> dict[str, float]:
    """Toys times t y, by statistic."""
    made = []
    for exposure_ty in plan.exposures:
        for hypothesis in HYPOTHESES:
            per_block = plan.n_toys(hypothesis) / plan.n_blocks(hypothesis) * exposure_ty
            for R, statistic in plan.by_toys:
                items = plan.null_items(exposure_ty, hypothesis, R, statistic)
                made.append((plan.study.toys.statistic_name(statistic), per_block * len(missing.intersection(items))))
    return totals(made)


def units(inputs: Inputs, missing: set[str]) -> Iterable[Unit]:
    """A block of background toys each."""
    plan: Plan = inputs.plan
    shared = inputs.share(plan), inputs.share(inputs.population)
    for exposure_ty in plan.exposures:
        for hypothesis in HYPOTHESES:
            for block in range(plan.n_blocks(hypothesis)):
                made = tuple(plan.null_item(exposure_ty, hypothesis, block, *pair) for pair in plan.by_toys)
                if not missing.isdisjoint(made):
                    name = f"{hypothesis} toys, block {block}, {exposure_ty:g} t y"
                    yield Unit((*shared, exposure_ty, hypothesis), block, made, name)


def work(plan: Plan, pool: Population, exposure_ty: float, hypothesis: str, blocks: list[int]) -> list[Part]:
    """Blocks of background toys for every score and statistic, as one part."""
    choices = population.choices(plan, plan.by_toys)
    made, n_events, totals = [], [], []
    for block in blocks:
        drawn, columns = inference.background_block(pool, exposure_ty, hypothesis, block, choices)
        for pair, of_pair in zip(plan.by_toys, columns, strict=True):
            made.append(plan.null_item(exposure_ty, hypothesis, block, *pair))
            n_events.append(drawn)
            totals.append(_lists(of_pair))
    names = np.repeat(made, [len(drawn) for drawn in n_events])
    columns = {"item": names, "n_events": np.concatenate(n_events), "totals": pa.concat_arrays(totals)}
    return [bundle(NAME, made, schemas.table(schemas.TOYS, columns))]


def _lists(values: np.ndarray) -> pa.ListArray:
    """(n, k) as n lists of k."""
    ends = np.arange(len(values) + 1, dtype=np.int32) * values.shape[1]
    return pa.ListArray.from_arrays(pa.array(ends), pa.array(values.reshape(-1)))
