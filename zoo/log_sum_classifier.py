"""Perceptron on logarithms of weighted sums of a readout that tells ER (0) from NR (1).

It is of no paper. What tells the recoils apart is the ratio of two sums over thousands of samples and PMTs, and where
in the detector they come from: so the first layer takes weighted means of the features, whose positive weights it
learns, and of each the logarithm. A corrected S2 over a corrected S1 is then a difference of its units, as it is in
`summary_classifier`, but of sums that training chose. A perceptron of the features themselves has to build that ratio
from a million weights, and learns its training events by heart.

Nothing in it dies: weights are a softmax, and tanh and the logarithm have a slope everywhere. The learning rate falls
to 0, so that fits of other seeds end alike.
"""

from dataclasses import dataclass

import torch
from torch import nn

from zoo import _fields as fields
from zoo import _sizes as sizes
from zoo._choices import KINDS
from zoo._layers import mlp
from zoo._losses import cross_entropy

KIND = "classifier"
TRAINS_ON = ("ER", "NR")
SMALLEST = 1e-3  # of a weighted mean: where its logarithm ends, which goes on as a straight line
MIDDLE = 4.0  # of the logarithms of DARWIN's vectors, each feature over its maximum


@dataclass(frozen=True)
class Config(fields.FalsePositives, fields.Falling):
    """What a scan of widths, rates and epochs on DARWIN's vectors left: more epochs learn events by heart."""

    sums: int = fields.whole(32, at_least=1)
    hidden: tuple[int, ...] = fields.widths((32, 32))
    epochs: int = fields.whole(10, at_least=1)
    batch_size: int = fields.whole(100, at_least=1)
    learning_rate: float = fields.real(0.01, above=0)
    validation_fraction: float = fields.real(0.3, above=0, below=1)
    preprocess: str = fields.choice("max", KINDS)


def size(config: Config, n_features: int) -> sizes.Size:
    """How large the network is."""
    sums = sizes.Size(config.sums * n_features, config.sums * n_features)
    return sizes.summed(sums, sizes.dense(config.sums, *config.hidden, 1))


class LogSums(nn.Module):
    """(n, n_features) -> (n, sums): the logarithm of weighted means, and of what is small or negative a line."""

    def __init__(self, n_features: int, sums: int):
        super().__init__()
        self.log_weight = nn.Parameter(torch.empty(sums, n_features))
        nn.init.normal_(self.log_weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """About 0 for a middling event, and some 2 either way for the faintest and the brightest."""
        return torch.asinh(x @ self.log_weight.softmax(dim=1).T / SMALLEST) - MIDDLE


def build(config: Config, n_features: int) -> nn.Module:
    """The network for any vector of counts; its output (n, 1) is the logit."""
    return nn.Sequential(LogSums(n_features, config.sums), mlp((config.sums, *config.hidden, 1), "tanh"))


def optimizer(parameters, config: Config) -> torch.optim.Optimizer:
    """Adam, in its fused form."""
    return torch.optim.Adam(parameters, lr=config.learning_rate, fused=True)


def loss(module: nn.Module, x: torch.Tensor, label: torch.Tensor, generator: torch.Generator, config: Config):
    """The full binary cross-entropy, averaged over the batch, false positives weighted; part `accuracy` at p = 1/2."""
    return cross_entropy(module(x).squeeze(1), label, config.false_positive_weight)


def terms(module: nn.Module, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """`logit` per event; H_B = softplus(logit)."""
    return {"logit": module(x).squeeze(1).double()}
