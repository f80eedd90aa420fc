"""What MLflow is told of a scan: its run, with the fits nested in it and their models."""

import json
from dataclasses import replace
from pathlib import PurePath

import numpy as np

import zoo
from engine import lineage, stages
from engine.assembly.fits import blob
from engine.plan.event_plan import Shard
from engine.plan.plan import Plan
from engine.report import headline, summary
from engine.report.tracking import LoggedModel, Rank, Record, masses, metrics, ranking, words
from engine.report.tracking.journal import environment, in_words, pages
from engine.report.tracking.record import PARTIAL
from engine.run.pipeline import Outcome
from engine.schemas import TERMS
from engine.stages import limits, reach, tables
from engine.store.parts import Part, encode
from engine.store.store import Ledger, Store

FIGURES = {
    "autoencoder": {"posterior_predictive", "elbo_energy", "latent", "reconstruction"},
    "classifier": {"roc", "sic", "confusion"},
}  # by kind of model
FOLDERS = {".png": "figures", ".pdf": "figures", ".parquet": "tables", ".csv": "tables"}  # of artifacts


def opening(name: str, plan: Plan, labels: dict[str, str] | None = None) -> Record:
    """The scan as it is known before it runs: parameters, inputs, where it runs; no result.

    `labels` tell the models by role apart where several are of one family.
    """
    study, labels = plan.study, labels or words.labels(plan.study)
    purposes = {purpose: plan.shards[purpose] for purpose in ("train", "test", "pool")}
    return Record(
        plan.table, words.title(name, study.seed, labels), words.parameters(plan, labels), {}, {},
        {"study.json": _json(study.fields())}, {"stage": "scan", "study": name} | in_words(environment()),
        {purpose: _digest(purpose, shards) for purpose, shards in purposes.items()},
        {purpose: sum(shard.n_thrown for shard in shards) for purpose, shards in purposes.items()},
    )  # fmt: skip


def records(
    name: str, plan: Plan, store: Store, outcome: Outcome, files: dict[str, bytes],
    labels: dict[str, str] | None = None, row: dict | None = None,
) -> list[Record]:  # fmt: skip
    """The scan, with its fits in it; `files` are the figures by name, `row` the one that it is ranked by, if it is not
    the headline's."""
    ledger, best = Ledger(store), row or ranking.headline(plan, outcome.table)
    rank, diagnosed = ranking.rank(plan, best), outcome["diagnostics"]
    fits = [_fit(name, plan, ledger, role, diagnosed.numbers(role), _files(outcome, role, files), rank)
            for role in plan.fitted]  # fmt: skip
    more = [_fit(name, sibling, ledger, role) for sibling in plan.siblings for role in sibling.fitted]
    passes, begun = pages(store, plan.table), opening(name, plan, labels)
    made_by = passes[-1].environment if passes else environment()
    at_its_end = {"progress": [(sum(map(len, stages.items(plan).values())), 1.0)]}
    return [replace(
        begun,
        metrics=metrics.of_scan(plan, outcome, best),
        curves=masses.curves(plan, outcome, best) | metrics.seconds(passes) | at_its_end,
        files=begun.files | filed(files | _tables(plan, ledger, outcome)) | _provenance(begun, plan, ledger, made_by),
        tags=begun.tags | in_words(made_by),
        children=(*fits, *more),
        note=(*headline.lines(outcome), *summary.lines(outcome)),
    )]  # fmt: skip


def partial(name: str, outcome: Outcome, files: dict[str, bytes]) -> Record:
    """The scan as it ended without all answers: its table as far as it is known; `files` are figures of it by name."""
    begun = opening(name, Plan(outcome.plan.study))
    table = encode(Part("table.parquet", (), outcome.table))
    beside = {f"{PARTIAL}/{file}": data for file, data in ({"table.parquet": table} | files).items()}
    return replace(begun, files=begun.files | beside, tags=begun.tags | {PARTIAL: str(outcome.n_failed)})


def filed(files: dict[str, bytes]) -> dict[str, bytes]:
    """Figures and tables in folders of their own, so that the report and the study are found among them."""
    folders = {name: FOLDERS.get(PurePath(name).suffix) for name in files}
    return {f"{folders[name]}/{name}" if folders[name] else name: data for name, data in files.items()}


def _files(outcome: Outcome, role: str, figures: dict[str, bytes]) -> dict[str, bytes]:
    """The tables and figures of the model in a role; of several models of one kind, the names of figures end in it."""
    shown = FIGURES.get(outcome.plan.family(role).KIND, set())
    names = shown | {f"{name}_{role}" for name in shown}
    mine = {name: data for name, data in figures.items() if name.partition(".")[0] in names}
    return filed(outcome["diagnostics"].files(role) | mine)


def _fit(
    name: str, plan: Plan, ledger: Ledger, role: str, numbers: dict[str, float] | None = None,
    files: dict[str, bytes] | None = None, rank: Rank | None = None,
) -> Record:  # fmt: skip
    """A fit with what is known of it; of one with a further seed that is its curves alone."""
    model, item = plan.fitted[role], plan.models[role]
    data = blob(plan, ledger, role)
    kind = plan.family(role).KIND
    short, seed, view = words.short(model.name), plan.study.seed_of(model), plan.study.view(model)
    training = plan.training(model)
    n_events = sum(shard.n_thrown for shard in training)
    about = f"{role} of {name}, seed {seed}: {short} fitted to {n_events} events ({view})"
    return Record(
        lineage=item,
        name=words.title(f"{name}: {role}", seed, {role: short}),
        parameters={"family": model.name, "role": role, "seed": seed, "representation": view} | words.changed(model),
        metrics=metrics.finite({f"quality/{key}": value for key, value in (numbers or {}).items()}),
        curves={key: list(enumerate(values, start=1)) for key, values in zoo.history(data).items()},
        files=(files or {}) | {"model.json": _json(model.model_dump(mode="json"))},
        tags={"stage": "fit", "study": name} | in_words(environment()),
        inputs={"train": _digest("train", training)},
        sizes={"train": n_events},
        model=LoggedModel(
            model.name, short, data, _example(ledger, training), tuple(TERMS[kind].names), kind, about,
            rank,
        ),
    )  # fmt: skip


def _example(ledger: Ledger, shards: list[Shard]) -> np.ndarray:
    """(1, n_features) float32: the first event that the model was trained on."""
    tables = (ledger.table(shard.item, ["features"]) for shard in shards)
    first = next(table for table in tables if len(table))
    return np.array(first["features"][:1].to_pylist(), np.float32)


def _tables(plan: Plan, ledger: Ledger, outcome: Outcome) -> dict[str, bytes]:
    """All tables as they are in the store."""
    made = {stage.NAME: stage.table_item(plan) for stage in (tables, reach, limits)}
    names = {tables.NAME: "table.parquet", reach.NAME: "reach.parquet", limits.NAME: "limits.parquet"}
    return {names[name]: ledger.read(item) for name, item in made.items() if item}


def _provenance(begun: Record, plan: Plan, ledger: Ledger, made_by: dict[str, str]) -> dict[str, bytes]:
    """Digests of table, models and events, and what they were made with."""
    return {"provenance.json": _json({
        "table": plan.table, "table_sha256": ledger.entries[plan.table].sha256, "models": plan.models,
        "events": begun.inputs, "environment": made_by,
    })}  # fmt: skip


def _digest(purpose: str, shards: list[Shard]) -> str:
    return lineage.digest(purpose, 1, None, [shard.item for shard in shards])


def _json(value: object) -> bytes:
    return json.dumps(value, indent=1).encode()
