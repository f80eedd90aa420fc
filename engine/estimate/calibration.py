"""Costs measured on a small copy of a study, in memory, through the stages that a scan of it goes through."""

import copy
import time
from dataclasses import replace

from engine import plugins
from engine.errors import BadInput, said
from engine.estimate.costs import Cost, Costs
from engine.estimate.estimate import of_stage
from engine.plan.members import JointPlan, plan_of
from engine.run.state import Run
from engine.stages import STAGES, nulls, trait
from engine.store.scratch import Scratch
from engine.store.store import Ledger
from engine.study import Study, parse

Row = tuple[dict[str, float], int, Cost]  # amounts of work, items, and what they took

MOST = {
    "events": {"train_per_kind": 1000, "test_per_kind": 200},
    "pool": {"er_events": 10_000, "nr_events": 10_000, "component_events": 2000},
    "toys": {"null": 8000, "signal": 2000},  # fewer would not resolve what systematics and searches ask of them
    "limits": {"toys": 500},
}  # fmt: skip
EPOCHS = 2
SECTIONS_LEFT_OUT = ("tune",)


def shrunk(raw: dict, study: Study) -> dict:
    """A study as written, of few events, toys and epochs, with one mass and size and the ends of the exposures."""
    small = {name: value for name, value in copy.deepcopy(raw).items() if name not in SECTIONS_LEFT_OUT}
    for section, most in MOST.items():
        sizes = {name: min(getattr(getattr(study, section), name), n) for name, n in most.items()}
        small[section] = small.get(section, {}) | sizes
    grid, size = study.grid, study.signal.size
    written = {name: axis for name, axis in small.get("grid", {}).items() if name not in ("refine", "size", size.name)}
    exposures = sorted(grid.exposure_ty.points())
    exposures = {exposures[0], exposures[-1], *([study.ranking.exposure_ty] if study.compare else ())}
    small["grid"] = written | {
        size.name: {"values": [_middle(grid.size.points())]}, "exposure_ty": {"values": sorted(exposures)},
    }  # fmt: skip
    if grid.m_chi_GeV:
        small["grid"]["m_chi_GeV"] = {"values": [_middle(grid.masses)]}
    masses = dict.fromkeys(("m_chi_GeV", "toys_m_chi_GeV", "points"), []) if study.signal.size.has_mass else {}
    small["reach"] = small.get("reach", {}) | masses | {"groups": 2}
    small["training"] = small.get("training", {}) | {"workers": 1, "gpus_per_worker": 0}
    compared = {role: small["compare"][role] for role in study.roles if role in small.get("compare", {})}
    alone = {name: study.models[name] for role, name in study.roles.items() if role not in compared}
    small["models"] = {name: {"name": model.name} for name, model in alone.items()} | small.get("models", {})
    for models in [small["models"], *compared.values()]:
        for name, model in models.items():
            models[name] = model | _few_epochs(model)
    return small


def _few_epochs(model: dict) -> dict:
    family = plugins.load("zoo", model["name"])
    epochs = getattr(family.Config(), "epochs", None) if hasattr(family, "Config") else None
    return {} if epochs is None else {"epochs": min(model.get("epochs", epochs), EPOCHS)}


def _middle(points: tuple | list):
    return sorted(points)[len(points) // 2]


def calibrated(raw: dict, study: Study, costs: Costs) -> Costs:
    """Costs with the factor that every stage of a small copy of the study was dearer; raises BadInput.

    The copy is scanned twice, with two seeds: the first time compiles. What cannot be done keeps its cost.
    """
    small, took = shrunk(raw, study), {}
    for seed in (study.seed + 1, study.seed):
        took, failed = timed(parse(small | {"seed": seed}))
    factors = {}
    for stage, (amounts, n_items, cost) in took.items():
        priced, _ = costs.of(stage, amounts, n_items)
        if priced.core_s and cost.core_s:
            bytes_more = cost.n_bytes / priced.n_bytes if priced.n_bytes else 1.0
            factors[stage] = Cost(cost.core_s / priced.core_s, bytes_more)
    how = ["measured on a small copy of the study", *(f"not {name}: {why}" for name, why in failed.items())]
    return replace(costs, factors=factors, how="; ".join(how))


def timed(study: Study) -> tuple[dict[str, Row], dict[str, str]]:
    """Of every stage of a scan in memory: work, items and what they took; and why stages could not be done."""
    store, joint, took, failed = Scratch(), plan_of(study), {}, {}
    of_all = Run(joint, store, Ledger(store))
    of_one = of_all.under(joint.parts[0]) if isinstance(joint, JointPlan) else of_all
    for stage in STAGES:
        if not hasattr(stage, "work"):
            continue
        of = of_all if trait(stage, "OF_ALL") else of_one
        missing = set(stage.items(of.plan)) if of.plan.has(stage.NAME) else set()
        if not missing:
            continue
        begun = time.process_time()
        try:
            of.stage(stage)
        except BadInput:
            raise
        except Exception as error:
            failed[stage.NAME] = said(error)
            break
        core_s, n_bytes = time.process_time() - begun, sum(store.sizes(f"{stage.NAME}/").values())
        if stage is nulls and study.combined and isinstance(joint, JointPlan):
            for other in joint.parts[1:]:  # whose toys are read, but not timed
                of_all.under(other).stage(nulls)
        answered = missing - set(of.unanswered(missing))
        took[stage.NAME] = of_stage(stage, of.plan, answered), len(answered), Cost(core_s, n_bytes)
    return took, failed
