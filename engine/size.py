"""What a signal is linear in: an axis of a study beside mass and exposure, under a name of its own."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """The axis that a signal's rate grows with.

    name: in studies, tables and MLflow, with its unit; unit: as text; meaning: of the column; symbol: in mathtext;
    reference: the value that weights of events are kept for; benchmark: where a study names none; shown: of the signals
    that figures of scores show; has_mass: whether the signal has a mass beside it. usual, usual_mass_GeV: ranges, None
    without any, beyond which a value in a study is taken for one in another unit unless the study confirms it.
    """

    name: str
    unit: str
    meaning: str
    symbol: str
    reference: float
    benchmark: float
    shown: float
    has_mass: bool = True
    usual: tuple[float, float] | None = None
    usual_mass_GeV: tuple[float, float] | None = None

    def named(self, word: str) -> str:
        """The name of a value of this axis, its unit last: sigma_si_cm2 and 90 give sigma_si_90_cm2."""
        if not self.unit:
            return f"{self.name}_{word}"
        return f"{self.name.removesuffix(f'_{self.unit}')}_{word}_{self.unit}"

    @property
    def label(self) -> str:
        """For an axis of a figure: symbol and unit, in mathtext."""
        return self.symbol + (f" [{_mathtext(self.unit)}]" if self.unit else "")

    def of(self, number: str) -> str:
        """Symbol, a number and the unit, in mathtext."""
        return f"{self.symbol} = {number}" + (f" {_mathtext(self.unit)}" if self.unit else "")


def _mathtext(unit: str) -> str:
    return unit.replace("cm2", "cm$^2$")


STRENGTH = Size("strength", "", "multiple of the spectrum of a signal without a mass", "strength", 1.0, 1.0, 1.0, False)
