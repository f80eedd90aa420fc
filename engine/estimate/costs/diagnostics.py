"""The cost of diagnostics: of either classifier on the pool that stands in, of the autoencoder on a few events."""

from dataclasses import dataclass, field, replace

import numpy as np

import zoo
from engine import plugins
from engine.estimate.costs.clock import Clock, Cost, line
from engine.estimate.costs.events import FEW_STEPS, MORE_STEPS, EventCosts
from engine.inference.pools import KINDS
from engine.plan import asked
from engine.plan.plan import Plan
from engine.stages import compute
from engine.store.parts import Part

SHOWN = 60  # events of each kind that the autoencoder is timed on; its map and draws are then taken as linear in them
FLOOR_FEATURES = 3


@dataclass(frozen=True)
class DiagnosticCosts:
    """Costs of a plan's diagnostics; `events` made its pool."""

    plan: Plan
    clock: Clock
    events: EventCosts
    known: dict = field(default_factory=dict)

    def of(self, what: str) -> Cost:
        """Of an item by what it holds; what the autoencoder gives is made together, and counted with the map."""
        if what in asked.NETWORK:
            return self._once("network", self._network) if what == asked.LATENT else Cost(0.0)
        classified = self._once("classified", self._classified)
        return classified + self._once("floor", self._floor) if what == asked.FLOOR else classified

    def _once(self, key: str, measured) -> Cost:
        if key not in self.known:
            self.known[key] = measured()
        return self.known[key]

    def _classified(self) -> Cost:
        ledger, plan = self.events.stand_in, self.plan
        shards = [shard for shard in plan.shards["pool"] if shard.kind in KINDS]
        scored = [(ledger.entries[shard.item], ledger.entries[plan.score_item(shard, "classifier")])
                  for shard in shards]  # fmt: skip
        scored = dict.fromkeys(asked.populations(plan), scored)
        return self.clock.time(lambda: compute.classifier(plan, ledger.store, scored))

    def _floor(self) -> Cost:
        """Of its fit, through all its epochs."""
        family = plugins.load("zoo", asked.FLOOR_FAMILY)
        whole = zoo.configure(family, {})
        n_events = sum(shard.n_thrown for shard in asked.training(self.plan))
        rng = np.random.default_rng(0)

        def fitted(n_steps: int) -> tuple[int, Cost]:
            n = 1 + int(np.ceil(n_steps * whole.batch_size / (1 - whole.validation_fraction)))
            features, labels = rng.random((n, FLOOR_FEATURES), np.float32), (np.arange(n) % 2).astype(np.float32)

            def fit() -> list[Part]:
                zoo.fit(family, replace(whole, epochs=1), features, labels, seed=1, threads=1)
                return []

            return n, self.clock.time(fit)

        found = line(fitted(FEW_STEPS), fitted(MORE_STEPS))
        return Cost(found.fixed.core_s + found.slope.core_s * n_events * whole.epochs)

    def _network(self) -> Cost:
        shards = asked.sampled(self.plan)
        few = [replace(shard, n_thrown=min(SHOWN, shard.n_thrown)) for shard in shards]
        model = self.events.models["vae"]
        timed = self.clock.time(lambda: compute.network(self.plan, model, few))
        return timed * max(whole.n_thrown / part.n_thrown for whole, part in zip(shards, few, strict=True))
