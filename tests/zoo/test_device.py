"""The way that a fit takes on a GPU, on a CPU: data laid on the device, and losses read once per epoch."""

import contextlib
import copy
import dataclasses
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import zoo
from zoo import _training
from zoo._device import reproducible
from zoo._inputs import ResidentData, TrainingData, placed
from zoo._memory import named
from zoo._preprocess import fit_preprocess
from zoo._team import BatchShare, WholeBatchNoise

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """Fits keep their events on the device, and do not wait for it."""
    team = _training.team
    monkeypatch.setattr(_training, "team", lambda *given: dataclasses.replace(team(*given), waits=False))
    monkeypatch.setattr(_training, "placed", ResidentData)


def test_a_fit_that_does_not_wait_is_the_same_fit(network, lab, as_on_a_gpu, monkeypatch):
    there = zoo.save(lab.fitted(network, epochs=2))
    monkeypatch.undo()
    assert there == zoo.save(lab.fitted(network, epochs=2))


def spoilt(family, monkeypatch, at):
    """Has the loss of these calls, from 1, be no number."""
    plain, calls = family.loss, []

    def loss(module, x, label, generator, config):
        calls.append(1)
        mean, parts = plain(module, x, label, generator, config)
        return (mean * torch.nan if len(calls) in at else mean), parts

    monkeypatch.setattr(family, "loss", loss)
    return calls


def test_the_first_step_that_was_not_finite_is_named_when_the_epoch_ends(mlp, lab, as_on_a_gpu, monkeypatch):
    n_steps = -(-len(lab.training_rows(mlp)) // 16)
    calls = spoilt(mlp, monkeypatch, {3, 5})
    words = "mlp_classifier", f"epoch 1, step 3 of {n_steps}", "loss = nan", "a fit on a CPU"
    lab.one_line_error(lambda: lab.fitted(mlp), *words)
    assert len(calls) == n_steps


def test_a_validation_that_is_not_finite_is_explained_as_ever(mlp, lab, as_on_a_gpu, monkeypatch):
    n_steps = -(-len(lab.training_rows(mlp)) // 16)
    spoilt(mlp, monkeypatch, range(n_steps + 1, 1000))
    lab.one_line_error(lambda: lab.fitted(mlp), "the validation of epoch 1", "all of them by themselves")


def test_events_lie_on_a_gpu_where_they_take_half_of_what_is_free(monkeypatch):
    features, labels = np.ones((10, 3), np.uint16), np.zeros(10)
    preprocess = fit_preprocess("max", features, np.arange(10))
    monkeypatch.setattr("zoo._inputs.free_bytes", lambda device: 4 * features.size * 2 - 1)
    assert type(placed(features, labels, preprocess, GPU)) is TrainingData
    assert type(placed(features, labels, preprocess, CPU)) is TrainingData
    monkeypatch.setattr("zoo._inputs.ResidentData", lambda *given: "resident")
    monkeypatch.setattr("zoo._inputs.free_bytes", lambda device: 4 * features.size * 2)
    assert placed(features, labels, preprocess, GPU) == "resident"


# --- what lies where


def test_what_a_network_computes_lies_on_its_device(network, lab):
    """On torch's device of shapes alone, which refuses much of what a GPU refuses."""
    config, x = lab.small(network), torch.empty(5, lab.width(network), device="meta")
    module = network.build(config, x.shape[1]).to("meta")
    several = {"n_latent": 2} if network.KIND == "autoencoder" else {}
    for term in (*network.terms(module, x).values(), *network.terms(module, x, **several).values()):
        assert term.device.type == "meta" and term.shape == (5,) and term.dtype == torch.float64
    with WholeBatchNoise(BatchShare(0, 5, 5), x.device):
        loss, parts = network.loss(module, x, torch.empty(5, device="meta"), torch.default_generator, config)
    loss.backward()
    assert {part.device.type for part in (loss, *parts.values())} == {"meta"}


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_said(mlp, lab):
    fitted = lab.fitted(mlp)
    for call in (
        lambda: zoo.terms(fitted, lab.events(mlp, 5), device="cuda"),
        lambda: zoo.fit(mlp, lab.small(mlp), *lab.training_set(mlp), seed=1, device="cuda"),
        lambda: zoo.device_name("cuda:0"),
    ):
        lab.one_line_error(call, "device = 'cuda", "finds no GPU here")


def test_a_device_scores_with_a_copy_of_the_network(mlp, lab, monkeypatch):
    fitted, copied = lab.fitted(mlp), []
    plain = zoo.terms(fitted, lab.events(mlp, 7))["logit"]

    def doubled(module):
        copied.append(copy.deepcopy(module))
        with torch.no_grad():
            copied[-1][-1].weight.mul_(2)
            copied[-1][-1].bias.mul_(2)
        return copied[-1]

    monkeypatch.setattr("zoo._fitted.there", lambda name: CPU if name == "cpu" else SimpleNamespace(type="cuda"))
    monkeypatch.setattr("zoo._fitted.reproducible", lambda device: contextlib.nullcontext())
    monkeypatch.setattr("zoo._fitted.sent", lambda tensor, device: tensor)
    monkeypatch.setattr("zoo._fitted.copy", SimpleNamespace(deepcopy=doubled))
    monkeypatch.setattr(torch.nn.Module, "to", lambda self, device: self)
    np.testing.assert_array_equal(zoo.terms(fitted, lab.events(mlp, 7), device="cuda")["logit"], 2 * plain)
    assert len(copied) == 1
    np.testing.assert_array_equal(zoo.terms(fitted, lab.events(mlp, 7))["logit"], plain)


# --- what a GPU is asked for


def test_what_has_no_deterministic_form_is_said_in_one_line():
    def put():
        torch.zeros(3).put_(torch.tensor([1]), torch.tensor([1.0]))

    with pytest.warns(RuntimeWarning, match="on cuda without a deterministic form, .*: put_$") as said:
        with reproducible(GPU):
            assert torch.are_deterministic_algorithms_enabled() and not torch.backends.cudnn.benchmark
            put()
            put()
    assert len(said) == 1 and not torch.are_deterministic_algorithms_enabled()
    with warnings.catch_warnings(), reproducible(CPU):
        warnings.simplefilter("error")
        put()


def test_other_warnings_come_through():
    with pytest.warns(UserWarning, match="^another$"), reproducible(GPU):
        warnings.warn("another", UserWarning, stacklevel=1)


# --- memory

OF_A_GPU = "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 79.10 GiB"


@pytest.mark.parametrize("error", [
    torch.OutOfMemoryError(OF_A_GPU),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 20971520 bytes. Error code 12"),
    MemoryError("Unable to allocate 20.0 MiB for an array with shape (2621440,) and data type float64"),
])  # fmt: skip
def test_what_an_allocation_that_fails_asked_for_is_said(error):
    with pytest.raises(zoo.OutOfMemory, match=r"^a fit: out of memory, (20\.0+ MiB|0\.0195 GiB) asked for"):
        with named("a fit"):
            raise error


def test_a_cpu_says_what_it_was_asked_for():
    with pytest.raises(zoo.OutOfMemory, match=r"^a fit: out of memory, 3\.73e\+09 GiB asked for"), named("a fit"):
        torch.empty(10**18)


def test_other_errors_stay_what_they_are():
    with pytest.raises(RuntimeError, match="^no kernel$"), named("a fit"):
        raise RuntimeError("no kernel")


def greedy(*_):
    raise torch.OutOfMemoryError(OF_A_GPU)


def test_a_fit_and_a_scoring_say_whose_memory_it_was(mlp, lab, monkeypatch):
    fitted = lab.fitted(mlp)
    for name, call, words in (
        ("terms", lambda: zoo.terms(fitted, lab.events(mlp, 5)), "mlp_classifier, in batches of 512 on cpu"),
        ("loss", lambda: lab.fitted(mlp), "mlp_classifier, fitted in batches of 16 on cpu"),
    ):
        monkeypatch.setattr(mlp, name, greedy)
        with pytest.raises(zoo.OutOfMemory, match=f"^{words}: out of memory, 20.00 MiB asked for"):
            call()


# --- compiled steps

OF_TORCH = pytest.mark.filterwarnings("ignore:.torch.jit.script_method. is deprecated:DeprecationWarning")


@pytest.fixture
def seen(monkeypatch):
    """What is compiled, for which shapes, by a compiler that changes nothing."""
    shapes = []

    def compiled(function, *, dynamic):
        assert dynamic is False

        def call(module, x, *rest):
            shapes.append(tuple(x.shape))
            return function(module, x, *rest)

        return call

    monkeypatch.setattr(torch, "compile", compiled)
    return shapes


def compiled_fit(family, lab, **fields):
    return zoo.fit(family, lab.small(family, **fields), *lab.training_set(family), seed=1, compiled=True)


def test_the_steps_are_compiled_and_nothing_else(mlp, lab, seen):
    assert zoo.save(compiled_fit(mlp, lab, epochs=2)) == zoo.save(lab.fitted(mlp, epochs=2))
    assert [len(shape) for shape in seen] == [2] * 2 * -(-len(lab.training_rows(mlp)) // 16)


def test_steps_of_a_warm_up_are_not(vae, lab, seen):
    n_steps = -(-len(lab.training_rows(vae)) // 16)
    compiled_fit(vae, lab, epochs=3, warm_up_epochs=2)
    assert len(seen) == n_steps


@pytest.mark.slow
@OF_TORCH
def test_a_compiled_fit_is_the_same_twice_and_that_of_other_steps_to_rounding(vae, lab):
    one, other = (compiled_fit(vae, lab, epochs=2) for _ in range(2))
    assert zoo.save(one) == zoo.save(other)
    for name, curve in lab.fitted(vae, epochs=2).history.items():
        np.testing.assert_allclose(one.history[name], curve, rtol=1e-4, err_msg=name)


def test_without_a_compiler_nothing_begins(mlp, lab, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    lab.one_line_error(lambda: compiled_fit(mlp, lab), "a C++ compiler", "'no-such-compiler' is not there", "CXX")
