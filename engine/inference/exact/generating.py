"""Event numbers whose rates are uncertain: the generating function of a prior-predictive experiment.

N_j ~ Poisson(b_j theta_j), theta_j a Gaussian (1, s_j) cut at 0. With A_j = sum_i w_ji exp(lambda y_i), the
transform of the number of events N and of the sum S of their values is a product over the components,

    E z^N exp(lambda S) = prod_j M_j(z A_j - b_j),   M_j(x) = E exp(theta_j x),

because a Poisson sum with rate theta has the exponent theta (z A - b). Nothing is expanded or sampled: the
uncertainty of the total rate and that of the components' shares are both inside M_j.
"""

import numpy as np
from scipy import special

SMOOTH = 6.0  # in units of sqrt(2) s: further from the cut than this, erfc is below 2e-17


def ln_mgf(x: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """ln E exp(theta x) for real or complex x; theta is a Gaussian (1, sd) cut at 0, or exactly 1 for sd = 0.

    sd broadcasts to x. With u = (1 + sd^2 x) / (sqrt(2) sd) it is ln of exp(x + sd^2 x^2 / 2) (1 - erfc(u) / 2) /
    Phi(1 / sd), whose second form exp(-1 / (2 sd^2)) erfcx(-u) / 2 / Phi(1 / sd) does not overflow where u is negative.
    """
    uncertain = sd > 0
    s = np.where(uncertain, sd, 1.0)
    u = (1 + s**2 * x) / (np.sqrt(2) * s)
    near = uncertain & (u.real < SMOOTH)
    out = np.array(x + np.where(uncertain, 0.5 * s**2, 0.0) * x * x)
    if near.any():
        out[near] = np.log(special.erfcx(-u[near]) / 2) - np.broadcast_to(0.5 / s**2, x.shape)[near]
    return out - np.where(uncertain, special.log_ndtr(1 / s), 0.0)


def tilted_moments(x: np.ndarray, sd: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of theta under the weight exp(theta x), real x: derivatives of `ln_mgf`; sd broadcasts to x."""
    uncertain = sd > 0
    s = np.where(uncertain, sd, 1.0)
    v = 1 / s + s * x
    hazard = np.exp(-0.5 * v * v - 0.5 * np.log(2 * np.pi) - special.log_ndtr(v))
    far = v < -1e4  # an exponential law: the general form cancels
    mean = np.where(far, -s / np.where(far, v, -1.0), s * (v + hazard))
    variance = np.where(far, mean**2, s**2 * (1 - v * hazard - hazard**2))
    return np.where(uncertain, mean, 1.0), np.where(uncertain, np.maximum(variance, 0.0), 0.0)


def ln_generating(z: np.ndarray, rates: np.ndarray, expected: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """ln prod_j M_j(z A_j - b_j), of the shape that z and one component's A_j broadcast to.

    rates (components, ...): A_j; expected, sd (components,): b_j and s_j.
    """
    x = np.asarray(z * rates)
    of_each = (-1, *[1] * (x.ndim - 1))
    return ln_mgf(x - expected.reshape(of_each), sd.reshape(of_each)).sum(axis=0)


def count_moments(r: np.ndarray, rates: np.ndarray, expected: np.ndarray, sd: np.ndarray):
    """Mean and variance of N under the weight r^N, for real A_j (components,) and r (k,)."""
    a = r * rates[:, None]
    theta, spread = tilted_moments(a - expected[:, None], sd[:, None])
    return (a * theta).sum(axis=0), (a * theta + a**2 * spread).sum(axis=0)
