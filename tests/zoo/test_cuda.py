"""What only a GPU can show; `pytest tests/zoo/test_cuda.py` on a machine that has one, some minutes."""

import warnings

import numpy as np
import pytest
import torch

import zoo
from engine.bench import device
from zoo._memory import named

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that torch finds")


@pytest.fixture
def on_gpu(network, lab):
    """A fit of a family on the GPU, and what torch says cannot be made the same twice."""

    def fit():
        return zoo.fit(network, lab.small(network), *lab.training_set(network), seed=1, device="cuda")

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", RuntimeWarning)
        fits = fit(), fit()
    return fits, [str(one.message) for one in said if "without a deterministic form" in str(one.message)]


def test_a_fit_on_a_gpu_is_the_same_twice(on_gpu):
    (one, other), said = on_gpu
    if said:
        pytest.skip(said[0])
    assert zoo.save(one) == zoo.save(other)


def test_a_fit_on_a_gpu_has_the_curves_of_one_on_a_cpu(on_gpu, network, lab):
    (fitted, _), _ = on_gpu
    for name, curve in lab.fitted(network).history.items():
        np.testing.assert_allclose(fitted.history[name], curve, rtol=1e-3, err_msg=name)


def test_scores_of_a_gpu_are_those_of_a_cpu_to_float32(family, lab):
    fitted, events = lab.fitted(family), lab.events(family, 700)
    variants = [fitted, fitted.averaging(4)] if family.KIND == "autoencoder" else [fitted]
    for fit in variants:
        there, again = (zoo.terms(fit, events, device="cuda") for _ in range(2))
        for name, here in zoo.terms(fit, events).items():
            np.testing.assert_allclose(there[name], here, rtol=1e-5, atol=1e-5 * np.abs(here).max(), err_msg=name)
            np.testing.assert_array_equal(there[name], again[name])


def test_a_gpu_that_is_full_is_named():
    with pytest.raises(zoo.OutOfMemory, match=r"^a fit: out of memory, .*iB asked for"), named("a fit"):
        torch.empty(10**15, device="cuda")


def test_a_gpu_has_its_lines_beside_the_cpu():
    found = device.devices()
    lines = list(device.rows(0.5, found))
    assert len(lines) == 2 * len(device.NETWORKS) and [line[1] for line in lines[:2]] == [*found.values()]
    print(*(" | ".join(line) for line in lines), sep="\n")
