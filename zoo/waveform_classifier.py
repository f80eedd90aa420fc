"""Convolutions over the waveforms and sums over the hits of a `vector`, that tell ER (0) from NR (1).

No paper's: what a network gains from knowing that a waveform is one. Each of `sections`, the stretches of the vector
(for `darwin` S1, S2 and the hits of both arrays, `engine.physics.representations.vector`), has a tower of its own of
1-D convolutions with strides, over log1p of its samples, and gives it the means of the last channels and the logarithm
of the stretch's sum: S1 and S2 themselves, the two numbers that tell most, which a network of dense layers has to
learn to add up from thousands of samples. Sums over hits do not depend on how tubes are numbered.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn

from zoo import _fields as fields
from zoo import _sizes as sizes
from zoo._choices import KINDS
from zoo._layers import LEAKY_SLOPE, glorot, mlp
from zoo._losses import cross_entropy

KIND = "classifier"
TRAINS_ON = ("ER", "NR")
KERNEL, STRIDE = 7, 4


@dataclass(frozen=True)
class Config(fields.FalsePositives, fields.Stopping):
    """`sections`: lengths of the stretches of a vector, in their order, whose sum is its length; or none: one."""

    sections: tuple[int, ...] = fields.lengths(())
    filters: tuple[int, ...] = fields.widths((8, 16, 16))  # of the convolutions, first to last
    hidden: int = fields.whole(32, at_least=1)
    epochs: int = fields.whole(6, at_least=1)
    batch_size: int = fields.whole(100, at_least=1)
    learning_rate: float = fields.real(0.002, above=0)
    validation_fraction: float = fields.real(0.3, above=0, below=1)
    preprocess: str = fields.choice("raw", KINDS)


def size(config: Config, n_features: int) -> sizes.Size:
    """How large the network is."""
    sections, parts = config.sections or (n_features,), []
    for length in sections:
        for n_in, n_out in pairwise((1, *config.filters)):
            length = (length + 2 * (KERNEL // 2) - KERNEL) // STRIDE + 1
            parts.append(sizes.convolution(n_in, n_out, KERNEL, length))
    return sizes.summed(*parts, sizes.dense(len(sections) * (config.filters[-1] + 1), config.hidden, 1))


class Waveforms(nn.Module):
    """A tower for each stretch, and a small perceptron over what they give."""

    def __init__(self, config: Config, n_features: int):
        super().__init__()
        self.sections = config.sections or (n_features,)
        self.towers = nn.ModuleList(_tower(config.filters) for _ in self.sections)
        self.head = mlp((len(self.sections) * (config.filters[-1] + 1), config.hidden, 1), "tanh")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The logit, (n,)."""
        parts = zip(self.towers, x.clamp(min=0).split(self.sections, dim=1), strict=True)
        seen = [part for tower, stretch in parts for part in (_means(tower, stretch), _ln_sum(stretch))]
        return self.head(torch.cat(seen, dim=1)).squeeze(1)


def _tower(filters: tuple[int, ...]) -> nn.Sequential:
    layers = [glorot(nn.Conv1d(a, b, KERNEL, STRIDE, padding=KERNEL // 2)) for a, b in pairwise((1, *filters))]
    return nn.Sequential(*(part for layer in layers for part in (layer, nn.LeakyReLU(LEAKY_SLOPE))))


def _means(tower: nn.Module, stretch: torch.Tensor) -> torch.Tensor:
    return tower(stretch.log1p().unsqueeze(1)).mean(dim=2)


def _ln_sum(stretch: torch.Tensor) -> torch.Tensor:
    return stretch.sum(dim=1, keepdim=True).log1p()


def check(config: Config, n_features: int) -> None:
    """Raise ValueError, one sentence, unless the sections are those of a vector of n_features."""
    if config.sections and sum(config.sections) != n_features:
        given = " + ".join(map(str, config.sections))
        raise ValueError(f"waveform_classifier: sections = {given} = {sum(config.sections)}, of {n_features} values")


def build(config: Config, n_features: int) -> Waveforms:
    """The network for vectors of n_features."""
    return Waveforms(config, n_features)


def optimizer(parameters, config: Config) -> torch.optim.Optimizer:
    """Adam, in its fused form."""
    return torch.optim.Adam(parameters, lr=config.learning_rate, fused=True)


def loss(module: Waveforms, x: torch.Tensor, label: torch.Tensor, generator: torch.Generator, config: Config):
    """The full binary cross-entropy, averaged over the batch, false positives weighted; part `accuracy` at p = 1/2."""
    return cross_entropy(module(x), label, config.false_positive_weight)


def terms(module: Waveforms, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """`logit` per event; H_B = softplus(logit)."""
    return {"logit": module(x).double()}
