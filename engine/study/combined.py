"""Which statistics on which scores are tried together."""

from typing import Annotated

from pydantic import Field

from engine.errors import BadInput, unknown
from engine.inference.teststats import has_toys
from engine.study.scan import Score, Toys
from engine.study.section import Distinct, Section


class Combined(Section):
    """The smallest p over `statistics` and values of `R`, and over the fits of `training.n_seeds`.

    By default all R of the study and those of its statistics that toys serve, that no monotone map of TS moves and
    that look at no signal model.
    """

    statistics: Annotated[tuple[str, ...], Field(min_length=1), Distinct] | None = None
    R: Annotated[tuple[float, ...], Field(min_length=1), Distinct] | None = None

    def check(self, toys: Toys, score: Score) -> None:
        """Raises BadInput for what the study does not compute, or cannot by toys."""
        for name in self.statistics or ():
            if name not in toys.statistics:
                raise unknown("combined: statistic", name, toys.statistics)
            if not has_toys(toys.statistic(name)[0]):
                raise BadInput(f"combined.statistics: {name!r} has no toys, on which the smallest p is calibrated")
        for R in self.R or ():
            if R not in score.R:
                raise unknown("combined: R", f"{R:g}", [f"{one:g}" for one in score.R])
        if not self.names(toys):
            listed = ", ".join(toys.statistics)
            raise BadInput(f"combined: no monotone map may move a statistic, and toys must serve it: none of {listed} "
                           "is so; name combined.statistics, or have excess_scan in toys.statistics")  # fmt: skip

    def names(self, toys: Toys) -> tuple[str, ...]:
        """The statistics."""
        return self.statistics or tuple(name for name in toys.statistics if is_fit(toys, name))

    def takes(self, R: float | None, statistic: str, toys: Toys) -> bool:
        """Whether a statistic on a score is among them."""
        return statistic in self.names(toys) and (R is None or self.R is None or R in self.R)


def is_fit(toys: Toys, name: str) -> bool:
    """Whether toys serve a statistic that no monotone map of TS moves and that looks at no signal model."""
    module, _ = toys.statistic(name)
    return has_toys(module) and module.MONOTONE_INVARIANT and not module.MODEL_DEPENDENT
