"""The section of a study that sets architectures side by side on the same events."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints

from engine.errors import BadInput, unknown
from engine.study.models import KINDS, Model, Models, check_kind
from engine.study.scan import Score, Toys
from engine.study.section import Positive, Section

FLOOR = "floor"
FLOOR_FAMILY = "summary_classifier"
FAVOURITE = "excess_scan"  # it needs no threshold, and so none that favours one of the pairs

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]+$")]


@dataclass(frozen=True)
class Yardstick:
    """What pairs are ranked by: Z of this statistic with this R at the benchmark and this exposure."""

    statistic: str
    R: float
    exposure_ty: float


class Compare(Section):
    """Autoencoders and classifiers by names of one's own; every pair of them is a member of the comparison.

    A side that is left out is the study's in `models`. A classifier on the three numbers of a classical search is
    always among them, as `floor` where none is named. `statistic`, `R`, `exposure_ty`: what pairs are ranked by;
    unless said `excess_scan`, or else the first of the study's that can rank, its largest R and its longest exposure.
    """

    vae: dict[Name, Model] = Field(default_factory=dict)
    classifier: dict[Name, Model] = Field(default_factory=dict)
    statistic: str | None = None
    R: float | None = Field(None, ge=0)
    exposure_ty: Positive | None = None

    def check(self, models: Models) -> None:
        """Raises BadInput where a side is given twice, a model is of the other kind, or has the floor's name."""
        for slot in KINDS:
            for name, model in getattr(self, slot).items():
                check_kind(f"compare.{slot}.{name}", model, slot)
            if getattr(self, slot) and slot in models.model_fields_set:
                raise BadInput(f"models.{slot} and compare.{slot} are both given; put the one among the others")
        if FLOOR in self.classifier and self.classifier[FLOOR].name != FLOOR_FAMILY:
            raise BadInput(f"compare.classifier.{FLOOR}: the name is kept for {FLOOR_FAMILY!r}")

    def sides(self, models: Models) -> dict[str, dict[str, Model]]:
        """Models by name, of the slots `vae` and `classifier`."""
        found = {slot: getattr(self, slot) or _by_family(getattr(models, slot)) for slot in KINDS}
        if all(model.name != FLOOR_FAMILY for model in found["classifier"].values()):
            floor = Model.model_validate({"name": FLOOR_FAMILY, "representation": "summary"})
            found["classifier"] = found["classifier"] | {FLOOR: floor}
        return found

    def pairs(self, models: Models) -> dict[str, Models]:
        """Every pair by its name, VAE-CLASSIFIER."""
        sides = self.sides(models)
        return {
            f"{vae}-{classifier}": Models(vae=of_vae, classifier=of_classifier)
            for vae, of_vae in sides["vae"].items()
            for classifier, of_classifier in sides["classifier"].items()
        }

    def yardstick(self, toys: Toys, score: Score, exposures_ty: tuple[float, ...]) -> Yardstick:
        """What pairs are ranked by; raises BadInput where the study does not compute it, or it cannot rank."""
        able = [name for name in toys.statistics if _ranks(toys, name)]
        favourites = [name for name in able if toys.statistic_name(name) == FAVOURITE]
        if not able or toys.exact == "none":
            raise BadInput("compare: pairs are ranked by the exact law of a statistic that no monotone map of TS "
                           "moves: toys.statistics must have excess_scan or tail_count, and toys.exact not be 'none'")
        statistic = _one_of("statistic", self.statistic, able, (favourites or able)[0])
        R = _one_of("R", self.R, score.R, max(score.R))
        return Yardstick(statistic, R, _one_of("exposure_ty", self.exposure_ty, exposures_ty, max(exposures_ty)))


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
