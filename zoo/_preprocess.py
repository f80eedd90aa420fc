"""Scaling of the input features: fitted once on the training part, then applied batch by batch.

The papers do not say how their inputs are scaled. `max` (each feature over its training maximum) is the
default: it is what lets Table 2's learning rate of 0.01 train. `byte` takes the 255 of a white pixel for 1 and
leaves the colours of an image as they are; over its own maximum, every pixel would have a palette of its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from zoo._choices import KINDS

WHITE = 255
CHUNK = 1024  # events held in float64 at once


@dataclass(frozen=True)
class Preprocess:
    """x -> (f(x) - shift) / scale, with f = log1p for `log1p_standard` and the identity otherwise.

    `shift` and `scale` are float32 of shape (n_features,); the shift is 0 but for `log1p_standard`.
    """

    kind: str
    shift: torch.Tensor
    scale: torch.Tensor

    def apply(self, features: np.ndarray) -> torch.Tensor:
        """Counts of any real dtype, (n, n_features), as a float32 tensor of scaled features."""
        x = torch.from_numpy(features.astype(np.float32))
        return (x.log1p_().sub_(self.shift) if self.kind == "log1p_standard" else x).div_(self.scale)

    def invert(self, x: torch.Tensor) -> torch.Tensor:
        """Scaled features back in their original unit."""
        y = x * self.scale + self.shift
        return y.expm1() if self.kind == "log1p_standard" else y


def fit_preprocess(kind: str, features: np.ndarray, rows: np.ndarray) -> Preprocess:
    """Scaling constants from these rows of `features` alone; memory is bounded by CHUNK events.

    Raises ValueError for a kind that is not in KINDS.
    """
    if kind not in KINDS:
        raise ValueError(f"preprocess = {kind!r} is not accepted; it must be one of {', '.join(KINDS)}.")
    shift, scale = _CONSTANTS[kind](features, rows)
    return Preprocess(kind, *(torch.from_numpy(constant.astype(np.float32)) for constant in (shift, scale)))


def _chunks(features: np.ndarray, rows: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(rows), CHUNK):
        yield features[rows[start : start + CHUNK]].astype(np.float64)


def _unit(features, rows):
    return np.zeros(features.shape[1]), np.ones(features.shape[1])


def _byte(features, rows):
    return np.zeros(features.shape[1]), np.full(features.shape[1], float(WHITE))


def _maximum(features, rows):
    """Features that are never positive are divided by 1."""
    highest = np.max([chunk.max(axis=0) for chunk in _chunks(features, rows)], axis=0)
    return np.zeros(features.shape[1]), np.where(highest > 0, highest, 1.0)


def _log1p_moments(features, rows):
    """Mean and standard deviation of log1p; features without variance are divided by 1."""
    n = len(rows)
    mean = sum(np.log1p(chunk).sum(axis=0) for chunk in _chunks(features, rows)) / n
    variance = sum(((np.log1p(chunk) - mean) ** 2).sum(axis=0) for chunk in _chunks(features, rows)) / n
    varies = np.sqrt(variance) > 1e-12  # a constant feature leaves a rounding error, not a zero
    return mean, np.where(varies, np.sqrt(variance), 1.0)


_CONSTANTS = {"max": _maximum, "raw": _unit, "log1p_standard": _log1p_moments, "byte": _byte}
