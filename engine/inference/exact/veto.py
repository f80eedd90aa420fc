"""`counting_veto`: the talks' baseline, a binned Poisson likelihood after an ER veto.

The talk at the collaboration gives L = prod_i lambda_i^n_i e^-lambda_i / n_i! with "ER veto (99.98 %)", and its
exposure curve quotes 99 % ER rejection, both at 30 % NR acceptance. Nothing says in what the bins are, how many, or
which signal, if any, is in lambda_i. Read without one, so that the test stays model independent, each lambda_i is b_i
or more: one bin is the plain count of what the veto leaves, more of them hold bins of energy.
"""

import numpy as np

ER_REJECTION = 0.9998
NR_ACCEPTANCE = 0.30


def after_veto(means, is_er, *, er_rejection: float = ER_REJECTION, nr_acceptance: float = NR_ACCEPTANCE) -> np.ndarray:
    """Expected events that the veto leaves: means (components, ...), is_er (components,) true for ER.

    The same for all energies, as the talks have it. A signal of nuclear recoils is one more NR component.
    """
    means = np.asarray(means, dtype=np.float64)
    kept = np.where(is_er, 1 - er_rejection, nr_acceptance)
    return means * kept.reshape(-1, *[1] * (means.ndim - 1))


def energy(cs1_pe: np.ndarray, cs2_pe: np.ndarray, g2_over_g1: float) -> np.ndarray:
    """The combined energy cS1/g1 + cS2/g2, up to a factor that no bin of equal expectation knows."""
    return g2_over_g1 * cs1_pe + cs2_pe
