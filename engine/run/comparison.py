"""Architectures on equal physics: one pass over the events for all of them, then the tables that rank them."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

import zoo
from engine import schemas
from engine.assembly import fits, results
from engine.errors import TaskFailed
from engine.plan.members import JointPlan
from engine.plan.plan import Plan
from engine.run import pipeline
from engine.run.pipeline import Outcome
from engine.run.state import Run, to_its_end
from engine.stages import models, pair_schemas, paired, tables, together
from engine.store.store import Ledger, Store
from engine.study import Study
from engine.study.compare import Ranking


@dataclass(frozen=True)
class Comparison:
    """All members of a comparison as they ended, best first in `ranking`, and what was done for it.

    ranking (`pair_schemas.comparison`): a row for each pair; differences (`DIFFERENCES`): for each two; together
    (`schemas.combined`): the smallest p of all of them, by point, if the study asks for it.
    """

    plan: JointPlan
    outcomes: dict[str, Outcome]
    ranking: pa.Table
    differences: pa.Table
    together: pa.Table
    computed: dict[str, int]
    set_aside: list[str]


def run(study: Study, store: Store, **options: object) -> Comparison:
    """The whole comparison, resumed where it stands; options and errors are those of `engine.run.pipeline.run`."""
    plan = JointPlan(study)
    with pipeline.opened(plan, store, **options) as state:
        return to_its_end(state, _whole)


def _whole(run: Run) -> Comparison:
    pipeline.score(run)
    outcomes = {name: _evaluated(run, name) for name in run.plan.members}
    run.stage(paired)
    run.stage(together)
    return _compared(run.plan, run.ledger, run.store, outcomes, run.computed, run.set_aside)


def _evaluated(state: Run, name: str) -> Outcome:
    state.progress.note(f"pair {name}")
    outcome = pipeline.evaluate(state.under(state.plan.members[name]))
    if outcome.n_failed:
        reasons = sorted({reason for failed in outcome.failed.values() for reason in failed.values()})
        raise TaskFailed(f"pair {name}: {outcome.n_failed} items have no answer ({'; '.join(reasons)}); "
                         "the others are kept")  # fmt: skip
    return outcome


def finished(study: Study, store: Store) -> Comparison | None:
    """A comparison as it is in the store, or None when its scan has not ended there."""
    plan, ledger = JointPlan(study), Ledger(store)
    needed = [*plan.paired.values(), *together.items(plan), *models.items(plan)]
    if any(item not in ledger.entries for item in needed) or ledger.check(needed):
        return None
    outcomes = {name: pipeline.finished(member, store) for name, member in study.members.items()}
    if any(outcome is None for outcome in outcomes.values()):
        return None
    return _compared(plan, ledger, store, outcomes, {}, [])


def _compared(
    plan: JointPlan, ledger: Ledger, store: Store, outcomes: dict[str, Outcome], computed: dict, set_aside: list
) -> Comparison:
    roles = tuple(plan.study.roles)
    rows = [_row(name, outcome, plan, ledger, store) for name, outcome in outcomes.items()]
    rows.sort(key=_order)
    ranked = [row | {"rank": rank} for rank, row in enumerate(rows, start=1)]
    ranking = schemas.of_rows(pair_schemas.comparison(roles), ranked)
    names = [row["pair"] for row in rows]
    toys = {name: ledger.table(item) for name, item in plan.paired.items()}
    z = {name: _z_of_seeds(outcome, plan.study.ranking, ledger) for name, outcome in outcomes.items()}
    differences = [_difference(one, other, toys, z, plan) for i, one in enumerate(names) for other in names[i + 1 :]]
    of_two = schemas.of_rows(pair_schemas.DIFFERENCES, differences)
    return Comparison(plan, outcomes, ranking, of_two, together.smallest(plan, ledger), computed, set_aside)


def _order(row: dict) -> tuple[float, float]:
    """By Z, its mean over seeds where there are any; pairs whose Z is the same bound by the exposure of three sigma."""
    return -(row["z"] if row["z_mean"] is None else row["z_mean"]), np.inf if row["t3_ty"] is None else row["t3_ty"]


def _row(name: str, outcome: Outcome, plan: JointPlan, ledger: Ledger, store: Store) -> dict:
    """What is known of one pair; `rank` is not yet."""
    by, study = plan.study.ranking, outcome.plan.study
    place = {"statistic": by.statistic, "R": by.R}
    z_mean, z_mean_error = _mean(_z_of_seeds(outcome, by, ledger))
    (point,) = results.rows_at(outcome.table, place | study.at | {"exposure_ty": by.exposure_ty})
    reached = results.rows_at(outcome["reach"].table, place | study.at | _size(study))
    t3 = reached[0] if reached else dict.fromkeys(("status", "t3_ty", "t3_error_ty", "t3_seed_error_ty"))
    return {
        "pair": name, **place, "exposure_ty": by.exposure_ty, "z": point["z_exact"], "z_tail": point["exact_tail"],
        "z_pool_error": point["z_pool_error"], "z_seed_error": point["z_seed_error"],
        "z_mean": z_mean, "z_mean_error": z_mean_error,
        "pool_limited": point["pool_limited"], "t3_status": t3["status"],
        **{column: t3[column] for column in ("t3_ty", "t3_error_ty", "t3_seed_error_ty")},
        "n_seeds": study.training.n_seeds, **_quality(outcome),
        **_of_models(name, outcome.plan, ledger, store), "lineage": outcome.plan.table,
    }  # fmt: skip


def _z_of_seeds(outcome: Outcome, by: Ranking, ledger: Ledger) -> list[float | None]:
    """Z by training seed, this one's first, by what pairs are ranked by; None where it is only a bound. Nothing of an
    ensemble, which is none of its fits."""
    plan, place = outcome.plan, outcome.plan.study.at | vars(by)
    if not plan.is_one_of_siblings:
        return []
    (own,) = results.rows_at(outcome.table, place)
    of_seeds = next((z for (point, R, name), z in tables.z_of_seeds(plan, ledger).items()
                     if (point.exposure_ty, R, name) == (by.exposure_ty, by.R, by.statistic)), [])  # fmt: skip
    return [own["z_exact"] if own["exact_tail"] == "exact" else None, *of_seeds]


def _mean(z: list[float | None]) -> tuple[float | None, float | None]:
    """Mean over seeds and its error; None of fewer than two, or where one is not known."""
    sd = results.spread(z)
    return (None, None) if sd is None else (float(np.mean(z)), sd / len(z) ** 0.5)


def _quality(outcome: Outcome) -> dict[str, float | int | None]:
    """Of the first classifier on the papers' population; nothing without one."""
    kinds = outcome.plan.study.kinds
    role = next((role for role, kind in kinds.items() if kind == "classifier"), None)
    rows = [row for row in outcome["diagnostics"].table.to_pylist() if row["role"] == role]
    test = rows[0] if rows else {}
    columns = {"auc": "auc", "accuracy": "accuracy", "er_leakage_30": "er_leakage_at_30_percent_nr",
               "er_leakage_50": "er_leakage_at_50_percent_nr", "n_test_er": "n_er"}  # fmt: skip
    return {name: test.get(column) for name, column in columns.items()}


def _size(study: Study) -> dict[str, float]:
    """What exposures are sought for, where a study seeks them for another signal than its benchmark."""
    return {} if study.reach.size is None else {study.signal.size.name: study.reach.size}


def _of_models(name: str, plan: Plan, ledger: Ledger, store: Store) -> dict[str, object]:
    """What each role's model is, and its size and speed."""
    columns = {}
    for (role, model), title in zip(plan.fitted.items(), name.split("-"), strict=True):
        fitted = zoo.load(fits.blob(plan, ledger, role), plan.family(role))
        timing = fits.timing(plan, store, role)
        columns |= {
            role: title, f"{role}_family": model.name, f"{role}_sees": plan.view(role),
            f"{role}_parameters": zoo.n_parameters(fitted), f"{role}_training_s": timing.training_s,
            f"{role}_scored_per_s": timing.scored_per_s,
        }  # fmt: skip
    return columns


def _difference(
    one: str, other: str, toys: dict[str, pa.Table], z: dict[str, list[float | None]], plan: JointPlan
) -> dict:  # fmt: skip
    by, difference = plan.study.ranking, paired.difference(toys[one], toys[other])
    known = len(z[one]) == len(z[other]) and None not in (*z[one], *z[other])
    mean, error = _mean([mine - its for mine, its in zip(z[one], z[other], strict=True)] if known else [])
    return {
        "pair": one, "other": other, **vars(by), "z_difference": difference.z, "z_difference_error": difference.z_error,
        "z_mean_difference": mean, "z_mean_difference_error": error,
        "better": difference.better, "tied": difference.tied, "bound": difference.bound, "n_toys": difference.n_toys,
    }  # fmt: skip
