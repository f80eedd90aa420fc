"""A classifier brought from a simulation to a detector: CORAL on its last layer, and going on with labelled events."""

import dataclasses
import importlib

import numpy as np
import pytest
import torch

import zoo
from zoo import _coral, summary_classifier

SIZE = 4000
MIX = np.array([[1.0, 0.4, 0.0], [0.0, 1.0, 0.3], [0.2, 0.0, 1.0]])
OFF = 0.8  # of the light that the simulation has


def gaussian(seed: int, stretch: float = 1.0, move: float = 0.0) -> np.ndarray:
    """(SIZE, 3) values that go together."""
    plain = np.random.default_rng(seed).standard_normal((SIZE, 3)) @ MIX
    return plain * [stretch, 1.0, 1 / stretch] + move


def bands(kind: int, seed: int, gain: float = 1.0, n: int = SIZE) -> np.ndarray:
    """(n, 3) events in two bands that bend, NR below ER, of a detector of some gain, and a number that says nothing."""
    rng = np.random.default_rng((seed, kind))
    energy = rng.uniform(0, 1, n)
    charge = 3 * energy**2 - 0.6 * kind + 0.25 * rng.standard_normal(n)
    light = gain * energy + 0.02 * rng.standard_normal(n)
    return np.column_stack([light, charge, rng.standard_normal(n)]).astype(np.float32)


def trained(**changes) -> tuple:
    """A fit to a simulation, with its events."""
    features, labels = np.concatenate([bands(0, 1), bands(1, 1)]), np.repeat([0, 1], SIZE)
    config = zoo.configure(summary_classifier, {"epochs": 6, "preprocess": "raw"} | changes)
    return zoo.fit(summary_classifier, config, features, labels, seed=1), features, labels


def leakage(fit, gain: float) -> float:
    """Share of a detector's ER beyond the median of its NR."""
    er, nr = (zoo.terms(fit, bands(kind, 2, gain, n=5 * SIZE))["logit"] for kind in (0, 1))
    return float((er > np.median(nr)).mean())


def test_a_recoloured_source_has_mean_and_covariance_of_the_target(monkeypatch):
    monkeypatch.setattr(_coral, "RIDGE", 0.0)
    source, target = gaussian(1), gaussian(2, 1.7, 3.0)
    turn, offset = _coral.recolouring(source, target)
    found = source @ turn + offset
    np.testing.assert_allclose(found.mean(axis=0), target.mean(axis=0), atol=1e-9)
    np.testing.assert_allclose(np.cov(found.T), np.cov(target.T), atol=1e-9)


def test_events_that_are_alike_are_left_as_they_are_a_dead_unit_too():
    values = np.column_stack([gaussian(1), np.full(SIZE, 0.25)])
    turn, offset = _coral.recolouring(values, values)
    np.testing.assert_allclose(turn, np.eye(4), atol=1e-9)
    np.testing.assert_allclose(offset, 0, atol=1e-9)


def test_alignment_wins_back_some_of_what_a_detector_that_is_off_costs():
    fit, features, labels = trained()
    before = zoo.terms(fit, features)["logit"]
    aligned = zoo.aligned(fit, features, labels, bands(0, 3, OFF))
    right, nothing_done, adapted = leakage(fit, 1.0), leakage(fit, OFF), leakage(aligned, OFF)
    assert nothing_done > 1.5 * right
    assert adapted < 0.9 * nothing_done
    np.testing.assert_array_equal(zoo.terms(fit, features)["logit"], before)  # the fit itself is as it was


@pytest.mark.parametrize("name", zoo.names())
def test_every_network_that_classifies_can_be_aligned(name, lab):
    family = importlib.import_module(f"zoo.{name}")
    if family.KIND != "classifier" or hasattr(family, "grow"):
        pytest.skip("no network that classifies")
    fit, (features, labels) = lab.fitted(family), lab.training_set(family)
    aligned = zoo.aligned(fit, features, labels, lab.events(family, 40, 0, seed=5))
    logit = zoo.terms(aligned, features)["logit"]
    assert np.isfinite(logit).all() and not np.array_equal(logit, zoo.terms(fit, features)["logit"])
    changed = {key for key, weight in fit.module.state_dict().items()
               if not torch.equal(weight, aligned.module.state_dict()[key])}  # fmt: skip
    assert {key.rpartition(".")[2] for key in changed} == {"weight", "bias"} and len(changed) == 2
    again = zoo.load(zoo.save(aligned), family)
    np.testing.assert_array_equal(zoo.terms(again, features)["logit"], logit)


def test_what_cannot_be_aligned_is_refused(vae, lab):
    lab.one_line_error(
        lambda: zoo.aligned(lab.fitted(vae), *lab.training_set(vae), lab.events(vae, 40)), "dense_vae", "one logit"
    )
    fit, features, labels = trained(epochs=1)
    lab.one_line_error(lambda: zoo.aligned(fit, features, labels, features[:1]), "1 unlabelled", "two of each")


def test_a_fit_goes_on_from_another_with_its_scaling(mlp, lab):
    features, labels = lab.training_set(mlp)
    first = zoo.fit(mlp, lab.small(mlp), features, labels, seed=1)
    still = dataclasses.replace(lab.small(mlp, epochs=1), learning_rate=1e-30)
    again = zoo.fit(mlp, still, 3 * features[::2], labels[::2], seed=1, start=first)
    assert torch.equal(again.preprocess.scale, first.preprocess.scale)
    for key, weight in first.module.state_dict().items():
        torch.testing.assert_close(again.module.state_dict()[key], weight, rtol=0, atol=1e-12)
    moved = zoo.fit(mlp, lab.small(mlp, epochs=1), 3 * features[::2], labels[::2], seed=1, start=first)
    assert not torch.equal(moved.module.state_dict()["0.weight"], first.module.state_dict()["0.weight"])
