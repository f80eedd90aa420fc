"""A density learnt against a reference: ln of their ratio as a sum of Gaussian kernels, by penalised likelihood.

The extended likelihood ratio of a sample over a reference, of which b events are expected at each of its points, is
maximal where sum_i f(x_i) - sum_j b_j (exp(f(x_j)) - 1) is (D'Agnolo & Wulzer 2019, arXiv:1806.02350, Eq. 9); f is
linear in kernels about a few centres (Letizia et al. 2022, arXiv:2204.02317), so that this is convex, and of a sample
only sums of kernels enter. f has a Gaussian prior, of the same sd about every centre, in place of the papers' penalty.

Nuisances are further terms of f: a rate that moves by theta multiplies the reference by 1 + theta p(x), p its share of
the events at x, for which exp(theta p(x)) is taken, p as kernels can. Both hypotheses have them (arXiv:2111.13633).
"""

from dataclasses import dataclass

import numpy as np
import scipy
from numba import njit
from scipy import special

EVENTS_AT_ONCE = 4096
SMALLEST = 1e-6  # of the kernels' Gram matrix over its largest: what is below are the same centres twice
UNSEEN = 1e-3  # information of the reference on a feature, over its prior's: below, its prior is all that is known
MAX_STEPS, TOLERANCE, MOST, SHORTEST = 100, 1e-4, 2.0, 1e-6  # of Newton: in ln L; of a step in f, and its least share
INEXACT = 0.01  # of a step's squared residual: the next step makes up for it


@dataclass(frozen=True)
class Reference:
    """What a sample is compared with, at standardised places x (n, d).

    weights (n,): expected events; nuisances (g, n): expected events whose number is open; relative_sd (g,): how far.
    """

    x: np.ndarray
    weights: np.ndarray
    nuisances: np.ndarray
    relative_sd: np.ndarray


@dataclass(frozen=True)
class Features:
    """What f is linear in, with standard normal priors.

    mix (m, r): of kernels; at_nodes (k, r): at the points that stand for the reference; information (r,): of the
    reference on each, which has none on two together.
    """

    mix: np.ndarray
    at_nodes: np.ndarray
    information: np.ndarray


@dataclass(frozen=True)
class Ratio:
    """ln of a density over the reference's, by kernels of one width about centres (m, d).

    expected (m,): sums of kernels over a sample of the reference's; sought, nuisances: features of what is sought and
    of the nuisances together, and of these alone; weights (k,): expected events at the points that stand for the
    reference; shape, scale: of the Gamma law whose mean and variance are those of t under the reference, to second
    order in the sums (Satterthwaite 1946).
    """

    width: float
    expected: np.ndarray
    sought: "Features"
    nuisances: "Features"
    weights: np.ndarray
    shape: float
    scale: float

    def t(self, sums: np.ndarray) -> float:
        """Twice ln of the likelihood ratio, maximal over f and nuisances each, less that over nuisances; sums (m,) of
        kernels over a sample."""
        sought, nuisances = (
            maximum((sums - self.expected) @ one.mix, one.at_nodes, self.weights, one.information)
            for one in (self.sought, self.nuisances)
        )
        return 2 * (sought - nuisances)

    def minus_ln_p(self, t: np.ndarray) -> np.ndarray:
        """-ln P(T >= t) of the Gamma law, finite for any t."""
        x = np.maximum(t, 0) / self.scale
        p = special.gammaincc(self.shape, x)
        far = x - (self.shape - 1) * np.log(np.maximum(x, 1e-300)) + special.gammaln(self.shape)
        return np.where(p > 1e-290, -np.log(np.maximum(p, 1e-290)), far)


def kernels(squares: np.ndarray, width: float) -> np.ndarray:
    """exp(-d^2 / (2 width^2)) of squared distances, in their precision."""
    return np.exp(squares * squares.dtype.type(-0.5 / width**2))


@njit(cache=True)
def squared_distances(x, event, centres):
    """(n, m) float32, of the rows `event` of x (float32) from centres."""
    out = np.empty((len(event), len(centres)), dtype=np.float32)
    for i in range(len(event)):
        for c in range(len(centres)):
            square = np.float32(0.0)
            for k in range(centres.shape[1]):
                difference = x[event[i], k] - centres[c, k]
                square += difference * difference
            out[i, c] = square
    return out


def ratios(reference: Reference, centres: np.ndarray, nodes: np.ndarray, widths: list[float], sd: float) -> list[Ratio]:
    """One for each width. centres (m, d), nodes (k, d): float32 places; sd: of f about every centre, beforehand."""
    nearest = scipy.spatial.cKDTree(nodes).query(reference.x)[1]
    weights = np.bincount(nearest, reference.weights, minlength=len(nodes))
    nodes, weights = _means(reference, nearest, weights, nodes), weights[weights > 0]
    return [_ratio(reference, centres, nodes, weights, width, sd) for width in widths]


def _means(reference: Reference, nearest: np.ndarray, weights: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """(k, d) the mean place of the reference's events that are nearest to each node, of those that have any."""
    w = reference.weights
    sums = [np.bincount(nearest, w * of_axis, minlength=len(nodes)) for of_axis in reference.x.T]
    return (np.stack(sums, axis=1)[weights > 0] / weights[weights > 0, None]).astype(np.float32)


def _ratio(
    reference: Reference, centres: np.ndarray, nodes: np.ndarray, weights: np.ndarray, width: float, sd: float
) -> Ratio:
    expected, gram, of_nuisances = _moments(reference, centres, width)
    size, axes = np.linalg.eigh(kernels(_between(centres, centres), width).astype(np.float64))
    kept = size > SMALLEST * size[-1]
    plain = sd * axes[:, kept] / np.sqrt(size[kept])
    ridge = SMALLEST * np.trace(gram) / len(gram) * np.eye(len(gram))
    null_mix = np.linalg.solve(gram + ridge, of_nuisances) * reference.relative_sd
    at_nodes = kernels(_between(nodes, centres), width).astype(np.float64)
    both = [_features(mix, gram, at_nodes) for mix in (np.concatenate([plain, null_mix], axis=1), null_mix)]
    return Ratio(width, expected, *both, weights, *_gamma(gram, *both))


def _features(mix: np.ndarray, gram: np.ndarray, at_nodes: np.ndarray) -> Features:
    """Features mix (m, r) of kernels, turned so that the reference knows each by itself; without those it knows not."""
    information, turned = np.linalg.eigh(mix.T @ gram @ mix)
    seen = information > UNSEEN
    mix = mix @ turned[:, seen]
    return Features(mix, at_nodes @ mix, information[seen])


def _between(x: np.ndarray, centres: np.ndarray) -> np.ndarray:
    return squared_distances(x, np.arange(len(x)), centres)


def _moments(reference: Reference, centres: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of kernels (m,) expected sums, (m, m) their covariance, and (m, g) the sums of each nuisance."""
    m = len(centres)
    expected, gram, of_nuisances = np.zeros(m), np.zeros((m, m)), np.zeros((m, len(reference.nuisances)))
    for start in range(0, len(reference.x), EVENTS_AT_ONCE):
        some = slice(start, start + EVENTS_AT_ONCE)
        of_events = kernels(_between(reference.x[some], centres), width).astype(np.float64)
        expected += reference.weights[some] @ of_events
        gram += (of_events * reference.weights[some, None]).T @ of_events
        of_nuisances += (reference.nuisances[:, some] @ of_events).T
    return expected, gram, of_nuisances


def _gamma(gram: np.ndarray, sought: Features, nuisances: Features) -> tuple[float, float]:
    """Shape and scale, where f is so small that t is quadratic in the sums."""
    metric, null = ((one.mix / (1 + one.information)) @ one.mix.T for one in (sought, nuisances))
    moved = gram @ nuisances.mix
    product = (metric - null) @ (gram + moved @ moved.T)
    mean, variance = np.trace(product), 2 * np.sum(product * product.T)
    return float(mean**2 / variance), float(variance / mean)


@njit(cache=True)
def maximum(score, at_nodes, weights, information):
    """The maximum over u (r,) of u . score - sum_j b_j (exp(f_j) - 1 - f_j) - u . u / 2 with f = at_nodes u: concave.

    score (r,): features summed over a sample, less what is expected; at_nodes (k, r); weights (k,): b; information
    (r,): of the reference on each feature, sum b feature^2. Newton steps, shortened until the value rises.
    """
    u, f, value = np.zeros(len(score)), np.zeros(len(weights)), 0.0
    inverse = 1 / (1 + information)
    for _ in range(MAX_STEPS):
        grown = weights * np.exp(f)
        gradient = score - u - np.dot(grown - weights, at_nodes)
        gain = np.sum(gradient * inverse * gradient) / 2
        if gain < TOLERANCE:
            return value + gain
        move = _solved(gradient, at_nodes, grown, inverse)
        step_f = np.dot(at_nodes, move)
        share = min(1.0, MOST / np.max(np.abs(step_f)))
        new = _value(u + share * move, f + share * step_f, score, weights)
        while new <= value and share > SHORTEST:
            share /= 2
            new = _value(u + share * move, f + share * step_f, score, weights)
        u, f, value = u + share * move, f + share * step_f, new
    return value


@njit(cache=True)
def _solved(gradient, at_nodes, grown, inverse):
    """The Newton step (1 + at_nodes^T grown at_nodes)^-1 gradient, by conjugate gradients, as well as one step asks."""
    move, left = np.zeros(len(gradient)), gradient.copy()
    direction = inverse * left
    size = np.sum(left * direction)
    enough = INEXACT * size
    for _ in range(MAX_STEPS):
        image = direction + np.dot(grown * np.dot(at_nodes, direction), at_nodes)
        share = size / np.sum(direction * image)
        move += share * direction
        left -= share * image
        scaled = inverse * left
        size, before = np.sum(left * scaled), size
        if size < enough:
            break
        direction = scaled + (size / before) * direction
    return move


@njit(cache=True)
def _value(u, f, score, weights):
    return np.sum(u * score - u * u / 2) - np.sum(weights * (np.exp(f) - 1 - f))
