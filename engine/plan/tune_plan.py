"""What tuning asks for: the plan of a study whose pool is another one, and one item for every R."""

from functools import cached_property
from typing import Any

from engine import lineage
from engine.errors import BadInput
from engine.inference.cells import Choice
from engine.plan.event_plan import BATTERIES, VERSIONS
from engine.plan.plan import Plan, Point, Wanted
from engine.study.search import Dimension, Space
from engine.study.tune import BATTERY, Tune

WEIGHT = "score.R"  # the whole name of the field that a scan over R changes

Values = dict[str, Any]  # by the whole name of a field: models.vae.beta


class TunePlan(Plan):
    """A study's plan with the signals of its `tune` section, on events that are thrown for it alone.

    Training events and models are the scan's; the pool is of the same size, windows and proposals as the scan's.
    """

    scored = ("tune",)
    varied_shards = []
    stages = ("events", "models", "scores")

    @property
    def battery_purpose(self) -> str | None:
        """That of a battery's events where the objective asks for them, which are thrown anew too."""
        return BATTERIES[1] if self.tune.objective == BATTERY else None

    @property
    def tune(self) -> Tune:
        """The section; raises BadInput where a study has none."""
        if self.study.tune is None:
            raise BadInput("the study has no [tune] section; at least: [tune] and R = { log = [1, 1e7], n = 29 }")
        return self.study.tune

    def check(self) -> None:
        """Raises BadInput where this study cannot be tuned."""
        backgrounds, _ = self.study.backgrounds, self.tune
        if self.study.compare:
            raise BadInput("tune: R is chosen for one pair of models; name it in [models], and leave [compare] out")
        for name in backgrounds.own_kinds():
            if hasattr(backgrounds.spectrum(name)[0], "read"):
                raise BadInput(f"tune: the events of {name!r} come from a table, and would choose R and then be scored "
                               "with it; tune without it: --set backgrounds.components=[...]")  # fmt: skip
        for name, signal in self.study.battery.signals.items() if self.battery_purpose else ():
            if hasattr(signal.module[0], "read"):
                raise BadInput(f"tune.objective = 'battery': the events of battery.signals.{name} come from a table, "
                               "and would choose the models and then be scored; tune without it")  # fmt: skip

    @cached_property
    def statistics(self) -> tuple[str, ...]:
        """Of every trial."""
        return self.tune.names(self.study.toys.statistic, self.study.toys.statistics)

    def wanted_at(self, R: float) -> list[Wanted]:
        """Every statistic with this R."""
        return [(R, name) for name in self.statistics]

    def choice(self, R: float) -> Choice:
        """The statistic behind the objective, at this R."""
        return Choice(R, *self.study.toys.statistic(self.tune.ranked_by))

    @cached_property
    def points(self) -> list[Point]:
        """The signals at the section's exposure."""
        signal, tune = self.study.signal, self.tune
        size = signal.size.benchmark if tune.size is None else tune.size
        return [Point(tune.exposure_ty, mass, size, "tune") for mass in tune.masses(signal.axes)]

    @cached_property
    def scored_pool(self) -> str:
        """Digest of the pool for tuning with all its terms."""
        return lineage.digest("scored_pool", 1, None, self.score_items(self.shards["tune"]))

    @cached_property
    def dimensions(self) -> tuple[Dimension, ...]:
        """What the trials change: R, on the axis of the section's grid."""
        points = self.tune.R.points()
        return (Dimension(WEIGHT, Space(log=(points[0], points[-1])), False),)

    @cached_property
    def first(self) -> list[Values]:
        """What the first trials are: the grid of R."""
        return [{WEIGHT: R} for R in self.tune.R.points()]

    @property
    def n_trials(self) -> int:
        """All of them."""
        return len(self.first) + self.tune.more_trials

    def trial_item(self, values: Values, rung: int) -> str:
        """Item of all that toys and laws say of one R."""
        toys, exposure_ty = self.study.toys, self.tune.exposure_ty
        fields = {
            "places": [self.place(point) for point in self.points], "names": self.statistics,
            "laws": [self.law(exposure_ty, values[WEIGHT], name) for name in self.statistics],
            "toys": [toys.null, toys.signal, toys.tail == "kde"], "objective": self.tune.objective,
        }  # fmt: skip
        return lineage.digest("trials", VERSIONS["trials"], fields, [self.scored_pool])

    @cached_property
    def search_item(self) -> str:
        """What the order of trials follows from, however many there are."""
        return lineage.digest("scan_over_R", VERSIONS["tuned"], [self.study.seed], [self.trial_item(self.first[0], 0)])

    def table_of(self, trials: list[str]) -> str:
        """Item of the table of these trials, in their order."""
        return lineage.digest("tuned", VERSIONS["tuned"], [self.words_of_rows, len(self.first)], trials)

    @property
    def beside(self) -> dict[str, list[str]]:
        """Trials of the grid; those beyond it follow from these."""
        return {"trials": [self.trial_item(values, 0) for values in self.first], "tables": []}
