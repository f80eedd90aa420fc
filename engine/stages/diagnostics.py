"""How good the fitted models are on events that no fit has seen: tables, their lines and their numbers. No figures."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy

import zoo
from engine import lineage, plugins, schemas
from engine.assembly.fits import blob
from engine.assembly.fits import fitted as fitted_of
from engine.assembly.inputs import Inputs
from engine.assembly.samples import sample
from engine.diagnostics import classification, latent, posterior
from engine.inference.pools import KINDS
from engine.inference.scores._terms import negative_elbo
from engine.plan.event_plan import Shard
from engine.plan.plan import Plan
from engine.size import Size
from engine.store.parts import Entry, Part, decode, encode
from engine.store.store import Ledger, Store, read
from engine.store.units import Unit, totals
from engine.study import Study

NAME, VERSION, SCHEMA = "diagnostics", 5, schemas.CLASSIFIED
TABLES = "diagnostic_tables"
OF_SCORES, REREAD, STALLS = True, True, False

CLASSIFIER, AUTOENCODER = "classifier", "autoencoder"  # kinds of models that something is said of
FLOOR = "floor"  # what else classifies, whatever the study
NETWORK = LATENT, POSTERIOR, EXAMPLES = "latent", "posterior_predictive", "examples"  # of an autoencoder
FLOOR_FAMILY, FLOOR_VIEW = "summary_classifier", "summary"
SUMMARY = ["kind", "proposal_per_keV", "cs1_pe", "cs2_pe", "drift_us", "selected"]
CHUNK = 256  # events drawn at once: an image is 68 kB of float32
ON_MAP = 750  # events of each kind; the map's time grows with their square
EXAMPLES_KEV = {"ER": 6.0, "NR": 25.0}  # the middle of 2 to 10 keVee, true energies that give about as much S1

Columns = dict[str, np.ndarray]
NUMBERS = (
    "auc", "accuracy", "precision", "precision_at_35_percent_nr", "recall",
    "er_leakage_at_30_percent_nr", "er_leakage_at_50_percent_nr", *classification.TIED, *classification.ARGOS[:2],
)  # fmt: skip


def items(plan: Plan) -> list[str]:
    """What is said of each model, and of the floor."""
    return list(item_of(plan).values())


def item_of(plan: Plan) -> dict[tuple[str, str], str]:
    """Item by the role of a model, or floor, and what is said of it."""
    return plan.once("diagnostics", lambda: _items(plan))


def _items(plan: Plan) -> dict[tuple[str, str], str]:
    made = {(role, CLASSIFIER): _item(plan, CLASSIFIER, *_classified(plan, role)) for role in of_kind(plan, CLASSIFIER)}
    if {shard.kind for shard in training(plan)} == set(KINDS):  # no other is trained on by an autoencoder alone
        made[FLOOR, CLASSIFIER] = _item(plan, FLOOR, *_floor(plan))
    return made | {(role, what): _item(plan, what, *_network(plan, role))
                   for role in of_kind(plan, AUTOENCODER) for what in NETWORK}  # fmt: skip


def of_kind(plan: Plan, kind: str) -> list[str]:
    """The roles of the score that a model of this kind plays."""
    return [role for role in plan.fitted if plan.family(role).KIND == kind]


def classified(plan: Plan) -> list[str]:
    """Items of the rows of every classifier, the floor's last."""
    return [item for (_, what), item in item_of(plan).items() if what == CLASSIFIER]


def table_item(plan: Plan) -> str:
    """Item of the table of all classifiers, which names their roles and families."""
    words = [(role, plan.fitted[role].name) for role in of_kind(plan, CLASSIFIER)]
    return lineage.digest("diagnostic_table", VERSION, words, classified(plan))


def table_schema(size: Size) -> pa.Schema:
    """The table of all classifiers, whatever the signal."""
    return schemas.DIAGNOSTICS


def populations(plan: Plan) -> dict[str, list[Shard]]:
    """The papers' test events, uniform in true energy or as trained on; and the pool's recoils, in the study's window.

    The second may be the first within the window, but a leakage of 1e-3 asks for more electron recoils than the one
    in ten of the test events that pass.
    """
    window = plan.study.backgrounds.er_window_keVee
    first, last = plan.energy_range("pool", "ER") if window == "none" else window
    seen = f"selected_{first:g}_{last:g}_keV" if window == "none" else f"window_{first:g}_{last:g}_keVee"
    return {
        _of_test(plan.study): plan.shards["test"],
        seen: [shard for shard in plan.shards["pool"] if shard.kind in KINDS],
    }


def _of_test(study: Study) -> str:
    """The name of the test events' population."""
    events = study.events
    if events.nr is None:
        return "uniform_{:g}_{:g}_keV".format(*events.energy_keV)
    low, high = zip(events.energy_keV, events.nr.energy_keV, strict=True)
    return f"as-trained_{min(low):g}_{max(high):g}_keV"


def sampled(plan: Plan) -> list[Shard]:
    """The test events that are shown to the autoencoder once more: a shard of each kind."""
    return [shard for shard in plan.shards["test"] if shard.number == 0]


def training(plan: Plan) -> list[Shard]:
    """The events that the floor is fitted to: of both kinds, as a classifier of the study has them, else all."""
    role = next(iter(of_kind(plan, CLASSIFIER)), None)
    return plan.shards["train"] if role is None else plan.training(plan.fitted[role])


def floor_config() -> dict:
    """The floor's configuration: its defaults, whatever the study."""
    family = zoo.declared(FLOOR_FAMILY)
    return zoo.identity(family, asdict(zoo.configure(family, {})))


def _item(plan: Plan, what: str, fields: dict, inputs: list[str]) -> str:
    return lineage.digest(NAME, VERSION, fields | {"what": what}, inputs)


def _shards(plan: Plan) -> tuple[dict, list[Shard]]:
    shards = [shard for some in populations(plan).values() for shard in some]
    return {"populations": list(populations(plan))}, shards


def _classified(plan: Plan, role: str) -> tuple[dict, list[str]]:
    fields, shards = _shards(plan)
    return fields, [plan.score_item(shard, role) for shard in shards]


def _floor(plan: Plan) -> tuple[dict, list[str]]:
    fields, shards = _shards(plan)
    fitted = {"family": plugins.identity("zoo", FLOOR_FAMILY), "config": floor_config(), "seed": plan.study.seed}
    return fields | fitted, [shard.item for shard in (*training(plan), *shards)]


def _network(plan: Plan, role: str) -> tuple[dict, list[str]]:
    fields = {"representation": plugins.identity("engine.physics.representations", plan.view(role)),
              "seed": plan.study.seed}  # fmt: skip
    return fields | plan.if_composed(role), [plan.models[role], *(shard.item for shard in sampled(plan))]


def amounts(plan: Plan, missing: set[str]) -> dict[str, float]:
    """Events that are classified, or that the floor is fitted to; maps of autoencoders."""
    n_events = sum(shard.n_whole for shards in populations(plan).values() for shard in shards)
    sizes = {FLOOR: n_events + sum(shard.n_thrown for shard in training(plan)), CLASSIFIER: n_events, LATENT: 1}
    made = [role if role == FLOOR else what for (role, what), item in item_of(plan).items() if item in missing]
    return totals((name, sizes.get(name, 0)) for name in made)


def units(inputs: Inputs, missing: set[str]) -> Iterable[Unit]:
    """Each classifier, the floor, and each autoencoder: what is made of events by one of the functions below."""
    plan, entries, named = inputs.plan, inputs.ledger.entries, item_of(inputs.plan)
    shards_of = populations(plan)
    for role in of_kind(plan, AUTOENCODER):
        made = tuple(named[role, what] for what in NETWORK)
        if not missing.isdisjoint(made):
            arguments = network, plan, role, blob(plan, inputs.ledger, role), sampled(plan)
            yield Unit(arguments, items=made, name=f"autoencoder {role}")
    if named.get((FLOOR, CLASSIFIER)) in missing:
        of_training = [entries[shard.item] for shard in training(plan)]
        events = {name: [entries[shard.item] for shard in shards] for name, shards in shards_of.items()}
        yield Unit((floor, plan, inputs.store, of_training, events), items=(named[FLOOR, CLASSIFIER],), name="floor")
    for role in of_kind(plan, CLASSIFIER):
        if (item := named[role, CLASSIFIER]) in missing:
            scored = {name: [(entries[shard.item], entries[plan.score_item(shard, role)]) for shard in shards]
                      for name, shards in shards_of.items()}  # fmt: skip
            yield Unit((classifier, plan, role, inputs.store, scored), items=(item,), name=f"classifier {role}")


def work(make: Callable[..., list[Part]], *inputs: object) -> list[Part]:
    """One of the functions below, with its inputs."""
    return make(*inputs)


def classifier(plan: Plan, role: str, store: Store, scored: dict[str, list[tuple[Entry, Entry]]]) -> list[Part]:
    """The rows of a classifier of the study; scored: events and their logits by population."""
    rows = []
    for name, pairs in scored.items():
        events = _selected(store, [events for events, _ in pairs])
        logit = np.concatenate([decode(read(store, terms))["logit"].to_numpy() for _, terms in pairs])
        rows.append({"population": name} | _evaluate(plan, name, events, logit))
    return [_part(item_of(plan)[role, CLASSIFIER], rows)]


def floor(plan: Plan, store: Store, training: list[Entry], events: dict[str, list[Entry]]) -> list[Part]:
    """The rows of the floor, fitted here to the study's own training events; events: by population."""
    family = plugins.load("zoo", FLOOR_FAMILY)
    seen = _selected(store, training)
    config = zoo.configure(family, floor_config())
    fitted = zoo.fit(family, config, _summary(plan, seen), seen["is_nr"].astype(np.float32), seed=plan.study.seed)
    rows = []
    for name, entries in events.items():
        unseen = _selected(store, entries)
        logit = zoo.terms(fitted, _summary(plan, unseen))["logit"]
        rows.append({"population": name} | _evaluate(plan, name, unseen, logit))
    return [_part(item_of(plan)[FLOOR, CLASSIFIER], rows)]


def _selected(store: Store, entries: list[Entry]) -> Columns:
    """SUMMARY of the selected events of shards, and `is_nr`."""
    tables = [decode(read(store, entry), SUMMARY) for entry in entries]
    table = pa.concat_tables(tables).filter(pc.field("selected"))
    is_nr = pc.equal(table["kind"].cast(pa.string()), "NR").to_numpy()
    return {name: table[name].to_numpy() for name in SUMMARY[1:]} | {"is_nr": is_nr}


def _summary(plan: Plan, events: Columns) -> np.ndarray:
    """(n, 3) float32, as the representation that the floor's family takes."""
    names = plugins.load("engine.physics.representations", FLOOR_VIEW).sections(plan.study.detector.constants)
    return np.column_stack([events[name] for name in names]).astype(np.float32)


def _evaluate(plan: Plan, population: str, events: Columns, logit: np.ndarray) -> dict:
    """Each kind uniform in true energy, however the events were thrown; where test events have spectra, as thrown."""
    weights = 1 / events["proposal_per_keV"]
    if plan.study.events.nr and population == _of_test(plan.study):
        weights = np.ones(len(weights))
    return classification.evaluate(events["is_nr"], logit, weights)


def _part(item: str, rows: list[dict]) -> Part:
    return _of_table(item, schemas.of_rows(SCHEMA, [row | {"lineage": item} for row in rows]))


def _of_table(item: str, table: pa.Table) -> Part:
    return Part(f"{NAME}/{item}.parquet", (item,), table)


def network(plan: Plan, role: str, model: bytes, shards: list[Shard]) -> list[Part]:
    """What an autoencoder makes of test events: its latent means with a map, the check of what it draws, examples."""
    fitted, view = fitted_of(plan, role, model), plan.view(role)
    kinds = {shard.kind: _seen(plan, shard, view) for shard in shards}
    tables = {
        LATENT: _latent(plan, fitted, kinds),
        POSTERIOR: _posterior(plan, view, fitted, kinds["ER"][1]),
        EXAMPLES: _examples(fitted, kinds),
    }
    return [_of_table(item_of(plan)[role, what], table) for what, table in tables.items()]


def _seen(plan: Plan, shard: Shard, view: str) -> tuple[Columns, np.ndarray]:
    columns, features = sample(plan, shard, [view])
    selected = columns["selected"]
    return {name: columns[name][selected] for name in ("event", "kind", "energy_keV")}, features[view][selected]


def _latent(plan: Plan, fitted: "zoo.Fitted", kinds: dict[str, tuple[Columns, np.ndarray]]) -> pa.Table:
    mu = np.concatenate([zoo.encode(fitted, features) for _, features in kinds.values()])
    terms = [zoo.terms(fitted, features) for _, features in kinds.values()]
    events = [events for events, _ in kinds.values()]
    columns = {name: np.concatenate([each[name] for each in events]) for name in events[0]}
    columns |= {name: np.concatenate([each[name] for each in terms]) for name in terms[0]}
    shown = np.concatenate([np.arange(len(each["event"])) < ON_MAP for each in events])
    coordinates, embedding = np.full((len(mu), 2), np.nan), latent.embed(mu[shown], plan.study.seed)
    if embedding is not None:
        coordinates[shown] = embedding
    tsne = {f"tsne_{i + 1}": pa.array(coordinates[:, i], from_pandas=True) for i in range(2)}
    return schemas.table(schemas.LATENT, columns | {"mu": list(mu)} | tsne)


def _posterior(plan: Plan, view: str, fitted: "zoo.Fitted", features: np.ndarray) -> pa.Table:
    """Of electron recoils: the autoencoder knows no other."""
    sections = plugins.load("engine.physics.representations", view).sections(plan.study.detector.constants)
    checks = posterior.check(_drawn(plan, fitted, features))
    columns = {name: pa.array(values, from_pandas=True) for name, values in checks.items()}
    columns["section"] = np.repeat(list(sections), list(sections.values()))
    columns["feature"] = np.concatenate([np.arange(length) for length in sections.values()])
    return schemas.table(schemas.POSTERIOR_PREDICTIVE, columns)


def _drawn(plan: Plan, fitted: "zoo.Fitted", features: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for start in range(0, max(len(features), 1), CHUNK):
        real = features[start : start + CHUNK]
        yield zoo.resample(fitted, real, lineage.seed("posterior_predictive", plan.study.seed, start)), real


def _examples(fitted: "zoo.Fitted", kinds: dict[str, tuple[Columns, np.ndarray]]) -> pa.Table:
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


@dataclass(frozen=True)
class Autoencoder:
    """What is said of one: its family, beta of its training, and its tables (`engine.schemas`)."""

    family: str
    beta: float
    latent: pa.Table
    posterior: pa.Table
    examples: pa.Table

    @cached_property
    def numbers(self) -> dict[str, float]:
        """Spearman correlation of -ELBO with the true energy by kind. Of the check, Eq. 3, over the features that vary:
        root mean square, median and largest absolute mean, the share of means within one standard deviation of 0."""
        varying = posterior.varies(self.posterior["test_sd"].to_numpy())
        mean, sd = (self.posterior[name].to_numpy()[varying] for name in ("ppc_mean", "ppc_sd"))
        spearman = {f"spearman_elbo_energy_{kind.lower()}": self._spearman(kind) for kind in ("ER", "NR")}
        return spearman | {
            "ppc_rms": float(np.sqrt(np.mean(mean**2))) if len(mean) else float("nan"),
            "ppc_median": float(np.median(np.abs(mean))) if len(mean) else float("nan"),
            "ppc_largest": float(np.abs(mean).max(initial=0.0)),
            "ppc_within_1_sd": float(np.mean(np.abs(mean) <= sd)) if len(mean) else float("nan"),
        }

    def _spearman(self, kind: str) -> float:
        events = self.latent.filter(pc.equal(self.latent["kind"].cast(pa.string()), kind))
        if len(events) < 3:
            return float("nan")
        terms = {name: events[name].to_numpy() for name in schemas.AUTOENCODER_TERMS.names}
        return float(scipy.stats.spearmanr(negative_elbo(terms, self.beta), events["energy_keV"].to_numpy()).statistic)

    @property
    def files(self) -> dict[str, bytes]:
        """Its tables as Parquet files."""
        return _parquet({"posterior_predictive": self.posterior, "latent": self.latent, "examples": self.examples})


@dataclass(frozen=True)
class Diagnostics:
    """What fits make of events that none has seen: the table of all classifiers, where it is, autoencoders by role."""

    table: pa.Table
    path: str
    autoencoders: dict[str, Autoencoder]

    def classifier(self, role: str) -> dict[str, float]:
        """Numbers of a classifier by name and population, where they are defined."""
        rows = [row for row in self.table.to_pylist() if row["role"] == role]
        return {f"{name}_{row['population']}": row[name] for row in rows for name in NUMBERS if row[name] is not None}

    def numbers(self, role: str) -> dict[str, float]:
        """Numbers of the model in a role."""
        return self.autoencoders[role].numbers if role in self.autoencoders else self.classifier(role)

    def files(self, role: str) -> dict[str, bytes]:
        """Tables of the model in a role as Parquet files by name."""
        return self.autoencoders[role].files if role in self.autoencoders else _parquet({"diagnostics": self.table})


def _parquet(tables: dict[str, pa.Table]) -> dict[str, bytes]:
    return {f"{name}.parquet": encode(Part(name, (), table)) for name, table in tables.items()}


def table(plan: Plan, ledger: Ledger) -> pa.Table:
    """The rows of the study's classifiers, then the floor's."""
    families = {role: model.name for role, model in plan.fitted.items()} | {FLOOR: FLOOR_FAMILY}
    rows = []
    for (role, what), item in item_of(plan).items():
        if what == CLASSIFIER:
            rows += [row | {"role": role, "model": families[role]} for row in ledger.table(item).to_pylist()]
    return schemas.of_rows(schemas.DIAGNOSTICS, rows)


def result(inputs: Inputs) -> Diagnostics:
    """The diagnostics of a finished scan."""
    plan, ledger = inputs.plan, inputs.ledger
    item, named = table_item(plan), item_of(plan)
    autoencoders = {
        role: Autoencoder(plan.fitted[role].name, float(plan.fitted[role].config["beta"]),
                          *(ledger.table(named[role, what]) for what in NETWORK))
        for role in of_kind(plan, AUTOENCODER)
    }  # fmt: skip
    return Diagnostics(ledger.table(item), inputs.store.where(ledger.entries[item].path), autoencoders)


def lines(diagnostics: Diagnostics, study: Study) -> Iterator[str]:
    """One line for a classifier on a population, and one for an autoencoder."""
    for row in diagnostics.table.to_pylist():
        yield f"{row['role']} {row['model']}, {row['population']}: {_words(row)}"
    for one in diagnostics.autoencoders.values():
        yield (
            f"autoencoder {one.family}: posterior predictive mean of features that vary: median "
            f"{one.numbers['ppc_median']:.3g}, rms {one.numbers['ppc_rms']:.3g}, largest "
            f"{one.numbers['ppc_largest']:.3g} sd of the test events; Spearman of -ELBO with energy "
            f"{one.numbers['spearman_elbo_energy_er']:.3f} (ER), {one.numbers['spearman_elbo_energy_nr']:.3f} (NR)"
        )


def _words(row: dict) -> str:
    if row["auc"] is None:
        return f"{row['n_er']} ER and {row['n_nr']} NR events"
    at_30, at_50 = (f"er_leakage_at_{percent}_percent_nr" for percent in (30, 50))
    precision = ["none called NR" if row[name] is None else f"{row[name]:.4f}"
                 for name in ("precision", "precision_at_35_percent_nr")]  # fmt: skip
    return (
        f"AUC {row['auc']:.4f}, accuracy {row['accuracy']:.4f}, recall {row['recall']:.4f}, precision {precision[0]} "
        f"({precision[1]} at 35 % NR), ER leakage {row[at_30]:.2g} [{row[at_30 + '_low']:.2g}, "
        f"{row[at_30 + '_high']:.2g}] at 30 % NR, {row[at_50]:.2g} at 50 %{_argos(row)}"
    )


def _argos(row: dict) -> str:
    """The figure of merit that knows no signal, where enough electron recoils are behind it."""
    return "" if row["argos"] is None else f", ARGOS {row['argos']:.3g} +- {row['argos_error']:.1g}"


def metrics(diagnostics: Diagnostics, study: Study) -> dict[str, float]:
    """Numbers of the models, by names for MLflow: with the role where it is not the only one of its kind."""
    of_floor = diagnostics.classifier(FLOOR).items()
    numbers: dict[str, float] = {f"diagnostics/{FLOOR}_{name}": value for name, value in of_floor}
    for role, kind in study.kinds.items():
        prefix = f"{role}_" if list(study.kinds.values()).count(kind) > 1 else ""
        numbers |= {f"diagnostics/{prefix}{name}": value for name, value in diagnostics.numbers(role).items()}
    return numbers
