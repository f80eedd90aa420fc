"""A trial of a search over the models' fields: fit to a rung, score the pool, and say what the models are worth."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pyarrow as pa

import zoo
from engine import schemas
from engine.assembly import battery as arenas
from engine.assembly import population as assembled
from engine.assembly import training
from engine.assembly.fits import blob
from engine.assembly.samples import sample
from engine.cluster.sampler import Objective, Trial
from engine.errors import BadInput
from engine.inference import reach
from engine.inference.population import Population
from engine.plan.event_plan import Shard
from engine.plan.search_plan import SearchPlan, Values
from engine.run.state import Run
from engine.run.tuning import objectives, search_tables
from engine.run.tuning.objectives import er_leakage
from engine.run.tuning.objectives.battery import Anomalies
from engine.stages import battery, events, models, scores
from engine.store.checkpoints import Checkpoint
from engine.store.parts import Entry, Part, decode
from engine.store.store import Store, read
from engine.store.units import Group, Unit

NAME, STALLS = "rungs", False
COMPLETE, DIVERGED, UNDERWAY = "complete", "diverged", "underway"


@dataclass(frozen=True)
class RungInputs:
    """What all trials share. training: stored parts by role; features: by representation, in the order of the pool;
    population: with the terms of the models that no trial changes; signals: weights (pool,) by mass, or those of a
    battery, whose events are behind the others."""

    plan: SearchPlan
    training: dict[str, list[Entry]]
    features: dict[str, list[Entry]]
    population: Population
    signals: dict[float | None, np.ndarray] | Anomalies


class Diverged(ValueError):
    """A model whose terms are no numbers."""


def prepare(run: Run) -> RungInputs:
    """Training events, models that stay, the pool as networks see it and with their terms."""
    run.repair()
    plan, ledger = run.plan, run.ledger
    run.stage(events)
    run.stage(models)
    run.compute("features", [*scores.items(plan), *plan.beside["features"]], keep, partial(_shards, run),
                gpus=scores.gpus(plan) if plan.fixed else 0.0)  # fmt: skip
    pool, signals = _anomalies(run) if plan.oracles else _signals(run)
    return RungInputs(
        plan,
        {role: [ledger.entries[s.item] for s in plan.training(plan.fitted[role])] for role in plan.searched},
        {view: [ledger.entries[plan.feature_item(shard, view)] for shard in plan.pool] for view in plan.views},
        pool,
        signals,
    )  # fmt: skip


def _signals(run: Run) -> tuple[Population, dict[float | None, np.ndarray]]:
    pool = assembled.population(run.plan, run.ledger, "tune", (), roles=run.plan.fixed)
    return pool, assembled.signals(run.plan, pool, run.plan.points)


def _anomalies(run: Run) -> tuple[Population, Anomalies]:
    """The pool with the events of a battery's signals, and those of them that the oracle finds. Raises BadInput where
    it finds none."""
    plan, ledger = run.plan, run.ledger
    nominal = assembled.population(plan, ledger, "tune", (), roles=plan.fixed)
    arena = arenas.arena(plan, ledger, nominal)

    def units(missing: set[str]) -> Iterable[Unit]:
        shared = run.share(plan)
        for item, target in plan.oracles.items():
            if item in missing:
                of_unit = run.share(arenas.of_oracle(arena, target.signal))
                yield Unit((shared, of_unit, [(item, target)]), items=(item,), name=f"oracle of {target.signal}")

    run.compute(battery.NAME, list(plan.oracles), battery.work, units, stalls=battery.STALLS)
    rows = ledger.rows(list(plan.oracles), "lineage").to_pylist()
    found = {plan.oracles[row["lineage"]].signal: row["t3_ty"] for row in rows if row["status"] == reach.FOUND}
    if not found:
        low, high = plan.study.reach.exposure_ty
        raise BadInput(f"tune.objective = 'battery': the oracle finds none of {', '.join(arena.alternatives)} within "
                       f"reach.exposure_ty = [{low:g}, {high:g}]; widen that range, or take other sizes")  # fmt: skip
    return arena.population, Anomalies({name: arena.alternatives[name] for name in found}, found)


def _shards(run: Run, missing: set[str]) -> Iterable[Unit]:
    """Shards of the pool that lack their features, or the terms of a model that stays."""
    plan, shared = run.plan, run.share(run.plan)
    fitted = run.share({role: blob(plan, run.ledger, role) for role in plan.fixed})
    for shard in plan.pool:
        roles = [role for role in plan.fixed if plan.score_item(shard, role) in missing]
        made = shard.item, *(plan.feature_item(shard, view) for view in plan.views)
        if roles or not missing.isdisjoint(made):
            made = *made, *(plan.score_item(shard, role) for role in roles)
            yield Unit((shared, shard, roles, fitted), items=made, name=f"tuning events of {shard.kind}")


def group(plan: SearchPlan) -> Group | None:
    """The processes that share a trial: those that share a fit."""
    return models.group(plan)


def n_rungs(plan: SearchPlan) -> int:
    """How often a trial is looked at."""
    return len(plan.fractions)


def fits(plan: SearchPlan, values: Values) -> set[str]:
    """Items of the models that a trial fits."""
    of_trial = plan.of(values)
    return {item for role in plan.searched for item in of_trial.fits_of(role)}


def arguments(run: Run, values: Values, rung: int) -> tuple:
    """What `work` is given beside the inputs: with the stored fits of this trial by item."""
    known = {item: run.ledger.entries.get(item) for item in fits(run.plan, values)}
    return run.store, values, rung, {item: entry for item, entry in known.items() if entry}


def keep(plan: SearchPlan, shard: Shard, roles: list[str], fitted: dict[str, bytes]) -> list[Part]:
    """A shard of the pool as a scan makes it, with what the networks see of its selected events."""
    columns, seen = sample(plan, shard, [*map(plan.view, roles), *plan.views])
    parts, selected = scores.scored(plan, shard, columns, seen, roles, fitted), columns["selected"]
    for view in plan.views:
        item = plan.feature_item(shard, view)
        table = events.with_features(pa.table({"event": columns["event"][selected]}), seen[view][selected])
        parts.append(Part(f"features/{item}.parquet", (item,), table))
    return parts


def work(
    inputs: RungInputs, store: Store, values: Values, rung: int, finished: dict[str, Entry], device: str = "cpu"
) -> Iterator[Part]:
    """One row (`search_tables.RUNGS`) for a trial at a rung, after the models whose last epoch that was.

    finished: stored fits of this trial by item; device: where they are fitted. A fit that diverges is an answer, and no
    failure.
    """
    plan = inputs.plan.of(values)
    try:
        fitted = {role: _fitted(plan, role, rung, inputs, store, finished, device) for role in plan.searched}
        worth = _worth(plan, rung, inputs, _terms(plan, fitted, store, inputs.features))
        for role, model in fitted.items():
            for item, member in zip(plan.fits_of(role), model.members, strict=True):
                if _is_last(plan, role, rung) and item not in finished:
                    yield Part(f"models/{item}.safetensors", (item,), zoo.save(member))
        epochs = ", ".join(f"{role}: {len(model.history['validation_loss'])}" for role, model in fitted.items())
    except (zoo.NonFiniteLoss, Diverged) as error:
        worth, epochs = {"state": DIVERGED, "reason": str(error)}, None
    item = plan.rung_item(rung)
    row = dict.fromkeys(search_tables.RUNGS.names) | worth | {"epochs": epochs, "lineage": item}
    yield Part(f"{NAME}/{item}.parquet", (item,), schemas.of_rows(search_tables.RUNGS, [row]))


def _is_last(plan: SearchPlan, role: str, rung: int) -> bool:
    return plan.epochs(role, rung) == plan.fitted[role].config["epochs"]


def _fitted(
    plan: SearchPlan, role: str, rung: int, inputs: RungInputs, store: Store, finished: dict[str, Entry], device: str
) -> "zoo.Fitted":
    """The model of a role at a rung, with all its members."""
    of_members = [_fit(plan, role, item, rung, inputs, store, finished.get(item), device)
                  for item in plan.fits_of(role)]  # fmt: skip
    return zoo.averaged(of_members).averaging(plan.fitted[role].n_latent)


def _fit(
    plan: SearchPlan, role: str, item: str, rung: int, inputs: RungInputs, store: Store, finished: Entry | None,
    device: str,
) -> "zoo.Fitted":  # fmt: skip
    """A fit for a role at a rung: of its last epoch the stored one, else fitted on from the rung before."""
    if finished and _is_last(plan, role, rung):
        return zoo.load(read(store, finished), plan.family(role))
    epochs = [plan.epochs(role, number) for number in range(rung + 1)]
    # each rung has a state of its own: another trial with this model may still be at an earlier one
    before = next((f"{item}-{n}" for n in reversed(epochs) if n < epochs[-1]), None)
    every_s = None if _is_last(plan, role, rung) else 0  # a rung before the last ends with its state written
    checkpoint = Checkpoint(store, f"{item}-{epochs[-1]}", every_s, before)
    features, labels = training.gather(store, inputs.training[role])
    return models.train(plan, item, features, labels, checkpoint, until=epochs[-1], device=device)


def _terms(
    plan: SearchPlan, fitted: "dict[str, zoo.Fitted]", store: Store, entries: dict[str, list[Entry]]
) -> dict[str, dict[str, np.ndarray]]:
    """Terms (pool,) of these models by role, shard by shard as a scan scores them."""
    parts: dict[str, list[pa.Table]] = {role: [] for role in fitted}
    for view, entry in ((view, entry) for view, of_view in entries.items() for entry in of_view):
        column = decode(read(store, entry), ["features"])["features"].combine_chunks()
        features = column.flatten().to_numpy().reshape(len(column), column.type.list_size)
        for role in (role for role in fitted if plan.view(role) == view):
            parts[role].append(scores.evaluate(fitted[role], features, plan.study.score.device))
    terms = {role: {name: np.concatenate([part[name].to_numpy() for part in some]) for name in some[0].column_names}
             for role, some in parts.items()}  # fmt: skip
    for name, values in (pair for of_role in terms.values() for pair in of_role.items()):
        if bad := np.count_nonzero(~np.isfinite(values)):
            raise Diverged(f"{bad} of {len(values)} pool events have no finite {name}")
    return terms


def _worth(plan: SearchPlan, rung: int, inputs: RungInputs, terms: dict[str, dict[str, np.ndarray]]) -> dict:
    """Columns of `search_tables.RUNGS`: the leakage that trials are compared by, and at the last rung the objective."""
    pool = inputs.population.pool
    population = replace(inputs.population, pool=replace(pool, terms=pool.terms | terms))
    R, with_R = objectives.best_R(plan, population, inputs.signals, er_leakage)
    worth = {"state": UNDERWAY, "er_leakage": -er_leakage.rank(plan, with_R, inputs.signals, R)}
    if plan.fractions[rung] < 1:
        return worth
    objective = objectives.of(plan.tune.objective)
    R, with_R = objectives.best_R(plan, population, inputs.signals, objective)
    measured = objective.measure(plan, with_R, inputs.signals, R)
    return worth | {
        "state": COMPLETE, "R": R, "objective": measured.value, "objective_error": measured.error,
        "m_chi_GeV": measured.m_chi_GeV,
    }  # fmt: skip


def evaluated(plan: SearchPlan, rung: pa.Table) -> Objective:
    """A row as the sampler takes it: of a large objective the report is minus the leakage, so that large is good."""
    (row,) = rung.to_pylist()
    if row["state"] == DIVERGED:
        return Objective(None, None)
    if row["state"] == COMPLETE:
        return Objective(None, row["objective"])
    better = objectives.of(plan.tune.objective).LARGER_IS_BETTER
    return Objective(-row["er_leakage"] if better else row["er_leakage"], None)


def reason(rung: pa.Table) -> str:
    """Why a trial did not end."""
    return rung["reason"][0].as_py()


def tied(plan: SearchPlan, ended: list[Trial], parts: list[pa.Table], best: Trial) -> list[Trial]:
    """Trials that are as good as the best within the error of its objective, the best among them; they share a pool, so
    that their differences are better known than that. Of an error that is not known, those of equal objective."""
    error = parts[ended.index(best)]["objective_error"][0].as_py() or 0.0
    return [trial for trial in ended if trial.value is not None and trial.state == COMPLETE
            and (trial.value == best.value or abs(trial.value - best.value) <= error)]  # fmt: skip


def chosen(plan: SearchPlan, ended: list[Trial], parts: list[pa.Table], best: Trial) -> Trial:
    """The study as it is, where it ties with the best; else the best."""
    own = [trial for trial in tied(plan, ended, parts, best) if is_study(plan, trial.values)]
    return own[0] if own else best


def is_study(plan: SearchPlan, values: Values) -> bool:
    """Whether these are the values that the study has."""
    return all(cell(values.get(key)) == cell(value) for key, value in plan.first[0].items())


def table(plan: SearchPlan, ended: list[Trial], parts: list[pa.Table], best: Trial) -> pa.Table:
    """All trials by number, with a column per field; parts: what was said of each at its last rung."""
    words, rows = objectives.words(plan), []
    as_good, kept = tied(plan, ended, parts, best), chosen(plan, ended, parts, best)
    for trial, part in zip(ended, parts, strict=True):
        (row,) = part.to_pylist()
        rows.append(row | {"trial": trial.number, "best": trial is kept, "ties": trial in as_good,
                           "objective_is": words, "rungs": len(trial.reports), "state": trial.state}
                    | {key: cell(value) for key, value in trial.values.items()})  # fmt: skip
    values = {one.key: [cell(trial.values[one.key]) for trial in ended] for one in plan.dimensions}
    return schemas.of_rows(search_tables.searched(values), rows)


def cell(value: object) -> object:
    """A value in a table: lists are words."""
    return json.dumps(value) if isinstance(value, list | tuple) else value
