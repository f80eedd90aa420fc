"""Fitting and scoring by the zoo beside bare torch loops on the same network, Table 2 on events of 3835 counts.

The bare loops are given what the zoo makes itself: events in float32, scaled, and the rows of every batch.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from types import ModuleType
from typing import Any

import numpy as np

import zoo
from engine import plugins
from engine.bench.speed import Side, Work
from zoo import _bare
from zoo._fitted import BATCH_SIZE
from zoo._inputs import cut
from zoo._preprocess import fit_preprocess
from zoo._streams import ORDER, permutation, split

SEED = 1
N_FEATURES = 3835  # of DARWIN's vector
N_TRAIN, N_LARGE, N_SCORED, N_IMAGES = 1000, 300, 2048, 250


@dataclass(frozen=True)
class Problem:
    """A family with its config, and counts to fit it to, half of them labelled NR."""

    family: ModuleType
    config: Any
    features: np.ndarray
    labels: np.ndarray

    @cached_property
    def fitted(self) -> zoo.Fitted:
        """The zoo's fit."""
        return zoo.fit(self.family, self.config, self.features, self.labels, seed=SEED)

    @cached_property
    def scaled(self) -> np.ndarray:
        """The features as the network sees them, float32."""
        train, _ = split(len(self.features), self.config.validation_fraction, SEED)
        return fit_preprocess(self.config.preprocess, self.features, train).apply(self.features).numpy()

    @cached_property
    def epochs(self) -> list[_bare.Epoch]:
        """The rows of the batches that the zoo's fit goes through."""
        train, validation = split(len(self.features), self.config.validation_fraction, SEED)
        orders = [train[permutation(len(train), SEED, ORDER, 1 + epoch)] for epoch in range(self.config.epochs)]
        return [(cut(order, self.config.batch_size), cut(validation, BATCH_SIZE)) for order in orders]

    def fit(self) -> zoo.Fitted:
        """The zoo's loop, with scaling, curves, checks and the seeds of every step."""
        return zoo.fit(self.family, self.config, self.features, self.labels, seed=SEED)

    def bare_fit(self, optimizer: Callable | None = None):
        """Steps, and the validation loss, and nothing else; by another optimiser than the family's, if given."""
        return _bare.bare_fit(self.family, self.config, self.scaled, self.labels, self.epochs, SEED, optimizer)

    def terms(self) -> dict[str, np.ndarray]:
        """The zoo's scoring, from counts to columns."""
        return zoo.terms(self.fitted, self.features)

    def bare_terms(self) -> list:
        """Forward passes."""
        return _bare.bare_terms(self.fitted, self.scaled, BATCH_SIZE)


def problem(name: str, fields: dict[str, Any], n_events: int) -> Problem:
    """A family with these fields on events that fade with time, the NR sooner."""
    rng = np.random.default_rng(SEED)
    family = plugins.load("zoo", name)
    labels = np.arange(n_events) % len(family.TRAINS_ON)
    fall = np.where(labels, 300, 400)[:, None]
    width = math.prod(getattr(family, "INPUT_SHAPE", (N_FEATURES,)))
    features = rng.poisson(20 * np.exp(-np.arange(width) / fall)).astype(np.uint16)
    return Problem(family, zoo.configure(family, fields), features, labels)


def images(**fields) -> Problem:
    """An epoch of the autoencoder of images, as printed but for these fields."""
    family = plugins.load("zoo", "conv_vae")
    features = np.random.default_rng(SEED).integers(256, size=(N_IMAGES, *family.INPUT_SHAPE), dtype=np.uint8)
    config = zoo.configure(family, {"epochs": 1} | fields)
    return Problem(family, config, features.reshape(N_IMAGES, -1), np.zeros(N_IMAGES, int))


def by_convolutions(problem: Problem):
    """The bare fit of images with torch's own convolutions."""
    with _bare.torch_convolutions(problem.family):
        return problem.bare_fit()


def sides() -> list[Side]:
    """Training as printed, epochs in batches of 10; steps of Table 1's 26 million weights, and of images; scoring."""
    training = problem("mlp_classifier", {}, N_TRAIN)
    large = problem("dense_vae", {"epochs": 1}, N_LARGE)
    of_images = images()
    steps, of_image_steps = (len(one.epochs[0][0]) for one in (large, of_images))
    scoring = problem("mlp_classifier", {"epochs": 1}, N_SCORED)
    done = sum(len(rows) for batches, _ in training.epochs for rows in batches)
    return [
        Side("training, bare torch", "events / s", Work(training.fit, done), Work(training.bare_fit, done)),
        Side("training Table 1, torch's Adamax", "steps / s", Work(large.bare_fit, steps),
             Work(partial(large.bare_fit, _bare.torch_adamax), steps)),
        Side("training images, torch's convolutions", "steps / s", Work(of_images.bare_fit, of_image_steps),
             Work(partial(by_convolutions, of_images), of_image_steps)),
        Side("scoring, bare torch", "events / s", Work(scoring.terms, N_SCORED), Work(scoring.bare_terms, N_SCORED)),
        Side("scoring Table 1, layer by layer", "events / s", Work(large.terms, N_LARGE),
             Work(large.bare_terms, N_LARGE)),
    ]  # fmt: skip
