"""The papers' loss terms.

Those of the autoencoder are of single features, before any sum: Aalbers et al. (XLZD), "Model-independent
searches of new physics in DARWIN with a semi-supervised deep learning pipeline", Eqs. 1 and 2.
"""

import math

import torch
from torch.nn import functional as F

LATENT_SEED = 1  # of the points of N(0, 1) that all scores share


def gaussian_nll(x: torch.Tensor, mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """-log N(x; mean, sigma^2) of every feature, with its full constant (Eq. 1; first term of Eq. 2)."""
    return 0.5 * (math.log(2 * math.pi) + log_variance + (x - mean).square() * torch.exp(-log_variance))


def correlated(
    x: torch.Tensor, mean: torch.Tensor, log_variance: torch.Tensor, factors: torch.Tensor
) -> torch.Tensor:
    """What features that move together add to the sum of `gaussian_nll` over features, per event (n,).

    The covariance is sigma (1 + W W^T) sigma, W = `factors` (features, rank): by the lemmas of Woodbury and of
    Sylvester with matrices of rank x rank alone.
    """
    pulls = (x - mean) * torch.exp(-0.5 * log_variance) @ factors
    lower = torch.linalg.cholesky(torch.eye(factors.shape[1], device=factors.device) + factors.T @ factors)
    whitened = torch.linalg.solve_triangular(lower, pulls.T.to(lower.dtype), upper=False)
    return lower.diagonal().log().sum() - 0.5 * whitened.square().sum(dim=0)


def kl_to_standard_normal(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """KL(N(mean, sigma^2) || N(0, 1)) of every latent dimension, unweighted (second term of Eq. 2)."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)


def latents(mean: torch.Tensor, log_variance: torch.Tensor, n: int) -> list[torch.Tensor]:
    """Values of z at which a score takes the decoder, each like the mean: the mean itself for n = 0, else n of q(z|x).

    They lie mean +- sigma e, with the same e of N(0, 1) for all events, so that a score is a function of its event;
    in pairs of opposite sign (n even), in which what is odd in e has no noise.
    """
    if n == 0:
        return [mean]
    noise = torch.randn((n // 2, 1, mean.shape[1]), generator=torch.Generator().manual_seed(LATENT_SEED))
    away = noise.to(mean.device) * torch.exp(0.5 * log_variance)
    return [*(mean + away), *(mean - away)]


def cross_entropy(
    logit: torch.Tensor, label: torch.Tensor, false_positive_weight: float = 0.0
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The full binary cross-entropy, averaged over the batch, and the part `accuracy` at p = 1/2.

    Both papers print the label-0 half alone (their Eqs. 4 and 11): that is the score, and to train on it would
    be to call every event ER.

    A search lives in the tail: of electron recoils those that count are called NR with a p near 1. With a weight w an
    electron recoil costs 1 + w p^2 times as much, p held fixed when gradients are taken: the modulating factor of the
    focal loss (Lin, Goyal, Girshick, He & Dollar, arXiv:1708.02002, Eq. 4, with its gamma of 2), of one class alone.
    Where the densities of the kinds are e and n, it is least at p (1 + w p^2) / (1 - p) = n / e: p rises with n / e
    whatever w is, so that the best order of events stays the best, and a network spends itself on its upper end.
    """
    accuracy = ((logit.detach() > 0) == (label > 0.5)).float().mean()
    if not false_positive_weight:
        return F.binary_cross_entropy_with_logits(logit, label), {"accuracy": accuracy}
    cost = 1 + false_positive_weight * (1 - label) * torch.sigmoid(logit.detach()).square()
    return F.binary_cross_entropy_with_logits(logit, label, cost), {"accuracy": accuracy}
