"""The exposure for three sigma: the end of the last stretch below one half, teeth and all."""

import numpy as np
import pytest

from engine.inference.exact import counts, power

P = power.P_THREE_SIGMA


def laws(b_per_ty, s_per_ty, relative_sd=0.0):
    def null(exposure_ty):
        return counts.law(np.array([b_per_ty * exposure_ty]), np.array([relative_sd]))

    def signal(exposure_ty):
        return null(exposure_ty).with_signal(s_per_ty * exposure_ty)

    return null, signal


@pytest.mark.parametrize(("b", "s", "sd", "n"), [(0.1, 0.5, 0.0, 600), (0.5, 0.8, 0.0, 600), (0.5, 1.0, 0.1, 100)])
def test_against_a_fine_scan(b, s, sd, n):
    null, signal = laws(b, s, sd)
    found = power.smallest_exposure(null, signal, 1.0, 40.0)
    exposures = np.linspace(1.0, 40.0, n)
    good = [signal(t).sf(null(t).threshold(P)) >= 0.5 for t in exposures]
    assert exposures[np.flatnonzero(~np.array(good))[-1]] <= found  # a short bad stretch may lie between
    for t, is_good in ((found * (1 - 1e-4), False), (found * (1 + 1e-4), True)):
        assert (signal(t).sf(null(t).threshold(P)) >= 0.5) == is_good


def test_the_sawtooth_has_an_earlier_good_stretch():
    """The first exposure with a power of one half is not the answer."""
    null, signal = laws(0.5, 0.8)
    found = power.smallest_exposure(null, signal, 1.0, 40.0)
    exposures = np.linspace(1.0, found, 100)[:-1]
    assert any(signal(t).sf(null(t).threshold(P)) >= 0.5 for t in exposures[exposures < 0.98 * found])


def test_a_fixed_background_has_no_teeth():
    """b0 = 1 whatever the exposure: 6 events are needed, and 5.67 expected give them half the time."""
    def null(exposure_ty):
        return counts.law(np.array([1.0]), np.zeros(1))

    def signal(exposure_ty):
        return counts.law(np.array([1.0]), np.zeros(1)).with_signal(0.5 * exposure_ty)

    assert null(1.0).threshold(P) == 6
    found = power.smallest_exposure(null, signal, 0.1, 100.0)
    assert 1 + 0.5 * found == pytest.approx(5.6702, abs=1e-3)


def test_out_of_reach_and_at_once():
    null, signal = laws(0.5, 0.01)
    assert power.smallest_exposure(null, signal, 1.0, 20.0) == float("inf")
    null, signal = laws(0.01, 10.0)
    assert power.smallest_exposure(null, signal, 1.0, 20.0) == 1.0
