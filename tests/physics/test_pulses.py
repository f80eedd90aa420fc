"""S1 photons drawn once, then given a time and a charge: against closed forms and slow twins."""

import tomllib
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chisquare, truncnorm

from engine.physics.detectors import TPC, _pulses, darwin

REFERENCES = tomllib.loads((Path(__file__).parents[1] / "references" / "darwin.toml").read_text())
DARWIN = darwin.CONSTANTS
TUBES = len(DARWIN.pmt_positions_cm())
PHOTONS, S1 = REFERENCES["photons"], REFERENCES["s1_times"]
ONES = np.ones(_pulses.TABLE_SIZE, np.float32)
NO_MOMENTS = np.zeros((0, 0, 2))
CHARGES = _pulses.charge_table(DARWIN.double_pe_probability, DARWIN.spe_resolution)


def override(**constants):
    return TPC(**DARWIN.model_dump() | constants)


def offsets(counts):
    return np.concatenate([[0], np.cumsum(counts)])


def keys(n, seed=5):
    return np.random.default_rng(seed).integers(0, 2**64, n, dtype=np.uint64)


def s1_pulses(times, counts, charges=CHARGES, samples=200, event_keys=None, bottom=0.8):
    n = len(counts)
    event_keys = keys(n) if event_keys is None else event_keys
    waveform, area, hits = np.zeros((n, samples), np.float32), np.zeros(n), np.zeros((2, n, TUBES), np.float32)
    even = np.zeros((0, 6)), (np.zeros((2, TUBES)), np.zeros((2, TUBES)))
    filled = waveform, hits[0], hits[1], area, NO_MOMENTS
    _pulses.fill_s1(times, offsets(counts), event_keys, charges, 10.0, bottom, *even, *filled)
    return waveform, area, *hits


# Charges


def test_charge_of_a_photon():
    single = truncnorm(-1 / PHOTONS["spe_resolution"], np.inf, 1, PHOTONS["spe_resolution"])
    width = PHOTONS["spe_resolution"] * np.sqrt(2)
    double, p = truncnorm(-2 / width, np.inf, 2, width), PHOTONS["double_pe_probability"]
    mean = (1 - p) * single.mean() + p * double.mean()
    square = (1 - p) * single.moment(2) + p * double.moment(2)
    assert mean == pytest.approx(1 + p, abs=0.003)
    assert CHARGES.mean(dtype=float) == pytest.approx(mean, rel=1e-3)
    assert CHARGES.std(dtype=float) == pytest.approx(np.sqrt(square - mean**2), rel=3e-3)
    assert CHARGES.min() > 0


def test_charge_without_resolution_counts_photoelectrons():
    table = _pulses.charge_table(0.25, 0.0)
    assert set(table) == {1.0, 2.0} and table.mean() == pytest.approx(1.25)


# Times


def emission(kind, n=400_000, **constants):
    """Times with the recombination time given to every photon: in NEST, for NR, that of the excitons."""
    energy_keV = np.full(n, S1["energy_keV"])
    tpc = override(s1_transport_ns=1e-9, pmt_transit_ns=0.0, **constants)
    return _pulses.s1_times_ns(tpc, kind, energy_keV, np.full(n, kind == "NR"), np.random.default_rng(2))


@pytest.mark.parametrize("kind", ["ER", "NR"])
def test_s1_emission(kind):
    times = emission(kind)
    assert np.median(times) == pytest.approx(S1["median_ns"][kind], abs=S1["median_abs"])
    assert np.quantile(times, 0.9) == pytest.approx(S1["quantile_90_ns"][kind], abs=S1["quantile_90_abs"])
    assert np.mean(times < 200) == pytest.approx(S1["within_200_ns"][kind], abs=S1["within_abs"])
    assert S1["longest_recombination_ns"] / 3 < times.max() < S1["longest_recombination_ns"] + 25 * 25.89


def test_s1_photons_wait_for_transport_and_tube():
    n = 200_000
    energy_keV, exciton = np.full(n, 10.0), np.full(n, True)
    steady = override(pmt_transit_ns=0.0)
    times, without_tube = (
        _pulses.s1_times_ns(tpc, "ER", energy_keV, exciton, np.random.default_rng(4)) for tpc in (DARWIN, steady)
    )
    decay = (0.042 * 3.27 + 25.89) / 1.042
    assert times.mean() == pytest.approx(decay + 0.95 * DARWIN.s1_transport_ns, abs=0.3)
    sigma = np.hypot(S1["tube_fwhm_ns"] / 2.3548, S1["electronics_ns"])
    assert np.std(times - without_tube) == pytest.approx(sigma, rel=0.01)


# Coincidence


@pytest.mark.parametrize("fold", [2, 3, 4])
def test_coincidence_agrees_with_trying_every_combination(fold):
    rng = np.random.default_rng(fold)
    counts = rng.integers(0, 8, 400)
    times, first = rng.exponential(250.0, counts.sum()), offsets(counts)
    events = [times[a:b] for a, b in zip(first, first[1:], strict=False)]
    brute = [any(max(c) - min(c) <= 200 for c in combinations(event, fold)) for event in events]
    assert 50 < sum(brute) < 390
    np.testing.assert_array_equal(_pulses.in_coincidence(times, first, fold, 200.0), brute)


# Pulses


def test_s1_waveform_is_the_histogram_of_times_after_the_first_photon():
    rng = np.random.default_rng(7)
    counts = np.array([0, 1, 37, 400, 0])
    times = rng.exponential(300.0, counts.sum()) - 50
    waveform, area, *_ = s1_pulses(times, counts, ONES)
    for event, (a, b) in enumerate(zip(offsets(counts), offsets(counts)[1:], strict=False)):
        own = times[a:b] - times[a:b].min(initial=np.inf)
        np.testing.assert_array_equal(waveform[event], np.histogram(own, 200, (0, 2000))[0])
    np.testing.assert_array_equal(area, counts)


def test_n_photons_have_the_charge_of_n_photons():
    """The area's variance is the charges' alone: a photon is not drawn again when it is given a sample."""
    n, photons = 4000, 100
    mean, sigma = CHARGES.mean(dtype=float), CHARGES.std(dtype=float)
    _, area, *_ = s1_pulses(np.zeros(n * photons), np.full(n, photons))
    assert area.mean() == pytest.approx(photons * mean, abs=4 * sigma * np.sqrt(photons / n))
    assert area.var() == pytest.approx(photons * sigma**2, rel=4 * np.sqrt(2 / n))


def test_samples_hold_the_same_charge_as_the_area():
    rng = np.random.default_rng(9)
    counts = rng.integers(0, 60, 300)
    waveform, area, *hits = s1_pulses(rng.exponential(50.0, counts.sum()), counts)
    for recorded in (waveform, np.concatenate(hits, axis=1)):
        np.testing.assert_allclose(recorded.sum(axis=1, dtype=float), area, rtol=1e-5)


def test_what_falls_behind_the_window_is_in_the_area_alone():
    waveform, area, *hits = s1_pulses(np.array([0.0, 1999.9, 2000.0, 1e6]), [4], ONES)
    assert waveform[0, 0] == waveform[0, -1] == 1 and waveform.sum() == 2 and area[0] == np.sum(hits) == 4


def test_an_event_does_not_depend_on_its_neighbours():
    event_keys = keys(3)
    together = s1_pulses(np.zeros(150), [50, 50, 50], event_keys=event_keys)
    alone = s1_pulses(np.zeros(50), [50], event_keys=event_keys[2:])
    for part, own in zip(together, alone, strict=True):
        np.testing.assert_array_equal(part[2], own[0])
        assert np.any(part[0] != part[2])


@pytest.mark.parametrize("bottom", [0.0, 0.8, 1.0])
def test_s1_light_fills_each_array_evenly(bottom):
    n = 500_000
    _, _, top_hits, bottom_hits = s1_pulses(np.zeros(n), [n], ONES, bottom=bottom)
    assert bottom_hits.sum(dtype=float) / n == pytest.approx(bottom, abs=4 * np.sqrt(bottom * (1 - bottom) / n))
    for hits in (top_hits[0], bottom_hits[0]):
        assert hits.sum() == 0 or chisquare(hits, np.full(TUBES, hits.sum() / TUBES)).pvalue > 0.005


def test_tube_and_charge_of_an_s1_photon_are_independent():
    """Both come from one 64-bit draw; an event of one photon shows them."""
    n = 5000
    _, area, *hits = s1_pulses(np.zeros(n), np.ones(n, int))
    hits = np.concatenate(hits, axis=1)
    assert np.all((hits > 0).sum(axis=1) == 1)
    channel = hits.argmax(axis=1)
    for place in (channel, channel < TUBES, channel % TUBES):
        assert abs(np.corrcoef(area, place)[0, 1]) < 4 / np.sqrt(n)
