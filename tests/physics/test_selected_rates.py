"""Nuclear recoils that pass the selection in DARWIN, component by component and cut by cut, in 200 t y."""

import tomllib
from functools import cache, partial
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from engine.physics import events, proposals, spectra
from engine.physics.detectors import darwin

REFERENCES = tomllib.loads((Path(__file__).parents[1] / "references" / "spectra.toml").read_text())
SELECTED = REFERENCES["selected"]
LOW_KEV, N_LOW = (0.8, 5.0), 40_000  # 8B and hep, of which few pass: by many events that are cheap
WIDE_KEV, N_WIDE = (0.8, 150.0), 20_000


@cache
def recoils(range_keV, n):
    """True energy, CES, whether in coincidence, and proposal's density, of n nuclear recoils."""
    energy_keV = proposals.draw("log_uniform", *range_keV, n, np.random.default_rng(31))
    columns, _ = events.simulate(darwin.CONSTANTS, "NR", energy_keV, ["selected", n])
    density = proposals.density_per_keV("log_uniform", *range_keV, energy_keV)
    return energy_keV, columns["ces_keVee"], columns["registered"], density


def passes(cut, energy_keV, ces_keVee):
    if cut == "all":
        return np.full(len(energy_keV), True)
    value, (low, high) = (ces_keVee, (2, 10)) if cut == "ces" else (energy_keV, map(float, cut.split("-")))
    return (value > low) & (value < high)


def expected_events(name, cut, **signal):
    """Events in the exposure, and their standard error."""
    module_name = {"achieved": "neutrons"}.get(name, name)
    options = {"level": "achieved"} if name == "achieved" else signal
    rate = partial(import_module(f"{spectra.__name__}.{module_name}").rate, **options)
    sample = (LOW_KEV, N_LOW) if name in ("b8", "hep") else (WIDE_KEV, N_WIDE)
    energy_keV, ces_keVee, registered, density = recoils(*sample)
    kept = registered & passes(cut, energy_keV, ces_keVee)
    weights = SELECTED["exposure_ty"] * rate(energy_keV) * kept / density / sample[1]
    return weights.sum(), np.sqrt(np.square(weights).sum())


def agrees(found, error, published):
    return found == pytest.approx(published, abs=SELECTED["rel"] * published + SELECTED["abs"] + 3.5 * error)


@pytest.mark.parametrize("cut", SELECTED["cuts"])
def test_nuclear_recoils_of_every_cut(cut):
    for name, published in SELECTED["cuts"][cut].items():
        signal = {"m_chi_GeV": 50.0, "sigma_si_cm2": SELECTED["sigma_si_cm2"]} if name == "wimp_si" else {}
        found, error = expected_events(name, cut, **signal)
        assert error < 0.12 * published + SELECTED["abs"], f"{name}: too few events to tell"
        assert agrees(found, error, published), name


@pytest.mark.parametrize(("mass", "published"), SELECTED["wimp_ces"].items())
def test_wimps_in_the_energy_window(mass, published):
    found, error = expected_events("wimp_si", "ces", m_chi_GeV=float(mass), sigma_si_cm2=SELECTED["sigma_si_cm2"])
    assert agrees(found, error, published)
