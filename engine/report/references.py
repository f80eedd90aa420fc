"""Published numbers beside those of a scan: which cell of which stored table each is to be held against."""

import importlib.resources
import math
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from engine.assembly import results
from engine.report import physics_report
from engine.run.pipeline import Outcome
from engine.study.layers import AS_IT_STANDS

FILE = "references.toml"


@dataclass(frozen=True)
class Published:
    """A cell of a stored table and what was published for it. `error`: the column of ours, or those of the ends of its
    interval; `why`: what is known to make the difference."""

    what: str
    table: str
    where: dict[str, object]
    column: str
    published: float
    source: str
    error: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True)
class Compared:
    """A published number and ours; None: this scan has none. `error`: of ours, or the ends of its interval."""

    what: str
    published: float
    ours: float | None
    error: tuple[float, ...]
    source: str
    why: str

    @property
    def ratio(self) -> float | None:
        """Ours over the published number; None where that is 0 or there is none of ours."""
        return None if self.ours is None or self.published == 0 else self.ours / self.published


def known() -> dict[str, list[Published]]:
    """By the name of the shipped study."""
    text = importlib.resources.files("engine.report").joinpath(FILE).read_text(encoding="utf-8")
    return {name: [Published(**one | {"error": tuple(one.get("error", ()))}) for one in some]
            for name, some in tomllib.loads(text).items()}  # fmt: skip


def compared(name: str, outcome: Outcome) -> list[Compared]:
    """What is published for the shipped study of this name; and rates, where selection and detector are those that
    their reference was computed for."""
    return [_compared(one, outcome) for one in known().get(name, ())] + list(_rates(outcome))


def _compared(one: Published, outcome: Outcome) -> Compared:
    rows, ours, errors = results.rows_at(outcome[one.table].table, one.where), None, []
    if len(rows) == 1:  # the study may have been changed since: what it does not have is not ours to say
        ours, errors = rows[0][one.column], [rows[0][name] for name in one.error]
    known = () if None in errors else tuple(errors)
    preset = outcome.plan.study.preset
    smaller = f"the preset {preset!r}, not what was published" if preset != AS_IT_STANDS else ""
    return Compared(one.what, one.published, ours, known, one.source, "; ".join(filter(None, (smaller, one.why))))


def _rates(outcome: Outcome) -> Iterator[Compared]:
    study, population, n_effective = outcome.plan.study, outcome.population, outcome.population.effective_events()
    if not physics_report.is_reference_selection(study):
        return
    exposure_ty, per_ty = physics_report.EXPOSURE_TY, dict(zip(population.names, population.weights, strict=True))
    for component in physics_report.components(study):
        if component.is_default and component.name in physics_report.REFERENCE_EVENTS and component.name in per_ty:
            value, digit = physics_report.REFERENCE_EVENTS[component.name]
            ours = float(np.sum(per_ty[component.name])) * exposure_ty
            error = (ours / math.sqrt(n_effective[component.name]),) if ours else ()
            yield Compared(
                f"selected {component.name} events in {exposure_ty:g} t y", float(value), ours, error,
                f"a public reference computation with a fast simulation, to {digit:g} event", "",
            )  # fmt: skip
