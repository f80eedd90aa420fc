"""The bare loops do the same work as the zoo's: the same weights, the same terms."""

import numpy as np
import pytest
import torch

from engine.bench import training


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


def test_what_is_counted_is_every_event_of_every_epoch():
    fit, large, score = training.sides()
    assert large.fast.units == large.slow.units == 21
    assert fit.fast.units == fit.slow.units == 5 * 700
    assert score.fast.units == score.slow.units == training.N_SCORED
