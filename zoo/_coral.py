"""From a simulation to a detector: CORAL on what the last layer of a classifier sees.

Sun, Feng and Saenko, "Return of Frustratingly Easy Domain Adaptation", arXiv:1511.05547: values of events of one domain
are whitened with their own covariance and coloured with that of another (Algorithm 1), there on the last layers of a
network too. Here the values of the detector's events get mean and covariance of the simulation's, which the last layer
was trained on; that is linear, and so another last layer. Both are taken of electron recoils, which nearly all events
without a label are: among others the share of nuclear recoils would be aligned.

The same authors' loss (Deep CORAL, arXiv:1607.01719) has one network find values that are alike in both domains. A
detector that is off moves the ratio of S2 and S1 itself, which a network cannot ignore and tell recoils: with that loss
it leaked more, not less (scans/RESULTS.md).
"""

import copy
import dataclasses
from types import ModuleType

import numpy as np
import torch
from torch import nn

from zoo._fields import name_of
from zoo._fitted import Fitted, evaluate
from zoo._streams import split

RIDGE = 0.01  # of a unit's variance, added to all of them: what only noise tells apart is left as it is


def aligned(fitted: Fitted, features: np.ndarray, labels: np.ndarray, unlabelled: np.ndarray) -> Fitted:
    """A classifier for the detector that `unlabelled` electron recoils (m, n_features) are of.

    features (n, n_features) and labels (n,) are those of the fit, whose validation part it was not trained on: of that
    the electron recoils are what the detector's are brought to. Raises ValueError for a family whose last linear layer
    does not give the logit, and for fewer than two events of either.
    """
    _, held_back = split(len(features), fitted.config.validation_fraction, fitted.seed)
    simulated = features[np.sort(held_back[labels[held_back] == 0])]
    if min(len(simulated), len(unlabelled)) < 2:
        raise ValueError(f"{name_of(fitted.family)}: {len(simulated)} simulated and {len(unlabelled)} unlabelled "
                         "electron recoils are too few to be aligned; it takes two of each.")  # fmt: skip
    last = last_layer(fitted.family, fitted.module)
    turn, offset = recolouring(*(_seen(fitted, last, events) for events in (unlabelled, simulated)))
    module = copy.deepcopy(fitted.module)
    weight = last.weight.detach().double().numpy()
    with torch.no_grad():
        changed = last_layer(fitted.family, module)
        changed.weight.copy_(torch.from_numpy(weight @ turn.T))
        changed.bias += torch.from_numpy(weight @ offset)
    return dataclasses.replace(fitted, module=module)


def recolouring(source: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A (d, d) and b (d,) by which source @ A + b has mean and covariance of the target; each (n, d).

    A = C_S^-1/2 C_T^1/2, in units of the target's deviations and with RIDGE added to the variances of both.
    """
    unit = target.std(axis=0)
    unit[unit == 0] = 1.0
    whiten, colour = (_power(np.cov(values / unit, rowvar=False), power)
                      for values, power in ((source, -0.5), (target, 0.5)))  # fmt: skip
    turn = (whiten @ colour) * unit / unit[:, None]
    return turn, target.mean(axis=0) - source.mean(axis=0) @ turn


def _power(covariance: np.ndarray, power: float) -> np.ndarray:
    """The power of a symmetric matrix, with RIDGE on its diagonal."""
    values, vectors = np.linalg.eigh(np.atleast_2d(covariance))
    return (vectors * (np.maximum(values, 0) + RIDGE) ** power) @ vectors.T


def _seen(fitted: Fitted, last: nn.Linear, features: np.ndarray) -> np.ndarray:
    """(n, d) float64: what the last layer is given of events."""
    seen: list[torch.Tensor] = []
    hook = last.register_forward_pre_hook(lambda _, given: seen.append(given[0].double()))
    try:
        evaluate(fitted, fitted.family.terms, features)
    finally:
        hook.remove()
    return torch.cat(seen).numpy()


def last_layer(family: ModuleType, module: nn.Module) -> nn.Linear:
    """The layer that gives the logit; raises ValueError where the last linear one does not."""
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    if not layers or layers[-1].out_features != 1 or layers[-1].bias is None:
        raise ValueError(f"{name_of(family)}: its last linear layer does not give one logit, with a bias; values "
                         "before it could not be aligned.")  # fmt: skip
    return layers[-1]
