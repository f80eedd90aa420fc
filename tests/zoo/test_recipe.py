"""What ships as a default classifier lives: no logit is shared, and every weight is still taught."""

import numpy as np
import pytest
import torch

import zoo
from engine import plugins, study
from engine.diagnostics.classification import evaluate
from engine.physics import events
from engine.physics.detectors import darwin
from engine.physics.representations import vector
from engine.report.audit import LARGEST_TIE

N_EVENTS = 1000  # of each kind, to train on, and as many to look at
OF_NO_PAPER = ("quickstart", "baselines")


@pytest.fixture(scope="module")
def recoils():
    """Features of DARWIN's recoils, uniform in 1-100 keV, and labels: [train, unseen]."""
    made = []
    for name in ("train", "unseen"):
        kinds = []
        for kind in ("ER", "NR"):
            energy_keV = np.random.default_rng(len(made)).uniform(1, 100, N_EVENTS)
            _, readout = events.simulate(darwin.CONSTANTS, kind, energy_keV, (name, kind))
            kinds.append(vector.features(readout, darwin.CONSTANTS))
        made.append((np.concatenate(kinds), np.repeat([0, 1], N_EVENTS)))
    return made


def judged(model, recoils, seed, **fields):
    """A fit of a model to the first events, and what the others say of it."""
    (features, labels), (unseen, is_nr) = recoils
    family = plugins.load("zoo", model.name)
    fit = zoo.fit(family, zoo.configure(family, model.config | fields), features, labels, seed=seed)
    logit = zoo.terms(fit, unseen)["logit"]
    return fit, evaluate(is_nr == 1, logit, np.ones(len(logit)))


def untaught(fit, recoils) -> int:
    """Weights that some event reaches, and none moves: units of a network that died."""
    (features, labels), _ = recoils
    module = fit.module.requires_grad_(True)
    x = fit.preprocess.apply(features)
    loss, _ = fit.family.loss(module, x, torch.from_numpy(labels).float(), torch.Generator(), fit.config)
    loss.backward()
    seen = x.abs().sum(dim=0) > 0
    return sum(int(((w.grad == 0) & (seen if w.shape[1:] == seen.shape else True)).sum()) for w in module.parameters())


@pytest.mark.parametrize("name", OF_NO_PAPER)
def test_shipped_studies_of_no_paper_have_the_same_classifier(name):
    assert study.load(name).models["classifier"] == study.load("quickstart").models["classifier"]


@pytest.mark.parametrize("seed", [1, 2])
def test_the_default_classifier_ties_no_logits_and_teaches_every_weight(recoils, seed):
    """In so many epochs that few events give as many steps as the study's give."""
    fit, row = judged(study.load("quickstart").models["classifier"], recoils, seed, epochs=40)
    assert max(row["nr_with_one_logit"], row["er_with_one_logit"]) <= LARGEST_TIE
    assert row["auc"] > 0.99
    assert untaught(fit, recoils) == 0


def test_units_of_table_2_as_printed_die_of_the_same_events(recoils):
    fit, _ = judged(study.load("darwin_plane").models["classifier"], recoils, 1)
    assert untaught(fit, recoils) > 0.1 * zoo.n_parameters(fit)
