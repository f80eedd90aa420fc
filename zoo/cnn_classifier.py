"""Convolutional network that tells images of ER (0) from those of NR (1).

Herrero-Garcia, Patrick and Scaffidi, arXiv:2110.12248, Fig. 2 and Eq. 11: two convolutions, each with its pool,
flattened into a single dense output with a sigmoid. The figure prints no more, and footnote 4 says "tuned slightly
with respect to" Khosa, Mars, Richards and Sanz, arXiv:1911.09210; the rest is from the public code of that work
(CNN.py of LucyMars/SearchForDarkMatter): 20 filters of 3 x 3 without padding, LeakyReLU of slope 0.05, pools of the
maximum of 2 x 2, Adam with its defaults, batches of 100, 40 epochs, a fifth kept for validation, pixels over 255.

What differs between the two, or is left out:

- the code has a dense layer of 20 units before the output, which Fig. 2 has not: `hidden`, 0 for none;
- the code's dropout of 1/4 and its L2 penalties are neither in the figure nor here;
- Eq. 11 is the label-0 half of the cross-entropy, the score; both halves are trained on.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn

from zoo import _fields as fields
from zoo import _sizes as sizes
from zoo._choices import IMAGE_SHAPE, KINDS
from zoo._layers import LEAKY_SLOPE, as_images, dense, glorot
from zoo._losses import cross_entropy

KIND = "classifier"
TRAINS_ON = ("ER", "NR")
INPUT_SHAPE = IMAGE_SHAPE


@dataclass(frozen=True)
class Config(fields.FalsePositives, fields.Stopping):
    """Fig. 2, and the public code where it is silent."""

    filters: tuple[int, ...] = fields.widths((20, 20))  # of the convolutions, first to last
    hidden: int = fields.whole(0, at_least=0)  # units before the output; 0: the flattened values are its input
    epochs: int = fields.whole(40, at_least=1)
    batch_size: int = fields.whole(100, at_least=1)
    learning_rate: float = fields.real(0.001, above=0)
    validation_fraction: float = fields.real(0.2, above=0, below=1)
    preprocess: str = fields.choice("byte", KINDS)


def size(config: Config, n_features: int) -> sizes.Size:
    """How large the network is."""
    side, parts = IMAGE_SHAPE[0], []
    for n_in, n_out in pairwise((IMAGE_SHAPE[2], *config.filters)):
        parts.append(sizes.convolution(n_in, n_out, 9, (side - 2) ** 2))
        side = (side - 2) // 2
    hidden = (config.hidden,) if config.hidden else ()
    return sizes.summed(*parts, sizes.dense(config.filters[-1] * side**2, *hidden, 1))


class CNN(nn.Module):
    """Convolutions and pools, 75-73-36-34-17 by default, flattened into the logit."""

    def __init__(self, config: Config):
        super().__init__()
        side = _side(len(config.filters))
        n_flat = config.filters[-1] * side**2
        hidden = [dense(n_flat, config.hidden), nn.LeakyReLU(LEAKY_SLOPE)] if config.hidden else []
        blocks = [part for pair in pairwise((IMAGE_SHAPE[2], *config.filters)) for part in _block(*pair)]
        self.layers = nn.Sequential(*blocks, nn.Flatten(), *hidden, dense(config.hidden or n_flat, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The logit, (n,)."""
        return self.layers(as_images(x)).squeeze(1)


def _block(n_in: int, n_out: int) -> tuple[nn.Module, nn.Module, nn.Module]:
    return glorot(nn.Conv2d(n_in, n_out, 3)), nn.LeakyReLU(LEAKY_SLOPE), nn.MaxPool2d(2)


def _side(n_blocks: int) -> int:
    """Pixels on a side behind the last pool; raises ValueError if none are left."""
    side = IMAGE_SHAPE[0]
    for _ in range(n_blocks):
        side = (side - 2) // 2
    if side < 1:
        raise ValueError(f"cnn_classifier: {n_blocks} filters leave no pixel of {IMAGE_SHAPE[0]}; give at most 4.")
    return side


def build(config: Config, n_features: int) -> CNN:
    """The network for images of 75 x 75 x 3."""
    return CNN(config)


def optimizer(parameters, config: Config) -> torch.optim.Optimizer:
    """Adam, in its fused form."""
    return torch.optim.Adam(parameters, lr=config.learning_rate, fused=True)


def loss(module: CNN, x: torch.Tensor, label: torch.Tensor, generator: torch.Generator, config: Config):
    """The full binary cross-entropy, averaged over the batch, false positives weighted; part `accuracy` at p = 1/2."""
    return cross_entropy(module(x), label, config.false_positive_weight)


def terms(module: CNN, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """`logit` per event; H_B = softplus(logit)."""
    return {"logit": module(x).double()}
