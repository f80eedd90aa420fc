"""Spin-dependent scattering and the Migdal effect against published limits, textbook formulas and wimprates itself."""

import tomllib
from functools import partial
from importlib import import_module
from pathlib import Path

import numericalunits as nu
import numpy as np
import pytest

from engine.physics import spectra
from engine.physics.spectra import _halo, wimp_migdal, wimp_si

REFERENCES = tomllib.loads((Path(__file__).parents[1] / "references" / "spectra.toml").read_text())
SD, MIGDAL = REFERENCES["wimp_sd"], REFERENCES["wimp_migdal"]
SPINS = {"wimp_sd_neutron": "n", "wimp_sd_proton": "p"}


def load(name):
    return import_module(f"{spectra.__name__}.{name}")


def integral(rate, window_keV):
    energy_keV = np.linspace(*window_keV, 20_001)
    return np.trapezoid(rate(energy_keV), energy_keV)


# Spin-dependent scattering


def zero_momentum_over_si(name, m_chi_GeV):
    """Rate over that of wimp_si at no momentum transfer and equal cross-sections, where the halo is the same factor.

    d sigma / d E = sigma_A m_A / (2 mu_A^2 v^2), with sigma_A = sigma A^2 (mu_A / mu)^2 for the latter.
    """
    reference, total = SD["zero_momentum"], 0.0
    for J, neutrons, protons, mass_u, fraction in reference["isotopes"]:
        odd, even = (neutrons, protons) if name == "wimp_sd_neutron" else (protons, neutrons)
        spin = odd + reference["two_body"] / 2 * (odd - even)  # of the isovector half of the coupling
        total += fraction * mass_u * 4 / 3 * (J + 1) / J * spin**2
    reduced = [m_chi_GeV * m / (m_chi_GeV + m) for m in (0.9382721, 0.9314941)]  # with the proton, and with 1 u
    return total / 131.293**3 * (reduced[1] / reduced[0]) ** 2


@pytest.mark.parametrize("name", SPINS)
@pytest.mark.parametrize("m_chi_GeV", [5.0, 50.0, 1000.0])
def test_spins_of_the_nucleus_at_zero_momentum(name, m_chi_GeV):
    lowest_keV = np.array([1e-3])
    ratio = load(name).rate(lowest_keV, m_chi_GeV, 1e-40) / wimp_si.rate(lowest_keV, m_chi_GeV, 1e-40)
    expected = zero_momentum_over_si(name, m_chi_GeV)
    assert ratio[0] == pytest.approx(expected, rel=SD["zero_momentum"]["rel"][name])


@pytest.mark.parametrize("experiment", ["xenon1t", "lux"])
def test_limits_of_one_experiment_are_of_equally_many_events(experiment):
    limits = dict(SD["limits"][experiment])
    m_chi_GeV, rel = limits.pop("m_chi_GeV"), limits.pop("rel")
    rates = [partial(load(name).rate, m_chi_GeV=m_chi_GeV, **{load(name).SIZE.name: s}) for name, s in limits.items()]
    first, second = (integral(rate, SD["limits"]["window_keV"]) for rate in rates)
    assert first == pytest.approx(second, rel=rel)


@pytest.mark.parametrize("structure", ["central", "up", "down"])
@pytest.mark.parametrize("name", SPINS)
def test_totals_at_the_benchmarks(name, structure):
    spectrum, totals = load(name), SD["totals"]
    rate = partial(spectrum.rate, m_chi_GeV=totals["m_chi_GeV"], structure=structure)
    per_ty = integral(lambda e: rate(e, **{spectrum.SIZE.name: spectrum.SIZE.benchmark}), (1e-6, 200.0))
    assert per_ty == pytest.approx(totals[name][structure], rel=totals["rel"])


@pytest.mark.parametrize("structure", ["up", "down"])
@pytest.mark.parametrize("name", SPINS)
def test_structure_functions_are_those_of_wimprates(name, structure):
    energy_keV = np.array([0.7, 3.0, 11.0, 40.0])
    direct = _halo.wimprates.rate_wimp_std(energy_keV, 50.0, 1e-45, interaction=f"SD_{SPINS[name]}_{structure}")
    np.testing.assert_allclose(load(name).rate(energy_keV, 50.0, 1e-45, structure=structure), direct, rtol=1e-3)


# The Migdal effect


@pytest.mark.parametrize("mass", MIGDAL["rates"])
def test_migdal_rates_are_those_of_wimprates(mass):
    reference = MIGDAL["rates"][mass]
    rates = wimp_migdal.rate(np.array(reference["energies_keV"]), float(mass), MIGDAL["sigma_si_cm2"])
    np.testing.assert_allclose(rates, reference["rates"], rtol=MIGDAL["rel"])


def test_migdal_rates_of_another_halo_are_those_of_wimprates():
    energies_keV = np.array([0.15, 0.68, 1.9])
    with _halo.fixed_units():  # in which wimprates' quadrature stops at one pass, good to 2e-3
        direct = _halo.wimprates.rate_wimp_std(
            energies_keV, 1.0, 1e-38, detection_mechanism="migdal", halo_model=_halo.Halo(220.0, 600.0)
        )
    rates = wimp_migdal.rate(energies_keV, 1.0, 1e-38, v0_km_s=220.0, v_esc_km_s=600.0)
    np.testing.assert_allclose(rates, direct, rtol=2e-3)


@pytest.mark.parametrize("m_chi_GeV", [0.1, 1.0, 50.0])
def test_migdal_table_is_the_double_integral(m_chi_GeV):
    with _halo.fixed_units():
        halo, mass = _halo.Halo(238.0, 544.0), m_chi_GeV * nu.GeV / nu.c0**2
        endpoint_keV = _halo.wimprates.mu_nucleus(mass, "Xe") * halo.v_max**2 / 2 / nu.keV
        energy_keV = np.geomspace(0.063, 0.9 * min(endpoint_keV, 70.0), 41)
        kicks = np.array([wimp_migdal._kicks(e * nu.keV, mass, halo) for e in energy_keV]) * 1000 * nu.kg * nu.year
    expected = kicks * wimp_migdal._transitions(energy_keV)
    np.testing.assert_allclose(wimp_migdal.rate(energy_keV, m_chi_GeV, 1e-45), expected, rtol=5e-5)


def test_migdal_steps_at_the_edges_of_the_shells():
    # the table's electrons have 1 eV and more: 4d from 61 eV, nothing below it; then 4p from 140, 3d from 660 eV
    below, above = (wimp_migdal.rate(np.array([0.061, 0.140, 0.660]) + e, 1.0, 1e-38) for e in (0.0009, 0.0011))
    assert below[0] == 0 and above[0] > 0 and above[1] > below[1]
    assert above[2] > 1.1 * below[2]


def test_migdal_benchmark():
    size = wimp_migdal.SIZE
    per_ty = integral(lambda e: wimp_migdal.rate(e, 1.0, size.benchmark), (1.0, 4.0))
    assert per_ty == pytest.approx(8.6, rel=0.01)


@pytest.mark.parametrize("name", ["wimp_si", *SPINS])
@pytest.mark.parametrize("halo", [{}, {"v0_km_s": 100.0, "v_esc_km_s": 300.0}])
@pytest.mark.parametrize("m_chi_GeV", [2.0, 10.0, 10_000.0])
def test_recoils_are_certain_up_to_what_a_spectrum_says_without_a_rate(name, halo, m_chi_GeV):
    spectrum = load(name)
    options = spectra.configure(spectrum, halo)
    reach_keV = spectrum.reaches_keV(m_chi_GeV, options)
    energies_keV = np.linspace(0, reach_keV, 1001)[1:]
    size = {spectrum.SIZE.name: spectrum.SIZE.reference}
    rate = spectrum.rate(np.append(energies_keV, 4 * reach_keV), m_chi_GeV, **size, **options.model_dump())
    assert np.all(rate[:-1] > 0)
    if reach_keV < 200 and not halo:
        assert rate[-1] == 0  # (1 + v_Earth / v_esc)^2 = 3.3 is all that the Earth's speed adds
