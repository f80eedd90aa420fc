"""Strata: events alike in what they say about the rates, so that a few sums stand for all events of an experiment.

An event enters the fit of the rates through its shares p_g = b_g f_g / sum b f alone. Strata split the pool by its
shares; a toy keeps, per stratum, the sum of its events' shares, and sum_i ln(theta . p_i) becomes
sum_k n_k ln(theta . mean share of k). That is right to first order in the shares within a stratum at every theta,
and never too small (Jensen): a series in theta - 1 would not do, for an injected signal drives a rare recoil rate to
many times its nominal value, beyond the radius in which such a series converges.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Strata:
    """Splits in the order they are made: (stratum, group, threshold) moves events above it to a new stratum."""

    splits: tuple[tuple[int, int, float], ...]

    def __len__(self) -> int:
        return len(self.splits) + 1

    def index(self, shares: np.ndarray) -> np.ndarray:
        """(n,) stratum of each event, from shares (n, groups)."""
        index = np.zeros(len(shares), dtype=np.int64)
        for new, (stratum, group, threshold) in enumerate(self.splits, start=1):
            index[(index == stratum) & (shares[:, group] > threshold)] = new
        return index

    def columns(self, shares: np.ndarray) -> np.ndarray:
        """(n, strata * groups): an event's shares in the columns of its stratum, zero elsewhere."""
        n, n_groups = shares.shape
        out = np.zeros((n, len(self), n_groups))
        out[np.arange(n), self.index(shares)] = shares
        return out.reshape(n, len(self) * n_groups)


def shares(rows: np.ndarray) -> np.ndarray:
    """p_g of each row, from rows (n, groups) of b_g f_g; they sum to one and know no unit."""
    return rows / rows.sum(axis=1, keepdims=True)


def split(shares: np.ndarray, weights: np.ndarray, n_strata: int) -> Strata:
    """At most n_strata strata, each the split of the one whose shares vary most, at their mean.

    shares (n, groups); weights (n,). Give every group's events the same total weight (`equal_weights`), or the rare
    groups, whose rates move furthest, are not resolved.
    """
    index, splits = np.zeros(len(shares), dtype=np.int64), []
    spread = {0: _spread(shares, weights)}
    while len(spread) < n_strata:
        stratum, (square, group, threshold) = max(spread.items(), key=lambda item: item[1][0])
        if not square > 0:
            break
        new = len(spread)
        index[(index == stratum) & (shares[:, group] > threshold)] = new
        splits.append((stratum, group, threshold))
        for changed in (stratum, new):
            spread[changed] = _spread(shares[index == changed], weights[index == changed])
    return Strata(tuple(splits))


def equal_weights(weights: np.ndarray) -> np.ndarray:
    """(n,) from weights (groups, n): each group's add up to one; a group without events has no say."""
    total = weights.sum(axis=1, keepdims=True)
    return (weights / np.where(total > 0, total, 1.0)).sum(axis=0)


def _spread(shares, weights) -> tuple[float, int, float]:
    """The largest weighted sum of squares about the mean among the groups, that group, and the mean."""
    used = weights > 0
    if not used.any():
        return 0.0, 0, 0.0
    shares, weights = shares[used], weights[used]
    mean = np.average(shares, axis=0, weights=weights)
    square = weights @ (shares - mean) ** 2
    group = int(np.argmax(square))
    if not np.any(shares[:, group] > mean[group]):  # equal but for rounding
        return 0.0, group, float(mean[group])
    return float(square[group]), group, float(mean[group])
