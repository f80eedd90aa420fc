"""The section of a study that asks for the exposure of three sigma."""

from typing import Annotated

from pydantic import Field

from engine.errors import BadInput, unknown
from engine.inference.exact.power import P_THREE_SIGMA, POWER
from engine.inference.reach_toys import least_null_toys
from engine.study.section import Distinct, Positive, Range, Section

MASSES = ("m_chi_GeV", "toys_m_chi_GeV", "points")


class ReachPoint(Section):
    """A signal of a mass and a size of its own, beside the benchmark's; statistics: which seek it, all unless said."""

    m_chi_GeV: Positive
    size: Positive
    statistics: Annotated[tuple[str, ...], Distinct] | None = None

    def is_sought_by(self, statistic: str) -> bool:
        """Whether a statistic of the study seeks it."""
        return self.statistics is None or statistic in self.statistics


class Reach(Section):
    """From which exposure on every statistic with a known law finds the signal, at the benchmark and other masses.

    m_chi_GeV: masses beside the benchmark's; the signal's size: the benchmark's if absent; points: signals of another
    size, for statistics with a law; exposure_ty: sought between; p, power: of false alarms, and of the signal; groups:
    of the jack-knife over the pool. by_toys: those without a law too, by as many toys as the cells have, at
    toys_m_chi_GeV; at the benchmark's mass if that is empty; toys_pool_error: theirs with the jack-knife too, which
    takes one to four times as long as the search itself.
    """

    enabled: bool = True
    m_chi_GeV: Annotated[tuple[Positive, ...], Distinct] = ()
    size: Positive | None = None
    points: tuple[ReachPoint, ...] = ()
    exposure_ty: Range = (1.0, 2000.0)
    p: float = Field(P_THREE_SIGMA, ge=1e-12, lt=0.5)
    power: float = Field(POWER, ge=0.1, le=0.9)  # laws with signal are made for their middle
    groups: int = Field(5, ge=2, le=100)
    by_toys: bool = False
    toys_m_chi_GeV: Annotated[tuple[Positive, ...], Distinct] = (20.0, 50.0, 500.0)
    toys_pool_error: bool = True

    def check(self, axes: tuple[str, ...], signal: str) -> None:
        """Raises BadInput where the section names masses of a signal that has none."""
        given = [name for name in MASSES if name in self.model_fields_set]
        if given and "m_chi_GeV" not in axes:
            raise BadInput(f"reach.{given[0]}: the signal {signal!r} has no m_chi_GeV, but {', '.join(axes)}")

    def check_toys(self, without_law: list[str], n_toys: int) -> None:
        """Raises BadInput where null toys are too few for statistics without a law."""
        least = least_null_toys(self.p)
        if self.enabled and self.by_toys and without_law and n_toys < least:
            raise BadInput(f"reach.by_toys: {', '.join(without_law)}: toys.null = {n_toys} do not resolve p = "
                           f"{self.p:g}; at least {least} are needed")  # fmt: skip

    def check_points(self, statistics: tuple[str, ...]) -> None:
        """Raises BadInput for a point that a statistic seeks which the study does not have."""
        for name in [name for point in self.points for name in point.statistics or ()]:
            if name not in statistics:
                raise BadInput(f"reach.points: {unknown('statistic', name, statistics)}")

    @property
    def toys_groups(self) -> int | None:
        """Groups of the jack-knife by toys; None without it."""
        return self.groups if self.toys_pool_error else None

    def places(self, at: dict[str, float]) -> list[tuple[float | None, float]]:
        """(m_chi_GeV, size) ascending in mass, for a benchmark by the names of its axes; no mass without one."""
        return self._at({at["m_chi_GeV"], *self.m_chi_GeV} if "m_chi_GeV" in at else {None}, at)

    def toys_places(self, at: dict[str, float]) -> list[tuple[float | None, float]]:
        """(m_chi_GeV, size) for the statistics that only toys serve; none where these are not asked for."""
        if not (self.enabled and self.by_toys):
            return []
        return self._at(set(self.toys_m_chi_GeV or [at["m_chi_GeV"]]) if "m_chi_GeV" in at else {None}, at)

    def size_at(self, at: dict[str, float]) -> float:
        """The signal's size at all masses but those of `points`."""
        return [*at.values()][-1] if self.size is None else self.size

    def _at(self, masses: set[float | None], at: dict[str, float]) -> list[tuple[float | None, float]]:
        return [(mass, self.size_at(at)) for mass in sorted(masses)]
