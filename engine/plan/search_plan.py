"""What a search over the models' fields asks for: the plan of the pool that all trials share, and a plan per trial."""

from functools import cached_property

from engine import lineage, plugins
from engine.errors import BadInput
from engine.plan import battery_plan
from engine.plan.battery_plan import KNOWN_PLANE, Target
from engine.plan.event_plan import VERSIONS, Shard
from engine.plan.tune_plan import TunePlan, Values
from engine.study import Study
from engine.study.battery import ORACLE
from engine.study.search import Dimension, changed, epochs_at
from engine.study.tune import BATTERY, T3

T3_VERSION = 2  # of the exposure as an objective: raised where the search for it changes

class SearchPlan(TunePlan):
    """A study's plan for the search of its `tune` section.

    Models that no field of the search changes are fitted and scored once; of the pool's events the features are kept,
    since to simulate them anew would cost more than most fits.
    """

    def check(self) -> None:
        """Raises BadInput where this study cannot be searched."""
        super().check()
        if not self.dimensions:
            raise BadInput('tune.search names no field; like: "models.vae.beta" = { log = [0.1, 100] }')

    @cached_property
    def dimensions(self) -> tuple[Dimension, ...]:
        """What the search changes."""
        return self.tune.dimensions(self.study.models)

    @cached_property
    def searched(self) -> tuple[str, ...]:
        """The roles whose models the search changes."""
        names = {dimension.key.split(".")[1] for dimension in self.dimensions}
        return tuple(role for role, name in self.study.roles.items() if name in names)

    @cached_property
    def fixed(self) -> tuple[str, ...]:
        """The others."""
        return tuple(role for role in self.fitted if role not in self.searched)

    @property
    def roles(self) -> tuple[str, ...]:
        """Those whose models are fitted and scored beforehand."""
        return self.fixed

    @cached_property
    def first(self) -> list[Values]:
        """What the first trial is: the study as it is."""
        keys = [dimension.key for dimension in self.dimensions]
        return [{key: self.study.models[name].config[field] for key in keys for _, name, field in [key.split(".")]}]

    @property
    def n_trials(self) -> int:
        """All of them."""
        return self.tune.trials

    def of(self, values: Values) -> "SearchPlan":
        """The plan of a trial: the study with these values."""
        models = changed(self.study.models, values)
        return SearchPlan(self.study.model_copy(update={"models": models}))

    @cached_property
    def fractions(self) -> tuple[float, ...]:
        """Of the epochs, at which a trial is looked at; the last is 1, where its objective is measured."""
        return (*(self.tune.pruning.rungs if self.tune.pruning else ()), 1.0)

    def epochs(self, role: str, rung: int) -> int:
        """Epochs of a model at a rung."""
        return epochs_at(self.fitted[role], self.fractions[rung])

    @cached_property
    def views(self) -> tuple[str, ...]:
        """The representations that the searched models read."""
        return tuple(dict.fromkeys(map(self.view, self.searched)))

    def feature_item(self, shard: Shard, view: str) -> str:
        """Item of what the networks see of a shard in a representation."""
        fields = plugins.identity("engine.physics.representations", view)
        return lineage.digest("features", VERSIONS["features"], fields, [shard.item])

    def rung_item(self, rung: int) -> str:
        """Item of what this plan's models are worth after the epochs of a rung."""
        epochs = {role: self.epochs(role, rung) for role in self.fitted}
        is_last = self.fractions[rung] == 1
        points = self.tune.R.points()
        own = [R for R in points if R in self.study.score.R]  # which stays where the objective is equal
        fields = {"epochs": epochs, "R": [points, own], "score": self.score, "components": self.components,
                  "objective": self._measured if is_last else None}  # fmt: skip
        return lineage.digest("rungs", VERSIONS["rungs"], fields, [self.scored_pool])

    @cached_property
    def _measured(self) -> dict:
        """What an objective follows from, beside the pool and its scores."""
        tune, name = self.tune, self.tune.ranked_by
        measured = {"name": tune.objective}
        if tune.objective == BATTERY:
            own = [Target(one, self.study.score.name, None, name) for one in self.study.battery.signals]
            sought = [battery_plan.item(self, VERSIONS["rungs"], target) for target in own]
            return measured | {"law": self.law(tune.exposure_ty, None, name), "sought": sought}
        if tune.ranked_by:
            measured["law"] = [self.law(tune.exposure_ty, None, name), [self.place(point) for point in self.points]]
        if tune.objective == T3:
            section = self.study.reach.model_dump(include={"exposure_ty", "p", "power", "groups"})
            measured |= {"reach": section, "version": T3_VERSION}
        return measured

    @cached_property
    def oracles(self) -> dict[str, Target]:
        """What a battery's exposures are held against, which no trial changes, by item; none for other objectives."""
        if not self.battery_purpose:
            return {}
        found = [Target(signal, KNOWN_PLANE, 0.0, ORACLE) for signal in self.study.battery.signals]
        return {self._oracle_item(target): target for target in found}

    def _oracle_item(self, target: Target) -> str:
        shards = self.shards["tune"] + battery_plan.shards_of(self, target.signal)
        fields = battery_plan.fields(self, target)
        return lineage.digest("oracles", VERSIONS["rungs"], fields, [shard.item for shard in shards])

    @property
    def pool(self) -> list[Shard]:
        """The events that trials are compared on, those of a battery's signals behind the others."""
        return self.shards["tune"] + self.battery_shards

    @cached_property
    def search_item(self) -> str:
        """What the order of trials follows from, however many there are: the study's first rung, spaces, pruning."""
        tune = self.tune
        spaces = {dimension.key: dimension.space for dimension in self.dimensions}
        fields = [spaces, self.study.seed, tune.pruning, self._measured, self.fractions]
        return lineage.digest("search", VERSIONS["searched"], fields, [self.rung_item(0)])

    def trial_item(self, values: Values, rung: int) -> str:
        """Item of what a trial with these values is worth at a rung."""
        return self.of(values).rung_item(rung)

    def table_of(self, trials: list[str]) -> str:
        """Item of the table of trials that ended at these rungs."""
        return lineage.digest("searched", VERSIONS["searched"], None, [self.search_item, *trials])

    @property
    def beside(self) -> dict[str, list[str]]:
        """Features of the pool, and oracles; which rungs there are follows from those before."""
        features = [self.feature_item(shard, view) for view in self.views for shard in self.pool]
        oracles = {"battery": list(self.oracles)} if self.oracles else {}
        return {"features": features, **oracles, "rungs": [], "tables": []}


def tuning_plan(study: Study) -> TunePlan:
    """The plan of what `recoilscan tune` does with a study; raises BadInput for one without a [tune] section."""
    return SearchPlan(study) if TunePlan(study).tune.search else TunePlan(study)
