"""Training events, simulated with the features of every representation that a model reads of them."""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa

from engine import schemas
from engine.assembly.inputs import Inputs
from engine.assembly.samples import sample
from engine.plan.event_plan import VERSIONS, EventPlan, Shard
from engine.store.parts import Part
from engine.store.units import Unit, totals

NAME, VERSION, SCHEMA = "events", VERSIONS["events"], schemas.EVENTS
OF_ALL = True


def shards(plan: EventPlan) -> list[Shard]:
    """What fits are made to: training events, and those by which fits are adapted."""
    return plan.shards["train"] + plan.shards["calibration"]


def items(plan: EventPlan) -> list[str]:
    """The shards of what fits are made to."""
    return [shard.item for shard in shards(plan)]


def amounts(plan: EventPlan, missing: set[str]) -> dict[str, float]:
    """Events to be thrown, by what is made of them."""
    lacking = [shard for shard in shards(plan) if shard.item in missing]
    return totals((shard.representation, shard.n_thrown) for shard in lacking)


def units(inputs: Inputs, missing: set[str]) -> Iterable[Unit]:
    """Shards of training events, those together that show the same events."""
    plan, same = inputs.share(inputs.plan), {}
    for shard in shards(inputs.plan):
        if shard.item in missing:
            alike = shard.purpose, shard.kind, shard.number, shard.n_thrown, shard.shift
            same.setdefault(alike, []).append(shard)
    return [Unit((plan, *some), items=tuple(shard.item for shard in some), name=some[0].words)
            for some in same.values()]  # fmt: skip


def work(plan: EventPlan, *shards: Shard) -> Iterator[Part]:
    """Shards of the same training events as several representations show them: the selected ones, with features."""
    columns, features = sample(plan, shards[0], {shard.representation for shard in shards})
    selected = columns["selected"]
    truth = schemas.table(schemas.EVENTS, {name: values[selected] for name, values in columns.items()})
    for shard in shards:
        table = with_features(truth, features[shard.representation][selected])
        yield Part(f"{NAME}/{shard.item}.parquet", (shard.item,), table)


def with_features(table: pa.Table, features: np.ndarray) -> pa.Table:
    """The table with a column `features` (n, length)."""
    flat = pa.array(features.reshape(-1))
    return table.append_column("features", pa.FixedSizeListArray.from_arrays(flat, features.shape[1]))
