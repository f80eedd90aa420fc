"""The networks of arXiv:2110.12248: their shapes as printed, slow twins, and both readings of what is ambiguous."""

import importlib

import numpy as np
import pytest
import torch
from scipy import stats

import zoo
from zoo._losses import kl_to_standard_normal

SIDE, COLOURS = 75, 3
SIDES_IN, SIDES_OUT = [75, 25, 12, 4, 2], [2, 4, 12, 75]


@pytest.fixture
def conv():
    return importlib.import_module("zoo.conv_vae")


@pytest.fixture
def cnn():
    return importlib.import_module("zoo.cnn_classifier")


def blobs(n, kind=0, seed=0):
    """White images with a dark square whose place differs by event, and its height by kind."""
    rng = np.random.default_rng((seed, kind))
    images = np.full((n, SIDE, SIDE, COLOURS), 255, np.uint8)
    for image, column in zip(images, rng.integers(5, 55, n), strict=True):
        image[10 : 20 + 30 * kind, column : column + 15] = rng.integers(0, 80, (1, 1, COLOURS))
    return images.reshape(n, -1)


def sides(module, x):
    """Pixels on a side of what goes through the layers that change it, the input first."""
    found = [x.shape[-1]] if x.dim() == 4 else []
    with torch.no_grad():
        for layer in module:
            x = layer(x)
            if x.dim() == 4 and (not found or x.shape[-1] != found[-1]):
                found.append(x.shape[-1])
    return found


# --- as printed


def test_conv_vae_defaults_are_section_6(conv):
    config = zoo.configure(conv, {})
    assert (config.filters, config.beta, config.epochs, config.batch_size) == (128, 0.5, 200, 100)
    module = conv.build(config, SIDE * SIDE * COLOURS)
    mu, log_variance = module.encode(torch.zeros(2, SIDE * SIDE * COLOURS))
    assert mu.shape == log_variance.shape == (2, 256)
    assert sides(module.encoder, torch.zeros(1, COLOURS, SIDE, SIDE)) == SIDES_IN
    assert sides(module.decoder, torch.zeros(1, 256)) == SIDES_OUT
    shapes = [tuple(w.shape) for w in module.parameters() if w.dim() > 1]
    assert shapes[:3] == [(128, 3, 3, 3), (128, 128, 3, 3), (128, 128, 3, 3)]
    assert shapes[3:] == [(512, 256), (128, 128, 3, 3), (128, 128, 3, 3), (128, 3, 3, 3)]
    slopes = {layer.negative_slope for layer in module.modules() if isinstance(layer, torch.nn.LeakyReLU)}
    assert slopes == {0.05}


@pytest.mark.parametrize(("latent_layer", "is_flattened"), [("flattened", True), ("dense", False)])
def test_what_the_latent_nodes_are(conv, latent_layer, is_flattened):
    module = conv.build(zoo.configure(conv, {"latent_layer": latent_layer}), SIDE * SIDE * COLOURS)
    x = torch.from_numpy(blobs(3) / np.float32(255))
    flattened = module.encoder(x.reshape(3, SIDE, SIDE, COLOURS).permute(0, 3, 1, 2))
    assert flattened.shape == (3, 512)
    assert torch.equal(module.encode(x)[0], flattened[:, :256]) == is_flattened


def test_cnn_defaults_are_fig_2(cnn):
    module = cnn.build(zoo.configure(cnn, {}), SIDE * SIDE * COLOURS)
    assert sides(module.layers, torch.zeros(1, COLOURS, SIDE, SIDE)) == [75, 73, 36, 34, 17]
    shapes = [tuple(w.shape) for w in module.parameters() if w.dim() > 1]
    assert shapes == [(20, 3, 3, 3), (20, 20, 3, 3), (1, 20 * 17 * 17)]
    hidden = cnn.build(zoo.configure(cnn, {"hidden": 20}), SIDE * SIDE * COLOURS)
    assert [tuple(w.shape) for w in hidden.parameters() if w.dim() == 2] == [(20, 20 * 17 * 17), (1, 20)]


def test_too_many_pools_leave_no_image(cnn, lab):
    build = cnn.build(zoo.configure(cnn, {"filters": [2] * 4}), SIDE * SIDE * COLOURS)
    assert sides(build.layers, torch.zeros(1, COLOURS, SIDE, SIDE))[-1] == 2
    five = zoo.configure(cnn, {"filters": [2] * 5})
    lab.one_line_error(lambda: cnn.build(five, SIDE * SIDE * COLOURS), "5 filters", "at most 4")


# --- slow twins


def leaky(values):
    return np.where(values > 0, values, 0.05 * values)


def padding_before(n, kernel=3, stride=3):
    """TensorFlow's "same": ceil(n / stride) values, and what padding that takes, the smaller half first."""
    return max((-(-n // stride) - 1) * stride + kernel - n, 0) // 2


def strided(image, layer):
    """(channels, n, n) -> (filters, ceil(n / 3), ceil(n / 3)), value by value."""
    n, before = image.shape[1], padding_before(image.shape[1])
    padded = np.pad(image, ((0, 0), (before, 3), (before, 3)))
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    steps = range(0, 3 * -(-n // 3), 3)
    values = [[(weight * padded[:, i : i + 3, j : j + 3]).sum(axis=(1, 2, 3)) for j in steps] for i in steps]
    return np.moveaxis(np.array(values), 2, 0) + bias[:, None, None]


def transposed(image, layer, n):
    """The transpose of `strided` for an image of n x n: every value paints 3 x 3 pixels, what lies outside is cut."""
    before, weight = padding_before(n), layer.weight.detach().numpy()
    canvas = np.zeros((weight.shape[1], n + 6, n + 6))
    for i, j in np.ndindex(image.shape[1:]):
        canvas[:, 3 * i : 3 * i + 3, 3 * j : 3 * j + 3] += np.tensordot(image[:, i, j], weight, 1)
    inside = slice(before, before + n)
    return canvas[:, inside, inside] + layer.bias.detach().numpy()[:, None, None]


@pytest.mark.parametrize(("side", "padding"), [(75, 0), (12, 0), (4, 1)])
def test_a_strided_convolution_is_that_of_torch_with_its_gradients(conv, side, padding):
    layer, slow = (make(5, 7, 3, stride=3, padding=padding).double() for make in (conv.Strided, torch.nn.Conv2d))
    hold(layer, slow, torch.randn(2, 5, side, side, dtype=torch.float64), slow)


@pytest.mark.parametrize(("side", "padding", "nearest"), [(2, 1, None), (4, 0, None), (12, 0, 25)])
def test_a_painted_convolution_is_that_of_torch_with_its_gradients(conv, side, padding, nearest):
    layer, slow = conv.Painted(5, 7, 3, padding, nearest), torch.nn.ConvTranspose2d(5, 7, 3, stride=3, padding=padding)
    larger = torch.nn.Upsample(nearest) if nearest else torch.nn.Identity()
    hold(layer.double(), slow.double(), torch.randn(2, 5, side, side, dtype=torch.float64),
         torch.nn.Sequential(larger, slow))  # fmt: skip


def hold(layer, slow, x, chain):
    """A layer has the values and the gradients of a chain around one with its weights."""
    slow.load_state_dict(layer.state_dict())
    values, inputs = [], [x.clone().requires_grad_() for _ in range(2)]
    for module, one in zip((layer, chain), inputs, strict=True):
        values.append(module(one))
        values[-1].pow(2).sum().backward()
    ours, theirs = ([value, one.grad, *(weight.grad for weight in made.parameters())]
                    for value, one, made in zip(values, inputs, (layer, slow), strict=True))  # fmt: skip
    for mine, wanted in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("output", ["linear", "sigmoid"])
def test_conv_vae_terms_agree_with_a_slow_twin(conv, lab, output):
    fit = lab.fitted(conv, output=output)
    convolutions = [layer for layer in fit.module.encoder if isinstance(layer, torch.nn.Conv2d)]
    spread, *deconvolutions = [layer for layer in fit.module.decoder if hasattr(layer, "weight")]
    terms, pixels = zoo.terms(fit, blobs(3)), blobs(3) / 255
    for event, x in enumerate(pixels):
        values = np.moveaxis(x.reshape(SIDE, SIDE, COLOURS), 2, 0)
        values = leaky(strided(values, convolutions[0]))
        values = values[:, :24, :24].reshape(4, 12, 2, 12, 2).max(axis=(2, 4))
        values = leaky(strided(leaky(strided(values, convolutions[1])), convolutions[2]))
        mu, raw = np.split(values.ravel(), 2)
        log_variance = -10 + np.logaddexp(0, 20 - np.logaddexp(0, 10 - raw))
        kl = (np.exp(log_variance) + mu**2 - log_variance - 1).sum()
        np.testing.assert_allclose(terms["kl"][event], kl, rtol=1e-4, atol=1e-5)
        values = leaky(spread.weight.detach().numpy() @ mu + spread.bias.detach().numpy()).reshape(4, 2, 2)
        values = leaky(transposed(values, deconvolutions[0], 4))
        values = leaky(transposed(values, deconvolutions[1], 12))
        nearest = np.arange(25) * 12 // 25
        values = transposed(values[:, nearest][:, :, nearest], deconvolutions[2], 75)
        values = 1 / (1 + np.exp(-values)) if output == "sigmoid" else values
        y = np.moveaxis(values, 0, 2).ravel()
        np.testing.assert_allclose(terms["recon"][event], ((x - y) ** 2).sum(), rtol=1e-4)
        np.testing.assert_allclose(zoo.reconstruct(fit, blobs(3))[event] / 255, y, rtol=1e-3, atol=1e-5)


# --- readings of the equations


def latent_terms(conv, sigma, mu, eq_9):
    module = conv.build(zoo.configure(conv, {"filters": 1, "eq_9": eq_9}), SIDE * SIDE * COLOURS)
    return module.latent_term(mu, 2 * torch.log(sigma)).double()


def test_eq_9_is_twice_the_kl_or_literal(conv):
    rng = np.random.default_rng(0)
    mu, sigma = torch.from_numpy(rng.normal(size=(5, 2))), torch.from_numpy(rng.uniform(0.2, 3, (5, 2)))
    kl = kl_to_standard_normal(mu, 2 * torch.log(sigma)).sum(dim=1)
    torch.testing.assert_close(latent_terms(conv, sigma, mu, "log_variance"), 2 * kl)
    literal = (sigma**2 + mu**2 - torch.log(sigma) - 1).sum(dim=1)
    torch.testing.assert_close(latent_terms(conv, sigma, mu, "log_sigma"), literal)


@pytest.mark.parametrize(("eq_9", "at", "lowest"), [("log_variance", 1.0, 0.0), ("log_sigma", 0.7071, -0.1534)])
def test_where_eq_9_is_minimal(conv, eq_9, at, lowest):
    sigma = torch.linspace(0.3, 2, 17_001, dtype=torch.float64)[:, None]
    values = latent_terms(conv, sigma, torch.zeros_like(sigma), eq_9)
    assert sigma[values.argmin()].item() == pytest.approx(at, abs=2e-4)
    assert values.min().item() == pytest.approx(lowest, abs=1e-4)


def test_a_mean_over_pixels_is_a_sum_over_16875(conv, lab):
    fit = lab.fitted(conv)
    summed = zoo.terms(fit, blobs(5))["recon"]
    fit.module.mse = "mean"
    np.testing.assert_allclose(zoo.terms(fit, blobs(5))["recon"] * 16875, summed, rtol=1e-12)


# --- they learn


def test_conv_vae_learns_where_the_square_is(conv, lab):
    config = lab.small(conv, filters=16, epochs=20, batch_size=10, learning_rate=0.005, output="sigmoid")
    fit = zoo.fit(conv, config, blobs(200), np.zeros(200, int), seed=1)
    events = blobs(100, seed=5)
    error = ((zoo.reconstruct(fit, events) - events) ** 2).mean()
    assert error < 0.6 * ((events - blobs(200).mean(axis=0)) ** 2).mean()
    er, other = (zoo.terms(fit, images)["recon"] for images in (events, blobs(100, kind=1, seed=5)))
    assert np.median(other) > np.quantile(er, 0.95)


def test_cnn_learns_the_height_of_the_square(cnn, lab):
    features, labels = np.concatenate([blobs(60, kind) for kind in (0, 1)]), np.repeat([0, 1], 60)
    fit = zoo.fit(cnn, lab.small(cnn, epochs=8, learning_rate=0.01), features, labels, seed=1)
    er, nr = (zoo.terms(fit, blobs(60, kind, seed=9))["logit"] for kind in (0, 1))
    assert stats.mannwhitneyu(nr, er).statistic / (len(er) * len(nr)) > 0.99


def test_summary_classifier_reaches_the_best_that_can_be_done():
    """Two Gaussian bands of log(cS2 / cS1), the same in all else: the best accuracy is Phi(distance / 2 sigma)."""
    summary = importlib.import_module("zoo.summary_classifier")

    def bands(n, seed):
        rng = np.random.default_rng(seed)
        labels = np.arange(n) % 2
        cs1, drift = np.exp(rng.uniform(2, 6, n)), rng.uniform(50, 2000, n)
        cs2 = cs1 * np.exp(4.0 - 0.6 * labels + rng.normal(0, 0.2, n))
        return np.column_stack([cs1, cs2, drift]).astype(np.float32), labels

    fit = zoo.fit(summary, summary.Config(), *bands(4000, 1), seed=1)
    features, labels = bands(4000, 2)
    accuracy = ((zoo.terms(fit, features)["logit"] > 0) == labels).mean()
    assert accuracy > stats.norm.cdf(0.6 / 0.4) - 0.015
