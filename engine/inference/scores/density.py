"""TS = -ln p of a density of electron recoils: an anomaly score that knows no nuclear recoil, and is no bound."""

import numpy as np

from engine.inference.scores._terms import Terms

ROLES = {"density": ("density", "flow")}
WEIGHTED = False


def parameters(configs: dict[str, dict], options: object) -> dict[str, float]:
    """None."""
    return {}


def ts(terms: dict[str, Terms], R: float, parameters: dict[str, float]) -> np.ndarray:
    """TS = -ln p, in nat, (n,)."""
    return -terms["density"]["log_density"]


def words(parameters: dict[str, float]) -> str:
    """It has no numbers."""
    return ""
