"""The papers' score: TS = -ELBO + R H_B, of an autoencoder and a classifier.

(XLZD, arXiv paper, Eq. 5; EPJC paper, section 3.) beta is the weight of the KL term that the autoencoder trained with.
"""

import numpy as np

from engine.inference.scores._terms import Terms, background_entropy, negative_elbo

ROLES = {"vae": ("autoencoder", "dense_vae"), "classifier": ("classifier", "mlp_classifier")}
WEIGHTED = True


def parameters(configs: dict[str, dict], options: object) -> dict[str, float]:
    """beta of the autoencoder."""
    return {"beta": float(configs["vae"]["beta"])}


def ts(terms: dict[str, Terms], R: float, parameters: dict[str, float]) -> np.ndarray:
    """TS = beta KL + reconstruction + R H_B, (n,)."""
    return negative_elbo(terms["vae"], parameters["beta"]) + R * background_entropy(terms["classifier"])


def words(parameters: dict[str, float]) -> str:
    """Its numbers."""
    return f"beta = {parameters['beta']:g}"
