"""Several fits as one model: the mean of their terms, in one blob."""

import numpy as np
import pytest

import zoo


@pytest.fixture
def fits(lab, mlp):
    return [lab.fitted(mlp, seed=seed) for seed in (1, 2, 3)]


def test_terms_are_the_mean_of_the_members(fits, lab, mlp):
    events = lab.events(mlp, 40)
    logits = [zoo.terms(fit, events)["logit"] for fit in fits]
    assert np.std(logits, axis=0).min() > 0
    np.testing.assert_allclose(zoo.terms(zoo.averaged(fits), events)["logit"], np.mean(logits, axis=0), rtol=1e-12)
    np.testing.assert_array_equal(zoo.terms(zoo.averaged(fits[:1]), events)["logit"], logits[0])


def test_minus_the_elbo_is_the_mean_of_theirs(lab, vae):
    fits, events = [lab.fitted(vae, seed=seed) for seed in (1, 2)], lab.events(vae, 20)
    alone, together = [zoo.terms(fit, events) for fit in fits], zoo.terms(zoo.averaged(fits), events)
    for name in ("recon", "kl"):
        np.testing.assert_allclose(together[name], (alone[0][name] + alone[1][name]) / 2, rtol=1e-12)
    np.testing.assert_array_equal(zoo.encode(zoo.averaged(fits), events), zoo.encode(fits[0], events))


def test_a_blob_of_an_ensemble_is_its_members_as_they_are(fits, lab, mlp):
    ensemble, events = zoo.averaged(fits), lab.events(mlp, 10)
    data = zoo.save(ensemble)
    assert data == zoo.joined([zoo.save(fit) for fit in fits])
    again = zoo.load(data, mlp)
    assert zoo.save(again) == data and [fit.seed for fit in again.members] == [1, 2, 3]
    np.testing.assert_array_equal(zoo.terms(again, events)["logit"], zoo.terms(ensemble, events)["logit"])
    assert zoo.n_parameters(again) == 3 * zoo.n_parameters(fits[0])
    assert zoo.joined([zoo.save(fits[0])]) == zoo.save(fits[0])


def test_a_blob_of_another_family_or_cut_short_is_refused(fits, lab, mlp, vae):
    data = zoo.joined([zoo.save(fit) for fit in fits[:2]])
    lab.one_line_error(lambda: zoo.load(data, vae), "mlp_classifier", "dense_vae")
    lab.one_line_error(lambda: zoo.load(data[:-1], mlp), "zoo.save")

