"""The models behind the score, each fitted to the training events that its family asks for."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

import zoo
from engine import plugins
from engine.assembly import training
from engine.assembly.inputs import Inputs
from engine.plan.event_plan import VERSIONS, EventPlan
from engine.store import checkpoints, fits, timings
from engine.store.checkpoints import Checkpoint
from engine.store.parts import Entry, Part
from engine.store.store import Store
from engine.store.timings import Timing
from engine.store.units import Group, Unit, totals
from engine.study.models import Model, declared

NAME, VERSION, SCHEMA = "models", VERSIONS["models"], None
OF_ALL, STALLS, FITS = True, False, True
TIMED = 512  # events that are scored to see how fast that is: a batch
GENTLER = 0.1  # of the learning rate, with which a fit goes on with calibration events


def items(plan: EventPlan) -> list[str]:
    """A fit of every model, and of an ensemble every member's."""
    return list(dict.fromkeys(item for role in plan.roles for item in plan.fits_of(role)))


def amounts(plan: EventPlan, missing: set[str]) -> dict[str, float]:
    """Steps, and what they and the events of every epoch take of a network of that size; of a family that does not say
    how large it is, events times epochs. An early stop saves some."""
    made = []
    for item, model in plan.fits.items():
        if item in missing:
            seen = (sum(shard.n_thrown for shard in shards) for shards in (plan.training(model), plan.watched(model)))
            made += _of_fit(model, plan.study.n_features(plan.study.view(model)), *seen)
    return totals(made)


def _of_fit(model: Model, n_features: int, n: int, n_watched: int) -> list[tuple[str, float]]:
    """n: events, of which some are set aside for validation; n_watched: those that are looked at beside."""
    family = declared(model.name)
    if not hasattr(family, "size"):
        return [(model.name, n * model.config.get("epochs", 1))]
    config = zoo.configure(family, model.config)
    n_train = n * (1 - config.validation_fraction)
    steps = math.ceil(n_train / config.batch_size) * config.epochs
    passes = (3 * n_train + n - n_train + n_watched) * config.epochs  # the way back takes as much as two ways through
    if adapt := model.adapt:
        steps += math.ceil(2 * adapt.calibration / config.batch_size) * adapt.epochs
        passes += 6 * adapt.calibration * adapt.epochs + adapt.unlabelled
    weights = family.size(config, n_features).weights
    passed = of_passes(model, n_features, passes, trained=True)
    return [("steps taken", steps), ("weights moved", steps * weights), *passed]


def of_passes(model: Model, n_features: int, n: float, trained: bool = False) -> list[tuple[str, float]]:
    """What so many events take on their way through a network, by what costs are known for; of a family that does not
    say how large it is, events. trained: while it is trained, where what is scored has fewer products."""
    family = declared(model.name)
    if not hasattr(family, "size"):
        return [(model.name, n)]
    counted = family.size if trained else getattr(family, "lean_size", family.size)
    size = counted(zoo.configure(family, model.config), n_features)
    decoded = n_features if family.KIND == "autoencoder" else 0
    made = {"products made": size.products, "products convolved": size.convolved, "values read": n_features,
            "values decoded": decoded}  # fmt: skip
    return [(name, n * amount) for name, amount in made.items() if amount]


def units(inputs: Inputs, missing: set[str]) -> Iterable[Unit]:
    """A fit each."""
    for item, model in inputs.plan.fits.items():
        if item in missing:
            plan = inputs.plan
            shown = [[inputs.ledger.entries[shard.item] for shard in shards]
                     for shards in (plan.training(model), plan.watched(model), plan.adapting(model))]  # fmt: skip
            yield Unit((plan, item, inputs.store, *shown), items=(item,), name=f"fit of {words(plan, item)}")


def group(plan: EventPlan) -> Group | None:
    """The processes that share a fit; None where it is one task."""
    training = plan.study.training
    return None if training.in_process else Group(training.workers, training.gpus_per_worker)


def work(
    plan: EventPlan, item: str, store: Store, entries: list[Entry], watched: Sequence[Entry] = (),
    adapting: Sequence[Entry] = (), device: str = "cpu",
) -> list[Part]:  # fmt: skip
    """Makes a fit to the training parts, and notes beside it how fast that was."""
    features, labels = training.gather(store, entries)
    checkpoint = Checkpoint(store, item)
    goes_on = checkpoint.read() is not None
    with timings.stopwatch() as timing:
        seen = training.gather(store, watched)[0] if watched else None
        by = training.gather(store, adapting) if adapting else None
        fitted = train(plan, item, features, labels, checkpoint, device=device, watched=seen, by=by)
    training_s = None if goes_on else timing.training_s
    timings.write(store, item, Timing(training_s, scored_per_s(fitted, features)))
    return [Part(f"{NAME}/{item}.safetensors", (item,), zoo.save(fitted))]


def train(
    plan: EventPlan, item: str, features: np.ndarray, labels: np.ndarray, checkpoint: Checkpoint, *,
    until: int | None = None, device: str = "cpu", watched: np.ndarray | None = None,
    by: tuple[np.ndarray, np.ndarray] | None = None,
) -> "zoo.Fitted":  # fmt: skip
    """A fit of the plan, up to an epoch if one is given, on one torch thread; adapted `by` features and labels.

    Goes on from the checkpoint of a fit that was killed; one that cannot be read is set aside.
    """
    model = plan.fits[item]
    family = plugins.load("zoo", model.name)
    config = zoo.configure(family, model.config)
    about = words(plan, item), until or config.epochs, getattr(config, "patience", 0) > 0
    with fits.telling(checkpoint, *about) as tell:
        fit_from = partial(
            zoo.fit, family, config, features, labels, seed=plan.study.seed_of(model), threads=1, report=tell,
            save=checkpoint.offer, until=until, lineage=item, device=device, precision=plan.study.training.precision,
            compiled=plan.study.training.compile, watched=watched,
        )  # fmt: skip
        try:
            fitted = fit_from(resume=checkpoint.read())
        except zoo.BadCheckpoint:
            checkpoint.set_aside()
            fitted = fit_from()
    return adapted(plan, item, fitted, features, labels, *by, device=device) if by else fitted


def adapted(
    plan: EventPlan, item: str, fitted: "zoo.Fitted", features: np.ndarray, labels: np.ndarray,
    own_features: np.ndarray, own_labels: np.ndarray, *, device: str = "cpu",
) -> "zoo.Fitted":  # fmt: skip
    """A fit to the features and labels of a simulation, brought to a detector by those of its own events."""
    adapt, config = plan.fits[item].adapt, fitted.config
    er, nr = (np.flatnonzero(own_labels == label) for label in (0, 1))
    if adapt.unlabelled:
        fitted = zoo.aligned(fitted, features, labels, own_features[er[: adapt.unlabelled]])
    if not adapt.calibration:
        return fitted
    listed = np.concatenate([some[: adapt.calibration] for some in (er, nr)])
    gentler = replace(config, epochs=adapt.epochs, learning_rate=GENTLER * config.learning_rate)
    tuned = zoo.fit(
        fitted.family, gentler, own_features[listed], own_labels[listed], seed=fitted.seed, threads=1, device=device,
        precision=plan.study.training.precision, start=fitted,
    )  # fmt: skip
    history = {name: values + tuned.history[name] for name, values in fitted.history.items()}
    return replace(tuned, config=config, history=history)


def words(plan: EventPlan, item: str) -> str:
    """A fit as a user calls it: by its family, and its seed where the family has several."""
    model = plan.fits[item]
    alone = sum(other.name == model.name for other in plan.fits.values()) == 1
    return Path(model.name).stem + ("" if alone else f" of seed {plan.study.seed_of(model)}")


def scored_per_s(fitted: "zoo.Fitted", features: np.ndarray) -> float:
    """Events per second that a model scores, the second time: the first one warms up."""
    batch = features[:TIMED]
    zoo.terms(fitted, batch)
    with timings.stopwatch() as timing:
        zoo.terms(fitted, batch)
    return len(batch) / timing.training_s


def finish(inputs: Inputs) -> None:
    """Removes what was kept of unfinished fits."""
    checkpoints.discard(inputs.store, items(inputs.plan))
