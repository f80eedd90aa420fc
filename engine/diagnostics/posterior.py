"""Does what an autoencoder draws look like the events it is shown? Feature by feature."""

from collections.abc import Iterable

import numpy as np

ROUNDING = 12**-0.5  # standard deviation of what rounding to whole numbers adds: features are whole numbers


def varies(test_sd: np.ndarray) -> np.ndarray:
    """Whether features vary by more than their rounding: of others, such as a pixel that one event in thousands lights,
    (drawn - real) / sigma_test says how small sigma_test is and nothing of the autoencoder."""
    return test_sd > ROUNDING


def check(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> dict[str, np.ndarray]:
    """Mean and standard deviation over events of (drawn - real) / sigma_test for each feature, and of the real ones.

    Mean(PPC)_j = (1/N) sum_i (x~_ij - x_ij) / sigma_j, sigma_j^2 = (1/N) sum_i (x_ij - <x_j>)^2 (XLZD,
    "Model-independent searches of new physics in DARWIN", Eq. 3). `pairs` are batches (events, features) of drawn and
    real events, each seen once. A feature that is the same in all events has no sigma: `ppc_mean` and `ppc_sd` are NaN.
    """
    n, sums = 0, None
    for drawn, real in pairs:
        real, difference = real.astype(np.float64), drawn.astype(np.float64) - real
        batch = np.array([each.sum(axis=0) for each in (real, real**2, difference, difference**2)])
        n, sums = n + len(real), batch if sums is None else sums + batch
    mean, square, shift, shift_square = sums / max(n, 1)
    sigma = np.sqrt(np.maximum(square - mean**2, 0.0))
    sigma[sigma < 1e-6 * np.sqrt(square)] = 0.0  # what rounding leaves of a constant
    unit = np.where(sigma > 0, sigma, np.nan)
    spread = np.sqrt(np.maximum(shift_square - shift**2, 0.0))
    return {"ppc_mean": shift / unit, "ppc_sd": spread / unit, "test_mean": mean, "test_sd": sigma}
