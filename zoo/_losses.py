"""The papers' loss terms, before any sum over features or events.

Aalbers et al. (XLZD), "Model-independent searches of new physics in DARWIN with a semi-supervised deep
learning pipeline", Eqs. 1 and 2.
"""

import math

import torch


def gaussian_nll(x: torch.Tensor, mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """-log N(x; mean, sigma^2) of every feature, with its full constant (Eq. 1; first term of Eq. 2)."""
    return 0.5 * (math.log(2 * math.pi) + log_variance + (x - mean).square() * torch.exp(-log_variance))


def kl_to_standard_normal(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """KL(N(mean, sigma^2) || N(0, 1)) of every latent dimension, unweighted (second term of Eq. 2)."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)
