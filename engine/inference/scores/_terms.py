"""Numbers of one model's terms, from which scores are made."""

import numpy as np

Terms = dict[str, np.ndarray]


def negative_elbo(terms: Terms, beta: float) -> np.ndarray:
    """-ELBO = beta KL + reconstruction, in nat, (n,)."""
    return beta * terms["kl"] + terms["recon"]


def background_entropy(terms: Terms) -> np.ndarray:
    """H_B = -log(1 - p) = softplus(logit), (n,), for every event (EPJC paper, section 3): finite as p -> 1."""
    return np.logaddexp(0, terms["logit"])
