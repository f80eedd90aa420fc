"""Event numbers whose rates are uncertain: the generating function of a prior-predictive experiment.

N_j ~ Poisson(b_j theta_j), theta_j a Gaussian (1, s_j) cut at 0. With A_j = sum_i w_ji exp(lambda y_i), the
transform of the number of events N and of the sum S of their values is a product over the components,

    E z^N exp(lambda S) = prod_j M_j(z A_j - b_j),   M_j(x) = E exp(theta_j x),

because a Poisson sum with rate theta has the exponent theta (z A - b). Nothing is expanded or sampled: the
uncertainty of the total rate and that of the components' shares are both inside M_j.
"""

from functools import lru_cache

import numpy as np
from numba import njit
from scipy import special

SMOOTH = 6.0  # in units of sqrt(2) s: further from the cut than this, erfc is below 2e-17
NEAR_ZERO = 1.0  # of |x|: up to here M(x), which is not small, is its series in x to the last bits
N_MOMENTS, NEGLIGIBLE = 48, 1e-18  # enough for the widest rate that a study may give, of 200 %


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
    """ln prod_j M_j(z A_j - b_j), of the shape that z and one component's A_j broadcast to; where that is complex, but
    for whole turns.

    rates (components, ...): A_j; expected, sd (components,): b_j and s_j.
    """
    if not (np.iscomplexobj(z) or np.iscomplexobj(rates)):
        x = np.asarray(z * rates)
        of_each = (-1, *[1] * (x.ndim - 1))
        return ln_mgf(x - expected.reshape(of_each), sd.reshape(of_each)).sum(axis=0)
    shape = np.broadcast_shapes(np.shape(z), rates.shape[1:])
    z = np.broadcast_to(np.asarray(z, np.complex128), shape).reshape(-1, shape[-1] if shape else 1)
    rates = np.broadcast_to(rates.astype(np.complex128), (len(rates), *shape)).reshape(len(rates), *z.shape)
    moments = np.array([scaled_moments(one) for one in sd.tolist()])
    out, left = _ln_product(z, rates, expected, sd, special.log_ndtr(1 / np.where(sd > 0, sd, 1.0)), moments)
    for j in np.flatnonzero(left.any(axis=(1, 2))):
        some = left[j]
        out[some] += ln_mgf(z[some] * rates[j][some] - expected[j], sd[j])
    return out.reshape(shape)


@lru_cache(maxsize=256)
def scaled_moments(sd: float) -> np.ndarray:
    """(N_MOMENTS,) E theta^k / k! of a Gaussian (1, sd) cut at 0: M(x) is their sum times x^k.

    By parts, E theta^k = E theta^(k-1) + (k-1) sd^2 E theta^(k-2), where the cut has a part in the first alone.
    """
    cut = np.exp(-0.5 / sd**2 - special.log_ndtr(1 / sd)) / np.sqrt(2 * np.pi) if sd > 0 else 0.0
    made = [1.0, 1.0 + sd * cut]
    for k in range(2, N_MOMENTS):
        made.append((made[-1] + sd**2 * made[-2]) / k)
    return np.array(made)


@njit(cache=True, error_model="numpy")
def _ln_product(z, rates, expected, sd, ln_kept, moments):
    """Sum over components of ln M_j(z A_j - b_j), z and each A_j of one shape (rows, columns), and which of the terms,
    (components, rows, columns), are left to `ln_mgf`.

    Far from the cut a term has a closed form. Of those next to it that are no larger than NEAR_ZERO, M_j is a sum of
    moments; one logarithm does for the product of all of these.
    """
    out, left = np.zeros(z.shape, np.complex128), np.zeros(rates.shape, np.bool_)
    n = z.shape[1]
    x, y, re, im, product = np.empty(n), np.empty(n), np.empty(n), np.empty(n), np.empty(n, np.complex128)
    for row in range(len(z)):
        product[:] = 1.0
        for j in range(len(rates)):
            for i in range(n):
                one = z[row, i] * rates[j, row, i]
                x[i], y[i] = one.real - expected[j], one.imag
            if sd[j] == 0:
                for i in range(n):
                    out[row, i] += complex(x[i], y[i])
                continue
            s2, far, any_near = sd[j] ** 2, (np.sqrt(2) * sd[j] * SMOOTH - 1) / sd[j] ** 2, False
            for i in range(n):
                if x[i] >= far:
                    square = complex(x[i] * x[i] - y[i] * y[i], 2 * x[i] * y[i])
                    out[row, i] += complex(x[i], y[i]) + 0.5 * s2 * square - ln_kept[j]
                elif x[i] * x[i] + y[i] * y[i] <= NEAR_ZERO**2:
                    any_near = True
                else:
                    left[j, row, i] = True
            if not any_near:
                continue
            _power_series(moments[j], x, y, re, im)
            for i in range(n):
                if x[i] < far and not left[j, row, i]:
                    product[i] *= complex(re[i], im[i])
        for i in range(n):
            if product[i] != 1.0:
                out[row, i] += np.log(product[i])
    return out, left


@njit(cache=True, error_model="numpy")
def _power_series(coefficients, x, y, re, im):
    """Fills re + i im with sum_k c_k (x + i y)^k: Horner's rule step by step for all, in vector instructions."""
    last = len(coefficients) - 1
    while last > 1 and coefficients[last] < NEGLIGIBLE:
        last -= 1
    re[:], im[:] = coefficients[last], 0.0
    for k in range(last - 1, -1, -1):
        for i in range(len(x)):
            real = re[i] * x[i] - im[i] * y[i] + coefficients[k]
            im[i] = re[i] * y[i] + im[i] * x[i]
            re[i] = real


def count_moments(r: np.ndarray, rates: np.ndarray, expected: np.ndarray, sd: np.ndarray):
    """Mean and variance of N under the weight r^N, for real A_j (components,) and r (k,)."""
    a = r * rates[:, None]
    theta, spread = tilted_moments(a - expected[:, None], sd[:, None])
    return (a * theta).sum(axis=0), (a * theta + a**2 * spread).sum(axis=0)
