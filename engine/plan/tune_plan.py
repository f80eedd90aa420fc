"""What tuning asks for: the plan of a study whose pool is another one, and one item for every R."""

from functools import cached_property

from engine import lineage
from engine.errors import BadInput
from engine.inference.cells import Choice
from engine.plan.event_plan import VERSIONS
from engine.plan.plan import Plan, Point, Wanted
from engine.study.tune import Tune


class TunePlan(Plan):
    """A study's plan with the signals of its `tune` section, on events that are thrown for it alone.

    Training events and models are the scan's; the pool is of the same size, windows and proposals as the scan's.
    """

    scored = ("tune",)

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
        axes, tune = self.study.signal.axes, self.tune
        size = getattr(tune, axes[-1])
        return [Point(tune.exposure_ty, mass, size, "tune") for mass in tune.masses(axes)]

    @cached_property
    def scored_pool(self) -> str:
        """Digest of the pool for tuning with all its terms."""
        return lineage.digest("scored_pool", 1, None, self.score_items(self.shards["tune"]))

    def trial_item(self, R: float) -> str:
        """Item of all that toys and laws say of one R."""
        toys, exposure_ty = self.study.toys, self.tune.exposure_ty
        fields = {
            "places": [self._place(point, R, name) for point in self.points for name in self.statistics],
            "laws": [self.law(exposure_ty, R, name) for name in self.statistics],
            "toys": [toys.null, toys.signal, toys.tail == "kde"], "objective": self.tune.objective,
        }  # fmt: skip
        return lineage.digest("trials", VERSIONS["trials"], fields, [self.scored_pool])

    def tuned_item(self, weights: list[float]) -> str:
        """Item of the table of these trials; weights: every R."""
        grid = self.tune.R.points()
        fields = {"objective": self.tune.objective, "grid": [R in grid for R in weights]}
        return lineage.digest("tuned", VERSIONS["tuned"], fields, [self.trial_item(R) for R in weights])

    @cached_property
    def items(self) -> dict[str, list[str]]:
        """What is known beforehand; trials beyond the grid follow from those of the grid."""
        tune = [shard.item for shard in self.shards["tune"]]
        return {
            "events": [shard.item for shard in self.shards["train"]], "models": list(self.models.values()),
            "scores": tune + self.score_items(self.shards["tune"]),
            "trials": [self.trial_item(R) for R in self.tune.R.points()], "tables": [],
        }  # fmt: skip
