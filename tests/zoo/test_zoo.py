"""What every family of the zoo guarantees, on problems small enough to train in a second."""

import dataclasses
import importlib
import importlib.util

import numpy as np
import pytest
import torch
from scipy import stats

import zoo
from zoo import _training
from zoo._losses import gaussian_nll, kl_to_standard_normal
from zoo._preprocess import fit_preprocess

N_FEATURES = 30
SMALL = {
    "dense_vae": {"hidden": [16, 8], "latent": 4, "epochs": 3, "batch_size": 16, "learning_rate": 0.01},
    "mlp_classifier": {"hidden": [16, 8], "epochs": 4, "batch_size": 16},
}
TERMS = {"autoencoder": {"recon", "kl"}, "classifier": {"logit"}}
PREPROCESS = ["max", "raw", "log1p_standard"]


@pytest.fixture(params=zoo.names())
def family(request):
    return importlib.import_module(f"zoo.{request.param}")


@pytest.fixture
def vae():
    return importlib.import_module("zoo.dense_vae")


@pytest.fixture
def mlp():
    return importlib.import_module("zoo.mlp_classifier")


def small(family, **fields):
    name = family.__name__.rpartition(".")[2]
    return zoo.configure(family, SMALL.get(name, {"epochs": 2}) | fields)


def counts(n, kind=0, seed=0):
    """Poisson counts with a factor per event; NR is dimmer and rises where ER falls; 3 features stay 0."""
    rng = np.random.default_rng((seed, kind))
    shape = np.linspace(1, 12, N_FEATURES)[:: 1 - 2 * kind]
    rate = shape * rng.uniform(0.5, 2, (n, 1)) / (1 + kind)
    features = rng.poisson(rate).astype(np.uint16)
    features[:, :3] = 0
    return features


def training_set(family, n=200, seed=0):
    """Features and labels of the kinds this family trains on, n of each."""
    kinds = [{"ER": 0, "NR": 1}[kind] for kind in family.TRAINS_ON]
    return np.concatenate([counts(n, kind, seed) for kind in kinds]), np.repeat(kinds, n)


def fitted(family, seed=1, n=200, **fields):
    return zoo.fit(family, small(family, **fields), *training_set(family, n), seed=seed)


def one_line_error(call, *words):
    with pytest.raises(ValueError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message
    return message


# --- the tables as printed


def test_dense_vae_defaults_are_table_1(vae):
    expected = {"hidden": (2000, 500), "latent": 128, "beta": 10.0, "learning_rate": 0.0005, "epochs": 30}
    config = zoo.configure(vae, {})
    assert {name: getattr(config, name) for name in expected} == expected
    assert (config.activation, config.batch_size, config.validation_fraction) == ("linear", 10, 0.3)
    with torch.device("meta"):
        module = vae.build(config, 3835)
    shapes = {name: tuple(w.shape) for name, w in module.named_parameters() if name.endswith("weight")}
    head = [(500, 128), (2000, 500), (3835, 2000)]
    assert list(shapes.values()) == [(2000, 3835), (500, 2000), (256, 500), *head, *head]
    assert isinstance(vae.optimizer(module.parameters(), config), torch.optim.Adamax)


def test_mlp_classifier_defaults_are_table_2(mlp):
    config = zoo.configure(mlp, {})
    assert (config.hidden, config.learning_rate, config.epochs) == ((256, 64, 16), 0.01, 5)
    assert (config.batch_size, config.validation_fraction) == (10, 0.3)
    module = mlp.build(config, 3835)
    shapes = [tuple(w.shape) for name, w in module.named_parameters() if name.endswith("weight")]
    assert shapes == [(256, 3835), (64, 256), (16, 64), (1, 16)]
    assert [type(layer) for layer in module][1::2] == [torch.nn.ReLU] * 3
    assert type(mlp.optimizer(module.parameters(), config)) is torch.optim.Adam


# --- what every family guarantees


def test_configure_gives_the_defaults(family):
    assert zoo.configure(family, {}) == family.Config()


def test_configured_integers_and_floats_are_equal(family):
    as_int, as_float = (zoo.configure(family, {"learning_rate": rate}) for rate in (1, 1.0))
    assert as_int == as_float and hash(as_int) == hash(as_float) and repr(as_int) == repr(as_float)
    assert type(as_int.learning_rate) is float


def test_an_unknown_key_names_the_nearest(family):
    one_line_error(lambda: zoo.configure(family, {"epoch": 3}), "'epoch'", "'epochs'", "batch_size")


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
def test_a_bad_value_is_shown(family, key, value):
    one_line_error(lambda: zoo.configure(family, {key: value}), key, repr(value), "must be")


def test_a_gradient_reaches_every_weight(family):
    features, labels = training_set(family)
    config = small(family)
    torch.manual_seed(0)
    module = family.build(config, N_FEATURES)
    x, label = torch.from_numpy(features.astype(np.float32) / 10 + 0.1), torch.from_numpy(labels).float()
    loss, parts = family.loss(module, x, label, torch.Generator().manual_seed(0), config)
    loss.backward()
    assert loss.shape == () and not any(part.requires_grad for part in parts.values())
    for name, weight in module.named_parameters():
        assert weight.grad is not None and weight.grad.abs().sum() > 0, name


def test_terms_are_float64_columns_of_the_kind(family):
    terms = zoo.terms(fitted(family), counts(7))
    assert set(terms) == TERMS[family.KIND]
    for column in terms.values():
        assert column.dtype == np.float64 and column.shape == (7,) and np.isfinite(column).all()
        assert len(np.unique(column)) == 7


@pytest.mark.parametrize("batch_size", [1, 3, 512])
def test_terms_do_not_depend_on_companions(family, batch_size):
    fit, events = fitted(family), counts(40)
    together = zoo.terms(fit, events)
    shuffled = zoo.terms(fit, np.concatenate([counts(5, 1), events[::-1]]), batch_size)
    for name, column in together.items():
        np.testing.assert_allclose(shuffled[name][5:][::-1], column, rtol=1e-5, atol=1e-5)


def test_terms_of_no_events_are_empty_columns(family):
    terms = zoo.terms(fitted(family), counts(0))
    assert set(terms) == TERMS[family.KIND]
    assert all(column.shape == (0,) and column.dtype == np.float64 for column in terms.values())


def test_save_and_load_agree(family):
    fit = fitted(family)
    data = zoo.save(fit)
    again = zoo.load(data, family)
    assert zoo.save(again) == data
    assert (again.config, again.history, again.seed) == (fit.config, fit.history, fit.seed)
    assert not again.module.training
    for name, column in zoo.terms(fit, counts(20)).items():
        np.testing.assert_array_equal(zoo.terms(again, counts(20))[name], column)


def test_a_fit_is_a_function_of_its_arguments(family):
    torch.manual_seed(1)
    first = zoo.save(fitted(family))
    torch.manual_seed(2)
    state = torch.random.get_rng_state()
    assert zoo.save(fitted(family)) == first
    assert torch.equal(torch.random.get_rng_state(), state)
    assert zoo.save(fitted(family, seed=2)) != first


def test_the_seed_moves_weights_and_not_only_the_header(family):
    a, b = (fitted(family, seed=seed).module.state_dict() for seed in (1, 2))
    assert any(not torch.equal(a[name], b[name]) for name in a)


def test_the_dtype_of_counts_is_immaterial(family):
    features, labels = training_set(family)
    fits = [
        zoo.fit(family, small(family), features.astype(t), labels, seed=1) for t in (np.uint16, np.float64)
    ]
    assert zoo.save(fits[0]) == zoo.save(fits[1])


def test_threads_are_set_back(family):
    before = torch.get_num_threads()
    features, labels = training_set(family)
    zoo.fit(family, small(family), features, labels, seed=1, threads=2)
    assert torch.get_num_threads() == before


def test_history_and_report_hold_one_value_per_epoch(family):
    reported = []
    config = small(family)
    fit = zoo.fit(family, config, *training_set(family), seed=1, report=lambda *row: reported.append(row))
    assert [epoch for epoch, _ in reported] == list(range(1, config.epochs + 1))
    assert {"train_loss", "validation_loss"} <= set(fit.history)
    for name, curve in fit.history.items():
        assert curve == [metrics[name] for _, metrics in reported]


def _training_rows(family, monkeypatch):
    """Rows of the training part, overheard from what the preprocessing is handed."""
    seen = []

    def overhear(kind, features, rows):
        seen.append(rows)
        return fit_preprocess(kind, features, rows)

    with monkeypatch.context() as patch:
        patch.setattr(_training, "fit_preprocess", overhear)
        fitted(family)
    return seen[0]


@pytest.mark.parametrize("kind", PREPROCESS)
def test_preprocessing_sees_the_training_part_only(family, kind, monkeypatch):
    features, labels = training_set(family)
    train = _training_rows(family, monkeypatch)
    assert len(train) == len(np.unique(train)) == round(0.7 * len(features))
    config = small(family, preprocess=kind, epochs=1)
    reference = zoo.fit(family, config, features, labels, seed=1)
    loud = features.copy()
    loud[np.setdiff1d(np.arange(len(features)), train)] += 50
    changed = zoo.fit(family, config, loud, labels, seed=1)
    assert torch.equal(reference.preprocess.scale, changed.preprocess.scale)
    assert torch.equal(reference.preprocess.shift, changed.preprocess.shift)
    weights = [fit.module.state_dict() for fit in (reference, changed)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert reference.history["validation_loss"] != changed.history["validation_loss"]


def test_a_loss_that_is_not_finite_raises(family):
    features, labels = training_set(family)
    features = features.astype(np.float32)
    features[:, 5] = np.inf
    config = small(family, preprocess="raw")
    with pytest.raises(zoo.NonFiniteLoss, match=rf"{family.__name__.rpartition('.')[2]}.*epoch 1"):
        zoo.fit(family, config, features, labels, seed=1)


def test_fit_refuses_what_does_not_fit(family):
    features, labels = training_set(family)
    config = small(family)
    one_line_error(lambda: zoo.fit(family, config, features, labels[1:], seed=1), "labels", "shape")
    one_line_error(lambda: zoo.fit(family, config, features, labels + 2, seed=1), "ER", "labels")
    one_line_error(lambda: zoo.fit(family, config, features[:1], labels[:1], seed=1), "1 events")
    one_line_error(lambda: zoo.fit(family, config, features[0], labels, seed=1), "(30,)")
    one_line_error(lambda: zoo.fit(family, config, features, labels, seed=-1), "seed = -1")
    one_line_error(lambda: zoo.terms(fitted(family), counts(3)[:, 1:]), "(3, 29)", "(n, 30)")


def test_load_refuses_what_is_not_ours(family):
    data = zoo.save(fitted(family))
    other = next(name for name in zoo.names() if name != family.__name__.rpartition(".")[2])
    one_line_error(lambda: zoo.load(data, importlib.import_module(f"zoo.{other}")), other)
    for damaged in (b"", b"not a model", data[:-1], data[: len(data) // 2]):
        one_line_error(lambda damaged=damaged: zoo.load(damaged, family), "zoo.save")


# --- physics of the terms, against slow twins


def test_recon_and_kl_agree_with_scipy():
    rng = np.random.default_rng(0)
    x, mean, log_variance = (torch.from_numpy(rng.normal(size=(6, 9))) for _ in range(3))
    sigma = np.exp(0.5 * log_variance.numpy())
    expected = -stats.norm.logpdf(x.numpy(), mean.numpy(), sigma)
    np.testing.assert_allclose(gaussian_nll(x, mean, log_variance), expected, rtol=1e-12)
    grid = np.linspace(-30, 30, 200_001)[:, None, None]
    q = stats.norm.pdf(grid, mean.numpy()[:2, :2], sigma[:2, :2])
    log_ratio = stats.norm.logpdf(grid, mean.numpy()[:2, :2], sigma[:2, :2]) - stats.norm.logpdf(grid)
    integral = np.trapezoid(q * log_ratio, grid, axis=0)
    np.testing.assert_allclose(kl_to_standard_normal(mean, log_variance)[:2, :2], integral, rtol=1e-6)


@pytest.mark.parametrize("activation", ["linear", "relu", "leaky_relu", "tanh"])
def test_vae_terms_agree_with_a_slow_twin(vae, activation):
    fit, events = fitted(vae, activation=activation), counts(8)
    x = events / fit.preprocess.scale.numpy()
    activate = {
        "linear": lambda a: a,
        "relu": lambda a: np.maximum(a, 0),
        "leaky_relu": lambda a: np.where(a > 0, a, 0.05 * a),
        "tanh": np.tanh,
    }[activation]

    def network(values, layers):
        *hidden, last = [layer for layer in layers if isinstance(layer, torch.nn.Linear)]
        for layer in hidden:
            values = activate(affine(values, layer))
        return affine(values, last)

    def affine(values, layer):
        return values @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()

    def bound(raw):
        return -8 + np.logaddexp(0, 12 - np.logaddexp(0, 4 - raw))

    mu, raw = np.split(network(x, fit.module.encoder), 2, axis=1)
    log_variance = bound(raw)
    kl = 0.5 * (mu**2 + np.exp(log_variance) - 1 - log_variance).sum(axis=1)
    mean = network(mu, fit.module.mean_head)
    sigma = np.exp(0.5 * bound(network(mu, fit.module.log_variance_head)))
    terms = zoo.terms(fit, events)
    np.testing.assert_allclose(terms["kl"], kl, rtol=1e-4)
    np.testing.assert_allclose(terms["recon"], -stats.norm.logpdf(x, mean, sigma).sum(axis=1), rtol=1e-4)
    np.testing.assert_allclose(zoo.encode(fit, events), mu, rtol=1e-4, atol=1e-5)
    unscaled = mean * fit.preprocess.scale.numpy()
    np.testing.assert_allclose(zoo.reconstruct(fit, events), unscaled, rtol=1e-3, atol=1e-4)


def test_vae_loss_is_taken_at_one_noisy_draw(vae):
    config = small(vae)
    torch.manual_seed(0)
    module = vae.build(config, N_FEATURES)
    x = torch.from_numpy(counts(5).astype(np.float32))
    _, parts = vae.loss(module, x, torch.zeros(5), torch.Generator().manual_seed(3), config)
    noise = torch.randn((5, config.latent), generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        mu, log_variance = module.encode(x)
        mean, log_variance_x = module.decode(mu + noise * log_variance.exp().sqrt())
    recon = -stats.norm.logpdf(x, mean, np.exp(log_variance_x.numpy() / 2)).sum(axis=1).mean()
    np.testing.assert_allclose(parts["recon"], recon, rtol=1e-5)


def test_vae_loss_is_the_beta_weighted_sum_and_falls(vae):
    fit = fitted(vae, epochs=8, beta=3)
    history = {name: np.array(curve) for name, curve in fit.history.items()}
    for part in ("train_", "validation_"):
        expected = history[part + "recon"] + 3 * history[part + "kl"]
        np.testing.assert_allclose(history[part + "loss"], expected, rtol=1e-5)
        assert history[part + "loss"][-1] < history[part + "loss"][0] - 10


@pytest.mark.parametrize("kind", ["max", "log1p_standard"])
def test_vae_reconstructs_in_the_features_unit(vae, kind):
    fit = fitted(vae, n=1000, preprocess=kind, epochs=20, beta=0.1)
    events = counts(300, seed=5)
    error = zoo.reconstruct(fit, events) - events
    assert np.abs(error[:, 10:].mean(axis=0)).max() < 1.5  # counts are 5 to 15 here
    assert error.std() < 0.8 * (events - events.mean(axis=0)).std()


def test_vae_terms_stay_finite_far_outside(vae):
    terms = zoo.terms(fitted(vae), counts(4) + np.uint16(60_000))
    assert all(np.isfinite(column).all() for column in terms.values())


@pytest.mark.parametrize("bad", [{"beta": -1}, {"hidden": []}, {"hidden": [8, 0]}, {"activation": "elu"}])
def test_vae_refuses_bad_values(vae, bad):
    ((key, value),) = bad.items()
    one_line_error(lambda: zoo.configure(vae, bad), key, repr(value))


@pytest.mark.parametrize("bad", [[4.0, -8.0], [1.0], "wide", [0.0, float("inf")]])
def test_vae_refuses_bad_ranges(vae, bad):
    one_line_error(lambda: zoo.configure(vae, {"log_variance_range": bad}), "low < high")


def test_toml_values_are_normalised(vae):
    a = zoo.configure(vae, {"beta": 10, "hidden": [512, 128], "log_variance_range": [-8, 4]})
    assert a == vae.Config(hidden=(512, 128)) and hash(a) == hash(vae.Config(hidden=(512, 128)))
    assert isinstance(a.beta, float) and isinstance(a.log_variance_range[0], float)


def test_classifier_learns_a_separable_problem(mlp):
    fit = fitted(mlp, n=400)
    er, nr = (zoo.terms(fit, counts(300, kind, seed=9))["logit"] for kind in (0, 1))
    auc = stats.mannwhitneyu(nr, er).statistic / (len(er) * len(nr))
    assert auc > 0.99
    assert fit.history["validation_accuracy"][-1] > 0.95


def test_table_2_trains_on_waveform_sized_counts(mlp):
    """The printed learning rate and batch size on 3835 features: the units must not die."""
    rng = np.random.default_rng(0)
    labels = np.arange(600) % 2
    rate = np.exp(-np.arange(3835) / 400) * 40 * rng.uniform(0.3, 1, (600, 1))
    rate[:, 500:] *= np.where(labels, 0.3, 1.0)[:, None]
    fit = zoo.fit(mlp, zoo.configure(mlp, {"epochs": 3}), rng.poisson(rate), labels, seed=3)
    assert fit.history["validation_accuracy"][-1] > 0.9


def test_classifier_neither_encodes_nor_reconstructs(mlp):
    for call in (zoo.encode, zoo.reconstruct):
        one_line_error(lambda call=call: call(fitted(mlp), counts(2)), "mlp_classifier", "autoencoder")


def test_classifier_refuses_one_kind(mlp):
    one_line_error(lambda: zoo.fit(mlp, mlp.Config(), counts(9), np.zeros(9, int), seed=1), "[0, 1]", "[0]")


def test_autoencoder_refuses_nr(vae):
    one_line_error(lambda: zoo.fit(vae, vae.Config(), counts(9), np.arange(9) % 2, seed=1), "[0]", "[0, 1]")


# --- parts


@pytest.mark.parametrize("kind", PREPROCESS)
def test_preprocess_against_numpy(vae, kind):
    features = counts(2500)  # three chunks
    rows = np.arange(0, 2500, 2)
    preprocess = fit_preprocess(kind, features, rows)
    part = features[rows].astype(float)
    expected = {
        "raw": features,
        "max": features / np.where(part.max(axis=0) > 0, part.max(axis=0), 1),
        "log1p_standard": (np.log1p(features) - np.log1p(part).mean(axis=0))
        / np.where(part.max(axis=0) > 0, np.log1p(part).std(axis=0), 1),
    }[kind]
    scaled = preprocess.apply(features)
    np.testing.assert_allclose(scaled, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(preprocess.invert(scaled), features, rtol=1e-5, atol=1e-4)


OWN = """
from dataclasses import dataclass
import torch
from torch import nn

KIND = "classifier"
TRAINS_ON = ("ER", "NR")

@dataclass(frozen=True)
class Config:
    epochs: int = 2
    batch_size: int = 16
    learning_rate: float = 0.01
    validation_fraction: float = 0.3
    preprocess: str = "max"

def build(config, n_features):
    return nn.Sequential(nn.Linear(n_features, 8), nn.Dropout(0.5), nn.Linear(8, 1))

def optimizer(parameters, config):
    return torch.optim.SGD(parameters, lr=config.learning_rate)

def loss(module, x, label, generator, config):
    return nn.functional.binary_cross_entropy_with_logits(module(x).squeeze(1), label), {}

def terms(module, x):
    return {"logit": module(x).squeeze(1).double()}
"""


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "own_mlp.py"
    path.write_text(OWN)
    spec = importlib.util.spec_from_file_location("own_mlp", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_family_of_the_users_own(own):
    torch.manual_seed(1)
    first = fitted(own)
    torch.manual_seed(2)
    assert zoo.save(fitted(own)) == zoo.save(first)  # with dropout, which draws by itself
    assert set(zoo.terms(zoo.load(zoo.save(first), own), counts(3))) == {"logit"}
    assert zoo.configure(own, {"learning_rate": 1}).learning_rate == 1.0
    one_line_error(lambda: zoo.configure(own, {"learning_rate": "fast"}), "learning_rate", "'fast'", "float")
    one_line_error(lambda: fitted(own, preprocess="none"), "'none'", "max")


def test_the_last_validation_loss_is_that_of_the_fitted_model(own, monkeypatch):
    """Dropout is off in validation, and the rows are those that training never saw."""
    features, labels = training_set(own)
    rows = np.setdiff1d(np.arange(len(labels)), _training_rows(own, monkeypatch))
    fit = fitted(own)
    logit = zoo.terms(fit, features[rows])["logit"]
    expected = np.logaddexp(0, np.where(labels[rows] == 1, -logit, logit)).mean()
    np.testing.assert_allclose(fit.history["validation_loss"][-1], expected, rtol=1e-5)


def test_an_incomplete_family_says_what_it_lacks(own):
    del own.terms
    one_line_error(lambda: zoo.configure(own, {}), "own_mlp", "terms")


def test_weights_of_another_version_of_a_family(own):
    data = zoo.save(fitted(own))
    own.build = lambda config, n_features: torch.nn.Linear(n_features, 1)
    one_line_error(lambda: zoo.load(data, own), "own_mlp", "do not fit")


def test_fitted_is_frozen(mlp):
    with pytest.raises(dataclasses.FrozenInstanceError):
        fitted(mlp).seed = 2


def test_names_are_the_public_modules():
    assert {"dense_vae", "mlp_classifier"} <= set(zoo.names())
    assert zoo.names() == sorted(zoo.names()) and not any(name.startswith("_") for name in zoo.names())
