"""The fields of the models that tuning may change: over which values, and when a trial is given up."""

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

import zoo
from engine.errors import BadInput, unknown
from engine.study.models import Model, Models, declared
from engine.study.section import Distinct, Section


class Space(Section):
    """The values of one field: `log = [low, high]`, `linear = [low, high]` (both ends included) or `choices`."""

    log: tuple[float, float] | None = None
    linear: tuple[float, float] | None = None
    choices: tuple[Any, ...] | None = Field(None, min_length=2)

    @model_validator(mode="after")
    def _one_form(self) -> "Space":
        given = [name for name in ("log", "linear", "choices") if getattr(self, name) is not None]
        if len(given) != 1:
            raise BadInput(f"a field is searched over exactly one of log, linear, choices; given: {given or 'none'}")
        if (ends := self.ends) and not ends[0] < ends[1]:
            raise BadInput(f"{given[0]} = {list(ends)} must be [low, high] with low < high")
        if self.log and self.log[0] <= 0:
            raise BadInput(f"log = {list(self.log)}: a log axis cannot reach zero or below")
        if self.choices and any(one in self.choices[:i] for i, one in enumerate(self.choices)):
            raise BadInput(f"choices = {list(self.choices)} names one of them twice")
        return self

    @property
    def ends(self) -> tuple[float, float] | None:
        """Lowest and highest value; None for choices."""
        return self.log or self.linear


@dataclass(frozen=True)
class Dimension:
    """A field of a model with its space, as a sampler takes it. `whole`: an integer."""

    key: str
    space: Space
    whole: bool

    def value(self, drawn: Any) -> Any:
        """A drawn value as a study has it: three digits are enough, and somebody will have to type it."""
        if self.space.choices or self.whole:
            return drawn
        low, high = self.space.ends
        return min(max(float(f"{drawn:.3g}"), low), high)


class Pruning(Section):
    """When a trial is given up: compared at `rungs`, fractions of each model's epochs, never within a KL warm-up.

    `median`: it is worse than the median of all that ended, once `startup_trials` have; `halving`: it is not in the
    best 1 / `reduction_factor` of those that came as far (asynchronous successive halving).
    """

    pruner: Literal["median", "halving"] = "median"
    rungs: Annotated[tuple[Annotated[float, Field(gt=0, lt=1)], ...], Distinct] = Field((0.25, 0.5), min_length=1)
    startup_trials: int = Field(5, ge=1)
    reduction_factor: int = Field(3, ge=2)

    @model_validator(mode="after")
    def _ascends(self) -> "Pruning":
        if list(self.rungs) != sorted(self.rungs):
            raise BadInput(f"rungs = {list(self.rungs)} must ascend")
        return self


def flat(raw: object, prefix: str = "") -> object:
    """`models.vae.beta = {...}` and `"models.vae.beta" = {...}` alike: spaces by the whole name of their field."""
    if not isinstance(raw, dict) or not all(isinstance(inner, dict) for inner in raw.values()):
        return raw
    spaces = {}
    for key, inner in raw.items():
        is_section = inner and all(isinstance(value, dict) for value in inner.values())
        spaces |= flat(inner, f"{prefix}{key}.") if is_section else {f"{prefix}{key}": inner}
    return spaces


def dimensions(search: dict[str, Space], models: Models) -> tuple[Dimension, ...]:
    """The fields in alphabetical order; raises BadInput for one that no model has, or values it does not accept."""
    known = {f"models.{name}.{field}": value for name, model in models.items() for field, value in model.config.items()}
    for key in search:
        if key not in known:
            raise unknown("field of tune.search", key, known)
    return tuple(_dimension(key, space, known[key], models) for key, space in sorted(search.items()))


def _dimension(key: str, space: Space, now: Any, models: Models) -> Dimension:
    is_number = isinstance(now, int | float) and not isinstance(now, bool)
    if space.ends and not is_number:
        raise BadInput(f"tune.search.{key}: {now!r} is no number: give choices")
    whole = isinstance(now, int) and is_number
    if space.ends and whole and any(not end.is_integer() for end in space.ends):
        raise BadInput(f"tune.search.{key}: {list(space.ends)} must be integers, as {now} is one")
    _, name, field = key.split(".")
    model = models[name]
    for value in space.choices or (int(end) if whole else end for end in space.ends):
        try:
            zoo.configure(declared(model.name), model.config | {field: value})
        except ValueError as error:
            raise BadInput(f"tune.search.{key}: {error}") from error
    return Dimension(key, space, whole)


def changed(models: Models, values: dict[str, Any]) -> Models:
    """The models with these fields (`models.NAME.FIELD`) changed."""
    new = dict(models)
    for key, value in values.items():
        _, name, field = key.split(".")
        config = new[name].config | {field: value}
        new[name] = Model.model_validate(new[name].model_dump(exclude={"config"}, exclude_none=True) | config)
    return new


def epochs_at(model: Model, fraction: float) -> int:
    """Epochs that a model has had at this fraction of all of them: one more than its KL warm-up at least.

    Within the warm-up the KL term is not yet weighed by beta, and its noise would prune good ones.
    """
    epochs, warm_up = model.config["epochs"], model.config.get("warm_up_epochs", 0)
    return min(epochs, max(math.ceil(fraction * epochs), warm_up + 1))
