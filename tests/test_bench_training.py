"""The bare loops do the same work as the zoo's: the same weights, the same terms."""

import numpy as np
import pytest
import torch

from engine.bench import device, training
from zoo import _bare


@pytest.fixture(scope="module")
def problem():
    return training.problem("mlp_classifier", {"epochs": 2, "hidden": [16]}, 200)


def test_a_bare_fit_ends_with_the_weights_of_the_loop(problem):
    bare, fitted = problem.bare_fit().state_dict(), problem.fit().module.state_dict()
    assert all(torch.equal(bare[name], fitted[name]) for name in fitted)
    other = training.problem("mlp_classifier", {"epochs": 1, "hidden": [16]}, 200).bare_fit().state_dict()
    assert not any(torch.equal(bare[name], other[name]) for name in fitted)


def test_a_bare_forward_pass_gives_the_terms(problem):
    bare = torch.cat([terms["logit"] for terms in problem.bare_terms()])
    np.testing.assert_array_equal(problem.terms()["logit"], bare)


def test_layers_one_by_one_give_the_terms_of_the_one_that_they_are():
    vae = training.problem("dense_vae", {"epochs": 1, "hidden": [16, 8], "latent": 4}, 100)
    bare = [torch.cat([terms[name] for terms in vae.bare_terms()]) for name in ("recon", "kl")]
    for mine, theirs in zip(vae.terms().values(), bare, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5)
        assert not np.array_equal(mine, theirs)


def test_operations_are_those_of_the_layers(problem):
    """Forwards and of the weights' gradients a product per layer; of the inputs' one for all but the first."""
    _, flops = _bare.pace(problem.family, problem.config, problem.features, problem.labels, 1, "cpu", 0.0)
    batch, layers = problem.config.batch_size, [training.N_FEATURES * 16, 16]
    assert flops == 2 * batch * (2 * sum(layers) + layers[1])


def test_every_network_has_a_line_on_every_device(monkeypatch):
    monkeypatch.setattr(device, "NETWORKS", [("mlp_classifier", {}), ("mlp_classifier", {"precision": "bf16"})])
    monkeypatch.setattr(device, "N_STEPS", 3)
    monkeypatch.setattr(device, "N_SCORED", 20)
    lines = list(device.rows(0.01, {"cpu": "a core", "cpu:0": "a device"}))
    names = "mlp_classifier", "mlp_classifier, precision = bf16"
    assert [line[:2] for line in lines] == [(name, place) for name in names for place in ("a core", "a device")]
    assert all(float(scored.replace(",", "")) > 0 for *_, scored in lines[:2]) and lines[2][-1] == lines[3][-1] == ""
    for steps, events, share, _ in (line[2:] for line in lines):
        steps, events = (float(number.replace(",", "")) for number in (steps, events))
        assert events == pytest.approx(10 * steps, abs=1)
        assert 0 < float(share.removesuffix(" %")) < 200


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_the_cpu_is_measured_alone():
    assert [*device.devices()] == ["cpu"]


def test_what_is_counted_is_every_event_of_every_epoch():
    fit, large, images, score, of_table_1 = training.sides()
    assert large.fast.units == large.slow.units == 21
    assert images.fast.units == images.slow.units == 2
    assert fit.fast.units == fit.slow.units == 5 * 700
    assert score.fast.units == score.slow.units == training.N_SCORED
    assert of_table_1.fast.units == of_table_1.slow.units == training.N_LARGE


def test_a_fit_to_images_ends_with_the_weights_of_torchs_convolutions():
    problem = training.images(filters=4)
    ours, theirs = problem.bare_fit().state_dict(), training.by_convolutions(problem).state_dict()
    for name, weights in ours.items():
        torch.testing.assert_close(weights, theirs[name], rtol=1e-3, atol=1e-5)
    other = training.images(filters=4, learning_rate=0.01).bare_fit().state_dict()
    assert not torch.allclose(ours["encoder.0.weight"], other["encoder.0.weight"], rtol=1e-3, atol=1e-5)
