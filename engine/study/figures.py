"""The section of a study that says what its figures show: no result depends on it."""

from typing import Annotated

from pydantic import Field, model_validator

from engine.errors import BadInput, unknown
from engine.study.section import Distinct, Positive, Section

NAMED_ONLY = ("size_against_exposure", "p_against_R", "injected_scores", "test_scores", "reduction")
KINDS = (  # what a figure's name begins with, first what a talk on the scan would begin with
    "plane", "p_against_exposure", "t3_against_mass", "battery", "scores", "q_panels", "q", "roc", "leakage",
    "systematics", "confusion", "posterior_predictive", "elbo_energy", "reconstruction", "sic", "latent", "losses",
    "pure_scores", *NAMED_ONLY,
)  # fmt: skip
Statistics = Annotated[tuple[str, ...], Field(min_length=1), Distinct]


class FigurePoint(Section):
    """A signal that is followed over exposure beside the benchmark: a point of the grid."""

    m_chi_GeV: Positive | None = None
    size: Positive


class Figures(Section):
    """What the figures of a scan show, and which there are.

    kinds: all figures of these, in place of the usual dozen; those of NAMED_ONLY no other study has. m_chi_GeV, size:
    of the signals in `scores`, `injected_scores` and `elbo_energy`; exposure_ty: of planes (all unless said), q and
    scores (the largest); levels_sigma: of contours and of lines of p; points: signals in `p_against_exposure` beside
    the benchmark; panels: groups of statistics, each in a figure of p against exposure and in one of q (all in one,
    and each q in its own, unless said).
    """

    kinds: Annotated[tuple[str, ...], Field(min_length=1), Distinct] | None = None
    m_chi_GeV: Annotated[tuple[Positive, ...], Field(min_length=1), Distinct] = (20.0, 500.0)  # EPJC paper, Fig. 2
    size: Positive | None = None
    exposure_ty: Annotated[tuple[Positive, ...], Field(min_length=1), Distinct] | None = None
    levels_sigma: Annotated[tuple[Positive, ...], Field(min_length=1), Distinct] = (1.0, 2.0, 3.0)
    points: tuple[FigurePoint, ...] = ()
    panels: tuple[Statistics, ...] = ()

    @model_validator(mode="after")
    def _kinds_there_are(self) -> "Figures":
        for kind in self.kinds or ():
            if kind not in KINDS:
                raise unknown("figures.kinds: figure", kind, KINDS)
        return self

    def check(self, axes: tuple[str, ...], places: set[tuple], exposures: tuple[float, ...], names: tuple[str, ...]):
        """Raises BadInput for what the scan does not have: `places` are the mass and size of its points, `names` its
        statistics."""
        if "m_chi_GeV" in self.model_fields_set and "m_chi_GeV" not in axes:
            raise BadInput(f"figures.m_chi_GeV: the signal has no m_chi_GeV, but {', '.join(axes)}")
        for point in self.points:
            if (point.m_chi_GeV, point.size) not in places:
                at = ", ".join(f"{value:g}" for value in (point.m_chi_GeV, point.size) if value is not None)
                raise BadInput(f"figures.points: {at} is no point of the grid, nor the benchmark: add it to [grid]")
        for exposure_ty in self.exposure_ty or ():
            if exposure_ty not in exposures:
                raise unknown("figures.exposure_ty: exposure", f"{exposure_ty:g}", [f"{one:g}" for one in exposures])
        for name in [name for group in self.panels for name in group]:
            if name not in names:
                raise unknown("figures.panels: statistic", name, names)
