"""What a study asks of systematics: which nuisances are moved, and by how much."""

from typing import Annotated

from pydantic import Field, field_validator

from engine.errors import BadInput, unknown
from engine.physics import events
from engine.physics.detectors import TPC
from engine.study.section import Section

Relative = Annotated[float, Field(ge=0, le=0.3)]
LEAST_TOYS = 5000  # some seven beyond a threshold of three sigma
NAMES = ("leakage", "rates")  # of nuisances that are no constant of the detector


class Systematics(Section):
    """What may be otherwise than the search takes it to be; each is moved by itself.

    `leakage_factor`: electron recoils beyond the line of nuclear ones in (cS1, cS2) (`engine.inference.leakage`) are
    that many times as many, or as few, or a log-normal factor of that sigma times as many;
    `rates`: rates drawn from their uncertainties against thresholds made for known ones;
    `constants`: detector constants moved up and down by these relative amounts, with events simulated anew.
    """

    leakage_factor: float | None = Field(None, ge=1, le=100)
    rates: bool = False
    constants: dict[str, Relative] = Field(default_factory=dict)

    @field_validator("constants")
    @classmethod
    def _known(cls, constants: dict[str, float]) -> dict[str, float]:
        numbers = {key for key, field in TPC.model_fields.items() if field.annotation is float}
        for name in constants:
            if name not in numbers:
                raise unknown("detector constant to vary", name, numbers)
        return constants

    def check(self, tpc: TPC, by_toys: list[str], n_toys: int) -> None:
        """Raises BadInput for what the rest of the study does not carry.

        That is a constant that leaves what is valid, a leak with nothing to leak to, or too few toys of the statistics
        that have no law.
        """
        if by_toys and n_toys < LEAST_TOYS:
            raise BadInput(f"systematics: {', '.join(by_toys)} have no exact law: false alarms are counted in "
                           f"toys: toys.null = {n_toys}, at least {LEAST_TOYS} are needed")  # fmt: skip
        for name, amount in self.constants.items():
            for sign in (1, -1):
                try:
                    events.moved(tpc, {name: sign * amount})
                except ValueError as error:
                    value = getattr(tpc, name) * (1 + sign * amount)
                    raise BadInput(f"systematics.constants.{name} = {amount:g}: {value:g} is not valid") from error
