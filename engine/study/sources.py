"""What is simulated: the detector and how it is seen, events, backgrounds and the signal."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from engine import plugins
from engine.errors import BadInput, unknown
from engine.inference.pools import KINDS
from engine.physics import events, proposals, selection, spectra
from engine.physics.detectors import TPC, _field, darwin
from engine.size import Size
from engine.study.leakage import Leakage
from engine.study.section import Ascending, Axis, Distinct, Range, Section, check_name, named

Efficiency = Annotated[float, Field(gt=0, le=1)] | str
UNCERTAINTY, MOST_UNCERTAIN = "relative_uncertainty", 2.0
FACTOR, LARGEST_FACTOR = "rate_factor", 1e3
MOST_KEVEE = 1e6  # beyond all energies; a digest takes no infinity
NestEnergy = Annotated[float, Field(ge=proposals.NEST_RANGE_KEV[0], le=proposals.NEST_RANGE_KEV[1])]  # keV
NestRange = Annotated[tuple[NestEnergy, NestEnergy], Ascending]


def check_moved(names: Iterable[str]) -> None:
    """Raises BadInput for what is no number among the constants of a detector."""
    numbers = {key for key, field in TPC.model_fields.items() if field.annotation is float}
    for name in names:
        if name not in numbers:
            raise unknown("detector constant to vary", name, numbers)


def check_shift(place: str, tpc: TPC, name: str, amount: float) -> None:
    """Raises BadInput where a constant is 0, or leaves what is valid when it is moved by a relative amount."""
    value = getattr(tpc, name)
    if amount and value == 0:
        raise BadInput(f"{place}.{name} = {amount:g}: the detector's is 0, which a relative shift leaves as it is; "
                       "give the detector one")  # fmt: skip
    try:
        events.moved(tpc, {name: amount})
    except ValueError as error:
        raise BadInput(f"{place}.{name} = {amount:g}: {value * (1 + amount):g} is not valid") from error


class Detector(Section):
    """A detector by name, with any of its constants overridden.

    Drift velocity, diffusion and trapping move with `drift_field_V_cm` unless they are given too.

    `nuisance` gives relative 1 sigma uncertainties of constants, drawn anew for every shard of events: g1,
    electron_lifetime_us, drift_field_V_cm, g1_gas (for g2), work_function_scale, ...
    """

    name: str = "darwin"
    constants: TPC
    nuisance: dict[str, Annotated[float, Field(ge=0, le=0.3)]] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _resolve(cls, raw: object) -> dict[str, Any]:
        overrides = named(raw, "name and constants, like { name = 'darwin', g1 = 0.12 }")
        name = overrides.pop("name", "darwin")
        nuisance = overrides.pop("nuisance", {})
        module = plugins.load("engine.physics.detectors", name, "CONSTANTS")
        check_moved(nuisance if isinstance(nuisance, dict) else ())
        for key in overrides:
            if key not in TPC.model_fields:
                raise unknown("detector constant", key, TPC.model_fields)
        constants = _field.override(module.CONSTANTS, overrides)
        for key in nuisance if isinstance(nuisance, dict) else ():
            if getattr(constants, key) == 0:
                raise BadInput(f"nuisance.{key}: the detector's is 0, which a relative uncertainty leaves as it is")
        return {"name": name, "constants": constants, "nuisance": nuisance}

    @property
    def s2_array(self) -> str:
        """The arrays that its S2 is of: "both", or "bottom"."""
        return getattr(plugins.load("engine.physics.detectors", self.name), "S2_ARRAY", "both")


class Representation(Section):
    """What of a readout the networks see."""

    name: str = "vector"

    @model_validator(mode="after")
    def _known(self) -> "Representation":
        plugins.load("engine.physics.representations", self.name, "features", "sections")
        return self


Proposal = Literal[proposals.NAMES]
Tail = Literal["plain", "enriched"]


class SignalRecoils(Section):
    """Nuclear recoils on the spectra of the study's signal, as many of each mass, whatever its size.

    `times`: how many are thrown over the electron recoils', since a detector sees few of a light WIMP's.
    """

    m_chi_GeV: Axis
    energy_keV: NestRange = (1.0, 100.0)
    times: float = Field(1.0, ge=1, le=100)


class Events(Section):
    """Training and test events: both kinds alike; uniform in true energy, as in the papers, unless said.

    `nr`: masses and energies (keV) of nuclear recoils that are thrown as the signal gives them, in place of that.
    """

    train_per_kind: int = Field(20_000, ge=100)
    test_per_kind: int = Field(2_000, ge=100)
    energy_keV: NestRange = (1.0, 100.0)
    train_proposal: Proposal = "uniform"
    nr: SignalRecoils | None = Field(None, exclude_if=lambda nr: nr is None)

    def n_thrown(self, kind: str, n_events: int) -> int:
        """How many of a kind are thrown where so many electron recoils are."""
        return round(n_events * self.nr.times) if kind == "NR" and self.nr else n_events


class PoolSize(Section):
    """The scoring pool: proposals that cover the window, weighted to every spectrum.

    `tail`: plain, every event is simulated whole; enriched, of `enrichment` times er_events electron recoils first S1
    and S2 are drawn, and whole events are those that look like nuclear recoils, and one in `enrichment` of the others,
    each of weight 1 / probability: none weighs more than in the plain pool.
    """

    tail: Tail = Field("plain", exclude_if=lambda tail: tail == "plain")
    enrichment: int = Field(20, ge=2, le=10_000, exclude_if=lambda n: n == 20)
    er_events: int = Field(20_000, ge=100)
    nr_events: int = Field(20_000, ge=100)
    er_energy_keV: NestRange = (1.0, 14.0)
    nr_energy_keV: NestRange = (1.0, 70.0)
    component_events: int = Field(10_000, ge=100, description="of each component that is thrown by itself")
    proposal: Proposal = "uniform"

    @model_validator(mode="after")
    def _enriches(self) -> "PoolSize":
        if self.tail == "plain" and "enrichment" in self.model_fields_set:
            raise BadInput(f"enrichment = {self.enrichment} goes with tail = 'enriched', and tail is 'plain'")
        return self


class Backgrounds(Section):
    """Background components, the selection, and how well rates and leakage are known.

    An event passes within `er_window_keVee` or `nr_window` (of combined or of true energy) and within all `cuts`, like
    `cs1_phd = [3, 80]`, and counts as much as `efficiency` says, which is of what is not simulated: a number, or a CSV
    with a column of `engine.physics.selection.AXES` and one `efficiency`; of either kind of recoils, if they differ.
    A user's own events have passed all but the window.

    Components, and options of those, are the detector's own unless the study names others. `options.NAME` gives the
    options of component NAME, with `relative_uncertainty` how well its rate is known, with `rate_factor` how many times
    the spectrum's it is (as a fit to a list of events gives it), and with `spectrum` the file behind a name of one's
    own: a component `my_line` with `options.my_line = { spectrum = "user_table", path = "line.csv", kind = "ER" }`.
    """

    components: Annotated[tuple[str, ...], Distinct] = tuple(darwin.BACKGROUNDS)
    options: dict[str, dict[str, Any]] = Field(default_factory=dict)
    er_window_keVee: Literal["none"] | Range = (2.0, 10.0)
    nr_window: Literal["ces", "none"] | Range = "ces"
    cuts: dict[str, Range] = Field(default_factory=dict)
    efficiency: Efficiency | dict[str, Efficiency] = 1.0
    rates: Literal["prior_predictive", "idealised"] = "prior_predictive"
    leakage: Leakage = Leakage()

    @field_validator("efficiency")
    @classmethod
    def _curves(cls, efficiency: Efficiency | dict[str, Efficiency]) -> Efficiency | dict[str, Efficiency]:
        def absolute(of: Efficiency) -> Efficiency:
            if isinstance(of, str):
                selection.curve(of)
                return str(Path(of).absolute())
            return of

        each = isinstance(efficiency, dict)
        if strange := [kind for kind in efficiency if kind not in KINDS] if each else []:
            raise unknown("kind of recoil with an efficiency", strange[0], KINDS)
        return {kind: absolute(of) for kind, of in efficiency.items()} if each else absolute(efficiency)

    @field_validator("cuts")
    @classmethod
    def _axes(cls, cuts: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
        for name in cuts:
            if name not in selection.AREAS:
                raise unknown("quantity to cut on", name, selection.AREAS)
        return cuts

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
            if not name.endswith(".py") or name != self.spectrum_name(name):
                check_name("a component", name)
            if name in KINDS:
                raise BadInput(f"a component cannot be called {name!r}: that is a kind of recoil")
            uncertainty = self.relative_uncertainty(name)
            if uncertainty is None:
                raise BadInput(f"{name!r} is a signal, not a background component")
            if type(uncertainty) not in (int, float) or not 0 <= uncertainty <= MOST_UNCERTAIN:
                raise BadInput(f"options.{name}.relative_uncertainty = {uncertainty!r} must be a number from 0 to "
                               f"{MOST_UNCERTAIN:g}: 0.1 is 10 %")  # fmt: skip
            factor = self.options.get(name, {}).get(FACTOR, 1.0)
            if type(factor) not in (int, float) or not 0 <= factor <= LARGEST_FACTOR:
                raise BadInput(f"options.{name}.{FACTOR} = {factor!r} must be a number from 0 to {LARGEST_FACTOR:g}: "
                               "1 is the rate of its spectrum")  # fmt: skip
        if not any(self.pool_kind(name) == "ER" for name in self.components):
            raise BadInput("components: at least one electron-recoil component is needed")
        return self

    def spectrum(self, component: str) -> tuple[ModuleType, spectra.Options]:
        """The module behind a component and its checked options; raises BadInput."""
        module = plugins.load("engine.physics.spectra", self.spectrum_name(component), "rate")
        own = {"spectrum", FACTOR} | (set() if _says_its_uncertainty(module) else {UNCERTAINTY})
        fields = {key: value for key, value in self.options.get(component, {}).items() if key not in own}
        return module, spectra.configure(module, fields)

    def relative_uncertainty(self, component: str) -> float | None:
        """1 sigma of a component's rate, as a fraction of it; None for what is a signal alone."""
        module, options = self.spectrum(component)
        found = spectra.describe(module, options)[1]
        given = None if _says_its_uncertainty(module) else self.options.get(component, {}).get(UNCERTAINTY)
        return found if found is None or given is None else float(given) if type(given) is int else given

    def rate_factor(self, component: str) -> float:
        """How many times the rate of its spectrum a component has."""
        return float(self.options.get(component, {}).get(FACTOR, 1.0))

    def rate(self, component: str) -> Callable[[np.ndarray], np.ndarray]:
        """(n,) events / (t y keV) of a component at true energies (n,) in keV; of a user's events, their rate per t y,
        whatever the energy."""
        module, options = self.spectrum(component)
        if hasattr(module, "read"):
            of = partial(np.full_like, fill_value=options.rate_per_ty, dtype=np.float64)
        else:
            of = partial(module.rate, **options.model_dump())
        factor = self.rate_factor(component)
        return of if factor == 1 else partial(_times, of, factor)

    def pool_kind(self, component: str) -> str:
        """The kind of pool events that serve a component: ER, NR, or the component itself if they serve it alone."""
        module, options = self.spectrum(component)
        return component if spectra.has_own_events(module) else spectra.describe(module, options)[0]

    @property
    def ces_keVee(self) -> tuple[float, float]:
        """The window of combined energy; all energies where there is none."""
        return (0.0, MOST_KEVEE) if self.er_window_keVee == "none" else self.er_window_keVee

    def efficiency_of(self, kind: str) -> float | str:
        """The efficiency of a kind of recoils: a number, or the path of a curve."""
        return self.efficiency.get(kind, 1.0) if isinstance(self.efficiency, dict) else self.efficiency

    def windows(self, kind: str) -> dict[str, tuple[float, float]]:
        """Windows of a kind of recoils by one of `engine.physics.selection.AXES`."""
        if kind == "ER" or self.nr_window == "ces":
            own = {} if self.er_window_keVee == "none" else {"ces_keVee": self.ces_keVee}
        else:
            own = {} if self.nr_window == "none" else {"energy_keV": self.nr_window}
        return own | self.cuts

    def own_kinds(self) -> tuple[str, ...]:
        """The components that have events of their own."""
        return tuple(name for name in self.components if spectra.has_own_events(self.spectrum(name)[0]))

    @property
    def er_kinds(self) -> tuple[str, ...]:
        """The kinds of pool events that are electron recoils: what comes with a kind of its own says so itself."""
        return ("ER", *(name for name in self.own_kinds() if self.spectrum(name)[0].KIND == "ER"))

    def spectrum_name(self, component: str) -> str:
        """The name of the file behind a component."""
        return str(self.options.get(component, {}).get("spectrum", component))


def _times(rate: Callable[[np.ndarray], np.ndarray], factor: float, energy_keV: np.ndarray) -> np.ndarray:
    return factor * rate(energy_keV)


def _says_its_uncertainty(module: ModuleType) -> bool:
    """Whether the uncertainty is one of a spectrum's own options."""
    return UNCERTAINTY in getattr(module, "Options", spectra.Options).model_fields


def with_own_defaults(raw: dict[str, Any], detector: str) -> dict[str, Any]:
    """A study with its detector's components, their options, selection and pool's energies, where it names no others.

    Raises BadInput where neither the study nor the detector names components: another detector's are not its own.
    """
    module = plugins.load("engine.physics.detectors", detector, "CONSTANTS")
    own, sections = getattr(module, "BACKGROUNDS", None), {}
    for section, name in (("backgrounds", "SELECTION"), ("pool", "POOL")):
        given = raw.get(section, {})
        sections[section] = getattr(module, name, {}) | given if isinstance(given, dict) else given
    given = sections["backgrounds"]
    if not isinstance(given, dict) or not isinstance(options := given.get("options", {}), dict):
        return raw
    if own is None and "components" not in given:
        raise BadInput(f"the detector {detector!r} has no BACKGROUNDS of its own: name backgrounds.components")
    names = given.get("components", list(own or {}))
    listed = names if own and isinstance(names, list | tuple) else ()
    known = {name: own[name] for name in listed if isinstance(name, str) and name in own}
    merged = {name: fields | options.get(name, {}) for name, fields in known.items()
              if isinstance(options.get(name, {}), dict) and "spectrum" not in options.get(name, {})}  # fmt: skip
    merged = {name: fields for name, fields in merged.items() if fields}
    sections["backgrounds"] = given | {"components": names} | ({"options": options | merged} if merged else {})
    return raw | sections


class Signal(Section):
    """The signal that is injected, with its options (the halo); the search itself does not know it.

    A spectrum with a mass names the axis that it is linear in (`size`); any other, such as `user_table`, is multiplied
    by a strength.
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
    def size(self) -> Size:
        """What the signal is linear in."""
        return spectra.size(self.spectrum()[0])

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of what places a signal beside the exposure; it is linear in the last."""
        return ("m_chi_GeV", self.size.name) if self.size.has_mass else (self.size.name,)

    @cached_property
    def kind(self) -> str:
        """The recoils that it makes, ER or NR."""
        return spectra.describe(*self.spectrum())[0]

    def at(self, m_chi_GeV: float | None, value: float | None = None) -> "SignalPoint":
        """The signal of this mass (None for one without) and size; by default the size that weights are kept for."""
        return SignalPoint(self, m_chi_GeV, self.size.reference if value is None else value)


@dataclass(frozen=True)
class SignalPoint:
    """A signal at a point: its spectrum, its mass in GeV/c2 (None without one), and the value of its size."""

    signal: Signal
    m_chi_GeV: float | None
    value: float

    @property
    def scale(self) -> float:
        """Its size over the one that weights of events are kept for."""
        return self.value / self.signal.size.reference

    @property
    def place(self) -> dict[str, float]:
        """Its values by the names of its axes."""
        return dict(zip(self.signal.axes[::-1], (self.value, self.m_chi_GeV), strict=False))

    @property
    def columns(self) -> dict[str, float | None]:
        """Its values as columns of a table, where a signal without a mass has a null."""
        return {"m_chi_GeV": self.m_chi_GeV, self.signal.size.name: self.value}

    @property
    def words(self) -> str:
        """As a user calls it."""
        return ", ".join(f"{name} = {value:g}" for name, value in reversed(self.place.items()))

    @property
    def key(self) -> tuple:
        """What names the random streams of its events: the spectrum and the mass, since sizes are nested."""
        return plugins.identity("engine.physics.spectra", self.signal.name), self.m_chi_GeV

    def rate(self, energy_keV: np.ndarray) -> np.ndarray:
        """(n,) events / (t y keV) at true energies (n,) in keV."""
        module, options = self.signal.spectrum()
        if not self.signal.size.has_mass:
            return self.value * module.rate(energy_keV, **options.model_dump())
        return module.rate(energy_keV, **self.place, **options.model_dump())
