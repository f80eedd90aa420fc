"""What every family of the zoo guarantees."""

import copy
import importlib

import numpy as np
import pytest
import torch

import zoo

TERMS = {"autoencoder": {"recon", "kl"}, "classifier": {"logit"}, "density": {"log_density"},
         "regressor": {"mean", "sd"}}  # fmt: skip
PREPROCESS = ["max", "raw", "log1p_standard", "byte"]


def test_configure_gives_the_defaults(family):
    assert zoo.configure(family, {}) == family.Config()


def test_configured_integers_and_floats_are_equal(family):
    as_int, as_float = (zoo.configure(family, {"learning_rate": rate}) for rate in (1, 1.0))
    assert as_int == as_float and hash(as_int) == hash(as_float) and repr(as_int) == repr(as_float)
    assert type(as_int.learning_rate) is float


def test_an_unknown_key_names_the_nearest(family, lab):
    lab.one_line_error(lambda: zoo.configure(family, {"epoch": 3}), "'epoch'", "'epochs'", "learning_rate")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("epochs", 0),
        ("epochs", 2.0),
        ("epochs", True),
        ("batch_size", 0),
        ("learning_rate", 0),
        ("learning_rate", float("nan")),
        ("learning_rate", "1e-3"),
        ("validation_fraction", 1.0),
        ("preprocess", "maximum"),
        ("preprocess", ["max"]),
    ],
)
def test_a_bad_value_is_shown(family, key, value, lab):
    if key == "batch_size" and not hasattr(family.Config, key):
        pytest.skip("it has no batches")
    lab.one_line_error(lambda: zoo.configure(family, {key: value}), key, repr(value), "must be")


def test_a_gradient_reaches_every_weight(network, lab):
    features, labels = lab.training_set(network)
    config = lab.small(network)
    torch.manual_seed(0)
    module = network.build(config, lab.width(network))
    x, label = torch.from_numpy(features.astype(np.float32) / 10 + 0.1), torch.from_numpy(labels).float()
    loss, parts = network.loss(module, x, label, torch.Generator().manual_seed(0), config)
    loss.backward()
    assert loss.shape == () and not any(part.requires_grad for part in parts.values())
    for name, weight in module.named_parameters():
        assert weight.grad is not None and weight.grad.abs().sum() > 0, name


def test_terms_are_float64_columns_of_the_kind(family, lab):
    terms = zoo.terms(lab.fitted(family), lab.events(family, 7))
    assert set(terms) == TERMS[family.KIND]
    for column in terms.values():
        assert column.dtype == np.float64 and column.shape == (7,) and np.isfinite(column).all()
        assert len(np.unique(column)) == 7 or (hasattr(family, "grow") and len(np.unique(column)) > 1), "steps may tie"


@pytest.mark.parametrize("batch_size", [1, 3, 512])
def test_terms_do_not_depend_on_companions(family, batch_size, lab):
    fit, events = lab.fitted(family), lab.events(family, 40)
    together = zoo.terms(fit, events)
    shuffled = zoo.terms(fit, np.concatenate([lab.events(family, 5, 1), events[::-1]]), batch_size)
    for name, column in together.items():
        np.testing.assert_allclose(shuffled[name][5:][::-1], column, rtol=1e-5, atol=1e-5)


def test_terms_of_no_events_are_empty_columns(family, lab):
    terms = zoo.terms(lab.fitted(family), lab.events(family, 0))
    assert set(terms) == TERMS[family.KIND]
    assert all(column.shape == (0,) and column.dtype == np.float64 for column in terms.values())


def test_save_and_load_agree(family, lab):
    fit = lab.fitted(family)
    data = zoo.save(fit)
    again = zoo.load(data, family)
    assert zoo.save(again) == data
    assert (again.config, again.history, again.seed) == (fit.config, fit.history, fit.seed)
    assert not again.module.training
    for name, column in zoo.terms(fit, lab.events(family, 20)).items():
        np.testing.assert_array_equal(zoo.terms(again, lab.events(family, 20))[name], column)


def test_a_fit_is_a_function_of_its_arguments(family, lab):
    torch.manual_seed(1)
    first = zoo.save(lab.fitted(family))
    torch.manual_seed(2)
    state = torch.random.get_rng_state()
    assert zoo.save(lab.fitted(family)) == first
    assert torch.equal(torch.random.get_rng_state(), state)
    assert zoo.save(lab.fitted(family, seed=2)) != first


def test_the_seed_moves_weights_and_not_only_the_header(family, lab):
    a, b = (lab.fitted(family, seed=seed).module.state_dict() for seed in (1, 2))
    assert any(not torch.equal(a[name], b[name]) for name in a)


def test_the_dtype_of_counts_is_immaterial(family, lab):
    features, labels = lab.training_set(family)
    config = lab.small(family)
    fits = [zoo.fit(family, config, features.astype(t), labels, seed=1) for t in (np.uint16, np.float64)]
    assert zoo.save(fits[0]) == zoo.save(fits[1])


def test_threads_are_set_back(family, lab):
    before = torch.get_num_threads()
    features, labels = lab.training_set(family)
    zoo.fit(family, lab.small(family), features, labels, seed=1, threads=2)
    assert torch.get_num_threads() == before


def test_history_and_report_hold_one_value_per_epoch(family, lab):
    reported, config = [], lab.small(family)
    data = lab.training_set(family)
    fit = zoo.fit(family, config, *data, seed=1, report=lambda so_far: reported.append(copy.deepcopy(so_far)))
    assert reported[0] == {} and len(reported) == config.epochs + 1
    assert {"train_loss", "validation_loss"} <= set(fit.history)
    for name, curve in fit.history.items():
        assert [so_far[name] for so_far in reported[1:]] == [curve[:n] for n in range(1, config.epochs + 1)]


@pytest.mark.parametrize("kind", PREPROCESS)
def test_preprocessing_sees_the_training_part_only(family, kind, lab):
    features, labels = lab.training_set(family)
    train = lab.training_rows(family)
    assert len(train) == len(np.unique(train)) == round(0.7 * len(features))
    config = lab.small(family, preprocess=kind, epochs=1)
    reference = zoo.fit(family, config, features, labels, seed=1)
    loud = features.copy()
    loud[np.setdiff1d(np.arange(len(features)), train)] += 50
    changed = zoo.fit(family, config, loud, labels, seed=1)
    assert torch.equal(reference.preprocess.scale, changed.preprocess.scale)
    assert torch.equal(reference.preprocess.shift, changed.preprocess.shift)
    weights = [fit.module.state_dict() for fit in (reference, changed)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert reference.history["validation_loss"] != changed.history["validation_loss"]


def test_a_loss_that_is_not_finite_raises(family, lab):
    features, labels = lab.training_set(family)
    features = features.astype(np.float32)
    features[:, features.shape[1] // 2] = np.inf
    config = lab.small(family, preprocess="raw")
    with pytest.raises(zoo.NonFiniteLoss, match=rf"{lab.name_of(family)}.*epoch 1"):
        zoo.fit(family, config, features, labels, seed=1)


def test_fit_refuses_what_does_not_fit(family, lab):
    features, labels = lab.training_set(family)
    config = lab.small(family)
    lab.one_line_error(lambda: zoo.fit(family, config, features, labels[1:], seed=1), "labels", "shape")
    wrong, said = (labels * np.nan, "finite") if family.KIND == "regressor" else (labels + 2, "ER")
    lab.one_line_error(lambda: zoo.fit(family, config, features, wrong, seed=1), said, "labels")
    lab.one_line_error(lambda: zoo.fit(family, config, features[:1], labels[:1], seed=1), "1 events")
    lab.one_line_error(lambda: zoo.fit(family, config, features[0], labels, seed=1), f"({lab.width(family)},)")
    lab.one_line_error(lambda: zoo.fit(family, config, features, labels, seed=-1), "seed = -1")
    n, narrow = lab.width(family), lab.events(family, 3)[:, 1:]
    lab.one_line_error(lambda: zoo.terms(lab.fitted(family), narrow), f"(3, {n - 1})", f"(n, {n})")


def test_load_refuses_what_is_not_ours(family, lab):
    data = zoo.save(lab.fitted(family))
    other = next(name for name in zoo.names() if name != lab.name_of(family))
    lab.one_line_error(lambda: zoo.load(data, importlib.import_module(f"zoo.{other}")), other)
    for damaged in (b"", b"not a model", data[:-1], data[: len(data) // 2]):
        lab.one_line_error(lambda damaged=damaged: zoo.load(damaged, family), "zoo.save")


def _terms_of(family, module, x):
    with torch.no_grad():
        return family.terms(module, x)


def test_terms_add_up_to_the_loss(family, lab, monkeypatch):
    """With no noise, that is at z = mu where there is a z, and with every label that there is."""
    if family.KIND == "regressor":
        pytest.skip("its loss is of the truth, its terms are of the event alone: test_regressors")
    monkeypatch.setattr(torch, "randn", lambda shape, **_: torch.zeros(shape))
    fit = lab.fitted(family)
    features, labels = lab.training_set(family)
    x, label = fit.preprocess.apply(features), torch.from_numpy(labels).float()
    with torch.no_grad():
        loss, parts = family.loss(fit.module, x, label, torch.Generator(), fit.config)
    terms = _terms_of(family, fit.module, x)
    if family.KIND == "autoencoder":
        per_event = terms["recon"] + fit.config.beta * terms["kl"]
        for name, column in terms.items():
            np.testing.assert_allclose(parts[name], column.mean(), rtol=1e-5)
    elif family.KIND == "density":
        per_event = -terms["log_density"]
    else:
        per_event = torch.nn.functional.softplus(torch.where(label > 0.5, -terms["logit"], terms["logit"]))
    np.testing.assert_allclose(loss, per_event.mean(), rtol=1e-5)


def test_an_autoencoder_resamples_about_its_reconstruction(family, lab, monkeypatch):
    if family.KIND != "autoencoder":
        lab.one_line_error(lambda: zoo.resample(lab.fitted(family), lab.events(family, 2), 1), "autoencoder")
        return
    fit, events = lab.fitted(family), lab.events(family, 20)
    before, drawn = torch.random.get_rng_state(), zoo.resample(fit, events, 1)
    np.testing.assert_array_equal(zoo.resample(fit, events, 1), drawn)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert (zoo.resample(fit, events, 2) != drawn).any(axis=1).all()
    monkeypatch.setattr(torch, "randn", lambda shape, **_: torch.zeros(shape))
    np.testing.assert_array_equal(zoo.resample(fit, events, 1), zoo.reconstruct(fit, events))


def test_a_regressor_has_quantiles_that_agree_with_its_terms(family, lab):
    levels = (np.arange(400) + 0.5) / 400
    if family.KIND != "regressor":
        lab.one_line_error(lambda: zoo.quantiles(lab.fitted(family), lab.events(family, 2), [0.5]), "regressor")
        return
    fit, events = lab.fitted(family), lab.events(family, 20)
    found, terms = zoo.quantiles(fit, events, levels), zoo.terms(fit, events)
    assert found.shape == (20, 400) and found.dtype == np.float64 and (np.diff(found, axis=1) >= 0).all()
    np.testing.assert_allclose(terms["mean"], found.mean(axis=1), rtol=0.05)  # of another number of quantiles
    np.testing.assert_allclose(terms["sd"], found.std(axis=1), rtol=0.1)
    np.testing.assert_allclose(zoo.quantiles(fit, events[::-1], levels)[::-1], found, rtol=1e-5)
    assert zoo.quantiles(fit, events[:0], levels).shape == (0, 400)


def test_float32_is_enough(family, lab):
    fit = lab.fitted(family)
    x = fit.preprocess.apply(lab.events(family, 20))
    doubled = _terms_of(family, copy.deepcopy(fit.module).double(), x.double())
    for name, column in _terms_of(family, fit.module, x).items():
        np.testing.assert_allclose(column, doubled[name], rtol=1e-4, atol=1e-4)
        computes_in_double = {p.dtype for p in fit.module.parameters()} == {torch.float64}
        assert computes_in_double or not torch.equal(column, doubled[name]), "the double module is in single precision"


def test_a_family_of_one_shape_refuses_others(family, lab):
    n = lab.width(family)
    features, labels = lab.training_set(family)
    zoo.check_input(family, n)
    if hasattr(family, "INPUT_SHAPE"):
        said = lab.name_of(family), f"{n} values, not {n - 1}"
        lab.one_line_error(lambda: zoo.check_input(family, n - 1), *said)
        lab.one_line_error(lambda: zoo.fit(family, lab.small(family), features[:, 1:], labels, seed=1), *said)
    else:
        zoo.check_input(family, n - 1)


@pytest.mark.parametrize("name", [name for name in zoo.names() if zoo.declared(name).KIND == "autoencoder"])
def test_more_latent_points_average_the_reconstruction_and_leave_the_rest(name, lab):
    """Two numbers of points agree where they have the same mean, which is not z = mu; an event is scored alone."""
    family = importlib.import_module(f"zoo.{name}")
    fit, events = lab.fitted(family), lab.events(family, 9)
    at_mu, few, many = (zoo.terms(fit.averaging(n), events) for n in (0, 200, 2000))
    alone = zoo.terms(fit.averaging(200), events[4:5])
    np.testing.assert_array_equal(at_mu["kl"], many["kl"])
    of_few, of_many = (one["recon"] - at_mu["recon"] for one in (few, many))
    assert np.all(np.abs(of_few - of_many) < 0.5 * np.abs(of_many)), "z = mu is not the mean over q(z|x)"
    np.testing.assert_allclose(alone["recon"], few["recon"][4:5], rtol=1e-5)
