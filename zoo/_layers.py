"""Layers that several families share."""

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

from zoo._choices import ACTIVATIONS, IMAGE_SHAPE

LEAKY_SLOPE = 0.05  # the CVAE of the companion paper, arXiv:2110.12248
MAKES = dict(zip(ACTIVATIONS, (nn.Identity, nn.ReLU, lambda: nn.LeakyReLU(LEAKY_SLOPE), nn.Tanh), strict=True))


def dense(n_in: int, n_out: int) -> nn.Linear:
    """A fully connected layer, initialised as `glorot` says."""
    return glorot(nn.Linear(n_in, n_out))


def glorot(layer: nn.Module) -> nn.Module:
    """The layer with Glorot-uniform weights and zero biases, the papers' TensorFlow default."""
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def mlp(widths: tuple[int, ...], activation: str) -> nn.Sequential:
    """Dense layers widths[0] -> ... -> widths[-1], the activation between them; the last is linear."""
    *hidden, last = [dense(n_in, n_out) for n_in, n_out in pairwise(widths)]
    return nn.Sequential(*(part for layer in hidden for part in (layer, MAKES[activation]())), last)


@torch.no_grad()
def composed(layers: nn.Sequential) -> nn.Sequential:
    """Linear layers without an activation as the one that they are, multiplied in float64, where that takes fewer
    products; else the layers themselves. Last bits are not those of one after the other."""
    parts = [part for part in layers if not isinstance(part, nn.Identity)]
    n_products = sum(part.weight.numel() for part in parts if isinstance(part, nn.Linear))
    first, last = parts[0], parts[-1]
    if not all(isinstance(part, nn.Linear) for part in parts) or first.in_features * last.out_features >= n_products:
        return layers
    if first.in_features < last.out_features:  # from the narrow end, which takes the fewest products
        weight, bias = first.weight.double(), first.bias.double()
        for part in parts[1:]:
            weight, bias = part.weight.double() @ weight, part.weight.double() @ bias + part.bias.double()
    else:
        weight, bias = last.weight.double(), last.bias.double()
        for part in parts[-2::-1]:
            bias, weight = bias + weight @ part.bias.double(), weight @ part.weight.double()
    one = nn.utils.skip_init(nn.Linear, first.in_features, last.out_features)
    one.weight.copy_(weight)
    one.bias.copy_(bias)
    return nn.Sequential(one)


def bounded(raw: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """A smooth, monotone bound, the identity well inside (low, high).

    It keeps exp(-log variance) finite; a clamp would leave no gradient to come back by.
    """
    return low + F.softplus(high - low - F.softplus(high - raw))


def as_images(x: torch.Tensor) -> torch.Tensor:
    """(n, 16875) as (n, colours, rows, columns)."""
    return x.reshape(-1, *IMAGE_SHAPE).permute(0, 3, 1, 2)


def as_features(images: torch.Tensor) -> torch.Tensor:
    """Inverse of `as_images`."""
    return images.permute(0, 2, 3, 1).flatten(1)
