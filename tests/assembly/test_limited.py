"""Rows whose halves of the pool disagree are `pool_limited`, and with them their neighbours of the same statistic."""

from types import SimpleNamespace

import numpy as np
import pyarrow as pa

from engine.assembly import results
from engine.assembly.columns import empty, numbers


def test_the_benchmark_limits_the_rows_of_its_exposure_score_and_statistic():
    """Of four rows the first knows its shift, of a little more or less than three errors of a difference; the second
    shares its null; the last has no answer, of which nothing is said."""
    places = [(SimpleNamespace(exposure_ty=t), 1.0, "centred") for t in (20.0, 20.0, 200.0, 20.0)]
    known = np.array([True, False, False, False])
    columns = {"half_z_shift": numbers(np.array([-1.3, 0, 0, 0]), known), "pool_limited": empty(pa.bool_(), 4)}
    columns["pool_limited"].put_value(np.array([True, True, True, False]), False)
    for error, found in ((0.3, [True, True, False, None]), (0.31, [False, False, False, None])):
        columns["z_pool_error"] = numbers(np.full(4, error), known)
        columns["pool_limited"].put_value(columns["pool_limited"].known.copy(), False)
        results.limit(results.Requested(places, [None] * 4, [None] * 4), columns)
        assert columns["pool_limited"].arrow(np.arange(4)).to_pylist() == found
