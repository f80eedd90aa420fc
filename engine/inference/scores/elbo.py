"""TS = -ELBO of an autoencoder alone: what knows no nuclear recoil."""

import numpy as np

from engine.inference.scores._terms import Terms, negative_elbo

ROLES = {"vae": ("autoencoder", "dense_vae")}
WEIGHTED = False


def parameters(configs: dict[str, dict], options: object) -> dict[str, float]:
    """beta of the autoencoder."""
    return {"beta": float(configs["vae"]["beta"])}


def ts(terms: dict[str, Terms], R: float, parameters: dict[str, float]) -> np.ndarray:
    """TS = beta KL + reconstruction, (n,)."""
    return negative_elbo(terms["vae"], parameters["beta"])


def words(parameters: dict[str, float]) -> str:
    """Its numbers."""
    return f"beta = {parameters['beta']:g}"
