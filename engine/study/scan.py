"""What is asked of the events: the score, the grid, the toys."""

from types import ModuleType
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from engine import plugins
from engine.errors import BadInput, unknown
from engine.inference import teststats
from engine.options import Options, configure
from engine.study.refine import Refine
from engine.study.section import Axis, Distinct, Positive, Section

AXES = ("m_chi_GeV", "sigma_si_cm2", "strength", "exposure_ty")


class Score(Section):
    """TS = -ELBO + R * H_B for each R.

    `bandwidth` of f0 is a factor on Silverman's rule, which is made for one bump: a score that spans decades has
    its peak and the fall of its tail within a small part of them.
    """

    R: Annotated[tuple[Annotated[float, Field(ge=0)], ...], Distinct] = Field((2.5e5,), min_length=1)
    bandwidth: float = Field(0.3, gt=0)
    relative_floor: float = Field(1e-12, gt=0, lt=1)


class Grid(Section):
    """The points of the scan: mass and cross-section of a WIMP, or the strength of any other signal.

    `refine` adds points where the contours of a statistic's Z pass.
    """

    m_chi_GeV: Axis | None = None
    sigma_si_cm2: Axis | None = None
    strength: Axis | None = None
    exposure_ty: Axis
    refine: Refine | None = None

    @model_validator(mode="after")
    def _physical(self) -> "Grid":
        lowest = {"sigma_si_cm2": "0 or more", "strength": "0 or more"}
        for name in AXES:
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
