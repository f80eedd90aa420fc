"""Photons drawn once, then given a time, a PMT and a charge: against closed forms and slow twins."""

import tomllib
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chisquare, truncnorm

from engine.physics.detectors import TPC, _pulses, darwin

REFERENCES = tomllib.loads((Path(__file__).parents[1] / "references" / "darwin.toml").read_text())
DARWIN = darwin.CONSTANTS
PMTS = DARWIN.pmt_positions_cm()
PHOTONS, PATTERN, S1, S2 = (REFERENCES[key] for key in ("photons", "pattern", "s1_times", "s2_times"))
ONES, NO_DELAY = np.ones(_pulses.TABLE_SIZE, np.float32), np.zeros(_pulses.TABLE_SIZE, np.float32)
CHARGES = _pulses.charge_table(DARWIN.double_pe_probability, DARWIN.spe_resolution)
DELAYS = _pulses.gas_time_table(DARWIN.gas_transit_us, DARWIN.pmt_transit_ns)


def override(**constants):
    return TPC(**DARWIN.model_dump() | constants)


def offsets(counts):
    return np.concatenate([[0], np.cumsum(counts)])


def keys(n, seed=5):
    return np.random.default_rng(seed).integers(0, 2**64, n, dtype=np.uint64)


def s1_pulses(times, counts, charges=CHARGES, samples=200, event_keys=None):
    n = len(counts)
    event_keys = keys(n) if event_keys is None else event_keys
    waveform, area = np.zeros((n, samples), np.float32), np.zeros(n)
    _pulses.fill_s1(times, offsets(counts), event_keys, charges, 10.0, waveform, area)
    return waveform, area


def s2_pulses(
    times, photons, counts, xy=(0.0, 0.0), charges=CHARGES, delays=DELAYS, samples=1725,
    top=DARWIN.s2_top_fraction, focused=DARWIN.s2_focused_fraction, event_keys=None,
):  # fmt: skip
    n = len(counts)
    event_keys = keys(n) if event_keys is None else event_keys
    x, y = (np.broadcast_to(np.float64(v), n).copy() for v in xy)
    waveform, area = np.zeros((n, samples), np.float32), np.zeros(n)
    hits = np.zeros((2, n, len(PMTS)), np.float32)
    _pulses.fill_s2(
        times, photons, offsets(counts), event_keys, charges, delays, x, y, PMTS, DARWIN.s2_light_height_cm,
        top, focused, 10.0, waveform, hits[0], hits[1], area,
    )  # fmt: skip
    return waveform, hits[0], hits[1], area


def flash(n_photons, **how):
    """One event whose photons leave at once, from a thousand electrons."""
    photons = np.full(1000, n_photons // 1000)
    return [part[0] for part in s2_pulses(np.zeros(1000), photons, [1000], **how)]


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


@pytest.mark.parametrize("i", range(len(S2["drift_cm"])))
def test_s2_width_from_diffusion(i):
    drift_us = np.full(100_000, S2["drift_cm"][i] * 10 / DARWIN.drift_velocity_mm_us)
    times = _pulses.electron_times_ns(override(electron_trapping_us=1e-9), drift_us, np.random.default_rng(3))
    assert times.std() / 1e3 == pytest.approx(S2["width_us"][i], abs=S2["width_abs"] + 0.003 * S2["width_us"][i])


def test_electrons_are_trapped():
    times = _pulses.electron_times_ns(DARWIN, np.zeros(100_000), np.random.default_rng(3)) / 1e3
    assert times.mean() == pytest.approx(S2["trapping_us"], rel=0.015)
    assert times.std() == pytest.approx(S2["trapping_us"], rel=0.03) and times.min() >= 0


def test_gas_times():
    singlet = S2["singlet_to_triplet"] / (1 + S2["singlet_to_triplet"])
    excimer = singlet * S2["excimer_ns"][0] + (1 - singlet) * S2["excimer_ns"][1]
    assert DELAYS.mean(dtype=float) == pytest.approx(S2["gas_transit_ns"] / 2 + excimer, abs=S2["table_abs_ns"])
    plateau = np.array([0.5, 0.7, 0.9])  # long after the excimers of the first electrons, before the last's
    expected = plateau * S2["gas_transit_ns"] + excimer
    np.testing.assert_allclose(np.quantile(DELAYS, plateau), expected, rtol=0, atol=S2["table_abs_ns"])


def test_photons_per_electron():
    drawn = _pulses.photons_per_electron(DARWIN, 200_000, np.random.default_rng(6))
    made, g = PHOTONS["el_photons"], PHOTONS["g1_gas"]
    variance = made * g * (1 - g) + PHOTONS["el_fano"] * made * g**2
    assert drawn.mean() == pytest.approx(made * g, rel=0.001)
    assert drawn.var() == pytest.approx(variance, rel=0.015)


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
    waveform, area = s1_pulses(times, counts, ONES)
    for event, (a, b) in enumerate(zip(offsets(counts), offsets(counts)[1:], strict=False)):
        own = times[a:b] - times[a:b].min(initial=np.inf)
        np.testing.assert_array_equal(waveform[event], np.histogram(own, 200, (0, 2000))[0])
    np.testing.assert_array_equal(area, counts)


def test_s2_waveform_is_the_histogram_of_electrons_weighted_by_photons():
    rng = np.random.default_rng(8)
    counts = np.array([3, 0, 250])
    times, photons = rng.normal(0, 1500.0, counts.sum()), rng.poisson(62, counts.sum())
    waveform, top, bottom, area = s2_pulses(times, photons, counts, charges=ONES, delays=NO_DELAY, samples=500)
    for event, (a, b) in enumerate(zip(offsets(counts), offsets(counts)[1:], strict=False)):
        own = times[a:b] - times[a:b].min(initial=np.inf)
        np.testing.assert_array_equal(waveform[event], np.histogram(own, 500, (0, 5000), weights=photons[a:b])[0])
        assert area[event] == photons[a:b].sum() == top[event].sum() + bottom[event].sum()


def test_n_photons_have_the_charge_of_n_photons():
    """The area's variance is the charges' alone: a photon is not drawn again when it is given a sample."""
    n, photons = 4000, 100
    mean, sigma = CHARGES.mean(dtype=float), CHARGES.std(dtype=float)
    _, s1_area = s1_pulses(np.zeros(n * photons), np.full(n, photons))
    s2_area = s2_pulses(np.zeros(n), np.full(n, photons), np.ones(n, int))[-1]
    for area in (s1_area, s2_area):
        assert area.mean() == pytest.approx(photons * mean, abs=4 * sigma * np.sqrt(photons / n))
        assert area.var() == pytest.approx(photons * sigma**2, rel=4 * np.sqrt(2 / n))


def test_samples_and_tubes_hold_the_same_charge_as_the_area():
    rng = np.random.default_rng(9)
    counts = rng.integers(0, 60, 300)
    times, photons = rng.normal(0, 1500.0, counts.sum()), rng.poisson(62, counts.sum())
    waveform, top, bottom, area = s2_pulses(times, photons, counts)
    np.testing.assert_allclose(waveform.sum(axis=1, dtype=float), area, rtol=1e-5)
    np.testing.assert_allclose(top.sum(axis=1, dtype=float) + bottom.sum(axis=1, dtype=float), area, rtol=1e-5)
    times = rng.exponential(50.0, counts.sum())
    waveform, area = s1_pulses(times, counts)
    np.testing.assert_allclose(waveform.sum(axis=1, dtype=float), area, rtol=1e-5)


def test_what_falls_behind_the_window_is_in_the_area_alone():
    waveform, area = s1_pulses(np.array([0.0, 1999.9, 2000.0, 1e6]), [4], ONES)
    assert waveform[0, 0] == waveform[0, -1] == 1 and waveform.sum() == 2 and area[0] == 4


def test_an_event_does_not_depend_on_its_neighbours():
    photons, event_keys = np.full(30, 500), keys(3)
    together = s2_pulses(np.zeros(30), photons, [10, 10, 10], (10.0, 20.0), event_keys=event_keys)
    alone = s2_pulses(np.zeros(10), photons[:10], [10], (10.0, 20.0), event_keys=event_keys[2:])
    s1_together = s1_pulses(np.zeros(150), [50, 50, 50], event_keys=event_keys)
    s1_alone = s1_pulses(np.zeros(50), [50], event_keys=event_keys[2:])
    for part, own in zip((*together, *s1_together), (*alone, *s1_alone), strict=True):
        np.testing.assert_array_equal(part[2], own[0])
        assert np.any(part[0] != part[2])


# Hit patterns


def pattern(xy, height_cm=PATTERN["height_cm"]):
    weight = (((PMTS - xy) ** 2).sum(axis=1) + height_cm**2) ** -1.5
    return weight / weight.sum()


@pytest.mark.parametrize("xy", [(0.0, 0.0), (33.3, -51.7), (-90.0, 80.0)])
def test_hits_follow_the_pattern(xy):
    n, top, focused = 1_000_000, PATTERN["top_fraction"], PATTERN["focused_fraction"]
    _, hits_top, hits_bottom, _ = flash(n, xy=xy, charges=ONES)
    expected_top = n * top * (focused * pattern(xy) + (1 - focused) / len(PMTS))
    expected = np.concatenate([expected_top, np.full(len(PMTS), n * (1 - top) / len(PMTS))])
    assert chisquare(np.concatenate([hits_top, hits_bottom]), expected).pvalue > 0.005
    assert hits_top.sum() / n == pytest.approx(top, abs=4 * np.sqrt(top * (1 - top) / n))


@pytest.mark.parametrize(
    ("x", "name"), [(0.0, "hottest_below_a_tube"), (DARWIN.pmt_pitch_cm / 2, "hottest_between_two")]
)
def test_hottest_tube(x, name):
    _, hits_top, hits_bottom, _ = flash(1_000_000, xy=(x, 0.0), charges=ONES, top=1.0, focused=1.0)
    assert hits_bottom.sum() == 0
    assert hits_top.max() / hits_top.sum() == pytest.approx(PATTERN[name], abs=PATTERN["hottest_abs"] + 0.0015)


def test_time_tube_and_charge_are_independent():
    """The three come from one 64-bit draw; an event of one photon shows all of them."""
    n = 10_000
    waveform, top, bottom, area = s2_pulses(np.zeros(n), np.ones(n, int), np.ones(n, int))
    hits = np.concatenate([top, bottom], axis=1)
    assert np.all((waveform > 0).sum(axis=1) == 1) and np.all((hits > 0).sum(axis=1) == 1)
    channel = hits.argmax(axis=1)
    seen = [waveform.argmax(axis=1), area, channel, channel < len(PMTS), channel % len(PMTS)]
    correlation = np.corrcoef(seen)
    independent = [(0, 1), (0, 2), (0, 3), (0, 4), (1, 2), (1, 3), (1, 4)]
    assert max(abs(correlation[pair]) for pair in independent) < 4 / np.sqrt(n)
