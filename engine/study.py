"""A study file, read once into frozen, validated objects."""

import importlib.resources
import tomllib
from collections.abc import Callable
from dataclasses import asdict
from functools import cached_property, partial
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal, get_args

import numpy as np
from pydantic import Field, ValidationError, field_validator, model_validator

import zoo
from engine import plugins
from engine.errors import BadInput, unknown
from engine.inference import teststats
from engine.inference.pools import KINDS
from engine.options import Options, configure
from engine.physics import proposals, spectra
from engine.physics.detectors import TPC
from engine.section import Ascending, Axis, Distinct, Positive, Range, Section
from engine.study_reach import Reach
from engine.study_systematics import Systematics
from engine.study_tune import Tune


def _section(raw: object, kind: str) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise BadInput(f"{raw!r} is no section; expected {kind}")
    if not isinstance(raw.get("name", ""), str):
        raise BadInput(f"name = {raw['name']!r} must be a word in quotes")
    return dict(raw)


NestEnergy = Annotated[float, Field(ge=proposals.NEST_RANGE_KEV[0], le=proposals.NEST_RANGE_KEV[1])]  # keV
NestRange = Annotated[tuple[NestEnergy, NestEnergy], Ascending]


class Detector(Section):
    """A detector by name, with any of its constants overridden.

    `nuisance` gives relative 1 sigma uncertainties of constants, drawn anew for every shard of events: g1,
    electron_lifetime_us, drift_field_V_cm, g1_gas (for g2), work_function_scale, ...
    """

    name: str = "darwin"
    constants: TPC
    nuisance: dict[str, Annotated[float, Field(ge=0, le=0.3)]] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _resolve(cls, raw: object) -> dict[str, Any]:
        overrides = _section(raw, "name and constants, like { name = 'darwin', g1 = 0.12 }")
        name = overrides.pop("name", "darwin")
        nuisance = overrides.pop("nuisance", {})
        module = plugins.load("engine.physics.detectors", name, "CONSTANTS")
        numbers = {key for key, field in TPC.model_fields.items() if field.annotation is float}
        for key in nuisance if isinstance(nuisance, dict) else ():
            if key not in numbers:
                raise unknown("detector constant to vary", key, numbers)
        for key in overrides:
            if key not in TPC.model_fields:
                raise unknown("detector constant", key, TPC.model_fields)
        return {"name": name, "constants": module.CONSTANTS.model_dump() | overrides, "nuisance": nuisance}


class Representation(Section):
    """What of a readout the networks see."""

    name: str = "vector"

    @model_validator(mode="after")
    def _known(self) -> "Representation":
        plugins.load("engine.physics.representations", self.name, "features", "sections")
        return self


Proposal = Literal[proposals.NAMES]


class Events(Section):
    """Training and test events: both kinds alike; uniform in true energy, as in the papers, unless said."""

    train_per_kind: int = Field(20_000, ge=100)
    test_per_kind: int = Field(2_000, ge=100)
    energy_keV: NestRange = (1.0, 100.0)
    train_proposal: Proposal = "uniform"


class PoolSize(Section):
    """The scoring pool: proposals that cover the window, weighted to every spectrum."""

    er_events: int = Field(20_000, ge=100)
    nr_events: int = Field(20_000, ge=100)
    er_energy_keV: NestRange = (1.0, 14.0)
    nr_energy_keV: NestRange = (1.0, 70.0)
    component_events: int = Field(10_000, ge=100, description="of each component that is thrown by itself")
    proposal: Proposal = "uniform"


class Backgrounds(Section):
    """Background components, the selection, and how their rates are treated.

    `options.NAME` gives the options of component NAME, and with `spectrum` the file behind a name of one's own:
    a component `my_line` with `options.my_line = { spectrum = "user_table", path = "line.csv", kind = "ER" }`.
    """

    components: Annotated[tuple[str, ...], Distinct] = (
        "pp", "be7", "pb214", "kr85", "xe136", "b8", "hep", "atm", "dsnb", "neutrons",
    )  # fmt: skip
    options: dict[str, dict[str, Any]] = Field(default_factory=dict)
    er_window_keVee: Range = (2.0, 10.0)
    nr_window: Literal["ces"] | Range = "ces"
    rates: Literal["prior_predictive", "idealised"] = "prior_predictive"

    @field_validator("options")
    @classmethod
    def _absolute(cls, options: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        # a worker reads event tables too, and may have another working directory than the driver
        return {
            name: fields | {key: str(Path(str(value)).absolute()) for key, value in fields.items() if key == "path"}
            for name, fields in options.items()
        }

    @model_validator(mode="after")
    def _known(self) -> "Backgrounds":
        for name in self.options:
            if name not in self.components:
                raise unknown("component with options", name, self.components)
        for name in self.components:
            if name in KINDS:
                raise BadInput(f"a component cannot be called {name!r}: that is a kind of recoil")
            _, uncertainty = spectra.describe(*self.spectrum(name))
            if uncertainty is None:
                raise BadInput(f"{name!r} is a signal, not a background component")
        if not any(self.pool_kind(name) == "ER" for name in self.components):
            raise BadInput("components: at least one electron-recoil component is needed")
        return self

    def spectrum(self, component: str) -> tuple[ModuleType, spectra.Options]:
        """The module behind a component and its checked options; raises BadInput."""
        module = plugins.load("engine.physics.spectra", self.spectrum_name(component), "rate")
        fields = {key: value for key, value in self.options.get(component, {}).items() if key != "spectrum"}
        return module, spectra.configure(module, fields)

    def pool_kind(self, component: str) -> str:
        """The kind of pool events that serve a component: ER, NR, or the component itself if they serve it alone."""
        module, options = self.spectrum(component)
        return component if spectra.has_own_events(module) else spectra.describe(module, options)[0]

    def own_kinds(self) -> tuple[str, ...]:
        """The components that have events of their own."""
        return tuple(name for name in self.components if spectra.has_own_events(self.spectrum(name)[0]))

    def spectrum_name(self, component: str) -> str:
        """The name of the file behind a component."""
        return str(self.options.get(component, {}).get("spectrum", component))


class Model(Section):
    """A model family by name, with its configuration complete and typed by the family itself."""

    name: str
    config: dict[str, Any]

    @model_validator(mode="before")
    @classmethod
    def _resolve(cls, raw: object) -> dict[str, Any]:
        fields = _section(raw, "name and fields, like { name = 'dense_vae', beta = 10.0 }")
        if "name" not in fields:
            raise BadInput(f"a model needs a name (accepted: {', '.join(zoo.names())})")
        name = fields.pop("name")
        family = plugins.load("zoo", name, "KIND", "build")
        return {"name": name, "config": asdict(zoo.configure(family, fields))}


class Models(Section):
    """The pair behind the score."""

    vae: Model = Field(default_factory=lambda: Model(name="dense_vae"))
    classifier: Model = Field(default_factory=lambda: Model(name="mlp_classifier"))

    @model_validator(mode="after")
    def _kinds(self) -> "Models":
        for slot, kind in (("vae", "autoencoder"), ("classifier", "classifier")):
            name = getattr(self, slot).name
            if (found := plugins.load("zoo", name).KIND) != kind:
                raise BadInput(f"models.{slot}: {name!r} is a {found}, not a {kind}")
        return self


class Training(Section):
    """How networks are fitted: by how many processes, on GPUs or not, in which precision of matrix products.

    One worker without a GPU trains in its task's own process. More share each batch and average their gradients: the
    curves agree to 1e-5, the bits do not, so that all of this is part of a model's identity.
    """

    workers: int = Field(1, ge=1)
    gpus_per_worker: int = Field(0, ge=0, le=1)
    precision: Literal["float32", "bf16"] = "float32"

    @property
    def in_process(self) -> bool:
        """Whether a fit is an ordinary task."""
        return self.workers == 1 and self.gpus_per_worker == 0


class Score(Section):
    """TS = -ELBO + R * H_B for each R.

    `bandwidth` of f0 is a factor on Silverman's rule, which is made for one bump: a score that spans decades has
    its peak and the fall of its tail within a small part of them.
    """

    R: Annotated[tuple[Annotated[float, Field(ge=0)], ...], Distinct] = Field((2.5e5,), min_length=1)
    bandwidth: float = Field(0.3, gt=0)
    relative_floor: float = Field(1e-12, gt=0, lt=1)


class Signal(Section):
    """The signal that is injected, with its options (the halo); the search itself does not know it.

    A WIMP's spectrum has a mass and a cross-section; any other, such as `user_table`, is multiplied by a strength.
    """

    name: str = "wimp_si"
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _known(self) -> "Signal":
        if spectra.has_own_events(self.spectrum()[0]):
            raise BadInput(f"{self.name!r} has events of its own and is no signal: a signal is a spectrum")
        return self

    def spectrum(self) -> tuple[ModuleType, spectra.Options]:
        """The module behind the signal and its checked options; raises BadInput."""
        module = plugins.load("engine.physics.spectra", self.name, "rate")
        return module, spectra.configure(module, self.options)

    @cached_property
    def axes(self) -> tuple[str, ...]:
        """What places a signal beside the exposure; it is linear in the last."""
        return ("strength",) if spectra.describe(*self.spectrum())[1] is not None else ("m_chi_GeV", "sigma_si_cm2")

    def rate(self, **at: float) -> Callable[[np.ndarray], np.ndarray]:
        """Events / (t y keV) over true energies in keV, at a value of every axis."""
        module, options = self.spectrum()
        if self.axes == ("strength",):
            return lambda energy_keV: at["strength"] * module.rate(energy_keV, **options.model_dump())
        return partial(module.rate, **at, **options.model_dump())


class Grid(Section):
    """The points of the scan: mass and cross-section of a WIMP, or the strength of any other signal."""

    m_chi_GeV: Axis | None = None
    sigma_si_cm2: Axis | None = None
    strength: Axis | None = None
    exposure_ty: Axis

    @model_validator(mode="after")
    def _physical(self) -> "Grid":
        lowest = {"sigma_si_cm2": "0 or more", "strength": "0 or more"}
        for name in Grid.model_fields:
            for value in axis.points() if (axis := getattr(self, name)) else ():
                if value < 0 or (value == 0 and name not in lowest):
                    raise BadInput(f"{name}: {value:g} must be {lowest.get(name, 'above 0')}")
        return self


class Benchmark(Section):
    """The point whose p is followed over exposure; the papers' by default, the spectrum as it is without a mass."""

    m_chi_GeV: Positive = 50.0
    sigma_si_cm2: Positive = 6.5e-48
    strength: Positive = 1.0


class Toys(Section):
    """Toy experiments and what is evaluated on them.

    `options.NAME` gives the options of statistic NAME, and with `statistic` the file behind a name of one's own:
    `options.tail_100 = { statistic = "tail_count", b0 = 100.0 }`. `exact` says at which points the exact engine
    stands beside the toys, for the statistics that have one.
    """

    null: int = Field(10_000, ge=100)
    signal: int = Field(10_000, ge=100)
    statistics: Annotated[tuple[str, ...], Distinct] = Field(("extended_poisson", "tail_count"), min_length=1)
    options: dict[str, dict[str, Any]] = Field(default_factory=dict)
    exact: Literal["all", "benchmark", "none"] = "benchmark"
    tail: Literal["counted", "kde", "exact"] = "counted"

    @model_validator(mode="after")
    def _known(self) -> "Toys":
        for name in self.options:
            if name not in self.statistics:
                raise unknown("statistic with options", name, self.statistics)
        same = {}
        for name in self.statistics:
            module, options = self.statistic(name)
            if (other := same.setdefault((module.__name__, options), name)) != name:
                raise BadInput(f"{name!r} is {other!r} under another name: the same statistic with the same options")
        return self

    def statistic(self, name: str) -> tuple[ModuleType, Options]:
        """The module behind a statistic and its checked options; raises BadInput."""
        module = plugins.load("engine.inference.teststats", self.statistic_name(name), *teststats.CONTRACT)
        fields = {key: value for key, value in self.options.get(name, {}).items() if key != "statistic"}
        return module, configure(module, fields)

    def statistic_name(self, name: str) -> str:
        """The name of the file behind a statistic."""
        return str(self.options.get(name, {}).get("statistic", name))


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
        given = [axis for axis in Grid.model_fields if getattr(self.grid, axis) is not None]
        if {*given} != {*axes, "exposure_ty"}:
            raise BadInput(f"grid: the signal {name!r} is scanned over {', '.join(axes)} and exposure_ty; "
                           f"given: {', '.join(given)}")  # fmt: skip
        if other := self.benchmark.model_fields_set - {*axes}:
            raise BadInput(f"benchmark: the signal {name!r} has no {', '.join(sorted(other))}, but {', '.join(axes)}")
        self.reach.check(axes, name)
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
            by_toys = [name for name, module in modules.items() if module.ADDITIVE and not module.EXACT]
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


def shipped() -> list[str]:
    """Names of the studies that come with the package."""
    files = importlib.resources.files("scans").iterdir()
    return sorted(f.name.removesuffix(".toml") for f in files if f.name.endswith(".toml"))


def text(name_or_path: str) -> str:
    """A study's TOML: a shipped study by name, else a file; raises BadInput that lists both ways."""
    if name_or_path in shipped():
        return importlib.resources.files("scans").joinpath(f"{name_or_path}.toml").read_text()
    path = Path(name_or_path)
    if not path.is_file():
        raise unknown("study (neither a file nor a shipped one)", name_or_path, shipped())
    try:
        return path.read_text()
    except OSError as error:
        raise BadInput(f"cannot read {name_or_path!r}: {error.strerror}") from error


def load(name_or_path: str, overrides: tuple[str, ...] = ()) -> Study:
    """Reads and validates a study; `overrides` are `key.path=value` in TOML. Raises BadInput, in one line."""
    return parse(read(name_or_path, overrides), name_or_path)


def read(name_or_path: str, overrides: tuple[str, ...] = ()) -> dict[str, Any]:
    """A study as it is written, overrides in it, as plain data; raises BadInput for what is not TOML."""
    try:
        raw = tomllib.loads(text(name_or_path))
        for override in overrides:
            _override(raw, override)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{name_or_path}: not a TOML file: {error}") from error
    return raw


def parse(raw: dict[str, Any], name: str = "study") -> Study:
    """Validates plain data; the first fault becomes one BadInput that names the key and shows the value."""
    try:
        return Study.model_validate(raw)
    except ValidationError as error:
        raise BadInput(f"{name}: {_explain(error)}") from error


def _override(raw: dict[str, Any], text: str) -> None:
    key, equals, value = text.partition("=")
    if not equals:
        raise BadInput(f"--set {text!r}: expected key.path=value")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    *path, last = key.strip().split(".")
    for part in path:
        raw = raw.setdefault(part, {})
        if not isinstance(raw, dict):
            raise BadInput(f"--set {text!r}: {part!r} is a value, not a section")
    raw[last] = parsed


def _explain(error: ValidationError) -> str:
    # a misspelt key comes before the key that is missing because of it
    # and what we say ourselves before what a union's other branches would have liked
    def rank(fault: dict) -> tuple[bool, bool]:
        return fault["type"] != "extra_forbidden", "error" not in fault.get("ctx", {})

    first = min(error.errors(), key=rank)
    place = ".".join(str(part) for part in first["loc"] if "[" not in str(part))  # without a union's branches
    if first["type"] == "extra_forbidden":
        *path, key = first["loc"]
        return f"{'.'.join(map(str, path))}: {unknown('key', key, _fields(path))}".removeprefix(": ")
    cause = first.get("ctx", {}).get("error")
    message = str(cause) if isinstance(cause, ValueError) else f"{first['msg']} (given: {first['input']!r})"
    return f"{place}: {message}".removeprefix(": ")


def _fields(path: list[str | int]) -> list[str]:
    model = Study
    for part in path:
        annotation = model.model_fields[part].annotation
        model = next((one for one in get_args(annotation) if hasattr(one, "model_fields")), annotation)
    return list(model.model_fields)
