"""The band of electron recoils against LUX's tritium: where it lies, and how wide it is."""

import tomllib
from pathlib import Path

import numpy as np
import pytest

from engine.physics import events
from engine.physics.detectors import TPC, darwin

LUX = tomllib.loads((Path(__file__).parents[1] / "references" / "lux_run03.toml").read_text())
TRITIUM, N = LUX["tritium"], 16_000


def detector(**constants):
    return TPC(**darwin.CONSTANTS.model_dump() | LUX["constants"] | constants)


def tritium_keV(n, rng):
    """Energies of the allowed beta decay with the Fermi function of a slow electron, as NEST and LUX take it."""
    energy, mass = np.linspace(0.01, TRITIUM["endpoint_keV"], 4000), 511.0
    total = energy + mass
    momentum = np.sqrt(total**2 - mass**2)
    eta = 4 * np.pi / 137.036 * total / momentum
    shape = momentum * total * (TRITIUM["endpoint_keV"] - energy) ** 2 * eta / (1 - np.exp(-eta))
    return np.maximum(np.interp(rng.random(n), np.cumsum(shape) / shape.sum(), energy), 0.1)


def band(tpc):
    """Mean of medians and of half-widths of log10(S2 / S1) over bins of 1 phd, between the edges: (2, ranges)."""
    energy_keV = tritium_keV(N, np.random.default_rng(3))
    shards = [events.simulate(tpc, "ER", energy_keV[i : i + 4000], ("lux", i))[0] for i in range(0, N, 4000)]
    s1, s2, kept = (np.concatenate([s[name] for s in shards]) for name in ("cs1_pe", "cs2_pe", "registered"))
    s1_phd, ratio = s1[kept] / events.mean_charge(tpc), np.log10(s2[kept] / s1[kept])
    rows = []
    for low, high in zip(TRITIUM["edges_phd"], TRITIUM["edges_phd"][1:], strict=False):
        bins = [np.quantile(ratio[(s1_phd >= a) & (s1_phd < a + 1)], [0.16, 0.5, 0.84]) for a in range(low, high)]
        rows.append([np.mean([q[1] for q in bins]), np.mean([(q[2] - q[0]) / 2 for q in bins])])
    return np.transpose(rows)


def test_the_band_of_tritium_is_lux_own_with_its_noise():
    mean, sigma = band(detector())
    np.testing.assert_allclose(mean, TRITIUM["mean"], atol=TRITIUM["mean_abs"])
    np.testing.assert_allclose(sigma, TRITIUM["sigma"], rtol=TRITIUM["sigma_rel"])
    assert np.mean(sigma / TRITIUM["sigma"]) == pytest.approx(1, abs=0.03)


def test_without_the_noise_the_band_is_narrow():
    mean, sigma = band(detector(s2_noise=0.0))
    np.testing.assert_allclose(mean, TRITIUM["mean"], atol=TRITIUM["mean_abs"])
    assert 0.89 < np.mean(sigma / TRITIUM["sigma"]) < 0.96


def test_noise_widens_what_is_reconstructed_and_nothing_else():
    energy_keV = np.full(3000, 20.0)
    quiet, noisy = (events.simulate(detector(s2_noise=width), "ER", energy_keV, "noise")[0] for width in (0.0, 0.05))
    factor = noisy["s2_pe"] / quiet["s2_pe"]
    assert factor.mean() == pytest.approx(1, abs=0.004) and factor.std() == pytest.approx(0.05, rel=0.05)
    np.testing.assert_allclose(noisy["cs2_pe"] / quiet["cs2_pe"], factor)
    for same in ("s1_pe", "cs1_pe", "registered", "drift_us"):
        np.testing.assert_array_equal(noisy[same], quiet[same])
    assert not {"s1_noise", "s2_noise"} & set(darwin.CONSTANTS.model_dump())
    s1 = events.simulate(detector(s1_noise=0.05, s2_noise=0.0), "ER", energy_keV, "noise")[0]["s1_pe"] / quiet["s1_pe"]
    assert s1.std() == pytest.approx(0.05, rel=0.05)
