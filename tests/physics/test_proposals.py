"""What is drawn has the density that the weights divide by."""

import numpy as np
import pytest
from scipy import integrate, stats

from engine.errors import BadInput
from engine.physics import proposals


@pytest.mark.parametrize("name", proposals.NAMES)
def test_the_density_is_that_of_the_draws(name):
    energy = proposals.draw(name, 1.0, 70.0, 20_000, np.random.default_rng(1))
    grid = np.linspace(1.0, 70.0, 20_001)
    cdf = integrate.cumulative_trapezoid(proposals.density_per_keV(name, 1.0, 70.0, grid), grid, initial=0)
    assert cdf[-1] == pytest.approx(1, rel=1e-5)
    assert stats.kstest(energy, lambda e: np.interp(e, grid, cdf)).pvalue > 1e-3


@pytest.mark.parametrize("name", proposals.NAMES)
def test_weighted_draws_give_any_integral(name):
    energy = proposals.draw(name, 1.0, 70.0, 200_000, np.random.default_rng(2))
    weight = np.exp(-energy / 10) / proposals.density_per_keV(name, 1.0, 70.0, energy)
    expected, error = 10 * (np.exp(-0.1) - np.exp(-7)), weight.std() / np.sqrt(len(weight))
    assert abs(weight.mean() - expected) < 4 * error < 0.05 * expected


def test_a_uniform_proposal_is_flat_and_a_log_uniform_one_falls_as_one_over_energy():
    energy = np.array([1.0, 10.0, 100.0])
    assert np.ptp(proposals.density_per_keV("uniform", 1.0, 100.0, energy)) == 0
    log = proposals.density_per_keV("log_uniform", 1.0, 100.0, energy)
    np.testing.assert_allclose(log * energy, log[0])


def test_a_histogram_of_spectra_has_as_many_events_of_each_and_the_density_of_its_draws():
    rates = [lambda e: np.exp(-e / 2), lambda e: 1e6 * np.exp(-e / 20)]  # a larger cross-section changes nothing
    thrown = proposals.of_spectra(rates, 0.3, 100.0)
    energy = thrown.draw(200_000, np.random.default_rng(1))
    grid = np.geomspace(0.3, 100.0, 200_001)
    assert integrate.trapezoid(thrown.density_per_keV(grid), grid) == pytest.approx(1, rel=1e-4)
    means = [integrate.trapezoid(grid * rate(grid), grid) / integrate.trapezoid(rate(grid), grid) for rate in rates]
    assert abs(energy.mean() - np.mean(means)) < 4 * energy.std() / np.sqrt(len(energy))
    weight = 1 / thrown.density_per_keV(energy[energy < 40])  # back to uniform, where there are events
    assert weight.sum() / len(energy) == pytest.approx(40 - 0.3, rel=0.03)


def test_a_spectrum_without_recoils_between_the_energies_is_refused():
    with pytest.raises(BadInput, match="no rate from 50 to 100 keV"):
        proposals.of_spectra([lambda e: np.where(e < 20, 1.0, 0.0)], 50.0, 100.0)


def test_a_density_of_ones_own_is_drawn_as_it_says():
    drawn = proposals.of_shape(lambda energy_keV: np.exp(-energy_keV / 3), 1.0, 20.0)
    energy_keV = drawn.draw(20_000, np.random.default_rng(5))
    density = drawn.density_per_keV(energy_keV)
    assert 1 <= energy_keV.min() and energy_keV.max() <= 20
    assert np.mean(1 / density) == pytest.approx(19, rel=0.1)  # the range, by importance sampling
    assert np.mean(energy_keV < 4) == pytest.approx((1 - np.exp(-1)) / (1 - np.exp(-19 / 3)), abs=0.015)
    assert proposals.of_shape(lambda energy_keV: 0 * energy_keV, 1.0, 20.0) is None
