"""What MLflow is told of a scan: its run, with the fits nested in it and their models."""

import json
import math
from dataclasses import replace

import numpy as np

import zoo
from engine import lineage, plugins, stages
from engine.assembly import results
from engine.assembly.fits import blob
from engine.lineage import label, row_label
from engine.plan.event_plan import Shard
from engine.plan.plan import Plan
from engine.report import summary
from engine.report.tracking import LoggedModel, Rank, Record, masses, ranking
from engine.report.tracking.journal import Page, environment, pages
from engine.report.tracking.record import PARTIAL
from engine.run.pipeline import Outcome
from engine.schemas import TERMS
from engine.stages import STAGES, limits, reach, tables
from engine.store.parts import Part, encode
from engine.store.store import Ledger, Store

FIGURES = {
    "autoencoder": {"posterior_predictive", "elbo_energy", "latent", "reconstruction"},
    "classifier": {"roc", "sic", "confusion"},
}  # by kind of model


def opening(name: str, plan: Plan) -> Record:
    """The scan as it is known before it runs: parameters, inputs, where it runs; no result."""
    study = plan.study
    tags = {"stage": "scan", "study": name} | plan.models
    fields = study.fields()
    files = {"study.json": json.dumps(fields, indent=1).encode()}
    parameters = _flat({key: value for key, value in fields.items() if key != "detector"}
                       | {"detector": {k: v for k, v in fields["detector"].items() if k != "constants"}})  # fmt: skip
    inputs = {purpose: _digest(purpose, plan.shards[purpose]) for purpose in ("train", "test", "pool")}
    return Record(plan.table, f"{name}-{plan.table[:8]}", parameters, {}, {}, files, tags | environment(), inputs)


def records(name: str, plan: Plan, store: Store, outcome: Outcome, files: dict[str, bytes]) -> list[Record]:
    """The scan, with its fits in it; `files` are the figures by name."""
    ledger, best = Ledger(store), ranking.headline(plan, outcome.table)
    rank, diagnosed = ranking.rank(plan, best), outcome["diagnostics"]
    fits = [
        _fit(plan, ledger, role, diagnosed.numbers(role), _files(outcome, role, files), rank) for role in plan.fitted
    ]
    more = [_fit(sibling, ledger, role) for sibling in plan.siblings for role in sibling.fitted]
    passes, begun = pages(store, plan.table), opening(name, plan)
    made = {"table_sha256": ledger.entries[plan.table].sha256} | (passes[-1].environment if passes else {})
    at_its_end = {"progress": [(sum(map(len, stages.items(plan).values())), 1.0)]}
    return [replace(
        begun,
        metrics=_finite(_metrics(plan, outcome, best)),
        curves=masses.curves(plan, outcome) | _seconds(passes) | at_its_end,
        files=begun.files | files | _tables(plan, ledger, outcome),
        tags=begun.tags | made,
        children=(*fits, *more),
        note="\n".join(f"- {line}" for line in summary.lines(outcome)),
    )]  # fmt: skip


def partial(name: str, outcome: Outcome, files: dict[str, bytes]) -> Record:
    """The scan as it ended without all answers: its table as far as it is known; `files` are figures of it by name."""
    begun = opening(name, Plan(outcome.plan.study))
    table = encode(Part("table.parquet", (), outcome.table))
    beside = {f"{PARTIAL}/{file}": data for file, data in ({"table.parquet": table} | files).items()}
    return replace(begun, files=begun.files | beside, tags=begun.tags | {PARTIAL: str(outcome.n_failed)})


def _files(outcome: Outcome, role: str, figures: dict[str, bytes]) -> dict[str, bytes]:
    """The tables and figures of the model in a role; of several models of one kind, the names of figures end in it."""
    shown = FIGURES.get(outcome.plan.family(role).KIND, set())
    names = shown | {f"{name}_{role}" for name in shown}
    mine = {name: data for name, data in figures.items() if name.partition(".")[0] in names}
    return outcome["diagnostics"].files(role) | mine


def _fit(
    plan: Plan, ledger: Ledger, role: str, numbers: dict[str, float] | None = None,
    files: dict[str, bytes] | None = None, rank: Rank | None = None,
) -> Record:  # fmt: skip
    """A fit with what is known of it; of one with a further seed that is its curves alone."""
    model, item = plan.fitted[role], plan.models[role]
    family, data = plugins.load("zoo", model.name), blob(plan, ledger, role)
    fitted = zoo.load(data, family)
    mine = (numbers or {}) | ({} if rank is None else {"z": rank.z})
    short = family.__name__.rpartition(".")[2]
    example = _example(ledger, plan.training(model))
    return Record(
        lineage=item,
        name=f"{short}-{item[:8]}",
        parameters={"family": model.name, "seed": plan.study.seed_of(model), "representation": plan.study.view(model)}
        | ({} if model.ensemble == 1 else {"ensemble": model.ensemble})
        | model.config,
        metrics=_finite(mine),
        curves={key: list(enumerate(values, start=1)) for key, values in fitted.history.items()},
        files=files or {},
        tags={"stage": "fit", "family": model.name, "role": role, "kind": family.KIND} | environment(),
        inputs={"train": _digest("train", plan.training(model))},
        model=LoggedModel(model.name, short, data, example, tuple(TERMS[family.KIND].names), rank),
    )


def _example(ledger: Ledger, shards: list[Shard]) -> np.ndarray:
    """(1, n_features) float32: the first event that the model was trained on."""
    tables = (ledger.table(shard.item, ["features"]) for shard in shards)
    first = next(table for table in tables if len(table))
    return np.array(first["features"][:1].to_pylist(), np.float32)


def _metrics(plan: Plan, outcome: Outcome, best: dict | None) -> dict[str, float]:
    """The headline, every Z at the benchmark, how good the models are, reach and limits."""
    study, metrics = plan.study, {}
    if best:
        metrics |= {name: best[name] for name in ("R", "exposure_ty")} | {"z": ranking.z(best)}
        metrics |= {"p": best["p_median"] if best["p_exact"] is None else best["p_exact"]}
    metrics |= plan.score_parameters if all(isinstance(v, float) for v in plan.score_parameters.values()) else {}
    metrics |= {f"effective_events_{name}": n for name, n in outcome.population.effective_events().items()}
    for row in results.rows_at(outcome.table, study.at):
        exposure = f"{label(row['exposure_ty'])}ty"
        score = row_label(row["statistic"], row["R"])
        metrics |= {f"z_{score}_{exposure}": row["z_median"], f"z_count_{exposure}": row["z_count"]}
        of_law = {"z_exact": row["z_exact"], "z_seed_error": row["z_seed_error"]}
        metrics |= {f"{name}_{score}_{exposure}": z for name, z in of_law.items() if z is not None}
    for stage in STAGES:
        if hasattr(stage, "metrics"):
            metrics |= stage.metrics(outcome[stage.NAME], study)
    return metrics


def _seconds(passes: list[Page]) -> dict[str, list[tuple[int, float]]]:
    """Time by stage, its step the number of the pass."""
    curves: dict[str, list[tuple[int, float]]] = {}
    for step, page in enumerate(passes):
        for stage, seconds in page.seconds.items():
            curves.setdefault(f"seconds_{stage}", []).append((step, seconds))
        curves.setdefault("seconds", []).append((step, sum(page.seconds.values())))
    return curves


def _tables(plan: Plan, ledger: Ledger, outcome: Outcome) -> dict[str, bytes]:
    """All tables as they are in the store."""
    made = {stage.NAME: stage.table_item(plan) for stage in (tables, reach, limits)}
    names = {tables.NAME: "table.parquet", reach.NAME: "reach.parquet", limits.NAME: "limits.parquet"}
    return {names[name]: ledger.read(item) for name, item in made.items() if item}


def _digest(purpose: str, shards: list[Shard]) -> str:
    return lineage.digest(purpose, 1, None, [shard.item for shard in shards])


def _finite(metrics: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if math.isfinite(value)}


def _flat(value: dict, prefix: str = "") -> dict[str, object]:
    flat = {}
    for key, inner in value.items():
        flat |= _flat(inner, f"{prefix}{key}.") if isinstance(inner, dict) else {f"{prefix}{key}": inner}
    return flat
