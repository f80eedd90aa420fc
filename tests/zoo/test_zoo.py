"""The papers' dense networks, the parts they are made of, and a family of the user's own."""

import copy
import dataclasses
import importlib.util

import numpy as np
import pytest
import torch
from scipy import stats

import zoo
from zoo._fields import identity
from zoo._losses import gaussian_nll, kl_to_standard_normal
from zoo._preprocess import fit_preprocess

PREPROCESS = ["max", "raw", "log1p_standard", "byte"]

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
def test_vae_terms_agree_with_a_slow_twin(vae, activation, lab):
    fit, events = lab.fitted(vae, activation=activation), lab.counts(8)
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


def test_linear_layers_as_one_are_no_farther_from_float64_than_one_by_one(vae, lab):
    config = zoo.configure(vae, {"hidden": [64, 32], "latent": 8, "epochs": 3})
    events = lab.counts(300)
    fit = zoo.fit(vae, config, events, np.zeros(len(events)), seed=1)
    with torch.inference_mode():
        x = fit.preprocess.apply(events)
        one_by_one = vae.terms(fit.module, x)
        exact = vae.terms(copy.deepcopy(fit.module).double(), x.double())
    for name, values in zoo.terms(fit, events).items():
        wanted = exact[name].numpy()
        as_one, before = (np.abs(some - wanted).max() for some in (values, one_by_one[name].numpy()))
        assert 0 < as_one < 2 * before and as_one < 1e-6 * np.abs(wanted).max()


def test_vae_loss_is_taken_at_one_noisy_draw(vae, lab):
    config = lab.small(vae)
    torch.manual_seed(0)
    module = vae.build(config, lab.width(vae))
    x = torch.from_numpy(lab.counts(5).astype(np.float32))
    _, parts = vae.loss(module, x, torch.zeros(5), torch.Generator().manual_seed(3), config)
    noise = torch.randn((5, config.latent), generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        mu, log_variance = module.encode(x)
        mean, log_variance_x = module.decode(mu + noise * log_variance.exp().sqrt())
    recon = -stats.norm.logpdf(x, mean, np.exp(log_variance_x.numpy() / 2)).sum(axis=1).mean()
    np.testing.assert_allclose(parts["recon"], recon, rtol=1e-5)


def test_vae_of_correlated_features_against_the_density_that_torch_has(vae, lab):
    config = lab.small(vae, covariance_rank=3)
    torch.manual_seed(0)
    module = vae.build(config, lab.width(vae))
    x = torch.from_numpy(lab.counts(5).astype(np.float32))
    with torch.no_grad():
        module.factors.mul_(20)
        mu, _ = module.encode(x)
        mean, log_variance = module.decode(mu)
        sigma = torch.exp(0.5 * log_variance)
        law = torch.distributions.LowRankMultivariateNormal(mean, sigma[:, :, None] * module.factors, sigma.square())
        recon = vae.terms(module, x)["recon"]
    np.testing.assert_allclose(recon, -law.log_prob(x), rtol=1e-5)
    assert (abs(recon - vae.gaussian_nll(x, mean, log_variance).sum(dim=1)) > 0.1).all()


def test_vae_learns_that_features_move_together(vae, lab):
    """A noise that all features share, of which a latent that costs beta = 1e4 tells nothing: a column of W does."""
    rng = np.random.default_rng(2)
    x = 20 + 2 * rng.standard_normal((600, 1)) + rng.standard_normal((600, 30))
    fields = {"hidden": [8], "latent": 1, "beta": 1e4, "epochs": 30, "batch_size": 20, "learning_rate": 0.02,
              "preprocess": "max"}  # fmt: skip
    losses = [zoo.fit(vae, zoo.configure(vae, fields | {"covariance_rank": rank}), x, np.zeros(600), seed=1)
              .history["validation_recon"][-1] for rank in (0, 1)]  # fmt: skip
    rho = 4 / 5
    gain = -0.5 * (29 * np.log(1 - rho) + np.log(1 + 29 * rho))  # of independent over correlated features, in nat
    assert losses[0] - losses[1] == pytest.approx(gain, rel=0.2)


def test_a_vae_of_independent_features_has_the_name_that_it_had(vae):
    without, of_rank = (zoo.configure(vae, fields) for fields in ({}, {"covariance_rank": 2}))
    named = [identity(vae, dataclasses.asdict(config)) for config in (without, of_rank)]
    assert "covariance_rank" not in named[0] and named[1]["covariance_rank"] == 2
    assert vae.size(of_rank, 50).weights == vae.size(without, 50).weights + 100


def test_vae_resamples_with_the_spread_of_its_latent(vae, lab):
    """Linear heads: the variance of a feature is W^2 sigma^2, and its mean is that at z = mu."""
    fit, event = lab.fitted(vae), lab.counts(1)
    drawn = zoo.resample(fit, np.repeat(event, 4000, axis=0), seed=1)
    with torch.no_grad():
        log_variance = fit.module.encode(fit.preprocess.apply(event))[1][0]
        layers = [layer.weight for layer in fit.module.mean_head if hasattr(layer, "weight")]
        linear = torch.linalg.multi_dot(layers[::-1])
        sd = (linear.square() @ log_variance.exp()).sqrt().numpy() * fit.preprocess.scale.numpy()
    np.testing.assert_allclose(drawn.std(axis=0), sd, rtol=0.06)
    assert np.abs((drawn.mean(axis=0) - zoo.reconstruct(fit, event)[0]) / sd).max() < 4.5 / np.sqrt(4000)


def test_vae_loss_is_the_beta_weighted_sum_and_falls(vae, lab):
    fit = lab.fitted(vae, epochs=8, beta=3)
    history = {name: np.array(curve) for name, curve in fit.history.items()}
    for part in ("train_", "validation_"):
        expected = history[part + "recon"] + 3 * history[part + "kl"]
        np.testing.assert_allclose(history[part + "loss"], expected, rtol=1e-5)
        assert history[part + "loss"][-1] < history[part + "loss"][0] - 10


@pytest.mark.parametrize("kind", ["max", "log1p_standard"])
def test_vae_reconstructs_in_the_features_unit(vae, kind, lab):
    fit = lab.fitted(vae, n=1000, preprocess=kind, epochs=20, beta=0.1)
    events = lab.counts(300, seed=5)
    error = zoo.reconstruct(fit, events) - events
    assert np.abs(error[:, 10:].mean(axis=0)).max() < 1.5  # counts are 5 to 15 here
    assert error.std() < 0.8 * (events - events.mean(axis=0)).std()


def test_vae_terms_stay_finite_far_outside(vae, lab):
    terms = zoo.terms(lab.fitted(vae), lab.counts(4) + np.uint16(60_000))
    assert all(np.isfinite(column).all() for column in terms.values())


@pytest.mark.parametrize("bad", [{"beta": -1}, {"hidden": []}, {"hidden": [8, 0]}, {"activation": "elu"}])
def test_vae_refuses_bad_values(vae, bad, lab):
    ((key, value),) = bad.items()
    lab.one_line_error(lambda: zoo.configure(vae, bad), key, repr(value))


@pytest.mark.parametrize("bad", [[4.0, -8.0], [1.0], "wide", [0.0, float("inf")]])
def test_vae_refuses_bad_ranges(vae, bad, lab):
    lab.one_line_error(lambda: zoo.configure(vae, {"log_variance_range": bad}), "low < high")


def test_toml_values_are_normalised(vae):
    a = zoo.configure(vae, {"beta": 10, "hidden": [512, 128], "log_variance_range": [-8, 4]})
    assert a == vae.Config(hidden=(512, 128)) and hash(a) == hash(vae.Config(hidden=(512, 128)))
    assert isinstance(a.beta, float) and isinstance(a.log_variance_range[0], float)


def test_classifier_learns_a_separable_problem(mlp, lab):
    fit = lab.fitted(mlp, n=400)
    er, nr = (zoo.terms(fit, lab.counts(300, kind, seed=9))["logit"] for kind in (0, 1))
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


def test_classifier_neither_encodes_nor_reconstructs(mlp, lab):
    for call in (zoo.encode, zoo.reconstruct, lambda fit, x: zoo.resample(fit, x, 1)):
        lab.one_line_error(lambda call=call: call(lab.fitted(mlp), lab.counts(2)), "mlp_classifier", "autoencoder")


def test_classifier_refuses_one_kind(mlp, lab):
    lab.one_line_error(lambda: zoo.fit(mlp, mlp.Config(), lab.counts(9), np.zeros(9, int), seed=1), "[0, 1]", "[0]")


def test_autoencoder_refuses_nr(vae, lab):
    lab.one_line_error(lambda: zoo.fit(vae, vae.Config(), lab.counts(9), np.arange(9) % 2, seed=1), "[0]", "[0, 1]")


# --- parts


@pytest.mark.parametrize("kind", PREPROCESS)
def test_preprocess_against_numpy(vae, kind, lab):
    features = lab.counts(2500)  # three chunks
    rows = np.arange(0, 2500, 2)
    preprocess = fit_preprocess(kind, features, rows)
    part = features[rows].astype(float)
    expected = {
        "raw": features,
        "byte": features / 255,
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


def test_a_family_of_the_users_own(own, lab):
    torch.manual_seed(1)
    first = lab.fitted(own)
    torch.manual_seed(2)
    assert zoo.save(lab.fitted(own)) == zoo.save(first)  # with dropout, which draws by itself
    assert set(zoo.terms(zoo.load(zoo.save(first), own), lab.counts(3))) == {"logit"}
    assert zoo.configure(own, {"learning_rate": 1}).learning_rate == 1.0
    lab.one_line_error(lambda: zoo.configure(own, {"learning_rate": "fast"}), "learning_rate", "'fast'", "float")
    lab.one_line_error(lambda: lab.fitted(own, preprocess="none"), "'none'", "max")


def test_the_last_validation_loss_is_that_of_the_fitted_model(own, lab):
    """Dropout is off in validation, and the rows are those that training never saw."""
    features, labels = lab.training_set(own)
    rows = np.setdiff1d(np.arange(len(labels)), lab.training_rows(own))
    fit = lab.fitted(own)
    logit = zoo.terms(fit, features[rows])["logit"]
    expected = np.logaddexp(0, np.where(labels[rows] == 1, -logit, logit)).mean()
    np.testing.assert_allclose(fit.history["validation_loss"][-1], expected, rtol=1e-5)


def test_an_incomplete_family_says_what_it_lacks(own, lab):
    del own.terms
    lab.one_line_error(lambda: zoo.configure(own, {}), "own_mlp", "terms")


def test_weights_of_another_version_of_a_family(own, lab):
    data = zoo.save(lab.fitted(own))
    own.build = lambda config, n_features: torch.nn.Linear(n_features, 1)
    lab.one_line_error(lambda: zoo.load(data, own), "own_mlp", "do not fit")


def test_fitted_is_frozen(mlp, lab):
    with pytest.raises(dataclasses.FrozenInstanceError):
        lab.fitted(mlp).seed = 2


def test_names_are_the_public_modules():
    assert {"conv_vae", "cnn_classifier", "dense_vae", "mlp_classifier"} <= set(zoo.names())
    assert zoo.names() == sorted(zoo.names()) and not any(name.startswith("_") for name in zoo.names())
