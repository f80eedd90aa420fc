"""Pairs of networks on the same pseudo-experiments: what each says of every toy with signal, and how they differ."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from engine import schemas
from engine.assembly import population
from engine.assembly.inputs import Inputs
from engine.inference.cells import signal_q
from engine.inference.exact import Distribution
from engine.inference.population import Population
from engine.inference.significance import z_one_sided
from engine.plan.event_plan import VERSIONS
from engine.plan.members import JointPlan, paired_item
from engine.plan.plan import Plan
from engine.stages import pair_schemas
from engine.store.parts import Part
from engine.store.units import Unit, totals
from engine.study.compare import Ranking

NAME, VERSION, SCHEMA = "paired", VERSIONS["paired"], pair_schemas.PAIRED
OF_ALL = True
N_READ = 64  # values of q whose p is read from a law: of a scan, each takes a recursion for every rate


def items(plan: JointPlan) -> list[str]:
    """One of each pair; none without a comparison."""
    return list(plan.paired.values()) if isinstance(plan, JointPlan) else []


def amounts(plan: JointPlan, missing: set[str]) -> dict[str, float]:
    """Toys with signal times t y."""
    n_toys = plan.study.toys.signal
    return totals(("toys", n_toys * plan.study.ranking.exposure_ty) for _ in missing)


def units(inputs: Inputs, missing: set[str]) -> Iterable[Unit]:
    """One pair each."""
    plan: JointPlan = inputs.plan
    for name, item in plan.paired.items():
        if item in missing:
            member = inputs.under(plan.members[name])
            arguments = inputs.share(member.plan), inputs.share(member.population), plan.study.ranking
            yield Unit(arguments, items=(item,), name=f"toys of {name}")


def work(plan: Plan, pool: Population, by: Ranking) -> list[Part]:
    """Z of every toy with the benchmark's signal, as one part.

    The toys are those of the scan: which events they hold follows from the pool, and from no model.
    """
    item, weights = paired_item(plan, by), population.benchmark_weights(plan, pool)
    (choice,) = population.choices(plan, [(by.R, by.statistic)])
    q = signal_q(pool, weights, plan.study.benchmark_signal.key, by.exposure_ty, choice, plan.n_toys("signal"))
    null, _ = choice.laws(pool.null(by.R, by.exposure_ty)).distributions(pool.signal(weights) * by.exposure_ty)
    z, bound = significances(null, q)
    columns = {"toy": np.arange(len(q)), "q": q, "z": z, "bound": bound}
    return [Part(f"{NAME}/{item}.parquet", (item,), schemas.table(SCHEMA, columns))]


def significances(null: Distribution, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Z of the mid-p of each q (n,), and whether it is but a bound.

    Ties counted half (Lancaster 1961): with all of them, the smallest value of a count would have p = 1, and no finite
    Z to take a mean of. Of more than N_READ different values, as many are read from the law, and Z is linear between.
    """
    values = np.unique(q)
    read = values[np.unique(np.linspace(0, len(values) - 1, N_READ).round().astype(int))]
    p = (null.sf(read) + null.sf(np.nextafter(read, np.inf))) / 2
    z = np.array([z_one_sided(max(one, null.smallest_p)) for one in p])
    return np.interp(q, read, z), np.interp(q, read, p) <= null.smallest_p


@dataclass(frozen=True)
class Difference:
    """One pair of networks minus another, on the same toys.

    z: mean difference of Z, with its error from the number of toys (sigma); better, tied: shares of toys in which the
    first has the smaller p, or the same; bound: in which either is but a bound.
    """

    z: float
    z_error: float
    better: float
    tied: float
    bound: float
    n_toys: int


def difference(first: pa.Table, second: pa.Table) -> Difference:
    """What the same toys say of two pairs (`engine.stages.pair_schemas.PAIRED`)."""
    one, other = (table["z"].to_numpy() for table in (first, second))
    either = first["bound"].to_numpy(zero_copy_only=False) | second["bound"].to_numpy(zero_copy_only=False)
    more = one - other
    error = more.std(ddof=1) / np.sqrt(len(more))
    shares = _share(more > 0), _share(more == 0), _share(either)
    return Difference(float(more.mean()), float(error), *shares, len(more))


def _share(of: Iterable[bool]) -> float:
    return float(np.mean(of))
