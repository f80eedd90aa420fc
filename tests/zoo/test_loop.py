"""The training loop: warm-up, early stop, best weights, losses that are not finite, and going on from a checkpoint."""

import json
import os
import signal
import subprocess
import sys
from contextlib import nullcontext

import numpy as np
import pytest
import torch

import zoo
from zoo._checkpoint import KEY
from zoo._fitted import metadata


def states(lab, family, **fields):
    """The fit, and its state after every epoch."""
    taken = []
    config = lab.small(family, **fields)
    data = lab.training_set(family)
    fit = zoo.fit(family, config, *data, seed=1, save=lambda state: taken.append(state()), lineage="abc")
    return fit, taken


def resumed(lab, family, state, seed=1, lineage="abc", **fields):
    return zoo.fit(
        family, lab.small(family, **fields), *lab.training_set(family), seed=seed, resume=state, lineage=lineage
    )


def weights(fit):
    return fit.module.state_dict()


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


# --- stopping


@pytest.mark.parametrize("bad", [{"patience": -1}, {"patience": 1.0}, {"keep": "first"}])
def test_what_is_no_way_to_stop_is_refused(family, bad, lab):
    ((key, value),) = bad.items()
    lab.one_line_error(lambda: zoo.configure(family, bad), key, repr(value))


def test_the_papers_neither_stop_early_nor_warm_up(family):
    config = zoo.configure(family, {})
    assert (config.patience, config.keep, getattr(config, "warm_up_epochs", 0)) == (0, "last", 0)


def rising(monkeypatch, family, losses):
    """Has validation find these losses, epoch after epoch."""
    plain, found = family.loss, iter(losses)

    def loss(module, x, label, generator, config):
        mean, parts = plain(module, x, label, generator, config)
        return (mean, parts) if module.training else (torch.tensor(next(found)), parts)

    monkeypatch.setattr(family, "loss", loss)


@pytest.mark.parametrize(("patience", "n_epochs"), [(0, 8), (1, 3), (2, 6), (3, 7), (5, 8)])
def test_patience_counts_epochs_since_the_lowest_loss(mlp, monkeypatch, patience, n_epochs, lab):
    rising(monkeypatch, mlp, [3.0, 2.0, 2.5, 1.0, 1.0, 1.5, 1.2, 1.1])
    fit = lab.fitted(mlp, epochs=8, patience=patience)
    assert len(fit.history["validation_loss"]) == n_epochs


def test_patience_waits_for_the_end_of_a_warm_up(vae, monkeypatch, lab):
    rising(monkeypatch, vae, [1.0] + 11 * [2.0])
    fit = lab.fitted(vae, epochs=12, patience=2, warm_up_epochs=5)
    assert len(fit.history["validation_loss"]) == 7


def test_the_best_weights_are_those_of_the_lowest_loss(network, monkeypatch, lab):
    rising(monkeypatch, network, [2.0, 1.0, 3.0, 1.0])
    # a rate that falls would have two epochs be no half of four
    fixed = {"schedule": "constant"} if hasattr(network.Config, "schedule") else {}
    best, taken = states(lab, network, epochs=4, keep="best", **fixed)
    monkeypatch.undo()
    assert same(weights(best), weights(lab.fitted(network, epochs=2, **fixed)))
    assert not same(weights(best), weights(lab.fitted(network, epochs=4, **fixed)))
    assert same(weights(resumed(lab, network, taken[3], epochs=4, keep="best", **fixed)), weights(best))


def rates(family, monkeypatch, lab, **fields):
    """The learning rates of a fit's steps."""
    plain, seen = family.optimizer, []

    def optimizer(parameters, config):
        made = plain(parameters, config)
        made.register_step_pre_hook(lambda one, *_: seen.append(one.param_groups[0]["lr"]))
        return made

    monkeypatch.setattr(family, "optimizer", optimizer)
    lab.fitted(family, **fields)
    return np.array(seen)


def test_a_learning_rate_falls_as_half_a_cosine_over_all_epochs(log_sums, monkeypatch, lab):
    seen = rates(log_sums, monkeypatch, lab, epochs=3, learning_rate=0.02)
    np.testing.assert_allclose(seen, 0.02 * np.cos(np.pi / 2 * np.arange(len(seen)) / len(seen)) ** 2, atol=1e-12)
    assert len(seen) == 3 * np.ceil(len(lab.training_rows(log_sums)) / 16)


def test_the_papers_learning_rate_stays(mlp, log_sums, monkeypatch, lab):
    assert set(rates(mlp, monkeypatch, lab)) == {0.01}
    assert set(rates(log_sums, monkeypatch, lab, schedule="constant", learning_rate=0.02)) == {0.02}


def betas(vae, monkeypatch, lab, **fields):
    """The weights of the KL term in the order of their use, of training and of validation."""
    plain, seen = vae.loss, {True: [], False: []}

    def loss(module, x, label, generator, config):
        seen[module.training].append(config.beta)
        return plain(module, x, label, generator, config)

    monkeypatch.setattr(vae, "loss", loss)
    lab.fitted(vae, beta=3.0, **fields)
    return seen[True], seen[False]


def test_the_kl_term_warms_up_linearly_and_validation_has_the_whole(vae, monkeypatch, lab):
    training, validation = betas(vae, monkeypatch, lab, epochs=4, warm_up_epochs=2)
    n = len(training) // 4
    np.testing.assert_allclose(training[: 2 * n], 3 * np.arange(2 * n) / (2 * n))
    assert set(training[2 * n :]) == {3.0} == set(validation)


def test_no_warm_up_is_the_printed_weight_from_the_first_step(vae, monkeypatch, lab):
    assert {beta for part in betas(vae, monkeypatch, lab) for beta in part} == {3.0}


# --- faults


def test_a_loss_that_is_not_finite_names_step_events_and_part(network, lab):
    """Two events are poisoned: the first batch that holds one stops the fit and names it, not its neighbours."""
    features, labels = lab.training_set(network)
    features = features.astype(np.float32)
    poisoned = lab.training_rows(network)[[3, 11]]
    features[poisoned, 4 % features.shape[1]] = np.nan
    with pytest.raises(zoo.NonFiniteLoss) as caught:
        zoo.fit(network, lab.small(network, preprocess="raw", batch_size=4), features, labels, seed=1)
    said = str(caught.value)
    assert f"{lab.name_of(network)}, in epoch 1, step " in said and "loss = nan" in said
    found = json.loads(said.partition("and events ")[2].partition(" by themselves")[0])
    batch = json.loads(said.partition("of the events ")[2].partition(", and events")[0])
    assert set(found) <= set(poisoned.tolist()) and found and set(found) < set(batch) and len(batch) == 4


def test_the_part_that_is_not_finite_is_named(vae, lab, monkeypatch):
    plain, calls = vae.loss, []

    def loss(module, x, label, generator, config):
        mean, parts = plain(module, x, label, generator, config)
        calls.append(len(x))
        return mean, parts | {"kl": parts["kl"] * (np.inf if len(calls) >= 4 and len(x) > 1 else 1.0)}

    monkeypatch.setattr(vae, "loss", loss)
    with pytest.raises(zoo.NonFiniteLoss, match=r"epoch 1, step 4 of 9: kl = inf in a batch .* none of them by themse"):
        lab.fitted(vae)


def test_a_batch_larger_than_the_data_is_refused(network, lab):
    words = "batch_size = 1000", lab.name_of(network)
    message = lab.one_line_error(lambda: lab.fitted(network, batch_size=1000), *words)
    assert f"the {len(lab.training_rows(network))} events" in message


# --- checkpoints


@pytest.mark.parametrize("fields", [{}, {"keep": "best", "patience": 2}])
def test_a_fit_that_goes_on_ends_with_the_same_bytes(network, fields, lab):
    fit, taken = states(lab, network, epochs=3, **fields)
    for state in taken:
        assert zoo.save(resumed(lab, network, state, epochs=3, **fields)) == zoo.save(fit)
    restarted = zoo.save(resumed(lab, network, None, epochs=3, **fields))
    assert restarted == zoo.save(fit)


@pytest.mark.parametrize("keep", ["last", "best"])
def test_a_fit_that_pauses_shows_the_model_there_and_ends_with_the_same_bytes(vae, keep, lab):
    fields, taken = {"epochs": 4, "keep": keep, "warm_up_epochs": 2}, []
    data, config = lab.training_set(vae), lab.small(vae, **fields)
    paused = zoo.fit(vae, config, *data, seed=1, until=2, save=lambda state: taken.append(state()), lineage="abc")
    assert len(taken) == len(paused.history["validation_loss"]) == 2
    whole, _ = states(lab, vae, **fields)
    assert not same(weights(paused), weights(whole))
    assert zoo.save(resumed(lab, vae, taken[-1], **fields)) == zoo.save(whole)
    again = zoo.fit(vae, config, *data, seed=1, until=2, resume=taken[-1], lineage="abc")
    assert zoo.save(again) == zoo.save(paused), "a pause that is asked for twice trains nothing"


def test_what_was_done_is_not_done_again(mlp, lab):
    _, taken = states(lab, mlp, epochs=4)
    reported = []
    zoo.fit(
        mlp, lab.small(mlp, epochs=4), *lab.training_set(mlp), seed=1, resume=taken[2], lineage="abc",
        report=lambda history: reported.append(len(history["train_loss"])),
    )  # fmt: skip
    assert reported == [3, 4]


def test_a_checkpoint_costs_nothing_unless_asked_for(mlp, lab, monkeypatch):
    monkeypatch.setattr("zoo._checkpoint.save_tensors", None)
    zoo.fit(mlp, lab.small(mlp), *lab.training_set(mlp), seed=1, save=lambda state: None)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"learning_rate": 0.5}, "config.learning_rate = "),
        ({"seed": 2}, "seed = 1, not 2"),
        ({"lineage": "abd"}, "lineage = 'abc', not 'abd'"),
    ],
)
def test_a_checkpoint_of_another_fit_is_refused(mlp, change, said, lab):
    _, (state, *_) = states(lab, mlp)
    with pytest.raises(zoo.BadCheckpoint, match=f"of another fit: it has {said}[^;]*$"):
        resumed(lab, mlp, state, **change)


def test_bytes_that_are_no_checkpoint_are_refused(mlp, lab):
    fit, (state, *_) = states(lab, mlp)
    for damaged in (b"nonsense", state[:-1], zoo.save(fit)):
        with pytest.raises(zoo.BadCheckpoint, match="are not a checkpoint"):
            resumed(lab, mlp, damaged)


def test_a_checkpoint_is_tensors_and_json(vae, lab):
    _, (state, *_) = states(lab, vae)
    about = metadata(state, KEY)
    assert about["fit"]["config"]["latent"] == 4 and about["fit"]["lineage"] == "abc"
    assert len(about["history"]["train_loss"]) == 1 and b"pickle" not in state


KILLED = """
import importlib, os, sys
sys.path.append(os.path.dirname(sys.argv[1]))
import conftest as lab, zoo
family = importlib.import_module("zoo.dense_vae")
def keep(state):
    with open("state.new", "wb") as file:
        file.write(state())
    os.replace("state.new", "state")
    print("saved", flush=True)
resume = open("state", "rb").read() if os.path.exists("state") else None
config = lab.small(family, epochs=40)
fit = zoo.fit(family, config, *lab.training_set(family), seed=1, save=keep, resume=resume)
open("model", "wb").write(zoo.save(fit))
"""


def test_a_killed_process_goes_on_to_the_same_bytes(vae, lab, tmp_path):
    """SIGKILL after a few of forty epochs; what goes on does the rest, and no more."""
    command = [sys.executable, "-c", KILLED, os.path.join(os.path.dirname(__file__), "conftest.py")]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        for _ in range(3):
            assert process.stdout.readline() == "saved\n"
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL and not (tmp_path / "model").exists()
    done = len(metadata((tmp_path / "state").read_bytes(), KEY)["history"]["train_loss"])
    assert 3 <= done < 40
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert again.stdout.count("saved") == 40 - done
    assert (tmp_path / "model").read_bytes() == zoo.save(lab.fitted(vae, epochs=40))


# --- loading


def test_loading_draws_no_random_weights(network, lab, monkeypatch):
    data = zoo.save(lab.fitted(network))
    monkeypatch.setattr(torch.random, "fork_rng", lambda **_: nullcontext())
    before = torch.random.get_rng_state()
    again = zoo.load(data, network)
    assert torch.equal(torch.random.get_rng_state(), before)
    network.build(lab.small(network), lab.width(network))
    assert not torch.equal(torch.random.get_rng_state(), before)  # which building alone does
    assert zoo.save(again) == data


def test_bf16_is_another_rounding_of_the_same_training(mlp, lab):
    data = lab.training_set(mlp)
    plain, rounded = (zoo.fit(mlp, lab.small(mlp), *data, seed=1, precision=p) for p in ("float32", "bf16"))
    assert not same(weights(plain), weights(rounded))
    assert all(tensor.dtype == torch.float32 for tensor in weights(rounded).values())
    np.testing.assert_allclose(rounded.history["validation_loss"], plain.history["validation_loss"], rtol=0.02)
    lab.one_line_error(lambda: zoo.fit(mlp, lab.small(mlp), *data, seed=1, precision="half"), "'half'", "bf16")


def test_watched_events_have_a_curve_and_change_nothing(vae, lab):
    features, labels = lab.training_set(vae)
    options = {"seed": 1, "lineage": "x"}
    plain = zoo.fit(vae, lab.small(vae), features, labels, **options)
    watched = zoo.fit(vae, lab.small(vae), features, labels, watched=features[:5] + 3, **options)
    assert set(watched.history) - set(plain.history) == {"watched_loss", "watched_recon", "watched_kl"}
    assert len(watched.history["watched_loss"]) == lab.small(vae).epochs
    assert {name: watched.history[name] for name in plain.history} == plain.history
    for name, weight in plain.module.state_dict().items():
        assert torch.equal(weight, watched.module.state_dict()[name]), name
