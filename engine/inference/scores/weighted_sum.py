"""TS = sum of w_i s_i over any models: s_i is -ELBO of an autoencoder, H_B of a classifier, -ln p of a density.

`options.weights`: the weight of every model by its name in [models]; that is its role, too.
"""

import numpy as np
from pydantic import Field

from engine import options as base
from engine.inference.scores._terms import Terms, background_entropy, negative_elbo

ROLES = None
WEIGHTED = False


class Options(base.Options):
    """The weight of every model, by its name; 0 would leave it out."""

    weights: dict[str, float] = Field(min_length=1)


def roles(options: Options) -> tuple[str, ...]:
    """A role for every model with a weight."""
    return tuple(options.weights)


def parameters(configs: dict[str, dict], options: Options) -> dict[str, dict]:
    """The weights, and beta of every autoencoder."""
    betas = {role: float(config["beta"]) for role, config in configs.items() if "beta" in config}
    return {"weights": options.weights, "beta": betas}


def ts(terms: dict[str, Terms], R: float, parameters: dict[str, dict]) -> np.ndarray:
    """The weighted sum, (n,)."""
    return sum(weight * _of_model(terms[role], parameters["beta"].get(role))
               for role, weight in parameters["weights"].items())  # fmt: skip


def _of_model(terms: Terms, beta: float | None) -> np.ndarray:
    if "log_density" in terms:
        return -terms["log_density"]
    return background_entropy(terms) if "logit" in terms else negative_elbo(terms, beta)


def words(parameters: dict[str, dict]) -> str:
    """The weights."""
    return " + ".join(f"{weight:g} {role}" for role, weight in parameters["weights"].items())
