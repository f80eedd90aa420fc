"""Laws of test statistics without toys: arrays in, arrays out, upper tails that keep their relative accuracy.

Contract of a `Distribution`, which every exact statistic returns:
`sf(q) -> array`: P(Q >= q), ties counted, never 0; what lies below `smallest_p` is a bound and no value;
`median() -> float`: the lower median, the smallest q with P(Q <= q) >= 1/2;
`smallest_p: float`: the smallest p that is held to be right.
"""

from typing import Protocol

import numpy as np


class Distribution(Protocol):
    """The law of a test statistic under one hypothesis."""

    smallest_p: float

    def sf(self, q: np.ndarray) -> np.ndarray:
        """P(Q >= q), of the shape of q."""

    def median(self) -> float:
        """The smallest q with P(Q <= q) >= 1/2."""
