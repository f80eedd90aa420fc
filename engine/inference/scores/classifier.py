"""TS = the logit of a classifier alone: the order of events that H_B has, and no end where p -> 1."""

import numpy as np

from engine.inference.scores._terms import Terms

ROLES = {"classifier": ("classifier", "mlp_classifier")}
WEIGHTED = False


def parameters(configs: dict[str, dict], options: object) -> dict[str, float]:
    """None."""
    return {}


def ts(terms: dict[str, Terms], R: float, parameters: dict[str, float]) -> np.ndarray:
    """The log odds of a nuclear recoil, (n,)."""
    return terms["classifier"]["logit"]


def words(parameters: dict[str, float]) -> str:
    """It has no numbers."""
    return ""
