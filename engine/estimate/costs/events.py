"""The cost of simulated events, fits and scores, from a few hundred events; and a pool of the study's size from those.

The pool repeats the few events with terms that are a little shifted, so that toys and laws meet as many events, and
as many different scores, as they will; what the scores are worth is not to be seen in it.
"""

import time
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pyarrow as pa

import zoo
from engine import lineage, plugins, schemas
from engine.assembly import assemble, training
from engine.estimate.costs.clock import Clock, Cost, Line, line
from engine.inference.population import Population
from engine.plan.event_plan import EventPlan, Shard
from engine.stages import work
from engine.store.parts import Entry, Part, encode, sha256
from engine.store.scratch import Scratch
from engine.store.store import Ledger
from engine.study import Model

FEW, MORE = 40, 200  # events
FEW_STEPS, MORE_STEPS = 3, 8
JITTER = 0.1  # of a term's standard deviation


@dataclass(frozen=True)
class EventCosts:
    """Costs up to the scored pool."""

    plan: EventPlan
    clock: Clock
    known: dict = field(default_factory=dict)

    def simulated(self, shard: Shard) -> Cost:
        """Of a shard of training events."""
        return self._line("simulate", shard, lambda few: work.simulate(self.plan, few)).at(shard.n_thrown)

    def scored(self, shard: Shard, slots: list[str]) -> Cost:
        """Of a shard of scored events with the terms of these slots."""
        kind = f"score {' '.join(slots)}"
        return self._line(kind, shard, lambda few: work.score(self.plan, few, slots, self.models)).at(shard.n_thrown)

    def _line(self, kind: str, shard: Shard, make) -> Line:
        key = kind, shard.purpose, shard.kind, shard.representation
        if key not in self.known:
            costs = [(few.n_thrown, self.clock.time(lambda few=few: make(few))) for few in _pieces(shard)]
            self.known[key] = line(*costs)
        return self.known[key]

    def fitted(self, slot: str) -> Cost:
        """Of the fit of a slot's model through all its epochs, by one process."""
        model, n_events = self.plan.fitted[slot], self._n_training(slot)
        key = "fit", *self._alike(model)
        if key not in self.known:
            pieces = [self._fit(slot, n_steps) for n_steps in (FEW_STEPS, MORE_STEPS)]
            self.known[key] = line(*pieces)
        cost = self.known[key]
        return Cost(cost.fixed.core_s, cost.at(1).n_bytes) + Cost(cost.slope.core_s) * n_events * model.config["epochs"]

    def _fit(self, slot: str, n_steps: int) -> tuple[int, Cost]:
        """(events, cost) of one epoch of so many steps."""
        family, config = self._family(slot)
        n_events = 1 + int(np.ceil(n_steps * config.batch_size / (1 - config.validation_fraction)))
        features, labels = self._training[slot]
        rows = np.resize(np.arange(len(labels)), n_events)

        def fit() -> list[Part]:
            fitted = zoo.fit(family, config, features[rows], labels[rows], seed=1, threads=1)
            return [Part("fit", (slot,), zoo.save(fitted))]

        return n_events, self.clock.time(fit)

    def _alike(self, model: Model) -> tuple:
        """What a fit's time follows from: that of another seed has the same."""
        return model.name, self.plan.study.view(model), lineage.canonical(model.config)

    def _family(self, slot: str):
        """The family of a slot and its config, for one epoch."""
        model = self.plan.fitted[slot]
        family = plugins.load("zoo", model.name)
        return family, replace(zoo.configure(family, model.config), epochs=1)

    def _n_training(self, slot: str) -> float:
        """Events that the model of a slot is trained on, by the share that is selected."""
        shards = self.plan.training(self.plan.fitted[slot])
        return sum(shard.n_thrown * len(self._sample(shard)) / min(MORE, shard.n_thrown) for shard in shards)

    def _sample(self, shard: Shard) -> pa.Table:
        """A few training events of a shard's kind, with features."""
        key = "sample", shard.kind, shard.representation
        if key not in self.known:
            (part,) = work.simulate(self.plan, replace(shard, n_thrown=min(MORE, shard.n_thrown)))
            self.known[key] = part.content
        return self.known[key]

    @cached_property
    def _training(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Features and labels of a few events, by slot."""
        return {slot: self._gathered(slot) for slot in self.plan.fitted}

    def _gathered(self, slot: str) -> tuple[np.ndarray, np.ndarray]:
        kinds = {shard.kind: shard for shard in self.plan.training(self.plan.fitted[slot])}
        few = pa.concat_tables([self._sample(shard) for shard in kinds.values()])
        few = few.take(np.random.default_rng(0).permutation(len(few)))  # of all kinds, however few are used
        flat = few["features"].combine_chunks().flatten().to_numpy()
        return flat.reshape(len(few), -1), training.is_nr(few["kind"].cast(pa.string())).astype(np.float32)

    @cached_property
    def models(self) -> dict[str, bytes]:
        """Models of the study's sizes that have hardly been trained."""
        return {slot: self._barely_trained(slot) for slot in self.plan.fitted}

    def _barely_trained(self, slot: str) -> bytes:
        key = "barely", *self._alike(self.plan.fitted[slot])
        if key not in self.known:
            family, config = self._family(slot)
            features, labels = self._training[slot]
            rows = np.resize(np.arange(len(labels)), 2 * config.batch_size + 2)
            self.known[key] = zoo.save(zoo.fit(family, config, features[rows], labels[rows], seed=1, threads=1))
        return self.known[key]

    @property
    def population(self) -> Population:
        """A scored pool as large as the study's, that nobody should take for one."""
        return self._read[0]

    @property
    def read_pool(self) -> Cost:
        """Of the driver's reading a scored pool, weighing it and making every f0."""
        return self._read[1]

    @cached_property
    def _read(self) -> tuple[Population, Cost]:
        ledger = self.stand_in
        start = time.process_time()
        found = assemble.population(self.plan, ledger)
        return found, Cost(time.process_time() - start)

    @cached_property
    def stand_in(self) -> Ledger:
        """What a scan would have stored of its pool, as far as it is read again; in memory."""
        ledger = Ledger(Scratch())
        for shard in self.plan.shards["pool"]:
            events, terms = _repeated(*self._scored_few(shard), shard)
            items = [self.plan.score_item(shard, slot) for slot in self.plan.fitted]
            for content, item in ((events, shard.item), *zip(terms, items, strict=True)):
                data = encode(Part(item, (), content))
                ledger.store.put(item, data)
                ledger.know([Entry(item, sha256(data), (item,))])
        return ledger

    def _scored_few(self, shard: Shard) -> tuple[pa.Table, list[pa.Table]]:
        """A few events of a shard's kind, and their terms by slot."""
        key = "pool", shard.kind
        if key not in self.known:
            few = replace(shard, n_thrown=min(MORE, shard.n_thrown))
            events, *terms = (part.content for part in work.score(self.plan, few, list(self.plan.fitted), self.models))
            self.known[key] = events, terms
        return self.known[key]


def _pieces(shard: Shard) -> list[Shard]:
    return [replace(shard, n_thrown=min(n, shard.n_thrown)) for n in (FEW, MORE)]


def _repeated(events: pa.Table, terms: list[pa.Table], shard: Shard) -> tuple[pa.Table, list[pa.Table]]:
    """Events over and over until they fill a shard, and the terms of those that are selected, shifted a little."""
    rows = np.resize(np.arange(len(events)), shard.n_thrown)
    selected = events["selected"].to_numpy()
    places = (np.cumsum(selected) - 1)[rows][selected[rows]]
    rng = np.random.default_rng(shard.number)
    many = []
    for table in terms:
        columns = {name: table[name].to_numpy() for name in table.column_names}
        shifted = {
            name: values[places] + JITTER * values.std() * rng.standard_normal(len(places)) if len(values) else values
            for name, values in columns.items()
        }
        many.append(schemas.table(table.schema, shifted))
    number = events.schema.get_field_index("event")
    return events.take(rows).set_column(number, events.schema.field("event"), pa.array(np.arange(shard.n_thrown))), many
