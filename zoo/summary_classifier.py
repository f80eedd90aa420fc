"""Small perceptron on a few numbers of an event, such as corrected S1, corrected S2 and drift time, that tells ER (0)
from NR (1).

It is of no paper. On the representation `summary` it is the floor: a network that sees waveforms, hit patterns or
images has these three numbers in its input too, and what it gains is what the rest of the readout is worth. On
`detected_quanta` it is the ceiling. Logarithms, for S1 and S2 span three decades and what tells the recoils apart is
their ratio.
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
MOST_FEATURES = 4  # numbers of a summary, and no readout


@dataclass(frozen=True)
class Config(fields.FalsePositives, fields.Stopping):
    """Enough units and epochs that the accuracy no longer depends on them."""

    hidden: tuple[int, ...] = fields.widths((32, 32))
    epochs: int = fields.whole(30, at_least=1)
    batch_size: int = fields.whole(100, at_least=1)
    learning_rate: float = fields.real(0.005, above=0)
    validation_fraction: float = fields.real(0.3, above=0, below=1)
    preprocess: str = fields.choice("log1p_standard", KINDS)


def size(config: Config, n_features: int) -> sizes.Size:
    """How large the network is."""
    return sizes.dense(n_features, *config.hidden, 1)


def build(config: Config, n_features: int) -> nn.Module:
    """The network for a few numbers."""
    return mlp((n_features, *config.hidden, 1), "tanh")


def optimizer(parameters, config: Config) -> torch.optim.Optimizer:
    """Adam, in its fused form."""
    return torch.optim.Adam(parameters, lr=config.learning_rate, fused=True)


def loss(module: nn.Module, x: torch.Tensor, label: torch.Tensor, generator: torch.Generator, config: Config):
    """The full binary cross-entropy, averaged over the batch, false positives weighted; part `accuracy` at p = 1/2."""
    return cross_entropy(module(x).squeeze(1), label, config.false_positive_weight)


def terms(module: nn.Module, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """`logit` per event; H_B = softplus(logit)."""
    return {"logit": module(x).squeeze(1).double()}
