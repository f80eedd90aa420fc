"""What the tasks of the diagnostics do: events and fitted models in, finished parts out. Knows no Ray."""

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import zoo
from engine import lineage, plugins, schemas
from engine.assembly.samples import sample
from engine.diagnostics import classification, latent, posterior
from engine.plan import asked
from engine.plan.event_plan import Shard
from engine.plan.plan import Plan
from engine.store.parts import Entry, Part, decode
from engine.store.store import Store, read

SUMMARY = ["kind", "proposal_per_keV", "cs1_pe", "cs2_pe", "drift_us", "selected"]
CHUNK = 256  # events drawn at once: an image is 68 kB of float32
ON_MAP = 750  # events of each kind; the map's time grows with their square
EXAMPLES_KEV = {"ER": 6.0, "NR": 25.0}  # the middle of 2 to 10 keVee, true energies that give about as much S1

Columns = dict[str, np.ndarray]


def compute(make: Callable[..., list[Part]], *inputs: object) -> list[Part]:
    """One of the functions below, with its inputs."""
    return make(*inputs)


def classifier(plan: Plan, store: Store, scored: dict[str, list[tuple[Entry, Entry]]]) -> list[Part]:
    """The rows of the study's classifier; scored: events and their logits by population."""
    rows = []
    for name, pairs in scored.items():
        events = _selected(store, [events for events, _ in pairs])
        logit = np.concatenate([decode(read(store, terms))["logit"].to_numpy() for _, terms in pairs])
        rows.append({"population": name} | _evaluate(events, logit))
    return _rows(plan, asked.CLASSIFIER, plan.study.models.classifier.name, rows)


def floor(plan: Plan, store: Store, training: list[Entry], events: dict[str, list[Entry]]) -> list[Part]:
    """The rows of the floor, fitted here to the study's own training events; events: by population."""
    family = plugins.load("zoo", asked.FLOOR_FAMILY)
    seen = _selected(store, training)
    config = zoo.configure(family, asked.floor_config())
    fitted = zoo.fit(family, config, _summary(plan, seen), seen["is_nr"].astype(np.float32), seed=plan.study.seed)
    rows = []
    for name, entries in events.items():
        unseen = _selected(store, entries)
        logit = zoo.terms(fitted, _summary(plan, unseen))["logit"]
        rows.append({"population": name} | _evaluate(unseen, logit))
    return _rows(plan, asked.FLOOR, asked.FLOOR_FAMILY, rows)


def _selected(store: Store, entries: list[Entry]) -> Columns:
    """SUMMARY of the selected events of shards, and `is_nr`."""
    tables = [decode(read(store, entry), SUMMARY) for entry in entries]
    table = pa.concat_tables(tables).filter(pc.field("selected"))
    is_nr = pc.equal(table["kind"].cast(pa.string()), "NR").to_numpy()
    return {name: table[name].to_numpy() for name in SUMMARY[1:]} | {"is_nr": is_nr}


def _summary(plan: Plan, events: Columns) -> np.ndarray:
    """(n, 3) float32, as the representation that the floor's family takes."""
    names = plugins.load("engine.physics.representations", asked.FLOOR_VIEW).sections(plan.study.detector.constants)
    return np.column_stack([events[name] for name in names]).astype(np.float32)


def _evaluate(events: Columns, logit: np.ndarray) -> dict:
    """Each kind uniform in true energy, however the events were thrown."""
    return classification.evaluate(events["is_nr"], logit, 1 / events["proposal_per_keV"])


def _rows(plan: Plan, role: str, model: str, rows: list[dict]) -> list[Part]:
    item = plan.diagnostics[role]
    rows = [row | {"model": model, "role": role, "lineage": item} for row in rows]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    return [_part(item, schemas.table(schemas.DIAGNOSTICS, columns))]


def _part(item: str, table: pa.Table) -> Part:
    return Part(f"diagnostics/{item}.parquet", (item,), table)


def network(plan: Plan, model: bytes, shards: list[Shard]) -> list[Part]:
    """What the autoencoder makes of test events: its latent means with a map, the check of what it draws, examples."""
    fitted = zoo.load(model, plugins.load("zoo", plan.study.models.vae.name))
    kinds = {shard.kind: _seen(plan, shard) for shard in shards}
    tables = {
        asked.LATENT: _latent(plan, fitted, kinds),
        asked.POSTERIOR: _posterior(plan, fitted, kinds["ER"][1]),
        asked.EXAMPLES: _examples(fitted, kinds),
    }
    return [_part(plan.diagnostics[what], table) for what, table in tables.items()]


def _seen(plan: Plan, shard: Shard) -> tuple[Columns, np.ndarray]:
    view = plan.study.view(plan.study.models.vae)
    columns, features = sample(plan, shard, [view])
    selected = columns["selected"]
    return {name: columns[name][selected] for name in ("event", "kind", "energy_keV")}, features[view][selected]


def _latent(plan: Plan, fitted: zoo.Fitted, kinds: dict[str, tuple[Columns, np.ndarray]]) -> pa.Table:
    mu = np.concatenate([zoo.encode(fitted, features) for _, features in kinds.values()])
    terms = [zoo.terms(fitted, features) for _, features in kinds.values()]
    events = [events for events, _ in kinds.values()]
    columns = {name: np.concatenate([each[name] for each in events]) for name in events[0]}
    columns |= {name: np.concatenate([each[name] for each in terms]) for name in terms[0]}
    shown = np.concatenate([np.arange(len(each["event"])) < ON_MAP for each in events])
    place, found = np.full((len(mu), 2), np.nan), latent.embed(mu[shown], plan.study.seed)
    if found is not None:
        place[shown] = found
    tsne = {f"tsne_{i + 1}": pa.array(place[:, i], from_pandas=True) for i in range(2)}
    return schemas.table(schemas.LATENT, columns | {"mu": list(mu)} | tsne)


def _posterior(plan: Plan, fitted: zoo.Fitted, features: np.ndarray) -> pa.Table:
    """Of electron recoils: the autoencoder knows no other."""
    view = plugins.load("engine.physics.representations", plan.study.view(plan.study.models.vae))
    sections = view.sections(plan.study.detector.constants)
    found = posterior.check(_drawn(plan, fitted, features))
    columns = {name: pa.array(values, from_pandas=True) for name, values in found.items()}
    columns["section"] = np.repeat(list(sections), list(sections.values()))
    columns["feature"] = np.concatenate([np.arange(length) for length in sections.values()])
    return schemas.table(schemas.POSTERIOR_PREDICTIVE, columns)


def _drawn(plan: Plan, fitted: zoo.Fitted, features: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for start in range(0, max(len(features), 1), CHUNK):
        real = features[start : start + CHUNK]
        yield zoo.resample(fitted, real, lineage.seed("posterior_predictive", plan.study.seed, start)), real


def _examples(fitted: zoo.Fitted, kinds: dict[str, tuple[Columns, np.ndarray]]) -> pa.Table:
    """Of each kind the event nearest to its energy in EXAMPLES_KEV; of a kind without events none."""
    rows = []
    for kind, (events, features) in kinds.items():
        nearest = np.argsort(np.abs(events["energy_keV"] - EXAMPLES_KEV[kind]), kind="stable")[:1]
        made = zoo.reconstruct(fitted, features[nearest])
        rows += [
            {name: values[i] for name, values in events.items()} | {"real": features[i], "reconstructed": image}
            for i, image in zip(nearest, made, strict=True)
        ]
    return schemas.table(schemas.EXAMPLES, {name: [row[name] for row in rows] for name in schemas.EXAMPLES.names})
