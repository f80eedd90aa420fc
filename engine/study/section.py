"""What every part of a study is made of: a frozen section, ranges, and an axis of values."""

import math
import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from engine.errors import BadInput, shown

NAME = re.compile(r"(?!\.)[\w.-]{1,100}")
MOST_POINTS = 2_000_000  # of an axis, and of a grid: see `extent`


class Section(BaseModel):
    """A part of a study: frozen, unknown keys refused, no NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _range(values: tuple[float, float]) -> tuple[float, float]:
    if not values[0] < values[1]:
        raise BadInput(f"{list(values)} must be [low, high] with low < high")
    return values


def _distinct(values: tuple) -> tuple:
    if len(set(values)) < len(values):
        raise BadInput(f"{shown(list(values))} names one of them twice")
    return values


Positive = Annotated[float, Field(gt=0)]
Ascending = AfterValidator(_range)
Range = Annotated[tuple[Positive, Positive], Ascending]
Distinct = AfterValidator(_distinct)


class Axis(Section):
    """One axis of the grid: `[...]` or `values = [...]`, or `log = [low, high]` or `linear = [low, high]` with `n`."""

    values: tuple[float, ...] | None = Field(None, min_length=1, max_length=MOST_POINTS)
    log: tuple[float, float] | None = None
    linear: tuple[float, float] | None = None
    n: int | None = Field(None, ge=2, le=MOST_POINTS)

    @model_validator(mode="before")
    @classmethod
    def _values(cls, raw: object) -> object:
        """A list is its values, and a number the only one."""
        if isinstance(raw, int | float) and not isinstance(raw, bool):
            raw = [raw]
        return {"values": raw} if isinstance(raw, list | tuple) else raw

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

    @property
    def n_points(self) -> int:
        """How many points it has, before they are made."""
        return self.n if self.values is None else len(set(self.values))

    @property
    def ends(self) -> tuple[float, float]:
        """Its lowest and its highest point."""
        return self.log or self.linear or (min(self.values), max(self.values))

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


def check_name(kind: str, name: str) -> None:
    """Raises BadInput for a name that could be no part of a file's name, as those of results and figures are."""
    if not NAME.fullmatch(name):
        raise BadInput(f"{kind} cannot be called {shown(name)}: expected at most 100 letters, digits, _, - and .; a "
                       "file of your own gets such a name by the options")  # fmt: skip


def named(raw: object, kind: str) -> dict[str, Any]:
    """A part that is chosen by name, as a dictionary of its own; raises BadInput where it is none."""
    if not isinstance(raw, dict):
        raise BadInput(f"{shown(raw)} is no section; expected {kind}")
    if not isinstance(raw.get("name", ""), str):
        raise BadInput(f"name = {shown(raw['name'])} must be a word in quotes")
    return dict(raw)
