"""Convolutional variational autoencoder of event images, trained on ER events only.

Herrero-Garcia, Patrick and Scaffidi, "A semi-supervised approach to dark matter searches in direct detection
data with machine learning", arXiv:2110.12248, section VI, Fig. 2 and Eqs. 7-10: images of 75 x 75 x 3; three
convolutions of 128 filters, 3 x 3, stride 3, "same" padding, LeakyReLU of slope 0.05, a 2 x 2 pool behind the
first and a 1 x 1 pool, which does nothing, behind the second: 75-25-12-4-2 pixels on a side, 512 values. The
decoder is the reflection, by transposed convolutions. 200 epochs, batches of 100, beta 0.5; 16000 ER images to
train on and 4000 beside them.

What the paper leaves open, or says twice:

- the 512 values and the 512 latent nodes, 256 means and 256 variances: "flattened onto" (Fig. 2) makes the values
  the nodes, with the last LeakyReLU upon them, and is the default; "flattened and encoded onto" may be a dense
  layer between the two: `latent_layer`. The nodes of the variances are taken for log sigma^2, kept within
  LOG_VARIANCE_RANGE;
- Eq. 9, sum of sigma^2 + mu^2 - log(sigma) - 1, "clearly minimized for sigma = 1". It is if the logarithm is of
  sigma^2, and then twice KL(q(z|x) || N(0, 1)), so that beta 0.5 is a plain VAE: the default. As printed its
  minimum is -0.153 per dimension at sigma = 0.707: `eq_9`;
- Eq. 7, (1/N) sum (x_i - y_i)^2: N counts events, and their squared errors are summed over 16875 pixels; or it
  counts pixels too, as TensorFlow's mean squared error does: `mse`. R = 170 of Eq. 10 means something else in
  each. The sum is the default: its values are of the order of R H_B, and a mean, below 0.1, would have the KL
  term leave nothing of the latent space to draw Fig. 4 from;
- "same" transposed convolutions triple a side, and no chain of them mirrors 4-2 or 25-12: each is given its output
  size instead, the 2 x 2 pool is undone by the nearest pixel, 12-25, and the dense layer of Fig. 2 is 256-512;
- kind of pool (maximum here), the last activation (`output`), the optimiser and its rate (TensorFlow's Adam
  here), the scaling (the public code for these images divides by 255: `byte`).

`recon` is a squared error and no normalised density: as one, it would give every pixel the variance 1/2, without
its constant.
"""

from dataclasses import dataclass

import torch
from torch import nn

from zoo import _fields as fields
from zoo import _sizes as sizes
from zoo._choices import IMAGE_LENGTH, IMAGE_SHAPE, KINDS
from zoo._layers import LEAKY_SLOPE, as_features, as_images, bounded, dense, glorot
from zoo._losses import latents

KIND = "autoencoder"
VERSION = 2  # products of matrices, whose last bits are not those of convolutions
TRAINS_ON = ("ER",)
INPUT_SHAPE = IMAGE_SHAPE
LOG_VARIANCE_RANGE = (-10.0, 10.0)  # the identity well inside; keeps exp(log sigma^2) finite
INNER = 2  # pixels on a side behind the last convolution


@dataclass(frozen=True)
class Config(fields.Stopping):
    """Section VI as printed, and what it leaves open."""

    filters: int = fields.whole(128, at_least=1)  # of each convolution; twice as many means
    latent_layer: str = fields.choice("flattened", ("flattened", "dense"))
    beta: float = fields.real(0.5, at_least=0)  # weight of Eq. 9 in Eq. 8
    warm_up_epochs: int = fields.whole(0, at_least=0)  # over which the weight rises from 0; as printed: at once
    eq_9: str = fields.choice("log_variance", ("log_variance", "log_sigma"))
    mse: str = fields.choice("sum", ("sum", "mean"))
    output: str = fields.choice("linear", ("linear", "sigmoid"))
    epochs: int = fields.whole(200, at_least=1)
    batch_size: int = fields.whole(100, at_least=1)
    learning_rate: float = fields.real(0.001, above=0)
    validation_fraction: float = fields.real(0.2, above=0, below=1)
    preprocess: str = fields.choice("byte", KINDS)


def size(config: Config, n_features: int) -> sizes.Size:
    """How large the network is."""
    filters, n_flat, colours = config.filters, config.filters * INNER**2, IMAGE_SHAPE[2]
    inner = [sizes.patches(filters, filters, 9, side**2) for side in (4, INNER)]
    encoder, decoder = sizes.patches(colours, filters, 9, 25**2), sizes.patches(filters, colours, 9, 12**2)
    latent = [sizes.dense(n_flat, n_flat)] if config.latent_layer == "dense" else []
    return sizes.summed(encoder, *inner, *latent, sizes.dense(n_flat // 2, n_flat), *inner, decoder)


class ConvVAE(nn.Module):
    """Encoder to (mu, log sigma^2), decoder to an image, and the readings of Eqs. 7 and 9."""

    def __init__(self, config: Config):
        super().__init__()
        n_flat = config.filters * INNER**2
        self.eq_9, self.mse = config.eq_9, config.mse
        self.encoder = _encoder(config.filters)
        self.latent_layer = dense(n_flat, n_flat) if config.latent_layer == "dense" else nn.Identity()
        self.decoder = _decoder(config.filters, config.output)

    def encode(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """mu and log sigma^2 of q(z|x), each (n, 2 filters)."""
        mu, raw = self.latent_layer(self.encoder(as_images(x))).chunk(2, dim=1)
        return mu, bounded(raw, *LOG_VARIANCE_RANGE)

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """The image, (n, 16875), in scaled features."""
        return as_features(self.decoder(z))

    def squared_error(self, x: torch.Tensor, y: torch.Tensor, dtype: torch.dtype | None = None) -> torch.Tensor:
        """Eq. 7 per event, (n,): summed over pixels, or their mean."""
        total = (x - y).square().sum(dim=1, dtype=dtype)
        return total / IMAGE_LENGTH if self.mse == "mean" else total

    def latent_term(self, mu: torch.Tensor, log_variance: torch.Tensor, dtype: torch.dtype | None = None):
        """Eq. 9 per event, (n,), with the logarithm of sigma^2 or of sigma."""
        logarithm = log_variance if self.eq_9 == "log_variance" else 0.5 * log_variance
        return (log_variance.exp() + mu.square() - logarithm - 1).sum(dim=1, dtype=dtype)


class Strided(nn.Conv2d):
    """A convolution whose stride is its side: patches do not overlap, and it is one product of matrices."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, channels, side, side) as (n, filters, side', side'), channels last in memory."""
        (step, _), (edge, _) = self.stride, self.padding
        x = nn.functional.pad(x, (edge,) * 4).permute(0, 2, 3, 1)
        side = x.shape[1] // step
        patches = x[:, : side * step, : side * step].unflatten(1, (side, step)).unflatten(3, (side, step))
        rows = patches.transpose(2, 3).reshape(-1, step * step * self.in_channels)
        weight = self.weight.permute(2, 3, 1, 0).reshape(-1, self.out_channels)
        return torch.addmm(self.bias, rows, weight).view(-1, side, side, self.out_channels).permute(0, 3, 1, 2)


class Painted(nn.ConvTranspose2d):
    """A transposed convolution whose stride is its side: each value paints pixels of its own.

    nearest: pixels on a side to which its input is first enlarged by the nearest value. It is the product that is
    enlarged, of which every pixel would have been the same.
    """

    def __init__(self, n_in: int, n_out: int, step: int, padding: int, nearest: int | None = None):
        super().__init__(n_in, n_out, step, stride=step, padding=padding)
        self.nearest = nearest

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, channels, side, side) as (n, filters, side', side'), channels last in memory."""
        (step, _), (edge, _) = self.stride, self.padding
        weight = self.weight.permute(0, 2, 3, 1).reshape(self.in_channels, -1)
        blocks = (x.permute(0, 2, 3, 1) @ weight).permute(0, 3, 1, 2)
        if self.nearest:
            blocks = nn.functional.interpolate(blocks, self.nearest)
        side = blocks.shape[2]
        pixels = blocks.permute(0, 2, 3, 1).unflatten(3, (step, step, self.out_channels)).transpose(2, 3)
        pixels = pixels.reshape(-1, side * step, side * step, self.out_channels) + self.bias
        return pixels[:, edge : side * step - edge, edge : side * step - edge].permute(0, 3, 1, 2)


def _encoder(filters: int) -> nn.Sequential:
    """75-25-12-4-2, flattened; "same" asks for a padding of one pixel at 4, and for none at 75 and 12."""
    first, second, third = (
        glorot(Strided(n_in, filters, 3, stride=3, padding=padding))
        for n_in, padding in ((IMAGE_SHAPE[2], 0), (filters, 0), (filters, 1))
    )
    return nn.Sequential(
        first, nn.MaxPool2d(2), nn.LeakyReLU(LEAKY_SLOPE),  # in either order: the slope changes no maximum's place
        second, nn.LeakyReLU(LEAKY_SLOPE),
        third, nn.LeakyReLU(LEAKY_SLOPE), nn.Flatten(),
    )  # fmt: skip


def _decoder(filters: int, output: str) -> nn.Sequential:
    """The reflection, 2-4-12-25-75: a transposed convolution gets the size that its convolution took."""
    third, second, first = (
        glorot(Painted(filters, n_out, 3, padding, nearest))
        for n_out, padding, nearest in ((filters, 1, None), (filters, 0, None), (IMAGE_SHAPE[2], 0, 25))
    )
    n_flat = filters * INNER**2
    return nn.Sequential(
        dense(n_flat // 2, n_flat), nn.LeakyReLU(LEAKY_SLOPE), nn.Unflatten(1, (filters, INNER, INNER)),
        third, nn.LeakyReLU(LEAKY_SLOPE),
        second, nn.LeakyReLU(LEAKY_SLOPE),
        first, nn.Sigmoid() if output == "sigmoid" else nn.Identity(),
    )  # fmt: skip


def build(config: Config, n_features: int) -> ConvVAE:
    """The network for images of 75 x 75 x 3."""
    return ConvVAE(config)


def optimizer(parameters, config: Config) -> torch.optim.Optimizer:
    """Adam, in its fused form; the paper names none."""
    return torch.optim.Adam(parameters, lr=config.learning_rate, fused=True)


def loss(module: ConvVAE, x: torch.Tensor, label: torch.Tensor, generator: torch.Generator, config: Config):
    """Eq. 8, averaged over the batch, one draw of z per event; parts `recon`, `kl`."""
    mu, log_variance = module.encode(x)
    noise = torch.randn(mu.shape, generator=generator)
    recon = module.squared_error(x, module.decode(mu + noise * torch.exp(0.5 * log_variance))).mean()
    kl = module.latent_term(mu, log_variance).mean()
    return recon + config.beta * kl, {"recon": recon.detach(), "kl": kl.detach()}


def terms(module: ConvVAE, x: torch.Tensor, n_latent: int = 0) -> dict[str, torch.Tensor]:
    """`recon`, the squared error at z = mu or its mean over n_latent z, and `kl`, Eq. 9 without beta, per event, in
    float64."""
    mu, log_variance = module.encode(x)
    recon = [module.squared_error(x, module.decode(z), torch.float64) for z in latents(mu, log_variance, n_latent)]
    return {
        "recon": sum(recon) / len(recon),
        "kl": module.latent_term(mu, log_variance, torch.float64),
    }


def encode(module: ConvVAE, x: torch.Tensor) -> torch.Tensor:
    """mu of q(z|x), (n, 2 filters)."""
    return module.encode(x)[0]


def resample(module: ConvVAE, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """The image at one z of each event, drawn from q(z|x), (n, 16875), in scaled features."""
    mu, log_variance = module.encode(x)
    noise = torch.randn(mu.shape, generator=generator)
    return module.decode(mu + noise * torch.exp(0.5 * log_variance))


def reconstruct(module: ConvVAE, x: torch.Tensor) -> torch.Tensor:
    """The image at z = mu, (n, 16875), in scaled features."""
    return module.decode(encode(module, x))
