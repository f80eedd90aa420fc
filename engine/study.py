"""A study file, read once into frozen, validated objects."""

import importlib.resources
import math
import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

import zoo
from engine import plugins
from engine.errors import BadInput, unknown
from engine.physics.detectors import TPC


class Section(BaseModel):
    """A part of a study: frozen, unknown keys refused, no NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _range(values: tuple[float, float]) -> tuple[float, float]:
    if isinstance(values, list | tuple) and len(values) == 2 and not values[0] < values[1]:
        raise BadInput(f"{list(values)} must be [low, high] with low < high")
    return values


Positive = Annotated[float, Field(gt=0)]
Range = Annotated[tuple[Positive, Positive], BeforeValidator(_range)]


class Detector(Section):
    """A detector by name, with any of its constants overridden."""

    name: str = "darwin"
    constants: TPC

    @model_validator(mode="before")
    @classmethod
    def _resolve(cls, raw: dict[str, Any]) -> dict[str, Any]:
        overrides = dict(raw)
        name = overrides.pop("name", "darwin")
        constants = overrides.pop("constants", None)
        module = plugins.load("engine.physics.detectors", name)
        for key in overrides:
            if key not in TPC.model_fields:
                raise unknown("detector constant", key, TPC.model_fields)
        return {"name": name, "constants": constants or module.CONSTANTS.model_dump() | overrides}


class Representation(Section):
    """What of a readout the networks see."""

    name: str = "vector"

    @model_validator(mode="after")
    def _known(self) -> "Representation":
        plugins.load("engine.physics.representations", self.name)
        return self


class Events(Section):
    """Training and test events: uniform in true energy, both kinds alike, as in the papers."""

    train_per_kind: int = Field(20_000, ge=100)
    test_per_kind: int = Field(2_000, ge=100)
    energy_keV: Range = (1.0, 100.0)


class PoolSize(Section):
    """The scoring pool: uniform proposals that cover the window, weighted to every spectrum."""

    er_events: int = Field(20_000, ge=100)
    nr_events: int = Field(20_000, ge=100)
    er_energy_keV: Range = (1.0, 14.0)
    nr_energy_keV: Range = (1.0, 70.0)


class Backgrounds(Section):
    """Background components, the selection, and how their rates are treated."""

    components: tuple[str, ...] = ("pp", "be7", "pb214", "kr85", "xe136", "b8", "hep", "atm", "dsnb", "neutrons")
    er_window_keVee: Range = (2.0, 10.0)
    nr_window: Literal["ces"] | Range = "ces"
    rates: Literal["prior_predictive", "idealised"] = "prior_predictive"

    @model_validator(mode="after")
    def _known(self) -> "Backgrounds":
        for name in self.components:
            spectrum = plugins.load("engine.physics.spectra", name)
            if not hasattr(spectrum, "RELATIVE_UNCERTAINTY"):
                raise BadInput(f"{name!r} is a signal, not a background component")
        if not any(plugins.load("engine.physics.spectra", name).KIND == "ER" for name in self.components):
            raise BadInput("components: at least one electron-recoil component is needed")
        if len(set(self.components)) < len(self.components):
            raise BadInput(f"components: {list(self.components)} names one component twice")
        return self


class Model(Section):
    """A model family by name, with its configuration complete and typed by the family itself."""

    name: str
    config: dict[str, Any]

    @model_validator(mode="before")
    @classmethod
    def _resolve(cls, raw: dict[str, Any]) -> dict[str, Any]:
        fields = dict(raw)
        if "name" not in fields:
            raise BadInput(f"a model needs a name (accepted: {', '.join(zoo.names())})")
        name = fields.pop("name")
        fields = fields.pop("config", fields)
        family = plugins.load("zoo", name)
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


class Score(Section):
    """TS = -ELBO + R * H_B for each R.

    `bandwidth` of f0 is a factor on Silverman's rule, which is made for one bump: a score that spans decades has
    its peak and the fall of its tail within a small part of them.
    """

    R: tuple[Annotated[float, Field(ge=0)], ...] = Field((2.5e5,), min_length=1)
    bandwidth: float = Field(0.3, gt=0)
    relative_floor: float = Field(1e-12, gt=0, lt=1)


class Signal(Section):
    """The signal that is injected; the search itself does not know it."""

    name: Literal["wimp_si"] = "wimp_si"


class Axis(Section):
    """One axis of the grid: `values = [...]`, or `log = [low, high]` or `linear = [low, high]` with `n`."""

    values: tuple[float, ...] | None = Field(None, min_length=1)
    log: tuple[float, float] | None = None
    linear: tuple[float, float] | None = None
    n: int | None = Field(None, ge=2)

    @model_validator(mode="after")
    def _one_form(self) -> "Axis":
        given = [name for name in ("values", "log", "linear") if getattr(self, name) is not None]
        if len(given) != 1:
            raise BadInput(f"an axis takes exactly one of values, log, linear; given: {given or 'none'}")
        if (given == ["values"]) != (self.n is None):
            raise BadInput("n goes with log or linear, and only with them")
        if self.log and min(self.log) <= 0:
            raise BadInput(f"log = {list(self.log)}: a log axis cannot reach zero or below; use values for a zero")
        if (ends := self.log or self.linear) and not ends[0] < ends[1]:
            raise BadInput(f"{given[0]} = {list(ends)} must be [low, high] with low < high")
        return self

    def points(self) -> tuple[float, ...]:
        """Ascending, each once; rounded to 12 digits, so that a wider grid hits the same points."""
        if self.values is not None:
            return tuple(sorted(set(self.values)))
        low, high = self.log or self.linear
        steps = [i / (self.n - 1) for i in range(self.n)]
        if self.log:
            exponents = (math.log10(low) * (1 - t) + math.log10(high) * t for t in steps)
            return tuple(float(f"{10**x:.12g}") for x in exponents)
        return tuple(float(f"{low * (1 - t) + high * t:.12g}") for t in steps)


class Grid(Section):
    """The points of the scan."""

    m_chi_GeV: Axis
    sigma_si_cm2: Axis
    exposure_ty: Axis

    @model_validator(mode="after")
    def _physical(self) -> "Grid":
        for name, lowest in (("m_chi_GeV", "above 0"), ("sigma_si_cm2", "0 or more"), ("exposure_ty", "above 0")):
            for value in getattr(self, name).points():
                if value < 0 or (value == 0 and lowest == "above 0"):
                    raise BadInput(f"{name}: {value:g} must be {lowest}")
        return self


class Benchmark(Section):
    """The point whose p is followed over exposure; the papers' by default."""

    m_chi_GeV: Positive = 50.0
    sigma_si_cm2: Positive = 6.5e-48


class Toys(Section):
    """Toy experiments and what is evaluated on them.

    `tail_b0` background events are expected above the threshold of `tail_count` at `tail_exposure_ty`, which makes
    it one threshold for all exposures; without it, the threshold is derived anew at each exposure.
    """

    null: int = Field(10_000, ge=100)
    signal: int = Field(10_000, ge=100)
    statistics: tuple[str, ...] = Field(("extended_poisson", "tail_count"), min_length=1)
    tail_b0: float = Field(1.0, gt=0)
    tail_exposure_ty: Positive | None = None

    @model_validator(mode="after")
    def _known(self) -> "Toys":
        for name in self.statistics:
            plugins.load("engine.inference.teststats", name)
        return self


class Study(Section):
    """A whole study: every choice that its results depend on."""

    seed: int = Field(1, ge=0)
    detector: Detector = Field(default_factory=Detector)
    representation: Representation = Field(default_factory=Representation)
    events: Events = Events()
    pool: PoolSize = PoolSize()
    backgrounds: Backgrounds = Field(default_factory=Backgrounds)
    models: Models = Field(default_factory=Models)
    score: Score = Score()
    signal: Signal = Signal()
    grid: Grid
    benchmark: Benchmark = Benchmark()
    toys: Toys = Field(default_factory=Toys)
    tuned_on: str = Field("nothing", description="the signal that R, thresholds or networks were chosen on")


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
    return path.read_text()


def load(name_or_path: str, overrides: tuple[str, ...] = ()) -> Study:
    """Reads and validates a study; `overrides` are `key.path=value` in TOML. Raises BadInput, in one line."""
    try:
        raw = tomllib.loads(text(name_or_path))
        for override in overrides:
            _override(raw, override)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{name_or_path}: not a TOML file: {error}") from error
    return parse(raw, name_or_path)


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
    first = sorted(error.errors(), key=lambda fault: fault["type"] != "extra_forbidden")[0]
    place = ".".join(str(part) for part in first["loc"] if part != "literal['ces']")
    if first["type"] == "extra_forbidden":
        *path, key = first["loc"]
        return f"{'.'.join(map(str, path))}: {unknown('key', key, _fields(path))}".removeprefix(": ")
    cause = first.get("ctx", {}).get("error")
    message = str(cause) if isinstance(cause, ValueError) else f"{first['msg']} (given: {first['input']!r})"
    return f"{place}: {message}".removeprefix(": ")


def _fields(path: list[str | int]) -> list[str]:
    model = Study
    for part in path:
        model = model.model_fields[part].annotation
    return list(model.model_fields)
