"""The papers' extended Poisson likelihood, literally: q = -2 ln L(TS | H0) (arXiv paper, Eq. 6).

Not invariant: with TS in another unit, q shifts by 2 N ln a, and N fluctuates. Reported to reproduce the
papers; never used to rank models.
"""

import numpy as np
from scipy.special import gammaln

ADDITIVE = True
AFFINE_INVARIANT = False
MONOTONE_INVARIANT = False
MODEL_DEPENDENT = False
DEPENDS_ON = ("bandwidth", "relative_floor")


def per_event(ts: np.ndarray, null) -> np.ndarray:
    """ln f0(TS)."""
    return null.f0.ln(ts)


def statistic(n_events: np.ndarray, total: np.ndarray, null) -> np.ndarray:
    """q = 2 (B + ln N! - N ln B) - 2 sum ln f0(TS_i)."""
    b = null.n_background
    return 2 * (b + gammaln(n_events + 1) - n_events * np.log(b)) - 2 * total
