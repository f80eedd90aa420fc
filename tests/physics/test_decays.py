"""Spectra of the decays against their formulas, written out: two betas, and the sum of two electrons."""

import tomllib
from pathlib import Path

import numpy as np
import pytest
from scipy.special import loggamma

from engine.physics.spectra import kr85, pb214, xe136
from engine.physics.units import ATOMS_PER_TONNE, SECONDS_PER_YEAR

REFERENCES = tomllib.loads((Path(__file__).parents[1] / "references" / "spectra.toml").read_text())
BETAS = REFERENCES["betas"]
ENERGIES_KEV = np.array(BETAS["energies_keV"])
ELECTRON_KEV, ALPHA = 510.999, 1 / 137.036


def allowed_beta(energy_keV, reference):
    """Share of an allowed decay's electrons per keV: p W (Q - T)^2 and the Fermi function of a point charge."""

    def shape(kinetic_keV):
        charge, total = ALPHA * reference["daughter_charge"], kinetic_keV / ELECTRON_KEV + 1
        momentum, root = np.sqrt(total**2 - 1), np.sqrt(1 - charge**2)
        eta = charge * total / momentum
        fermi = momentum ** (2 * root - 2) * np.exp(np.pi * eta + 2 * loggamma(root + 1j * eta).real)
        return momentum * total * fermi * (reference["Q_keV"] - kinetic_keV) ** 2

    grid = np.linspace(1e-3, reference["Q_keV"], 200_001)
    return shape(energy_keV) / np.trapezoid(shape(grid), grid)


def test_decays_of_radon_and_krypton():
    radon, krypton = BETAS["pb214"], BETAS["kr85"]
    per_ty = radon["activity_uBq_kg"] * 1e-6 * 1e3 * SECONDS_PER_YEAR
    assert per_ty == pytest.approx(radon["decays_per_ty"], rel=1e-4)
    atoms = ATOMS_PER_TONNE * krypton["ppt"] * 1e-12 * krypton["isotopic_fraction"]
    assert atoms * np.log(2) / krypton["half_life_y"] == pytest.approx(krypton["decays_per_ty"], rel=0.002)


def test_pb214_is_the_allowed_shape_of_its_ground_state_branch():
    radon = BETAS["pb214"]
    decays = radon["decays_per_ty"] * allowed_beta(ENERGIES_KEV, radon)
    np.testing.assert_allclose(radon["branch"] * decays, radon["allowed"], rtol=radon["rel"])
    np.testing.assert_allclose(radon["other_branch"] * decays, radon["other_allowed"], rtol=radon["rel"])
    np.testing.assert_allclose(pb214.rate(ENERGIES_KEV), radon["branch"] * decays, rtol=radon["spectrum_rel"])


def test_kr85_is_the_allowed_shape():
    krypton = BETAS["kr85"]
    allowed = krypton["decays_per_ty"] * allowed_beta(ENERGIES_KEV, krypton)
    np.testing.assert_allclose(allowed, krypton["allowed"], rtol=krypton["rel"])
    ours = kr85.rate(ENERGIES_KEV) * krypton["ppt"] / kr85.KRYPTON_PPT
    np.testing.assert_allclose(ours, allowed, rtol=krypton["spectrum_rel"])


@pytest.mark.parametrize(("spectrum", "name"), [(pb214, "pb214"), (kr85, "kr85")])
def test_betas_are_as_flat_as_their_spectra_say(spectrum, name):
    low, high = allowed_beta(np.array([2.0, spectrum.FLAT_UP_TO_KEV]), BETAS[name])
    assert high / low == pytest.approx(BETAS[name]["rise"], abs=0.005)


def test_primakoff_rosen_is_the_integral_of_both_electrons_energies():
    """A Fermi function that goes as W / p leaves W^2 of each electron: (Q - K)^5 times the integral of W1^2 W2^2."""
    share, weight = np.polynomial.legendre.leggauss(8)  # exact for the polynomial

    def plain(energy_keV):
        summed, released = energy_keV / ELECTRON_KEV, xe136.Q_KEV / ELECTRON_KEV
        first = summed[:, None] * (share + 1) / 2
        both = (first + 1) ** 2 * (summed[:, None] - first + 1) ** 2
        return (released - summed) ** 5 * summed / 2 * (both @ weight)

    energy_keV = np.array([2.0, 6.0, 10.0, 300.0, 1500.0])
    rate, expected = xe136.rate(energy_keV), plain(energy_keV)
    np.testing.assert_allclose(rate / rate[0], expected / expected[0], rtol=1e-6)
