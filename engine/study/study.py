"""A whole study, and what its parts demand of each other."""

import itertools
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from types import ModuleType
from typing import Any

from pydantic import Field, ValidationError, model_validator

import zoo
from engine import plugins
from engine.errors import BadInput, unknown
from engine.inference.teststats import has_law, has_toys
from engine.study import extent, layers, units
from engine.study.battery import Battery
from engine.study.combined import Combined
from engine.study.compare import Compare, Ranking
from engine.study.data import Data
from engine.study.figures import Figures
from engine.study.leakage import LeakageScan
from engine.study.limits import Limits
from engine.study.models import Model, Models, Training, check_kind, declared
from engine.study.reach import Reach
from engine.study.scan import Benchmark, Grid, Score, Toys
from engine.study.section import Section
from engine.study.sources import (
    Backgrounds,
    Detector,
    Events,
    PoolSize,
    Representation,
    Signal,
    SignalPoint,
    check_shift,
    with_own_defaults,
)
from engine.study.systematics import Systematics
from engine.study.tune import BATTERY, Tune


class Study(Section):
    """A whole study: every choice that its results depend on."""

    extends: str | None = Field(None, exclude=True, description="a study that ships and has all that this leaves open")
    preset: str = Field(layers.AS_IT_STANDS, exclude=True, description="which of the presets it is")
    presets: dict[str, dict] = Field(default_factory=dict, exclude=True, description="keys that --preset NAME changes")
    seed: int = Field(1, ge=0)
    detector: Detector = Field(default_factory=Detector)
    representation: Representation = Field(default_factory=Representation)
    events: Events = Events()
    pool: PoolSize = PoolSize()
    backgrounds: Backgrounds = Field(default_factory=Backgrounds)
    models: Models = Field(default_factory=dict)
    training: Training = Training()
    score: Score = Field(default_factory=Score)
    signal: Signal = Field(default_factory=Signal)
    grid: Grid
    benchmark: Benchmark = Benchmark()
    toys: Toys = Field(default_factory=Toys)
    reach: Reach = Reach()
    limits: Limits = Limits()
    systematics: Systematics | None = None
    leakage_scan: LeakageScan | None = None
    combined: Combined | None = None
    battery: Battery | None = Field(None, exclude_if=lambda section: section is None)
    tune: Tune | None = None
    compare: Compare | None = None
    figures: Figures = Field(default_factory=Figures, exclude=True, description="what is drawn of its results")
    data: Data = Field(default_factory=Data, exclude=True, description="what `observe` reads: no result of a scan "
                       "depends on it")  # fmt: skip
    tuned_on: str = Field("nothing", description="the signal that R, thresholds or networks were chosen on")
    confirm: tuple[str, ...] = Field((), exclude=True, description="names whose unusual values are meant: no result "
                                     "depends on it")  # fmt: skip

    @model_validator(mode="before")
    @classmethod
    def _names_that_follow_from_choices(cls, raw: object) -> object:
        """What a signal is linear in, the roles of a score, and the families that play them where none is named."""
        if not isinstance(raw, dict):
            return raw
        try:
            signal, score = _parsed(Signal, raw.get("signal", {})), _parsed(Score, raw.get("score", {}))
        except (ValidationError, BadInput):  # told again, at its place, by the section itself
            return raw
        return _with_roles(_sized(raw, signal.size.name), score)

    @model_validator(mode="before")
    @classmethod
    def _backgrounds_of_the_detector(cls, raw: object) -> object:
        if not isinstance(raw, dict):
            return raw
        try:
            detector = _parsed(Detector, raw.get("detector", {}))
        except (ValidationError, BadInput):  # told again, at its place, by the section itself
            return raw
        return with_own_defaults(raw, detector.name)

    @model_validator(mode="after")
    def _roles_are_filled(self) -> "Study":
        for role, name in self.roles.items():
            if name not in self.models:
                raise unknown(f"model for the role {role!r} of the score", name, self.models)
            if kind := self.score.wanted[role][0]:
                check_kind(f"models.{name}", self.models[name], kind)
        if idle := [name for name in self.models if name not in self.roles.values()]:
            raise BadInput(f"models.{idle[0]} plays no role in the score {self.score.name!r}, which has "
                           f"{', '.join(self.roles)}")  # fmt: skip
        return self

    @model_validator(mode="after")
    def _is_not_too_much(self) -> "Study":
        extent.check(self)
        return self

    @model_validator(mode="after")
    def _pool_covers_the_windows(self) -> "Study":
        window, pool = self.backgrounds.er_window_keVee, self.pool
        # three resolutions at the window's ends (16 % at 2 keV, 9 % at 10 keV) would be 1.0 and 12.7 keV
        low, high = pool.er_energy_keV
        if window != "none" and not (low <= 0.6 * window[0] and high >= 1.25 * window[1]):
            raise BadInput(f"pool.er_energy_keV = {list(pool.er_energy_keV)} must reach from 0.6 times below to 1.25 "
                           f"times above backgrounds.er_window_keVee = {list(window)}")  # fmt: skip
        true = self.backgrounds.nr_window
        if true not in ("ces", "none") and not (pool.nr_energy_keV[0] <= true[0] and true[1] <= pool.nr_energy_keV[1]):
            raise BadInput(f"pool.nr_energy_keV = {list(pool.nr_energy_keV)} must contain backgrounds.nr_window = "
                           f"{list(true)}")  # fmt: skip
        return self

    @model_validator(mode="after")
    def _points_are_the_signals(self) -> "Study":
        axes, name, mass = self.signal.axes, self.signal.name, "m_chi_GeV"
        if (self.grid.m_chi_GeV is None) == (mass in axes):
            raise BadInput(f"grid: the signal {name!r} is scanned over {', '.join(axes)} and exposure_ty; "
                           f"{mass} is {'missing' if mass in axes else 'not among them'}")  # fmt: skip
        if mass in self.benchmark.model_fields_set and mass not in axes:
            raise BadInput(f"benchmark: the signal {name!r} has no {mass}, but {', '.join(axes)}")
        self.reach.check(axes, name)
        if self.grid.refine:
            self.grid.refine.check(axes, self.toys, self.score, self.backgrounds.rates)
        return self

    @model_validator(mode="after")
    def _figures_have_what_they_show(self) -> "Study":
        places = {*itertools.product(self.grid.masses, self.grid.size.points()), (*self.at.values(),)}
        places |= {(None, *place) for place in places if len(place) == 1}
        self.figures.check(self.signal.axes, places, self.grid.exposure_ty.points(), self.toys.statistics)
        return self

    @model_validator(mode="after")
    def _training_recoils_are_the_signals(self) -> "Study":
        if self.events.nr and not (self.signal.size.has_mass and self.signal.kind == "NR"):
            raise BadInput(f"events.nr: the signal {self.signal.name!r} makes no nuclear recoils by its mass")
        return self

    @model_validator(mode="after")
    def _tuning_fits(self) -> "Study":
        if self.tune:
            self.tune.check(self.toys.statistic, self.toys.statistics, self.signal.axes)
            self.tune.check_search(self.models, self.training, self.score)
            if self.tune.objective == BATTERY and not self.battery:
                raise BadInput("tune.objective = 'battery': the study has no [battery]; at least: [battery.signals] "
                               "and b8 = { spectrum = 'b8' }")  # fmt: skip
        return self

    @property
    def benchmark_signal(self) -> SignalPoint:
        """The signal at the benchmark."""
        mass = self.benchmark.m_chi_GeV if self.signal.size.has_mass else None
        value = self.signal.size.benchmark if self.benchmark.size is None else self.benchmark.size
        return self.signal.at(mass, value)

    @property
    def at(self) -> dict[str, float]:
        """The benchmark by the names of the signal's axes."""
        place = self.benchmark_signal.place
        return {name: place[name] for name in self.signal.axes}

    @cached_property
    def roles(self) -> dict[str, str]:
        """The name of the model in every role of the score."""
        return {role: self.score.roles.get(role, role) for role in self.score.wanted}

    @property
    def kinds(self) -> dict[str, str]:
        """The kind of the model in every role."""
        return {role: declared(self.models[name].name).KIND for role, name in self.roles.items()}

    @property
    def fitted(self) -> dict[str, Model]:
        """The model in every role of the score."""
        return {role: self.models[name] for role, name in self.roles.items()}

    @property
    def all_fitted(self) -> dict[str, Model]:
        """Every model that is fitted, by its place in the study."""
        if self.compare is None:
            return {f"models.{name}": model for name, model in self.models.items()}
        sides = self.compare.sides(self.fitted, self.kinds)
        return {f"compare.{role}.{name}": model for role, named in sides.items() for name, model in named.items()}

    @property
    def pair(self) -> str:
        """The models behind the score, in a word."""
        return "-".join(model.name for model in self.fitted.values())

    @property
    def members(self) -> dict[str, "Study"]:
        """A study for each combination of models, by its name; without a comparison this one alone."""
        if self.compare is None:
            return {self.pair: self}
        combinations = self.compare.members(self.fitted, self.kinds)
        return {name: self._with({self.roles[role]: model for role, model in fitted.items()})
                for name, fitted in combinations.items()}  # fmt: skip

    def _with(self, models: Models) -> "Study":
        return self.model_copy(update={"models": models, "compare": None})

    @property
    def ranking(self) -> Ranking:
        """What the members of a comparison are ranked by."""
        return self.compare.ranking(self.toys, self.score, self.grid.exposure_ty.points())

    @property
    def refitted(self) -> list["Study"]:
        """This study with other fits to the same events, whose spread is the seed's error: further ones, or members."""
        if self.training.seed_error == "members":
            of_each = {name: self.fits_of(model) for name, model in self.models.items()}
            return [self._once({name: fits[number % len(fits)] for name, fits in of_each.items()})
                    for number in range(self._largest)]  # fmt: skip
        return [self.reseeded(more) for more in range(1, self.training.n_seeds)]

    @property
    def _largest(self) -> int:
        """Members of the largest ensemble."""
        return max(model.ensemble for model in self.all_fitted.values())

    def reseeded(self, more: int) -> "Study":
        """A study whose networks are fitted once, with the seeds behind those of so many fits, to the same events."""
        return self._once({name: model.model_copy(update={"seed": self.seed_of(model) + more * model.ensemble})
                           for name, model in self.models.items()})  # fmt: skip

    def _once(self, models: Models) -> "Study":
        once = self.training.model_copy(update={"n_seeds": 1, "seed_error": "fits"})
        return self.model_copy(update={"models": models, "training": once})

    def fits_of(self, model: Model) -> list[Model]:
        """Every fit of a model: the members of an ensemble, each with a seed of its own, or the one."""
        if model.ensemble == 1:
            return [model]
        first = self.seed_of(model)
        return [model.model_copy(update={"seed": first + more, "ensemble": 1}) for more in range(model.ensemble)]

    def view(self, model: Model) -> str:
        """The representation that a model reads."""
        return self.representation.name if model.representation is None else model.representation

    def seed_of(self, model: Model) -> int:
        """The seed that a model is fitted with."""
        return self.seed if model.seed is None else model.seed

    @property
    def fit_seed(self) -> int:
        """The seed of the model in the last role: by it, fits with further seeds are told apart."""
        return self.seed_of(list(self.fitted.values())[-1])

    @property
    def views(self) -> str:
        """What the models behind the score read, in words."""
        seen = {role: self.view(model) for role, model in self.fitted.items()}
        if len(different := {*seen.values()}) == 1:
            return different.pop()
        return ", ".join(f"{view} ({role})" for role, view in seen.items())

    def fields(self) -> dict[str, Any]:
        """All of it as plain data, under the names that a study's file has."""
        dumped = self.model_dump(mode="json")
        for section in SIZED:
            if isinstance(inner := dumped.get(section), dict):
                dumped[section] = _renamed(inner, "size", self.signal.size.name)
        return dumped

    def n_features(self, view: str) -> int:
        """How many values a representation makes of an event."""
        module = plugins.load("engine.physics.representations", view)
        return sum(module.sections(self.detector.constants).values())

    @model_validator(mode="after")
    def _event_tables_fit(self) -> "Study":
        own = {f"backgrounds.{name}": self.backgrounds.spectrum(name) for name in self.backgrounds.own_kinds()}
        own |= {f"battery.signals.{name}": signal.module for name, signal in self.battery.signals.items()} if (
            self.battery
        ) else {}  # fmt: skip
        for place, (table, options) in own.items():
            if hasattr(table, "read"):
                n_features = table.n_features(options)
                for view in sorted({self.view(model) for model in self.all_fitted.values()}):
                    if n_features != (wanted := self.n_features(view)):
                        raise BadInput(f"{place}: {options.path} has {n_features} features per event; "
                                       f"{view} in {self.detector.name} has {wanted}")  # fmt: skip
                table.weights(options, self.backgrounds.ces_keVee)
        return self

    @model_validator(mode="after")
    def _systematics_fit(self) -> "Study":
        if self.systematics:
            modules = {name: self.toys.statistic(name)[0] for name in self.toys.statistics}
            by_toys = [name for name, module in modules.items() if has_toys(module) and module.EXACT is not True]
            self.systematics.check(self.detector.constants, by_toys, self.toys.null)
            self.systematics.check_components(self.backgrounds)
        return self

    @model_validator(mode="after")
    def _reach_fits(self) -> "Study":
        modules = {name: self.toys.statistic(name)[0] for name in self.toys.statistics}
        without_law = [name for name, module in modules.items() if not has_law(module, self.backgrounds.rates)]
        self.reach.check_toys(without_law, self.toys.null)
        self.reach.check_points(self.toys.statistics)
        return self

    @model_validator(mode="after")
    def _combined_fits(self) -> "Study":
        if self.combined:
            self.combined.check(self.toys, self.score)
        return self

    @model_validator(mode="after")
    def _battery_fits(self) -> "Study":
        if self.battery:
            self.battery.check(self.backgrounds, self.score, self.roles, self.laws)
        return self

    @property
    def laws(self) -> list[str]:
        """The statistics whose law is known, and that know no signal."""
        modules = {name: self.toys.statistic(name)[0] for name in self.toys.statistics}
        return [name for name, module in modules.items()
                if has_law(module, self.backgrounds.rates) and not module.MODEL_DEPENDENT]  # fmt: skip

    @model_validator(mode="after")
    def _comparison_fits(self) -> "Study":
        if self.compare:
            self.compare.check(self.kinds)
            _ = self.ranking
        self._check_members()
        several = self.training.n_seeds > 1 or self.training.seed_error == "members"
        if self.grid.refine and (self.compare or several):
            raise BadInput("grid.refine goes with neither [compare], nor training.n_seeds above 1, nor "
                           "training.seed_error = 'members': refine one pair of networks at a time")  # fmt: skip
        if several and self.toys.exact == "none":
            asked = f"training.n_seeds = {self.training.n_seeds}, seed_error = {self.training.seed_error!r}"
            raise BadInput(f"{asked}: the spread over seeds is that of exact laws; toys.exact must not be 'none'")
        return self

    def _check_members(self) -> None:
        """Raises BadInput where the members of ensembles are asked for their spread and have none."""
        if self.training.seed_error != "members":
            return
        if self._largest == 1:
            raise BadInput("training.seed_error = 'members': no model has an ensemble of 2 or more; like: "
                           "[models.classifier] ensemble = 3")  # fmt: skip
        if self.training.n_seeds > 1 or self.combined:
            raise BadInput("training.seed_error = 'members' goes with neither training.n_seeds above 1 nor [combined], "
                           "which try whole fits: leave them out, or seed_error")  # fmt: skip

    @model_validator(mode="after")
    def _models_take_what_they_read(self) -> "Study":
        for place, model in self.all_fitted.items():
            family, view = declared(model.name), self.view(model)
            try:
                zoo.check_input(family, self.n_features(view), zoo.configure(family, model.config))
            except ValueError as error:
                would_do = ", ".join(self._taken_by(family)) or "none that ships"
                seen = f"it reads the representation {view!r} of {self.detector.name!r}; would do: {would_do}"
                raise BadInput(f"{place}: {error} ({seen})") from error
        return self

    @model_validator(mode="after")
    def _simulations_are_detectors(self) -> "Study":
        for place, model in self.all_fitted.items():
            for name, amount in model.shift:
                check_shift(f"{place}.simulation", self.detector.constants, name, amount)
        return self

    @model_validator(mode="after")
    def _units_are_usual(self) -> "Study":
        units.check(self)
        return self

    def _taken_by(self, family: ModuleType) -> Iterator[str]:
        """The representations that ship and that a family takes in this detector."""
        for view in plugins.names("engine.physics.representations"):
            with suppress(ValueError):
                zoo.check_input(family, self.n_features(view))
                yield view


SIZED = ("grid", "benchmark", "reach", "tune", "figures")  # sections with a value of what the signal is linear in


def _parsed(section: type[Section], raw: object) -> Section:
    return raw if isinstance(raw, section) else section.model_validate(raw)


def _sized(raw: dict, name: str) -> dict:
    """The sections with their value of the signal's size as `size`, which a study gives under its own name."""
    changed = dict(raw)
    for section in SIZED:
        if not isinstance(inner := raw.get(section), dict):
            continue
        if any("size" in part for part in (inner, *_points(inner))):  # the name within, which no study gives
            raise BadInput(f"{section}: unknown key 'size'; the signal's is {name!r}")
        changed[section] = _renamed(inner, name, "size")
    return changed


def _renamed(section: dict, old: str, new: str) -> dict:
    """A section with one of its keys, and of its points', under another name."""
    renamed = {new if key == old else key: value for key, value in section.items()}
    points = [_renamed(point, old, new) for point in _points(section)]
    return renamed | ({"points": points} if points else {})


def _points(section: dict) -> list[dict]:
    """The points that a section lists, where it is a list of tables."""
    points = section.get("points")
    return points if isinstance(points, list) and all(isinstance(point, dict) for point in points) else []


def _with_roles(raw: dict, score: Score) -> dict:
    """The families that play roles for which no model is named, and the alternatives for each role of a comparison."""
    models, compare = raw.get("models", {}), raw.get("compare")
    if not isinstance(models, dict):
        return raw
    families = {role: family for role, (_, family) in score.wanted.items() if family and role not in score.roles}
    filled = {name: models.get(name, {"name": family}) for name, family in families.items()} | models
    if not isinstance(compare, dict):
        return raw | {"models": filled}
    accepted = {*score.wanted, *Compare.model_fields} - {"alternatives"}
    if strange := [key for key in compare if key not in {*accepted, "alternatives"}]:
        raise BadInput(f"compare: {unknown('key', strange[0], accepted)}")
    alternatives = {role: compare[role] for role in score.wanted if role in compare}
    if both := [role for role in alternatives if score.roles.get(role, role) in models]:
        raise BadInput(f"models.{both[0]} and compare.{both[0]} are both given; put the one among the others")
    rest = {key: value for key, value in compare.items() if key not in alternatives}
    return raw | {"models": filled, "compare": rest | ({"alternatives": alternatives} if alternatives else {})}
