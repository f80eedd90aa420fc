"""What is asked of the events: the score, the grid, the toys."""

from functools import cached_property
from types import ModuleType
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from engine import plugins
from engine.errors import BadInput, unknown
from engine.inference import scores, teststats
from engine.options import Options, configure
from engine.study.refine import Refine
from engine.study.section import Axis, Distinct, Positive, Section, check_name

DEFAULT_R = 2.5e5
MOST_TOYS = 1_000_000_000


class Score(Section):
    """TS, the anomaly score of an event: a file of `engine/inference/scores/`, and which models play its roles.

    `roles.ROLE`: the name of a model in [models], the role's own unless said; `options`: those of the score; R: its
    weights, where it has one. `bandwidth` of f0 is a factor on Silverman's rule, which is made for one bump: a score
    that spans decades has its peak and the fall of its tail within a small part of them.

    `gpus_per_task`: of a GPU, what each task that simulates and scores events asks for; of 0.25 each, four share one.
    Networks are then run on it, in float32: the terms are those of a CPU to its rounding, under another digest.
    """

    name: str = "elbo_and_classifier"
    roles: dict[str, str] = Field(default_factory=dict)
    options: dict[str, Any] = Field(default_factory=dict)
    R: Annotated[tuple[Annotated[float, Field(ge=0)], ...], Distinct] = Field((), validate_default=False)
    bandwidth: float = Field(0.3, gt=0)
    relative_floor: float = Field(1e-12, gt=0, lt=1)
    gpus_per_task: float = Field(0.0, ge=0, le=1, exclude_if=lambda share: share == 0)

    @model_validator(mode="before")
    @classmethod
    def _weighted(cls, raw: object) -> object:
        if not isinstance(raw, dict) or not isinstance(name := raw.get("name", "elbo_and_classifier"), str):
            return raw
        weighted = plugins.load("engine.inference.scores", name, *scores.CONTRACT).WEIGHTED
        if not weighted and raw.get("R", [0.0]) not in ([0.0], (0.0,)):
            raise BadInput(f"R = {raw['R']}: the score {name!r} has no weight")
        return {"R": (DEFAULT_R if weighted else 0.0,)} | raw

    @model_validator(mode="after")
    def _known(self) -> "Score":
        if not self.R:
            raise BadInput("R = [] must name one value at least")
        roles = self.module.ROLES
        for role in self.roles:
            if roles is not None and role not in roles:
                raise unknown("role of the score", role, roles)
        _ = self.configured
        return self

    @property
    def device(self) -> str:
        """Where networks give their terms: "cpu" or "cuda"."""
        return "cuda" if self.gpus_per_task else "cpu"

    @cached_property
    def module(self) -> ModuleType:
        """The score's module."""
        return plugins.load("engine.inference.scores", self.name, *scores.CONTRACT)

    @cached_property
    def configured(self) -> Options:
        """Its checked options; raises BadInput."""
        return configure(self.module, self.options)

    @property
    def wanted(self) -> dict[str, tuple[str, str | None]]:
        """Of every role the kind of its model, and the family that plays it where a study names none."""
        if self.module.ROLES is not None:
            return self.module.ROLES
        return dict.fromkeys(self.module.roles(self.configured), (None, None))

    @property
    def density(self) -> dict[str, float]:
        """What f0 follows from beside the scores."""
        return {"bandwidth": self.bandwidth, "relative_floor": self.relative_floor}


class Grid(Section):
    """The points of the scan: masses, values of what the signal is linear in (under its own name), exposures.

    `refine` adds points where the contours of a statistic's Z pass.
    """

    m_chi_GeV: Axis | None = None
    size: Axis
    exposure_ty: Axis
    refine: Refine | None = None

    @field_validator("m_chi_GeV", "size", "exposure_ty")
    @classmethod
    def _physical(cls, axis: Axis | None, info: ValidationInfo) -> Axis | None:
        may_be_zero = info.field_name == "size"
        if axis and ((value := axis.ends[0]) < 0 or (value == 0 and not may_be_zero)):
            raise BadInput(f"{value:g} must be {'0 or more' if may_be_zero else 'above 0'}")
        return axis

    @property
    def masses(self) -> tuple[float | None, ...]:
        """Ascending; None of a signal without a mass."""
        return self.m_chi_GeV.points() if self.m_chi_GeV else (None,)


class Benchmark(Section):
    """The point whose p is followed over exposure; the signal's own by default (the papers' of a WIMP)."""

    m_chi_GeV: Positive = 50.0
    size: Positive | None = None


class Toys(Section):
    """Toy experiments and what is evaluated on them.

    `options.NAME` gives the options of statistic NAME, and with `statistic` the file behind a name of one's own:
    `options.tail_100 = { statistic = "tail_count", b0 = 100.0 }`. `exact` says at which points the exact engine
    stands beside the toys, for the statistics that have one.
    """

    null: int = Field(10_000, ge=100, le=MOST_TOYS)
    signal: int = Field(10_000, ge=100, le=MOST_TOYS)
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
            check_name("a statistic", name)
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
