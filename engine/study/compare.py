"""The section of a study that sets architectures side by side on the same events."""

import itertools
import re
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from engine.errors import BadInput, unknown
from engine.study.models import Model, Name, check_kind
from engine.study.scan import Score, Toys
from engine.study.section import Positive, Section

FLOOR = "floor"
FLOOR_FAMILY, FLOOR_KIND = "summary_classifier", "classifier"
FAVOURITE = "excess_scan"  # it needs no threshold, and so none that favours one of the pairs


@dataclass(frozen=True)
class Ranking:
    """What pairs are ranked by: Z of this statistic with this R at the benchmark and this exposure."""

    statistic: str
    R: float
    exposure_ty: float


class Compare(Section):
    """Models by names of one's own that may play a role of the score; every combination is a member of the comparison.

    `ROLE.NAME`: a model for a role; of a role that is left out, the study's own plays it. A classifier on the three
    numbers of a classical search is always among the classifiers, as `floor` where none is named. `statistic`, `R`,
    `exposure_ty`: what members are ranked by; unless said `excess_scan`, or else the first of the study's that can
    rank, its largest R and its longest exposure.
    """

    alternatives: dict[Name, dict[Name, Model]] = Field(default_factory=dict)
    statistic: str | None = None
    R: float | None = Field(None, ge=0)
    exposure_ty: Positive | None = None

    def check(self, kinds: dict[str, str]) -> None:
        """Raises BadInput where a model is of another kind than its role, or has the floor's name; kinds: by role."""
        for role, named in self.alternatives.items():
            for name, model in named.items():
                check_kind(f"compare.{role}.{name}", model, kinds[role])
            if FLOOR in named and kinds[role] == FLOOR_KIND and named[FLOOR].name != FLOOR_FAMILY:
                raise BadInput(f"compare.{role}.{FLOOR}: the name is kept for {FLOOR_FAMILY!r}")

    def sides(self, fitted: dict[str, Model], kinds: dict[str, str]) -> dict[str, dict[str, Model]]:
        """Models by name, of every role. fitted: the study's own by role; kinds: of every role."""
        sides = {role: self.alternatives.get(role) or _by_family(model) for role, model in fitted.items()}
        for role, named in sides.items():
            if kinds[role] == FLOOR_KIND and all(model.name != FLOOR_FAMILY for model in named.values()):
                floor = Model.model_validate({"name": FLOOR_FAMILY, "representation": "summary"})
                sides[role] = named | {FLOOR: floor}
        return sides

    def members(self, fitted: dict[str, Model], kinds: dict[str, str]) -> dict[str, dict[str, Model]]:
        """Every combination by its name, NAME-NAME in the order of the roles: models by role."""
        sides = self.sides(fitted, kinds)
        combinations = itertools.product(*(side.items() for side in sides.values()))
        return {"-".join(name for name, _ in pair): dict(zip(sides, (model for _, model in pair), strict=True))
                for pair in combinations}  # fmt: skip

    def ranking(self, toys: Toys, score: Score, exposures_ty: tuple[float, ...]) -> Ranking:
        """What pairs are ranked by; raises BadInput where the study does not compute it, or it cannot rank."""
        able = [name for name in toys.statistics if _ranks(toys, name)]
        favourites = [name for name in able if toys.statistic_name(name) == FAVOURITE]
        if not able or toys.exact == "none":
            raise BadInput(
                "compare: pairs are ranked by the exact law of a statistic that no monotone map of TS "
                "moves: toys.statistics must have excess_scan or tail_count, and toys.exact not be 'none'"
            )
        statistic = _one_of("statistic", self.statistic, able, (favourites or able)[0])
        R = _one_of("R", self.R, score.R, max(score.R))
        return Ranking(statistic, R, _one_of("exposure_ty", self.exposure_ty, exposures_ty, max(exposures_ty)))


def _by_family(model: Model) -> dict[str, Model]:
    """A model under its family's name; of a file of the user's, without the folder and in the letters of a name."""
    return {re.sub(r"\W", "_", Path(model.name).stem): model}


def _one_of(key: str, given, accepted, default):
    if given is None:
        return default
    if given not in accepted:
        raise unknown(f"compare.{key}", str(given), [str(value) for value in accepted])
    return given


def _ranks(toys: Toys, name: str) -> bool:
    module, _ = toys.statistic(name)
    blind = "score" in module.NEEDS and not module.MODEL_DEPENDENT
    return blind and module.MONOTONE_INVARIANT and module.ADDITIVE and module.EXACT is True
