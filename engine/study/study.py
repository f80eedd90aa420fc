"""A whole study, and what its parts demand of each other."""

from collections.abc import Iterator
from contextlib import suppress
from types import ModuleType

from pydantic import Field, model_validator

import zoo
from engine import plugins
from engine.errors import BadInput
from engine.inference.teststats import has_law
from engine.study.compare import Compare, Yardstick
from engine.study.limits import Limits
from engine.study.models import Model, Models, Training
from engine.study.reach import Reach
from engine.study.scan import AXES, Benchmark, Grid, Score, Toys
from engine.study.section import Section
from engine.study.sources import Backgrounds, Detector, Events, PoolSize, Representation, Signal
from engine.study.systematics import Systematics
from engine.study.tune import Tune


class Study(Section):
    """A whole study: every choice that its results depend on."""

    seed: int = Field(1, ge=0)
    detector: Detector = Field(default_factory=Detector)
    representation: Representation = Field(default_factory=Representation)
    events: Events = Events()
    pool: PoolSize = PoolSize()
    backgrounds: Backgrounds = Field(default_factory=Backgrounds)
    models: Models = Field(default_factory=Models)
    training: Training = Training()
    score: Score = Score()
    signal: Signal = Field(default_factory=Signal)
    grid: Grid
    benchmark: Benchmark = Benchmark()
    toys: Toys = Field(default_factory=Toys)
    reach: Reach = Reach()
    limits: Limits = Limits()
    systematics: Systematics | None = None
    tune: Tune | None = None
    compare: Compare | None = None
    tuned_on: str = Field("nothing", description="the signal that R, thresholds or networks were chosen on")

    @model_validator(mode="after")
    def _pool_covers_the_windows(self) -> "Study":
        window, pool = self.backgrounds.er_window_keVee, self.pool
        # three resolutions at the window's ends (16 % at 2 keV, 9 % at 10 keV) would be 1.0 and 12.7 keV
        if not (pool.er_energy_keV[0] <= 0.6 * window[0] and pool.er_energy_keV[1] >= 1.25 * window[1]):
            raise BadInput(f"pool.er_energy_keV = {list(pool.er_energy_keV)} must reach from 0.6 times below to 1.25 "
                           f"times above backgrounds.er_window_keVee = {list(window)}")  # fmt: skip
        true = self.backgrounds.nr_window
        if true != "ces" and not (pool.nr_energy_keV[0] <= true[0] and true[1] <= pool.nr_energy_keV[1]):
            raise BadInput(f"pool.nr_energy_keV = {list(pool.nr_energy_keV)} must contain backgrounds.nr_window = "
                           f"{list(true)}")  # fmt: skip
        return self

    @model_validator(mode="after")
    def _points_are_the_signals(self) -> "Study":
        axes, name = self.signal.axes, self.signal.name
        given = [axis for axis in AXES if getattr(self.grid, axis) is not None]
        if {*given} != {*axes, "exposure_ty"}:
            raise BadInput(f"grid: the signal {name!r} is scanned over {', '.join(axes)} and exposure_ty; "
                           f"given: {', '.join(given)}")  # fmt: skip
        if other := self.benchmark.model_fields_set - {*axes}:
            raise BadInput(f"benchmark: the signal {name!r} has no {', '.join(sorted(other))}, but {', '.join(axes)}")
        self.reach.check(axes, name)
        self.limits.check(axes, name)
        if self.grid.refine:
            self.grid.refine.check(axes, self.toys, self.score, self.backgrounds.rates)
        return self

    @model_validator(mode="after")
    def _tuning_fits(self) -> "Study":
        if self.tune:
            self.tune.check(self.toys.statistic, self.toys.statistics, self.signal.axes)
            self.tune.check_search(self.models, self.training)
        return self

    @property
    def at(self) -> dict[str, float]:
        """The benchmark by the names of the signal's axes."""
        return {name: getattr(self.benchmark, name) for name in self.signal.axes}

    @property
    def fitted(self) -> dict[str, Model]:
        """Every model that is fitted, by its place in the study."""
        if self.compare is None:
            return {"models.vae": self.models.vae, "models.classifier": self.models.classifier}
        sides = self.compare.sides(self.models)
        return {f"compare.{slot}.{name}": model for slot, named in sides.items() for name, model in named.items()}

    @property
    def members(self) -> dict[str, "Study"]:
        """The same study with each pair of models by the pair's name; without a comparison its own pair alone."""
        pairs = self.compare.pairs(self.models) if self.compare else {self.models.name: self.models}
        return {name: self.model_copy(update={"models": pair, "compare": None}) for name, pair in pairs.items()}

    @property
    def yardstick(self) -> Yardstick:
        """What the pairs of a comparison are ranked by."""
        return self.compare.yardstick(self.toys, self.score, self.grid.exposure_ty.points())

    def reseeded(self, more: int) -> "Study":
        """The same with networks fitted once, with seeds that are so much larger; its events stay as they are."""
        models = {slot: model.model_copy(update={"seed": self.seed_of(model) + more}) for slot, model in self.models}
        once = self.training.model_copy(update={"n_seeds": 1})
        return self.model_copy(update={"models": Models(**models), "training": once})

    def view(self, model: Model) -> str:
        """The representation that a model reads."""
        return self.representation.name if model.representation is None else model.representation

    def seed_of(self, model: Model) -> int:
        """The seed that a model is fitted with."""
        return self.seed if model.seed is None else model.seed

    @property
    def views(self) -> str:
        """What the pair behind the score reads, in words."""
        of_vae, of_classifier = self.view(self.models.vae), self.view(self.models.classifier)
        return of_vae if of_vae == of_classifier else f"{of_vae} (vae), {of_classifier} (classifier)"

    def _n_features(self, view: str) -> int:
        module = plugins.load("engine.physics.representations", view)
        return sum(module.sections(self.detector.constants).values())

    @model_validator(mode="after")
    def _event_tables_fit(self) -> "Study":
        for name in self.backgrounds.own_kinds():
            table, options = self.backgrounds.spectrum(name)
            if hasattr(table, "read"):
                found = table.n_features(options)
                for view in sorted({self.view(model) for model in self.fitted.values()}):
                    if found != (wanted := self._n_features(view)):
                        raise BadInput(f"backgrounds.{name}: {options.path} has {found} features per event; "
                                       f"{view} in {self.detector.name} has {wanted}")  # fmt: skip
                table.weights(options, self.backgrounds.er_window_keVee)
        return self

    @model_validator(mode="after")
    def _systematics_fit(self) -> "Study":
        if self.systematics:
            names = self.backgrounds.components
            nr = any(self.backgrounds.pool_kind(name) == "NR" for name in names)
            modules = {name: self.toys.statistic(name)[0] for name in self.toys.statistics}
            by_toys = [name for name, module in modules.items() if module.ADDITIVE and module.EXACT is not True]
            self.systematics.check(self.detector.constants, nr, by_toys, self.toys.null)
        return self

    @model_validator(mode="after")
    def _reach_fits(self) -> "Study":
        modules = {name: self.toys.statistic(name)[0] for name in self.toys.statistics}
        without_law = [name for name, module in modules.items() if not has_law(module, self.backgrounds.rates)]
        self.reach.check_toys(without_law, self.toys.null)
        return self

    @model_validator(mode="after")
    def _comparison_fits(self) -> "Study":
        if self.compare:
            self.compare.check(self.models)
            self.compare.yardstick(self.toys, self.score, self.grid.exposure_ty.points())
        if self.grid.refine and (self.compare or self.training.n_seeds > 1):
            raise BadInput("grid.refine goes with neither [compare] nor training.n_seeds above 1: refine one pair of "
                           "networks at a time")  # fmt: skip
        if self.training.n_seeds > 1 and self.toys.exact == "none":
            raise BadInput(f"training.n_seeds = {self.training.n_seeds}: the spread over seeds is that of exact laws; "
                           "toys.exact must not be 'none'")  # fmt: skip
        return self

    @model_validator(mode="after")
    def _models_take_what_they_read(self) -> "Study":
        for place, model in self.fitted.items():
            family, view = plugins.load("zoo", model.name), self.view(model)
            try:
                zoo.check_input(family, self._n_features(view))
            except ValueError as error:
                would_do = ", ".join(self._taken_by(family)) or "none that ships"
                seen = f"it reads the representation {view!r} of {self.detector.name!r}; would do: {would_do}"
                raise BadInput(f"{place}: {error} ({seen})") from error
        return self

    def _taken_by(self, family: ModuleType) -> Iterator[str]:
        """The representations that ship and that a family takes in this detector."""
        for view in plugins.names("engine.physics.representations"):
            with suppress(ValueError):
                zoo.check_input(family, self._n_features(view))
                yield view
