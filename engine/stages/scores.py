"""Test and pool events, simulated and scored in one stream: truth and per-event terms of every model, no features."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

import zoo
from engine import schemas
from engine.assembly.fits import blob, fitted
from engine.assembly.inputs import Inputs
from engine.assembly.samples import Columns, Features, sample
from engine.plan.event_plan import VERSIONS, EventPlan, Shard
from engine.stages.models import of_passes
from engine.store.parts import Part
from engine.store.units import Unit, totals

NAME, VERSION, SCHEMA = "scores", VERSIONS["scores"], schemas.TERMS
OF_ALL, REREAD = True, True
THROWN = "thrown"  # of an enriched shard, what each of its events costs before it is kept or not


def items(plan: EventPlan) -> list[str]:
    """Truth and terms of every shard that is scored."""
    return [item for shard in shards(plan) for item in (shard.item, *_of(plan, shard, plan.roles))]


def _of(plan: EventPlan, shard: Shard, roles: Iterable[str]) -> list[str]:
    return [plan.score_item(shard, role) for role in roles]


def shards(plan: EventPlan) -> list[Shard]:
    """Those of the plan's purposes, and of pools that are thrown for systematics or the battery alone."""
    of_purposes = [shard for purpose in plan.scored for shard in plan.shards[purpose]]
    return of_purposes + plan.varied_shards + plan.battery_shards


def amounts(plan: EventPlan, missing: set[str]) -> dict[str, float]:
    """Events to be simulated, by what is made of them; what networks take to score them, or events, of a family that
    does not say how large it is; and those thrown to keep few."""
    made = []
    for shard in shards(plan):
        roles = [role for role in plan.roles if plan.score_item(shard, role) in missing]
        views = {plan.view(role) for role in roles} or ({"events"} if shard.item in missing else set())
        made += [(name, shard.n_whole) for name in views]
        for role in roles:
            n = shard.n_whole * max(plan.fitted[role].n_latent, 1)
            for model in plan.fits_of(role).values():
                made += of_passes(model, plan.study.n_features(plan.view(role)), n)
        if views and shard.enrichment is not None:
            made.append((THROWN, shard.n_thrown))
    return totals(made)


def units(inputs: Inputs, missing: set[str]) -> Iterable[Unit]:
    """A shard of scored events each, with the roles that are missing."""
    plan, shared = inputs.plan, inputs.share(inputs.plan)
    models = inputs.share({role: blob(plan, inputs.ledger, role) for role in plan.roles})
    for shard in shards(plan):
        roles = [role for role in plan.roles if plan.score_item(shard, role) in missing]
        if roles or shard.item in missing:
            made = shard.item, *_of(plan, shard, roles)
            yield Unit((shared, shard, roles, models), items=made, name=shard.words)


def gpus(plan: EventPlan) -> float:
    """Of a GPU, what a task asks for."""
    return plan.study.score.gpus_per_task


def work(plan: EventPlan, shard: Shard, roles: list[str], models: dict[str, bytes]) -> list[Part]:
    """A shard of test or pool events, made and scored in one stream: its features are never stored.

    Events are made once, and one representation after the other is made of them, for all models that read it.
    """
    return scored(plan, shard, *sample(plan, shard, [plan.view(role) for role in roles]), roles, models)


def scored(
    plan: EventPlan, shard: Shard, columns: Columns, features: Features, roles: list[str], models: dict[str, bytes]
) -> list[Part]:
    """A sample of a shard as parts: its truth, and the terms of these roles' models."""
    schema = schemas.EVENTS if shard.enrichment is None else schemas.ENRICHED
    parts = [Part(f"events/{shard.item}.parquet", (shard.item,), schemas.table(schema, columns))]
    for role in roles:
        seen = features[plan.view(role)][columns["selected"]]
        terms = evaluate(fitted(plan, role, models[role]), seen, plan.study.score.device)
        item = plan.score_item(shard, role)
        parts.append(Part(f"{NAME}/{item}.parquet", (item,), terms))
    return parts


def evaluate(model: "zoo.Fitted", features: np.ndarray, device: str) -> pa.Table:
    """One row per event: `recon` and `kl` (without beta) of an autoencoder, `logit` of a classifier.

    A table that was not made on a CPU has in its metadata, as `device`, on what.
    """
    table = schemas.table(schemas.TERMS[model.family.KIND], zoo.terms(model, features, device=device))
    if device == "cpu":
        return table
    return table.replace_schema_metadata((table.schema.metadata or {}) | {"device": zoo.device_name(device)})
