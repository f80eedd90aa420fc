"""What a score is worth without a signal: ARGOS, and the significance improvement (SIC) that it rises with.

M. Hein et al., "How to pick the best anomaly detector?", arXiv:2511.14832: of a cut that keeps a share eps_SR of the
data and eps_BT of a template of background, eps_SR / sqrt(eps_BT) - sqrt(eps_BT), at the cut where it is largest. Data
are here background with nuclear recoils of every energy mixed in to a share f, so that eps_SR = (1 - f) eps_BT + f
eps_NR and ARGOS = f (eps_NR - eps_BT) / sqrt(eps_BT). f is the same of every score and left out. No signal model is in
it: a score that keeps nuclear recoils, whatever their energy, where little background is, is a good one.
"""

from typing import NamedTuple

import numpy as np

FEWEST = 100.0  # effective background events that a cut must keep: the root of the leakage is known to 5 %


class Merit(NamedTuple):
    """ARGOS over f with its error, and the cut: shares of background and of nuclear recoils that it keeps."""

    value: float
    error: float
    leaked: float
    kept: float


def argos(score: np.ndarray, background: np.ndarray, nr: np.ndarray) -> Merit:
    """The largest over all cuts in the score that keep FEWEST effective events of the background.

    score (n,), large for what is no background; background and nr (n,): weights of either, in any unit. A cut takes all
    events of equal scores. The error is that of both shares at the cut, binomial, of effective events; the largest of
    many cuts lies above the truth by up to as much. Of less background than FEWEST nothing is known: 0 with an infinite
    error.
    """
    leaked, kept, n_events, n_kept = curve(score, background, nr)
    enough = n_events >= FEWEST
    if not enough.any():
        return Merit(0.0, float("inf"), 1.0, 1.0)
    values = np.where(enough, (kept - leaked) / np.sqrt(leaked, where=enough, out=np.ones(len(leaked))), -np.inf)
    best = int(np.argmax(values))
    b, s = leaked[best], kept[best]
    of_b = (s / b + 1) / (2 * np.sqrt(b)) * b * np.sqrt((1 - b) / n_events[best])
    of_s = s * np.sqrt((1 - s) / n_kept[best]) / np.sqrt(b) if s else 0.0
    return Merit(float(values[best]), float(np.hypot(of_b, of_s)), float(b), float(s))


def curve(score: np.ndarray, background: np.ndarray, nr: np.ndarray) -> tuple[np.ndarray, ...]:
    """At every score there is, from the largest: shares of background and NR kept, and their effective events."""
    order = np.argsort(-score, kind="stable")
    last = np.append(np.diff(score[order]) != 0, True)
    sums = [np.cumsum(weights[order])[last] for weights in (background, nr)]
    squares = [np.cumsum(weights[order] ** 2)[last] for weights in (background, nr)]
    n = [total**2 / np.where(square > 0, square, 1.0) for total, square in zip(sums, squares, strict=True)]
    return sums[0] / sums[0][-1], sums[1] / sums[1][-1], n[0], n[1]
