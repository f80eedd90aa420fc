"""How well a study knows the leakage of electron recoils, and at what else it asks what that makes of a search."""

from typing import Annotated

from pydantic import Field, model_validator

from engine.errors import BadInput
from engine.study.section import Distinct, Section

Factor = Annotated[float, Field(ge=1, le=10)]
CalibrationEvents = Annotated[float, Field(ge=1, le=1e9)]


class Leakage(Section):
    """How well the share of electron recoils is known that lie beyond the line of nuclear ones (30 % of them) in
    (cS1, cS2): to a log-normal `factor`, 1 for exactly, or from so many calibration electron recoils in the window.
    """

    factor: Factor = 1.0
    calibration_events: CalibrationEvents | None = None

    @model_validator(mode="after")
    def _one(self) -> "Leakage":
        if self.calibration_events is not None and self.factor != 1:
            raise BadInput("backgrounds.leakage: factor or calibration_events, not both")
        return self

    @property
    def words(self) -> str:
        """As a reader is told it."""
        if self.calibration_events is not None:
            return f"known from {self.calibration_events:g} calibration events"
        return "exactly known" if self.factor == 1 else f"known to a factor of {self.factor:g}"


class LeakageScan(Section):
    """At which `factors` and `calibration_events` of `backgrounds.leakage` Z and the three-sigma exposure are told."""

    factors: Annotated[tuple[Factor, ...], Distinct] = (1.0, 1.2, 1.5, 2.0)
    calibration_events: Annotated[tuple[CalibrationEvents, ...], Distinct] = (1e3, 1e4, 1e5, 1e6)

    @property
    def levels(self) -> list[Leakage]:
        """All of them, factors first, each ascending."""
        known = [Leakage(factor=factor) for factor in sorted(self.factors)]
        return known + [Leakage(calibration_events=n) for n in sorted(self.calibration_events)]
