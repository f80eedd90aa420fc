"""The `tune` section of a study: over which R and fields, on which signals, and by what the best are chosen."""

from collections.abc import Callable
from types import ModuleType
from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from engine.errors import BadInput, unknown
from engine.study.models import Models, Training
from engine.study.scan import Score
from engine.study.search import Dimension, Pruning, Space, dimensions, flat
from engine.study.section import Axis, Distinct, Positive, Section

MASSES_GEV = (30.0, 50.0, 100.0)
# objectives of a search that are no Z of a statistic
ER_LEAKAGE, ARGOS, T3, BATTERY = OF_SEARCH = "er_leakage", "argos", "t3", "battery"


class Tune(Section):
    """A scan over R on a pool of its own, of the size of the scan's.

    `R`: the grid that is the curve; `more_trials`: further ones, where the grid says that it is worth looking. The
    signals are those of each mass with one size (the benchmark's unless said), at one exposure.
    `statistics`: all those of the study that look at the score, unless said; their options are in `toys.options`.
    `objective`: the one whose worst Z over the masses is made as large as R can make it.

    `search`: fields of the models beside R, like `"models.vae.beta" = { log = [0.1, 100] }`; `trials`: fits, each with
    the best R of the grid. Its objective may also be `er_leakage` (least at 30 % acceptance of nuclear recoils) or
    `argos` (largest excess of nuclear recoils over the root of the leakage, at any cut), which know no signal, `t3`
    (least exposure for three sigma by the statistic `t3_of`, at the signal that needs most), or `battery` (least median
    over the signals of [battery], which must be there, of the same exposure over the oracle's).
    """

    R: Axis
    more_trials: int = Field(20, ge=0, le=1000)
    m_chi_GeV: Annotated[tuple[Positive, ...], Distinct] = Field(MASSES_GEV, min_length=1)
    size: Positive | None = None
    exposure_ty: Positive = 200.0
    statistics: Annotated[tuple[str, ...], Distinct] = ()
    objective: str = "tail_count"
    search: Annotated[dict[str, Space], BeforeValidator(flat)] = Field(default_factory=dict)
    trials: int = Field(20, ge=1, le=1000)
    pruning: Pruning | None = None
    t3_of: str = "tail_count"

    @model_validator(mode="after")
    def _has_a_range(self) -> "Tune":
        if self.R.ends[0] <= 0 or self.R.n_points < 2:
            raise BadInput(f"R = {list(self.R.ends)} must be two values or more, all above 0: it is sought on a log "
                           "axis")  # fmt: skip
        return self

    def check(self, statistic: Callable, names: tuple[str, ...], axes: tuple[str, ...]) -> None:
        """Raises BadInput where this cannot be tuned; `statistic(name)` gives a module, `axes` place the signal."""
        if "m_chi_GeV" in self.model_fields_set and "m_chi_GeV" not in axes:
            raise BadInput(f"tune: the signal has no m_chi_GeV, but {', '.join(axes)}")
        chosen = self.names(statistic, names)
        for name in chosen:
            if "score" not in statistic(name)[0].NEEDS:
                raise BadInput(f"tune.statistics: {name!r} does not look at the score, and R does nothing to it")
        beside = OF_SEARCH if self.search else ()
        if self.objective not in (*chosen, *beside):
            raise unknown("tune.objective", self.objective, (*chosen, *beside))
        if name := self.ranked_by:
            if name not in chosen:
                raise unknown("tune.t3_of", name, chosen)
            _check_objective("objective" if name == self.objective else "t3_of", name, statistic(name)[0])

    def check_search(self, models: Models, training: Training, score: Score) -> None:
        """Raises BadInput where these models cannot be searched."""
        if self.search and score.gpus_per_task and not training.gpus_per_worker:
            raise BadInput("tune.search: a trial scores where it is fitted: score.gpus_per_task = "
                           f"{score.gpus_per_task:g} asks for a GPU there, give training.gpus_per_worker")  # fmt: skip
        if self.search and any(model.watch_nr for model in models.values()):
            raise BadInput("tune.search: its fits are not watched; leave watch_nr out")
        if self.search and any(model.adapt for model in models.values()):
            raise BadInput("tune.search: its fits are not adapted; leave adapt out")
        if self.pruning and not self.search:
            raise BadInput("tune.pruning goes with tune.search: a scan over R alone fits nothing")
        self.dimensions(models)

    def dimensions(self, models: Models) -> tuple[Dimension, ...]:
        """What a search changes; raises BadInput."""
        return dimensions(self.search, models)

    @property
    def ranked_by(self) -> str | None:
        """The statistic whose law says the objective; None where none does."""
        named = {ER_LEAKAGE: None, ARGOS: None, T3: self.t3_of, BATTERY: self.t3_of}
        return named.get(self.objective, self.objective)

    def names(self, statistic: Callable, names: tuple[str, ...]) -> tuple[str, ...]:
        """The statistics of every trial; `names`: the study's."""
        return self.statistics or tuple(name for name in names if "score" in statistic(name)[0].NEEDS)

    def masses(self, axes: tuple[str, ...]) -> tuple[float | None, ...]:
        """m_chi_GeV of every signal, ascending; a signal without a mass is one."""
        return tuple(sorted(self.m_chi_GeV)) if "m_chi_GeV" in axes else (None,)


def _check_objective(key: str, name: str, module: ModuleType) -> None:
    if module.MODEL_DEPENDENT:
        raise BadInput(f"tune.{key}: {name!r} looks at the signal model, which the search that is tuned does not")
    if not module.MONOTONE_INVARIANT:
        raise BadInput(f"tune.{key}: {name!r} moves when TS changes its unit, and R changes the unit: its best R "
                       "would be an artefact; take one that is invariant under every monotone map of TS: "
                       "tail_count, excess_scan, deviance")  # fmt: skip
    if module.EXACT is not True:
        raise BadInput(f"tune.{key}: the law of {name!r} is not known, and toys' noise would choose R")
