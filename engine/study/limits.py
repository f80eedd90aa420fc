"""The section of a study that asks for upper limits."""

from typing import Annotated

from pydantic import Field

from engine.errors import BadInput
from engine.inference.limits import POWER
from engine.study.section import Distinct, Positive, Section


class Limits(Section):
    """The median 90 % CL upper limit on the signal's size, at the masses of grid, benchmark and check.

    check_m_chi_GeV: masses at which check_toys experiments at the limit say how often it covers; power: of the
    power constraint (1105.3166), the probability that background alone falls below it.
    """

    enabled: bool = True
    check_m_chi_GeV: Annotated[tuple[Positive, ...], Distinct] = (20.0, 50.0, 500.0)
    check_toys: int = Field(1000, ge=100, le=1_000_000)
    power: float = Field(POWER, ge=0.12, le=0.5)  # at 0.1 and below, the constraint of a 90 % limit is at strength zero

    def check(self, axes: tuple[str, ...], signal: str) -> None:
        """Raises BadInput where limits are asked for on a signal without a mass."""
        if self.enabled and self.model_fields_set and "m_chi_GeV" not in axes:
            raise BadInput(f"limits: they are at every m_chi_GeV; the signal {signal!r} has only {', '.join(axes)}")

    def masses(self, axes: tuple[str, ...], grid: tuple[float, ...], benchmark_GeV: float | None) -> list[float]:
        """All masses, ascending; none where there is no limit to be had."""
        if not (self.enabled and "m_chi_GeV" in axes):
            return []
        return sorted({*grid, *self.check_m_chi_GeV, *([] if benchmark_GeV is None else [benchmark_GeV])})
