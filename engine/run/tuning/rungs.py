"""What a task does for one trial of a search: fit to a rung, score the pool, and say what the models are worth."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

import zoo
from engine import plugins, schemas
from engine.assembly import scores, training
from engine.assembly.samples import sample
from engine.inference.population import Population
from engine.plan.event_plan import Shard
from engine.plan.search_plan import SearchPlan, Values
from engine.run.tuning import objectives, search_tables
from engine.run.tuning.objectives import er_leakage
from engine.stages import work
from engine.store.checkpoints import Checkpoint
from engine.store.parts import Entry, Part, decode
from engine.store.store import Store, read

COMPLETE, DIVERGED, UNDERWAY = "complete", "diverged", "underway"


@dataclass(frozen=True)
class Inputs:
    """What all trials share. training: stored parts by slot; features: by representation, in the order of the pool;
    population: with the terms of the models that no trial changes; signals: weights (pool,) by mass."""

    plan: SearchPlan
    training: dict[str, list[Entry]]
    features: dict[str, list[Entry]]
    population: Population
    signals: dict[float | None, np.ndarray]


class Diverged(ValueError):
    """A model whose terms are no numbers."""


def keep(plan: SearchPlan, shard: Shard, slots: list[str], models: dict[str, bytes]) -> list[Part]:
    """A shard of the pool as a scan makes it, with what the networks see of its selected events."""
    columns, seen = sample(plan, shard, [*map(plan.view, slots), *plan.views])
    parts, selected = work.scored(plan, shard, columns, seen, slots, models), columns["selected"]
    for view in plan.views:
        item = plan.feature_item(shard, view)
        table = work.with_features(pa.table({"event": columns["event"][selected]}), seen[view][selected])
        parts.append(Part(f"features/{item}.parquet", (item,), table))
    return parts


def climb(inputs: Inputs, store: Store, values: Values, rung: int, finished: dict[str, Entry]) -> Iterator[Part]:
    """One row (`search_tables.RUNGS`) for a trial at a rung, after the models whose last epoch that was.

    finished: stored models of this trial by slot. A fit that diverges is an answer, and no failure.
    """
    plan = inputs.plan.of(values)
    try:
        fitted = {slot: _fitted(plan, slot, rung, inputs, store, finished.get(slot)) for slot in plan.searched}
        found = _worth(plan, rung, inputs, _terms(plan, fitted, store, inputs.features))
        for slot, model in fitted.items():
            if _is_last(plan, slot, rung) and slot not in finished:
                item = plan.models[slot]
                yield Part(f"models/{item}.safetensors", (item,), zoo.save(model))
        epochs = {f"epochs_{slot}": len(model.history["validation_loss"]) for slot, model in fitted.items()}
    except (zoo.NonFiniteLoss, Diverged) as error:
        found, epochs = {"state": DIVERGED, "reason": str(error)}, {}
    item = plan.rung_item(rung)
    row = dict.fromkeys(search_tables.RUNGS.names) | found | epochs | {"lineage": item}
    table = schemas.table(search_tables.RUNGS, {name: [row[name]] for name in search_tables.RUNGS.names})
    yield Part(f"rungs/{item}.parquet", (item,), table)


def _is_last(plan: SearchPlan, slot: str, rung: int) -> bool:
    return plan.epochs(slot, rung) == getattr(plan.study.models, slot).config["epochs"]


def _fitted(
    plan: SearchPlan, slot: str, rung: int, inputs: Inputs, store: Store, finished: Entry | None
) -> zoo.Fitted:
    """The model of a slot at a rung: of its last epoch the stored one, else fitted on from the rung before."""
    if finished and _is_last(plan, slot, rung):
        return zoo.load(read(store, finished), plugins.load("zoo", getattr(plan.study.models, slot).name))
    item, epochs = plan.models[slot], [plan.epochs(slot, number) for number in range(rung + 1)]
    # each rung has a state of its own: another trial with this model may still be at an earlier one
    before = next((f"{item}-{n}" for n in reversed(epochs) if n < epochs[-1]), None)
    every_s = None if _is_last(plan, slot, rung) else 0  # a rung before the last ends with its state written
    checkpoint = Checkpoint(store, f"{item}-{epochs[-1]}", every_s, before)
    features, labels = training.gather(store, inputs.training[slot])
    return work.train(plan, slot, features, labels, checkpoint, until=epochs[-1])


def _terms(
    plan: SearchPlan, fitted: dict[str, zoo.Fitted], store: Store, entries: dict[str, list[Entry]]
) -> dict[str, np.ndarray]:
    """Terms (pool,) of these models, shard by shard as a scan scores them."""
    parts: dict[str, list[np.ndarray]] = {}
    for view, entry in ((view, entry) for view, of_view in entries.items() for entry in of_view):
        column = decode(read(store, entry), ["features"])["features"].combine_chunks()
        features = column.flatten().to_numpy().reshape(len(column), column.type.list_size)
        for slot in (slot for slot in fitted if plan.view(slot) == view):
            table = scores.evaluate(fitted[slot], features)
            for name in table.column_names:
                parts.setdefault(name, []).append(table[name].to_numpy())
    terms = {name: np.concatenate(some) for name, some in parts.items()}
    for name, values in terms.items():
        if bad := np.count_nonzero(~np.isfinite(values)):
            raise Diverged(f"{bad} of {len(values)} pool events have no finite {name}")
    return terms


def _worth(plan: SearchPlan, rung: int, inputs: Inputs, terms: dict[str, np.ndarray]) -> dict:
    """Columns of `search_tables.RUNGS`: the leakage that trials are compared by, and at the last rung the objective."""
    pool = inputs.population.pool
    population = replace(inputs.population, pool=replace(pool, terms=pool.terms | terms))
    R, with_R = objectives.best_R(plan, population, inputs.signals, er_leakage)
    found = {"state": UNDERWAY, "er_leakage": -er_leakage.rank(plan, with_R, inputs.signals, R)}
    if plan.fractions[rung] < 1:
        return found
    objective = objectives.of(plan.tune.objective)
    R, with_R = objectives.best_R(plan, population, inputs.signals, objective)
    measured = objective.measure(plan, with_R, inputs.signals, R)
    return found | {
        "state": COMPLETE, "R": R, "objective": measured.value, "objective_error": measured.error,
        "m_chi_GeV": measured.m_chi_GeV,
    }  # fmt: skip
