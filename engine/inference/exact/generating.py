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


def ln_mgf(x: np.ndarray, sd: float) -> np.ndarray:
    """ln E exp(theta x) for real or complex x; theta is a Gaussian (1, sd) cut at 0, or exactly 1 for sd = 0.

    With u = (1 + sd^2 x) / (sqrt(2) sd): exp(x + sd^2 x^2 / 2) (1 - erfc(u) / 2) / Phi(1 / sd), whose second
    form exp(-1 / (2 sd^2)) erfcx(-u) / 2 / Phi(1 / sd) does not overflow where u is negative.
    """
    if sd == 0:
        return x
    u = (1 + sd**2 * x) / (np.sqrt(2) * sd)
    near = u.real < SMOOTH
    out = x + 0.5 * sd**2 * x * x
    if near.any():
        out = np.array(out)
        out[near] = np.log(special.erfcx(-u[near]) / 2) - 0.5 / sd**2
    return out - special.log_ndtr(1 / sd)


def tilted_moments(x: np.ndarray, sd: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of theta under the weight exp(theta x), real x: derivatives of `ln_mgf`."""
    if sd == 0:
        return np.ones_like(x), np.zeros_like(x)
    v = 1 / sd + sd * x
    hazard = np.exp(-0.5 * v * v - 0.5 * np.log(2 * np.pi) - special.log_ndtr(v))
    far = v < -1e4  # an exponential law: the general form cancels
    mean = np.where(far, -sd / np.where(far, v, -1.0), sd * (v + hazard))
    variance = np.where(far, mean**2, sd**2 * (1 - v * hazard - hazard**2))
    return mean, np.maximum(variance, 0.0)


def ln_generating(z: np.ndarray, rates: np.ndarray, expected: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """ln prod_j M_j(z A_j - b_j), of the shape that z and one component's A_j broadcast to.

    rates (components, ...): A_j; expected, sd (components,): b_j and s_j.
    """
    parts = (ln_mgf(np.asarray(z * a - b), s) for a, b, s in zip(rates, expected, sd, strict=True))
    return sum(parts, start=np.zeros(1))


def count_moments(r: np.ndarray, rates: np.ndarray, expected: np.ndarray, sd: np.ndarray):
    """Mean and variance of N under the weight r^N, for real A_j (components,) and r of any shape."""
    mean, variance = np.zeros_like(r), np.zeros_like(r)
    for a, b, s in zip(rates, expected, sd, strict=True):
        theta, spread = tilted_moments(r * a - b, s)
        mean = mean + r * a * theta
        variance = variance + r * a * theta + (r * a) ** 2 * spread
    return mean, variance
