"""Dense variational autoencoder, trained on ER events only.

Aalbers et al. (XLZD), "Model-independent searches of new physics in DARWIN with a semi-supervised deep
learning pipeline", Table 1, section 2.2.1 and Eqs. 1-2: encoder 3835-2000-500-2*128; a decoder of two
heads, each 128-500-2000-3835, for the mean and the log variance; Adamax.

What the paper leaves open:

- activations: Table 1 says all dense layers are linear, as is the default here; the encoder is then one
  linear map, and so is each head: width beyond the latent's, or depth, changes the training and not what
  can be represented. Table 2 names its activations, so that Table 1's may be an omission: `activation`;
- epochs: 30 as printed, while the quoted times (1 s per epoch, 40 s in all) imply 40, and a talk on the same
  network says 200: `epochs`;
- "an even sample of 2e4 ER and NR events" may be 2e4 of each or 1e4 of each, of which 30 % are for validation and
  the ER half is for this network: the study's `events.train_per_kind`;
- input scaling and initialisation are not given: see `preprocess` and `_layers.dense`;
- no bound on the log variances is mentioned. Many features are zero in almost every event: unbounded, their
  variance shrinks until one stray photon costs more than all else, or overflows. `log_variance_range` is in
  the unit of the scaled features: its default suits `max` and `log1p_standard`, `raw` counts want a higher
  end.

As printed, what the decoder leaves of one feature knows nothing of its neighbours. With `covariance_rank` r > 0 the
covariance of p(x|z) is structured (Dorta et al., "Structured uncertainty prediction networks", arXiv:1802.07079, in the
form of factors that all events share): sigma_D (1 + W W^T) sigma_D, with W of r columns, which training finds.
"""

import copy
from dataclasses import dataclass

import torch
from torch import nn

from zoo import _fields as fields
from zoo import _sizes as sizes
from zoo._adamax import Adamax
from zoo._choices import ACTIVATIONS, KINDS
from zoo._layers import bounded, composed, mlp
from zoo._losses import correlated, gaussian_nll, kl_to_standard_normal, latents

KIND = "autoencoder"
TRAINS_ON = ("ER",)


@dataclass(frozen=True)
class Config(fields.Stopping):
    """Table 1 as printed, and what it leaves open."""

    hidden: tuple[int, ...] = fields.widths((2000, 500))  # the encoder's units; each head mirrors them
    latent: int = fields.whole(128, at_least=1)
    beta: float = fields.real(10.0, at_least=0)  # weight of the KL term in training
    warm_up_epochs: int = fields.whole(0, at_least=0)  # over which the weight rises from 0; as printed: at once
    activation: str = fields.choice("linear", ACTIVATIONS)  # of the hidden layers
    log_variance_range: tuple[float, float] = fields.interval((-8.0, 4.0))  # of sigma_D^2 and sigma^2
    epochs: int = fields.whole(30, at_least=1)
    batch_size: int = fields.whole(10, at_least=1)
    learning_rate: float = fields.real(0.0005, above=0)
    validation_fraction: float = fields.real(0.3, above=0, below=1)
    preprocess: str = fields.choice("max", KINDS)
    covariance_rank: int = fields.later(fields.whole(0, at_least=0))  # of p(x|z): columns of W; 0: independent features


def size(config: Config, n_features: int) -> sizes.Size:
    """How large the network is."""
    factors = sizes.Size(n_features * config.covariance_rank, n_features * config.covariance_rank)
    return sizes.summed(*(sizes.dense(*widths) for widths in _widths(config, n_features)), factors)


def lean_size(config: Config, n_features: int) -> sizes.Size:
    """How large the network is that `lean` makes: of layers without activations the fewest products."""
    whole = size(config, n_features)
    if config.activation != "linear":
        return whole
    saved = (sizes.dense(*widths).products - widths[0] * widths[-1] for widths in _widths(config, n_features))
    return whole._replace(products=whole.products - sum(max(one, 0) for one in saved))


def composes(config: Config, n_features: int) -> bool:
    """Whether `lean` makes another network."""
    return lean_size(config, n_features) != size(config, n_features)


def _widths(config: Config, n_features: int) -> tuple[tuple[int, ...], ...]:
    """Of the encoder and the two heads."""
    head = config.latent, *reversed(config.hidden), n_features
    return (n_features, *config.hidden, 2 * config.latent), head, head


class DenseVAE(nn.Module):
    """Encoder to (mu, log sigma^2) and a two-headed decoder to (mu_D, log sigma_D^2)."""

    def __init__(self, config: Config, n_features: int):
        super().__init__()
        self.range = config.log_variance_range
        parts = [mlp(widths, config.activation) for widths in _widths(config, n_features)]
        self.encoder, self.mean_head, self.log_variance_head = parts
        if config.covariance_rank:
            start = torch.randn(n_features, config.covariance_rank) / n_features**0.5  # at 0 it would have no gradient
            self.factors = nn.Parameter(start)

    def encode(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """mu and log sigma^2 of q(z|x), each (n, latent)."""
        mu, raw = self.encoder(x).chunk(2, dim=1)
        return mu, bounded(raw, *self.range)

    def decode(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """mu_D and log sigma_D^2 of p(x|z), each (n, n_features)."""
        return self.mean_head(z), bounded(self.log_variance_head(z), *self.range)

    def nll(self, x: torch.Tensor, z: torch.Tensor, dtype: torch.dtype | None = None) -> torch.Tensor:
        """-ln p(x|z) per event (n,), summed over features in `dtype`."""
        mean, log_variance = self.decode(z)
        independent = gaussian_nll(x, mean, log_variance).sum(dim=1, dtype=dtype)
        factors = getattr(self, "factors", None)
        return independent if factors is None else independent + correlated(x, mean, log_variance, factors)


def build(config: Config, n_features: int) -> DenseVAE:
    """The network for vectors of n_features (3835 in the paper)."""
    return DenseVAE(config, n_features)


def optimizer(parameters, config: Config) -> torch.optim.Optimizer:
    """Adamax, Table 1."""
    return Adamax(parameters, lr=config.learning_rate)


def loss(module: DenseVAE, x: torch.Tensor, label: torch.Tensor, generator: torch.Generator, config: Config):
    """-ELBO of Eq. 2 with its beta, averaged over the batch, one draw of z per event; parts `recon`, `kl`."""
    mu, log_variance = module.encode(x)
    noise = torch.randn(mu.shape, generator=generator)
    recon = module.nll(x, mu + noise * torch.exp(0.5 * log_variance)).mean()
    kl = kl_to_standard_normal(mu, log_variance).sum(dim=1).mean()
    return recon + config.beta * kl, {"recon": recon.detach(), "kl": kl.detach()}


def terms(module: DenseVAE, x: torch.Tensor, n_latent: int = 0) -> dict[str, torch.Tensor]:
    """`recon` at z = mu, or its mean over n_latent z of q(z|x), and the unweighted `kl`, per event, in float64."""
    mu, log_variance = module.encode(x)
    recon = [module.nll(x, z, torch.float64) for z in latents(mu, log_variance, n_latent)]
    return {
        "recon": sum(recon) / len(recon),
        "kl": kl_to_standard_normal(mu, log_variance).sum(dim=1, dtype=torch.float64),
    }


def lean(module: DenseVAE) -> DenseVAE:
    """The same functions of an event in fewer products: each of encoder and heads, where it is linear, as one layer."""
    one = copy.copy(module)
    one._modules = {name: composed(layers) for name, layers in module.named_children()}
    return one


def encode(module: DenseVAE, x: torch.Tensor) -> torch.Tensor:
    """mu of q(z|x), (n, latent)."""
    return module.encode(x)[0]


def resample(module: DenseVAE, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """mu_D at one z of each event, drawn from q(z|x), (n, n_features), in scaled features."""
    mu, log_variance = module.encode(x)
    noise = torch.randn(mu.shape, generator=generator)
    return module.mean_head(mu + noise * torch.exp(0.5 * log_variance))


def reconstruct(module: DenseVAE, x: torch.Tensor) -> torch.Tensor:
    """mu_D at z = mu, (n, n_features), in scaled features."""
    return module.mean_head(encode(module, x))
