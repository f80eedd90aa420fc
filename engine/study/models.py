"""What is fitted, and on which machines."""

import math
from dataclasses import asdict
from types import ModuleType
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

import zoo
from engine import plugins
from engine.errors import BadInput
from engine.study.section import Section, named
from engine.study.sources import check_moved

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]+$", max_length=100)]


Moved = Annotated[float, Field(ge=-0.5, le=0.5)]


class Adapt(Section):
    """How a classifier of a simulation that is off is brought to the detector, by events of the detector itself.

    `unlabelled`: so many electron recoils, as background is, by which CORAL changes its last layer (`zoo.aligned`);
    `calibration`: so many events of each kind with their label, which the fit then goes on with, `epochs` times, at a
    tenth of its learning rate.
    """

    unlabelled: int = Field(0, ge=0, le=1_000_000)
    calibration: int = Field(0, ge=0, le=1_000_000)
    epochs: int = Field(10, ge=1, le=1000)

    @model_validator(mode="after")
    def _says_how(self) -> "Adapt":
        if not self.events:
            raise BadInput("adapt: expected a number of unlabelled electron recoils, or of calibration events of each "
                           "kind, or both, like { unlabelled = 8000 }")  # fmt: skip
        return self

    @property
    def events(self) -> dict[str, int]:
        """How many events of the detector are thrown, by kind; those without a label are the calibration's, and more.
        """
        wanted = {"ER": max(self.unlabelled, self.calibration), "NR": self.calibration}
        return {kind: n for kind, n in wanted.items() if n}


class Model(Section):
    """A model family by name, with its configuration complete and typed by the family itself.

    `representation`: what it sees of a readout, the study's unless said; `seed`: of its weights and the order of its
    events, the study's unless said; `ensemble`: fits with that seed and those after it, whose terms are averaged;
    `watch_nr`: whether its loss of nuclear recoils, of which it has seen none, is noted after every epoch of its fit;
    `n_latent`: of an autoencoder, z of q(z|x) over which the score averages its reconstruction; 0: at z = mu;
    `simulation`: relative amounts by which constants of the detector are off in its training events, of which
    corrections know nothing; `adapt`: how it is brought from there to the detector.
    """

    name: str
    config: dict[str, Any]
    representation: str | None = None
    seed: int | None = Field(None, ge=0)
    ensemble: int = Field(1, ge=1, le=100)
    watch_nr: bool = Field(False, exclude_if=lambda watched: not watched)
    n_latent: int = Field(0, ge=0, le=1000, multiple_of=2, exclude_if=lambda n: n == 0)
    simulation: dict[str, Moved] = Field(default_factory=dict, exclude_if=lambda moved: not moved)
    adapt: Adapt | None = Field(None, exclude_if=lambda adapt: adapt is None)

    @model_validator(mode="before")
    @classmethod
    def _resolve(cls, raw: object) -> object:
        if isinstance(raw, Model):
            return raw
        fields = named(raw, "name and fields, like { name = 'dense_vae', beta = 10.0 }")
        if "name" not in fields:
            raise BadInput(f"a model needs a name (accepted: {', '.join(zoo.names())})")
        name = fields.pop("name")
        family = declared(name)
        own = {key: fields.pop(key) for key in cls.model_fields if key not in ("name", "config") and key in fields}
        if own.get("watch_nr") and "NR" in family.TRAINS_ON:
            raise BadInput(f"watch_nr = true: {name!r} trains on nuclear recoils")
        if own.get("n_latent") and family.KIND != "autoencoder":
            raise BadInput(f"n_latent = {own['n_latent']}: {name!r} has no latent space; it is {_article(family.KIND)}")
        if isinstance(view := own.get("representation"), str):
            plugins.load("engine.physics.representations", view, "features", "sections")
        return own | {"name": name, "config": asdict(zoo.configure(family, fields))}

    @field_validator("simulation")
    @classmethod
    def _known(cls, simulation: dict[str, float]) -> dict[str, float]:
        check_moved(simulation)
        return simulation

    @model_validator(mode="after")
    def _can_be_adapted(self) -> "Model":
        if self.adapt is None:
            return self
        family = declared(self.name)
        if not self.shift:
            raise BadInput("adapt: its training events are the detector's own; say how far off the simulation is, like "
                           "simulation = { g1 = 0.03 }")  # fmt: skip
        if family.KIND != "classifier" or hasattr(family, "grow"):
            raise BadInput(f"adapt: expected a classifier that is trained in batches; {self.name!r} is none")
        batch = self.config["batch_size"]
        n_train = int(2 * self.adapt.calibration * (1 - self.config["validation_fraction"]))
        if self.adapt.calibration and n_train < batch:
            raise BadInput(f"adapt.calibration = {self.adapt.calibration}: {n_train} events beside those of validation "
                           f"are less than a batch of {batch}; expected more, or a smaller batch_size")  # fmt: skip
        return self

    @property
    def shift(self) -> tuple[tuple[str, float], ...]:
        """How far off its simulation is: constants that are moved, by name, and by which relative amounts."""
        return tuple(sorted((name, amount) for name, amount in self.simulation.items() if amount))


def declared(name: str) -> ModuleType:
    """A family as far as a study needs it: of those that ship, without the networks, which need torch."""
    return zoo.declared(name) if name in plugins.names("zoo") else plugins.load("zoo", name, "KIND", "build")


Models = dict[Name, Model]  # by names of a study's own; what each is to the score, the score says


def check_kind(place: str, model: Model, kind: str) -> None:
    """Raises BadInput where a family is not of this kind."""
    if (actual_kind := declared(model.name).KIND) != kind:
        raise BadInput(f"{place}: {model.name!r} is {_article(actual_kind)}, not {_article(kind)}")


def _article(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


class Training(Section):
    """How networks are fitted: by how many processes, on GPUs or not, in which precision of matrix products, and with
    training steps compiled, but those of a warm-up, or as they are.

    One worker without a GPU trains in its task's own process. More share each batch and average their gradients: the
    curves agree to 1e-5, the bits do not, so that all of this is part of a model's identity. `n_seeds`: fits of each
    model, whose spread is the error that one fit of it has; each is a model of its own. `seed_error`: whether that
    spread is of `n_seeds` such fits, or of the members of ensembles, which are fitted anyhow. Fits of a part of a GPU
    each, `gpus_per_worker` below 1, share it; their models are those of a whole one.
    """

    workers: int = Field(1, ge=1, le=1024)
    gpus_per_worker: int | float = Field(0, ge=0)
    precision: Literal["float32", "bf16"] = "float32"
    compile: bool = Field(False, exclude_if=lambda on: not on)
    n_seeds: int = Field(1, ge=1, le=100)
    seed_error: Literal["fits", "members"] = "fits"

    @field_validator("gpus_per_worker")
    @classmethod
    def _part_of_one(cls, value: float) -> float:
        if value > 1:
            raise BadInput(f"{value:g}: a process trains on one GPU, and others would stand idle; expected 0, a part "
                           "of one, such as 0.5, or 1; more GPUs are more training.workers")  # fmt: skip
        return int(value) if value in (0, 1) else value  # a digest tells 1 from 1.0

    @model_validator(mode="after")
    def _shares_a_gpu_with_other_fits(self) -> "Training":
        if self.workers > 1 and 0 < self.gpus_per_worker < 1:
            raise BadInput(f"gpus_per_worker = {self.gpus_per_worker} with workers = {self.workers}: the processes of "
                           "one fit need a GPU each; give 1, or one worker")  # fmt: skip
        return self

    @property
    def of_each_fit(self) -> dict[str, Any]:
        """What is part of a model's identity, where it is not as usual."""
        of_all = {"n_seeds", "seed_error"}
        mine = self.model_dump(exclude=of_all) | {"gpus_per_worker": math.ceil(self.gpus_per_worker)}
        return {} if mine == Training().model_dump(exclude=of_all) else {"training": mine}

    @property
    def in_process(self) -> bool:
        """Whether a fit is an ordinary task."""
        return self.workers == 1 and self.gpus_per_worker == 0
