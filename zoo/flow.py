"""Conditional normalising flow on summaries: how probable an electron recoil's S1 and S2 are, without an autoencoder.

-ln p(x | c) of corrected S1 and S2 given what does not tell recoils apart, their drift time, by neural spline flows
(Durkan, Bekasov, Murray & Papamakarios, arXiv:1906.04032) as zuko builds them. Where the ELBO of an autoencoder is a
bound on ln p, this is ln p itself, of three numbers instead of a readout: what it lacks against a network that sees
waveforms is what waveforms are worth. Density is of the features as `preprocess` scales them, and so is its unit.
It takes the representation `summary`, and with `given = 0` `corrected`, which has no drift time.
"""

from dataclasses import dataclass

import torch
import zuko
from torch import nn

from zoo import _fields as fields
from zoo._choices import KINDS

KIND = "density"
TRAINS_ON = ("ER",)
MOST_FEATURES = 3  # the numbers of a summary, and no readout


@dataclass(frozen=True)
class Config(fields.Stopping):
    """Enough transforms and bins that the validation loss no longer depends on them."""

    given: int = fields.whole(1, at_least=0)  # the last features, which are a condition: the drift time
    transforms: int = fields.whole(3, at_least=1)
    bins: int = fields.whole(8, at_least=2)  # of each spline
    hidden: tuple[int, ...] = fields.widths((64, 64))
    epochs: int = fields.whole(15, at_least=1)
    batch_size: int = fields.whole(200, at_least=1)
    learning_rate: float = fields.real(0.002, above=0)
    validation_fraction: float = fields.real(0.3, above=0, below=1)
    preprocess: str = fields.choice("log1p_standard", KINDS)


def check(config: Config, n_features: int) -> None:
    """Raise ValueError, one sentence, where nothing is left beside what is given."""
    if config.given >= n_features:
        raise ValueError(f"flow: given = {config.given} leaves nothing of {n_features} features")


class Flow(nn.Module):
    """ln p of the first features under the last."""

    def __init__(self, config: Config, n_features: int):
        super().__init__()
        check(config, n_features)
        self.n = n_features - config.given
        sizes = {"features": self.n, "context": config.given, "bins": config.bins, "transforms": config.transforms}
        self.density = zuko.flows.NSF(**sizes, hidden_features=config.hidden, activation=nn.Tanh)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """ln p, (n,)."""
        if not len(x):
            return x.new_zeros(0)  # torch's transforms refuse an empty batch
        return self.density(x[:, self.n :] if self.n < x.shape[1] else None).log_prob(x[:, : self.n])


def build(config: Config, n_features: int) -> Flow:
    """The flow over the features that are not given."""
    return Flow(config, n_features)


def optimizer(parameters, config: Config) -> torch.optim.Optimizer:
    """Adam, in its fused form."""
    return torch.optim.Adam(parameters, lr=config.learning_rate, fused=True)


def loss(module: Flow, x: torch.Tensor, label: torch.Tensor, generator: torch.Generator, config: Config):
    """-ln p, averaged over the batch."""
    return -module(x).mean(), {}


def terms(module: Flow, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """`log_density` per event."""
    return {"log_density": module(x).double()}
