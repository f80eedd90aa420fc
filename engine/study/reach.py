"""The section of a study that asks for the exposure of three sigma."""

from typing import Annotated

from pydantic import Field

from engine.errors import BadInput
from engine.inference.exact.power import P_THREE_SIGMA, POWER
from engine.study.section import Distinct, Positive, Range, Section


class Reach(Section):
    """From which exposure on every statistic with a known law finds the signal, at the benchmark and other masses.

    m_chi_GeV: masses beside the benchmark's; sigma_si_cm2 or strength: the benchmark's if absent; exposure_ty: sought
    between; p, power: of false alarms, and of the signal; groups: of the jack-knife over the pool.
    """

    enabled: bool = True
    m_chi_GeV: Annotated[tuple[Positive, ...], Distinct] = ()
    sigma_si_cm2: Positive | None = None
    strength: Positive | None = None
    exposure_ty: Range = (1.0, 2000.0)
    p: float = Field(P_THREE_SIGMA, ge=1e-12, lt=0.5)
    power: float = Field(POWER, ge=0.1, le=0.9)  # laws with signal are made for their middle
    groups: int = Field(5, ge=2, le=100)

    def check(self, axes: tuple[str, ...], signal: str) -> None:
        """Raises BadInput where the section places the signal on an axis that it has not."""
        given = {name for name in ("m_chi_GeV", "sigma_si_cm2", "strength") if name in self.model_fields_set}
        if other := given - {*axes}:
            raise BadInput(f"reach: the signal {signal!r} has no {', '.join(sorted(other))}, but {', '.join(axes)}")

    def places(self, at: dict[str, float]) -> list[tuple[float | None, float]]:
        """(m_chi_GeV, size) ascending in mass, for a benchmark by the names of its axes; no mass without one."""
        *_, axis = at
        size = at[axis] if getattr(self, axis) is None else getattr(self, axis)
        masses = sorted({at["m_chi_GeV"], *self.m_chi_GeV}) if "m_chi_GeV" in at else [None]
        return [(mass, size) for mass in masses]
