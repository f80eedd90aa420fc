"""The section of a study that puts its search to a list of anomalies that it knows nothing of."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import numpy as np
from pydantic import Field, field_validator, model_validator

from engine import plugins
from engine.errors import BadInput, unknown
from engine.inference import scores
from engine.options import Options, configure
from engine.physics import spectra
from engine.study.scan import Score
from engine.study.section import Distinct, Positive, Section, check_name
from engine.study.sources import Backgrounds

PLANE = "two_dimensional"  # a score of the plane of two others, which no model plays
SCORES = ("elbo", "classifier", "elbo_and_classifier", PLANE)
OF_PLANE = ("elbo", "classifier")  # the scores that span it
ORACLE, COMBINED = "known_signal", "combined"


class Anomaly(Section):
    """A spectrum in excess, or in place of a component.

    `spectrum` with its `options`; `m_chi_GeV` of one with a mass; `size`: what its rate is linear in, a cross-section
    in the spectrum's own unit or a multiple of its rate (unless said the spectrum's benchmark, or 1). `replaces`: the
    component that it stands in place of, as captures of 124Xe at another yield do.
    """

    spectrum: str
    options: dict[str, Any] = Field(default_factory=dict)
    m_chi_GeV: Positive | None = None
    size: Positive | None = None
    replaces: str | None = None

    @field_validator("options")
    @classmethod
    def _absolute(cls, options: dict[str, Any]) -> dict[str, Any]:
        # a worker reads tables too, and may have another working directory than the driver
        return {key: str(Path(str(value)).absolute()) if key == "path" else value for key, value in options.items()}

    @model_validator(mode="after")
    def _known(self) -> "Anomaly":
        module, _ = self.module
        if (self.m_chi_GeV is not None) != spectra.size(module).has_mass:
            raise BadInput(f"{self.spectrum!r} has {'a mass' if self.m_chi_GeV is None else 'no mass'}: m_chi_GeV is "
                           f"{'missing' if self.m_chi_GeV is None else 'not among its axes'}")  # fmt: skip
        return self

    @property
    def module(self) -> tuple[ModuleType, spectra.Options]:
        """The spectrum with its checked options; raises BadInput."""
        module = plugins.load("engine.physics.spectra", self.spectrum)
        return module, spectra.configure(module, self.options)

    @property
    def value(self) -> float:
        """Its size."""
        return spectra.size(self.module[0]).benchmark if self.size is None else self.size

    @property
    def kind(self) -> str:
        """The recoils that it makes, ER or NR; of a table of events, that it is one."""
        return spectra.describe(*self.module)[0]

    def shape(self, energy_keV: np.ndarray) -> np.ndarray:
        """(n,) events / (t y keV) at true energies, of a reference size: a multiple of `rate`."""
        return self._of_size(spectra.size(self.module[0]).reference)(energy_keV)

    def rate(self, energy_keV: np.ndarray) -> np.ndarray:
        """(n,) events / (t y keV) at true energies in keV; of a table of events their rate, whatever the energy."""
        return self._of_size(self.value)(energy_keV)

    def _of_size(self, value: float) -> Callable[[np.ndarray], np.ndarray]:
        module, options = self.module
        if hasattr(module, "read"):
            return partial(np.full_like, fill_value=value * options.rate_per_ty, dtype=np.float64)
        if not (size := spectra.size(module)).has_mass:
            return lambda energy_keV: value * module.rate(energy_keV, **options.model_dump())
        place = {"m_chi_GeV": self.m_chi_GeV, size.name: value}
        return partial(module.rate, **place, **options.model_dump())


@dataclass(frozen=True)
class BatteryScore:
    """A score of the battery: its module (None of `PLANE`) with its options, and R, 0 where it has no weight."""

    name: str
    module: ModuleType | None
    options: Options
    R: float

    @classmethod
    def of(cls, name: str, own: Score) -> "BatteryScore":
        """A score by its name: with the options of the study's own where it is that, and its largest R."""
        if name == PLANE:
            return cls(name, None, Options(), 0.0)
        module = plugins.load("engine.inference.scores", name, *scores.CONTRACT)
        options = own.configured if name == own.name else configure(module, {})
        return cls(name, module, options, max(own.R) if module.WEIGHTED else 0.0)

    @property
    def roles(self) -> set[str]:
        """Whose terms it takes."""
        return set(self.module.ROLES or self.module.roles(self.options))


class Battery(Section):
    """From which exposure on every statistic on every score finds each of `signals`, none of which it knows.

    `events`: thrown of each signal, whose selected ones stand for it; `scores`: files of `engine/inference/scores/`
    whose roles the study's score has, a weighted one at the study's largest R, and `two_dimensional`; `statistics`:
    all those of the study with a law, unless said. Exposures, p, power and groups of the jack-knife are [reach]'s.
    """

    signals: dict[str, Anomaly] = Field(min_length=1, max_length=100)
    events: int = Field(6000, ge=100, le=10_000_000)
    scores: Annotated[tuple[str, ...], Distinct] = Field(SCORES, min_length=1)
    statistics: Annotated[tuple[str, ...], Distinct] | None = None

    @model_validator(mode="after")
    def _named(self) -> "Battery":
        for name in self.signals:
            check_name("a signal", name)
        return self

    def check(self, backgrounds: Backgrounds, own: Score, roles: dict[str, str], laws: list[str]) -> None:
        """Raises BadInput for what the rest of the study does not have.

        own: its score, with these roles; laws: its statistics whose law is known and that know no signal.
        """
        for name, signal in self.signals.items():
            if signal.replaces is not None and signal.replaces not in backgrounds.components:
                raise unknown(f"component that battery.signals.{name} replaces", signal.replaces,
                              backgrounds.components)  # fmt: skip
            if name in backgrounds.components:
                raise BadInput(f"battery.signals: {name!r} is a component of the background; give the signal another "
                               "name")  # fmt: skip
        for name in self.statistics or ():
            if name not in laws:
                raise unknown("battery: statistic with a law", name, laws)
        if not self.names(laws):
            raise BadInput("battery: no statistic of the study has a law and knows no signal")
        for name in self.scores:
            needed = [BatteryScore.of(part, own) for part in (OF_PLANE if name == PLANE else (name,))]
            if missing := sorted(set().union(*(one.roles for one in needed)) - set(roles)):
                raise BadInput(f"battery.scores: {name!r} needs the role {missing[0]!r}, which the study's score does "
                               "not have")  # fmt: skip

    def names(self, laws: list[str]) -> tuple[str, ...]:
        """The statistics, of those of the study that have a law and know no signal."""
        return tuple(laws) if self.statistics is None else self.statistics
