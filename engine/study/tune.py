"""The `tune` section of a study: over which R, on which signals, and by what the best one is chosen."""

from collections.abc import Callable
from types import ModuleType
from typing import Annotated

from pydantic import Field, model_validator

from engine.errors import BadInput, unknown
from engine.study.section import Axis, Distinct, Positive, Section

MASSES_GEV = (30.0, 50.0, 100.0)
BENCHMARK_SIGMA_CM2 = 6.5e-48  # EPJC paper, section 4


class Tune(Section):
    """A scan over R on a pool of its own, of the size of the scan's.

    `R`: the grid that is the curve; `more_trials`: further ones, where the grid says that it is worth looking. The
    signals are WIMPs of each mass with one cross-section, or any other signal with one strength, at one exposure.
    `statistics`: all those of the study that look at the score, unless said; their options are in `toys.options`.
    `objective`: the one whose worst Z over the masses is made as large as R can make it.
    """

    R: Axis
    more_trials: int = Field(20, ge=0, le=1000)
    m_chi_GeV: Annotated[tuple[Positive, ...], Distinct] = Field(MASSES_GEV, min_length=1)
    sigma_si_cm2: Positive = BENCHMARK_SIGMA_CM2
    strength: Positive = 1.0
    exposure_ty: Positive = 200.0
    statistics: Annotated[tuple[str, ...], Distinct] = ()
    objective: str = "tail_count"

    @model_validator(mode="after")
    def _has_a_range(self) -> "Tune":
        points = self.R.points()
        if points[0] <= 0 or len(points) < 2:
            raise BadInput(f"R = {list(points)} must be two values or more, all above 0: it is sought on a log axis")
        return self

    def check(self, statistic: Callable, names: tuple[str, ...], axes: tuple[str, ...]) -> None:
        """Raises BadInput where this cannot be tuned; `statistic(name)` gives a module, `axes` place the signal."""
        if other := self.model_fields_set & {"m_chi_GeV", "sigma_si_cm2", "strength"} - {*axes}:
            raise BadInput(f"tune: the signal has no {', '.join(sorted(other))}, but {', '.join(axes)}")
        chosen = self.names(statistic, names)
        for name in chosen:
            if "score" not in statistic(name)[0].NEEDS:
                raise BadInput(f"tune.statistics: {name!r} does not look at the score, and R does nothing to it")
        if self.objective not in chosen:
            raise unknown("tune.objective", self.objective, chosen)
        _check_objective(self.objective, statistic(self.objective)[0])

    def names(self, statistic: Callable, names: tuple[str, ...]) -> tuple[str, ...]:
        """The statistics of every trial; `names`: the study's."""
        return self.statistics or tuple(name for name in names if "score" in statistic(name)[0].NEEDS)

    def masses(self, axes: tuple[str, ...]) -> tuple[float | None, ...]:
        """m_chi_GeV of every signal, ascending; a signal without a mass is one."""
        return tuple(sorted(self.m_chi_GeV)) if "m_chi_GeV" in axes else (None,)


def _check_objective(name: str, module: ModuleType) -> None:
    if module.MODEL_DEPENDENT:
        raise BadInput(f"tune.objective: {name!r} looks at the signal model, which the search that is tuned does not")
    if not module.MONOTONE_INVARIANT:
        raise BadInput(f"tune.objective: {name!r} moves when TS changes its unit, and R changes the unit: its best R "
                       "would be an artefact; take one that is invariant under every monotone map of TS: "
                       "tail_count, excess_scan, deviance")  # fmt: skip
    if module.EXACT is not True:
        raise BadInput(f"tune.objective: the law of {name!r} is not known, and toys' noise would choose R")
