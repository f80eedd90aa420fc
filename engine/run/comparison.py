"""Architectures on equal physics: one pass over the events for all of them, then the tables that rank them."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa

import zoo
from engine import plugins, schemas
from engine.assembly import results
from engine.errors import TaskFailed
from engine.plan.members import JointPlan
from engine.plan.plan import Plan
from engine.run import pipeline
from engine.run.pipeline import Outcome, Run
from engine.stages import pair_schemas, paired, reach_schemas
from engine.store import timings
from engine.store.store import Ledger, Store
from engine.store.units import Unit
from engine.study import Study


@dataclass(frozen=True)
class Comparison:
    """All members of a comparison as they ended, best first in `ranking`, and what was done for it.

    ranking (`pair_schemas.COMPARISON`): a row for each pair; differences (`DIFFERENCES`): for each two.
    """

    plan: JointPlan
    outcomes: dict[str, Outcome]
    ranking: pa.Table
    differences: pa.Table
    computed: dict[str, int]
    set_aside: list[str]


def run(study: Study, store: Store, **options: object) -> Comparison:
    """The whole comparison, resumed where it stands; options and errors are those of `engine.run.pipeline.run`."""
    plan = JointPlan(study)
    with pipeline.opened(plan, store, **options) as state:
        pipeline.score(state)
        outcomes = {name: _evaluated(state, name) for name in plan.members}
        state.stage("paired", plan.items["paired"], paired.compute, partial(_units, state, outcomes))
        return _compared(plan, state.ledger, store, outcomes, state.computed, state.set_aside)


def _evaluated(state: Run, name: str) -> Outcome:
    state.progress.note(f"pair {name}")
    of_pair = state.under(state.plan.members[name])
    outcome = pipeline.evaluate(of_pair)
    state.count(of_pair.computed)
    if outcome.n_failed:
        reasons = sorted({reason for failed in outcome.failed.values() for reason in failed.values()})
        raise TaskFailed(f"pair {name}: {outcome.n_failed} items have no answer ({'; '.join(reasons)}); "
                         "the others are kept")  # fmt: skip
    return outcome


def _units(state: Run, outcomes: dict[str, Outcome], missing: set[str]) -> Iterable[Unit]:
    """One pair each."""
    for name, item in state.plan.paired.items():
        if item in missing:
            arguments = state.plan.members[name], state.share(outcomes[name].population), state.plan.study.yardstick
            yield Unit(arguments, items=(item,), name=f"toys of {name}")


def finished(study: Study, store: Store) -> Comparison | None:
    """A comparison as it is in the store, or None when its scan has not ended there."""
    plan, ledger = JointPlan(study), Ledger(store)
    needed = list(plan.paired.values()) + plan.items["models"]
    if any(item not in ledger.entries for item in needed) or ledger.check(needed):
        return None
    outcomes = {name: pipeline.finished(member, store) for name, member in study.members.items()}
    if any(outcome is None for outcome in outcomes.values()):
        return None
    return _compared(plan, ledger, store, outcomes, {}, [])


def _compared(
    plan: JointPlan, ledger: Ledger, store: Store, outcomes: dict[str, Outcome], computed: dict, set_aside: list
) -> Comparison:
    rows = [_row(name, outcome, plan, ledger, store) for name, outcome in outcomes.items()]
    rows.sort(key=_order)
    ranking = _table(pair_schemas.COMPARISON, [row | {"rank": rank} for rank, row in enumerate(rows, start=1)])
    names = [row["pair"] for row in rows]
    toys = {name: ledger.table(item) for name, item in plan.paired.items()}
    found = [_difference(one, other, toys, plan) for i, one in enumerate(names) for other in names[i + 1 :]]
    return Comparison(plan, outcomes, ranking, _table(pair_schemas.DIFFERENCES, found), computed, set_aside)


def _order(row: dict) -> tuple[float, float]:
    """By Z; pairs whose Z is the same bound by the exposure of three sigma."""
    return -row["z"], np.inf if row["t3_ty"] is None else row["t3_ty"]


def _table(schema: pa.Schema, rows: list[dict]) -> pa.Table:
    return schemas.table(schema, {name: [row[name] for row in rows] for name in schema.names})


def _row(name: str, outcome: Outcome, plan: JointPlan, ledger: Ledger, store: Store) -> dict:
    """What is known of one pair; `rank` is not yet."""
    by, study = plan.study.yardstick, outcome.plan.study
    place = {"statistic": by.statistic, "R": by.R}
    (point,) = results.rows_at(outcome.table, place | study.at | {"exposure_ty": by.exposure_ty})
    reached = results.rows_at(outcome.reach, place | study.at | _size(study))
    t3 = reached[0] if reached else dict.fromkeys(reach_schemas.REACH.names)
    test = outcome.diagnostics.table.to_pylist()[0]  # the study's classifier on the papers' population
    vae, classifier = name.split("-")
    return {
        "pair": name, "vae": vae, "classifier": classifier,
        "vae_family": study.models.vae.name, "classifier_family": study.models.classifier.name,
        "vae_sees": study.view(study.models.vae), "classifier_sees": study.view(study.models.classifier),
        **place, "exposure_ty": by.exposure_ty, "z": point["z_exact"], "z_tail": point["exact_tail"],
        "z_pool_error": point["z_pool_error"], "z_seed_error": point["z_seed_error"],
        "pool_limited": point["pool_limited"], "t3_status": t3["status"],
        **{column: t3[column] for column in ("t3_ty", "t3_error_ty", "t3_seed_error_ty")},
        "n_seeds": study.training.n_seeds, "auc": test["auc"], "accuracy": test["accuracy"],
        "er_leakage_30": test["er_leakage_at_30_percent_nr"], "er_leakage_50": test["er_leakage_at_50_percent_nr"],
        "n_test_er": test["n_er"],
        **_of_models(outcome.plan, ledger, store), "lineage": outcome.plan.table,
    }  # fmt: skip


def _size(study: Study) -> dict[str, float]:
    """What exposures are sought for, where a study seeks them for another signal than its benchmark."""
    axis = study.signal.axes[-1]
    given = getattr(study.reach, axis)
    return {} if given is None else {axis: given}


def _of_models(plan: Plan, ledger: Ledger, store: Store) -> dict[str, float | int | None]:
    """Size and speed of both networks."""
    found = {}
    for slot, model in plan.fitted.items():
        fitted = zoo.load(ledger.read(plan.models[slot]), plugins.load("zoo", model.name))
        timing = timings.read(store, plan.models[slot])
        found |= {f"{slot}_parameters": zoo.n_parameters(fitted), f"{slot}_training_s": timing.training_s,
                  f"{slot}_scored_per_s": timing.scored_per_s}  # fmt: skip
    return found


def _difference(one: str, other: str, toys: dict[str, pa.Table], plan: JointPlan) -> dict:
    by, found = plan.study.yardstick, paired.difference(toys[one], toys[other])
    return {
        "pair": one, "other": other, **vars(by), "z_difference": found.z, "z_difference_error": found.z_error,
        "better": found.better, "tied": found.tied, "bound": found.bound, "n_toys": found.n_toys,
    }  # fmt: skip
