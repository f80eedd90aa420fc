"""The section of a study that spends points where the contours of Z pass: `[grid.refine]`."""

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from engine.errors import BadInput, unknown
from engine.inference.teststats import has_law, has_toys
from engine.study.section import Distinct, Positive, Section

if TYPE_CHECKING:  # the scan's section holds this one
    from engine.study.scan import Score, Toys

FINEST_LOG10 = 1e-4  # cross-sections are rounded to 12 digits: far finer, two points of the lattice could be one


class Refine(Section):
    """Contours of one statistic, known to `log10_sigma` at every mass and exposure of the grid.

    z: median significances of the contours; statistic, R: the first that the study lists where they are not given;
    log10_sigma: the largest bracket, in log10 of the cross-section; max_rounds: of points, each decided on when the
    one before is finished; toys_factor: toys of an added point, in those of a point of the grid.
    """

    z: Annotated[tuple[Positive, ...], Distinct] = Field((1.0, 2.0, 3.0), min_length=1)
    statistic: str | None = None
    R: float | None = Field(None, ge=0)
    log10_sigma: float = Field(0.05, ge=FINEST_LOG10, le=1)
    max_rounds: int = Field(6, ge=1, le=30)
    toys_factor: int = Field(1, ge=1, le=1000)

    def pair(self, toys: "Toys", score: "Score") -> tuple[float | None, str]:
        """R and the name of the statistic whose contours are sought; R is None where it looks at no score."""
        name = self.statistic or toys.statistics[0]
        if "score" not in toys.statistic(name)[0].NEEDS:
            return None, name
        return (score.R[0] if self.R is None else self.R), name

    def check(self, axes: tuple[str, ...], toys: "Toys", score: "Score", rates: str) -> None:
        """Raises BadInput where the study has no such contour; `axes` place the signal."""
        if "m_chi_GeV" not in axes:
            raise BadInput(f"grid.refine follows contours over m_chi_GeV; the signal has only {', '.join(axes)}")
        if self.statistic not in (None, *toys.statistics):
            raise unknown("grid.refine.statistic", self.statistic, toys.statistics)
        R, name = self.pair(toys, score)
        if R is None and self.R is not None:
            raise BadInput(f"grid.refine.R = {self.R:g}: {name!r} looks at no score")
        if R is not None and R not in score.R:
            raise BadInput(f"grid.refine.R = {R:g} is not among score.R = {list(score.R)}")
        module, _ = toys.statistic(name)
        if not (has_toys(module) or has_law(module, rates)):
            raise BadInput(f"grid.refine: {name!r} has neither toys nor a law with rates = {rates!r}")
