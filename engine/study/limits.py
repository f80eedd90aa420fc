"""The section of a study that asks for upper limits."""

from typing import Literal

from pydantic import Field, model_validator

from engine.errors import BadInput
from engine.inference import neyman
from engine.inference.limits import LEVEL, POWER
from engine.study.section import Section


class Limits(Section):
    """The median 90 % CL limit on the signal's size, at the masses of grid and benchmark; there, discovery too.

    method: "neyman", by `toys` experiments at each of a ladder of strengths, or "asymptotic"; interval: "upper", or
    "unified" of Feldman & Cousins, which may have a lower end; power: of the power constraint (1105.3166), the
    probability that background alone falls below it: 0.16, its -1 sigma; 0.5, its median, in XENONnT's 2303.14729.
    """

    enabled: bool = True
    method: Literal["neyman", "asymptotic"] = "neyman"
    interval: Literal[neyman.INTERVALS] = "upper"
    toys: int = Field(2000, ge=neyman.least_toys(LEVEL), le=100_000)
    power: float = Field(POWER, ge=0.12, le=0.5)  # at 0.1 and below, the constraint of a 90 % limit is at strength zero

    @model_validator(mode="after")
    def _interval_has_its_law(self) -> "Limits":
        if (self.method, self.interval) == ("asymptotic", "unified"):
            raise BadInput("a unified interval is by toys; it wants method = 'neyman'")
        return self

    @property
    def n_toys(self) -> int | None:
        """At each strength; None where limits are asymptotic."""
        return self.toys if self.method == "neyman" else None

    def masses(self, grid: tuple[float | None, ...], benchmark_GeV: float | None) -> list[float | None]:
        """All masses, ascending; of a signal without one, None alone."""
        return sorted({*grid, benchmark_GeV}, key=lambda mass: mass or 0.0) if self.enabled else []
