"""What a study asks of systematics: which nuisances are moved, and by how much."""

from typing import Annotated

from pydantic import Field, field_validator

from engine.errors import BadInput, unknown
from engine.physics import spectra
from engine.physics.detectors import TPC
from engine.study.section import Range, Section
from engine.study.sources import Backgrounds, check_moved, check_shift

Relative = Annotated[float, Field(ge=0, le=0.3)]
LEAST_TOYS = 5000  # some seven beyond a threshold of three sigma
NAMES = ("leakage", "rates")  # of nuisances that are no constant of the detector


class Systematics(Section):
    """What may be otherwise than the search takes it to be; each is moved by itself.

    `leakage_factor`: electron recoils beyond the line of nuclear ones in (cS1, cS2) (`engine.inference.leakage`) are
    that many times as many, or as few, or a log-normal factor of that sigma times as many;
    `rates`: rates drawn from their uncertainties against thresholds made for known ones;
    `constants`: detector constants moved up and down by these relative amounts, with events simulated anew;
    `components`: options of components' own events, each at its lower and at its upper value:
    `components.xe124_ec = { charge_yield_ratio_LL = [0.65, 0.87] }`.
    """

    leakage_factor: float | None = Field(None, ge=1, le=100)
    rates: bool = False
    constants: dict[str, Relative] = Field(default_factory=dict)
    components: dict[str, dict[str, Range]] = Field(default_factory=dict)

    @field_validator("constants")
    @classmethod
    def _known(cls, constants: dict[str, float]) -> dict[str, float]:
        check_moved(constants)
        return constants

    def check_components(self, backgrounds: Backgrounds) -> None:
        """Raises BadInput for a component or an option that cannot be moved, or a value that is not valid."""
        for name, options in self.components.items():
            if name not in backgrounds.components:
                raise unknown("component to vary", name, backgrounds.components)
            spectrum, nominal = backgrounds.spectrum(name)
            accepted = getattr(spectrum, "MOVES_EVENTS", ())
            for option, ends in options.items():
                if option not in accepted:
                    raise unknown(f"option of {name!r} that moves its events", option, accepted)
                for value in ends:
                    spectra.configure(spectrum, nominal.model_dump() | {option: value})

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
                check_shift("systematics.constants", tpc, name, sign * amount)
