"""What a stage is given: the plan, what is stored of it, and the scored population, made when it is asked for."""

from dataclasses import dataclass
from functools import cached_property

from engine.assembly.population import population
from engine.inference.population import Population
from engine.plan.event_plan import EventPlan
from engine.store.store import Ledger, Store


@dataclass
class Inputs:
    """A plan in a store. `plan` is a `Plan` for every stage behind the scores; before, it may be of several pairs."""

    plan: EventPlan
    store: Store
    ledger: Ledger

    def share(self, value: object) -> object:
        """Puts a big input where all tasks can read it; returns what they are to be handed in its place."""
        return value

    @cached_property
    def population(self) -> Population:
        """The scored pool with its weights under every background, and f0 for every R of the study."""
        return population(self.plan, self.ledger)

    def missing(self, items: list[str]) -> set[str]:
        """Those of these items that are not stored."""
        return {item for item in items if item not in self.ledger.entries}
