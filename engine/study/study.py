"""A whole study, and what its parts demand of each other."""


from pydantic import Field, model_validator

import zoo
from engine import plugins
from engine.errors import BadInput
from engine.study.limits import Limits
from engine.study.models import Models, Training
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
        return self

    @property
    def at(self) -> dict[str, float]:
        """The benchmark by the names of the signal's axes."""
        return {name: getattr(self.benchmark, name) for name in self.signal.axes}

    @model_validator(mode="after")
    def _event_tables_fit(self) -> "Study":
        view = plugins.load("engine.physics.representations", self.representation.name)
        for name in self.backgrounds.own_kinds():
            table, options = self.backgrounds.spectrum(name)
            if hasattr(table, "read"):
                wanted, found = sum(view.sections(self.detector.constants).values()), table.n_features(options)
                if found != wanted:
                    raise BadInput(f"backgrounds.{name}: {options.path} has {found} features per event; "
                                   f"{self.representation.name} in {self.detector.name} has {wanted}")  # fmt: skip
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
    def _models_take_the_representation(self) -> "Study":
        view = plugins.load("engine.physics.representations", self.representation.name)
        n_features = sum(view.sections(self.detector.constants).values())
        for slot in ("vae", "classifier"):
            try:
                zoo.check_input(plugins.load("zoo", getattr(self.models, slot).name), n_features)
            except ValueError as error:
                seen = f"the representation is {self.representation.name!r} of {self.detector.name!r}"
                raise BadInput(f"models.{slot}: {error} ({seen})") from error
        return self
