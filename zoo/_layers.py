"""Layers that several families share."""

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

LEAKY_SLOPE = 0.05  # the CVAE of the companion paper, arXiv:2110.12248
ACTIVATIONS = {
    "linear": nn.Identity,
    "relu": nn.ReLU,
    "leaky_relu": lambda: nn.LeakyReLU(LEAKY_SLOPE),
    "tanh": nn.Tanh,
}


def dense(n_in: int, n_out: int) -> nn.Linear:
    """A fully connected layer with Glorot-uniform weights and zero biases, the papers' TensorFlow default."""
    layer = nn.Linear(n_in, n_out)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def mlp(widths: tuple[int, ...], activation: str) -> nn.Sequential:
    """Dense layers widths[0] -> ... -> widths[-1], the activation between them; the last is linear."""
    *hidden, last = [dense(n_in, n_out) for n_in, n_out in pairwise(widths)]
    return nn.Sequential(*(part for layer in hidden for part in (layer, ACTIVATIONS[activation]())), last)


def bounded(raw: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """A smooth, monotone bound, the identity well inside (low, high).

    It keeps exp(-log variance) finite; a clamp would leave no gradient to come back by.
    """
    return low + F.softplus(high - low - F.softplus(high - raw))
