"""S2 light: against closed forms, and shared out against a twin that follows photon by photon."""

import tomllib
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chisquare, ks_2samp, kurtosis, norm

from engine.bench import s2 as bench
from engine.physics.detectors import TPC, _pulses, _s2, darwin

REFERENCES = tomllib.loads((Path(__file__).parents[1] / "references" / "darwin.toml").read_text())
DARWIN = darwin.CONSTANTS
PMTS = DARWIN.pmt_positions_cm()
PHOTONS, PATTERN, S2 = (REFERENCES[key] for key in ("photons", "pattern", "s2_times"))
CHARGES = _pulses.charge_table(DARWIN.double_pe_probability, DARWIN.spe_resolution)
MEAN, SQUARE = (float(np.mean(CHARGES.astype(float) ** power)) for power in (1, 2))
FLASH = {"diffusion_longitudinal_cm2_s": 0.0, "electron_trapping_us": 1e-9}  # electrons all arrive at once
ONES = {"double_pe_probability": 0.0, "spe_resolution": 0.0}  # a photon's charge is 1 PE
EVERY, NONE = np.iinfo(np.int64).max, 0  # FEW_PHOTONS: every photon is followed, or none


def override(**constants):
    return TPC(**DARWIN.model_dump() | constants)


def fixed_photons(per_electron, **constants):
    return override(el_photons_per_electron=per_electron, g1_gas=1.0, el_fano=0.0, **constants)


def light(n, electrons, xy=(10.0, 20.0), drift_us=500.0, seed=5):
    keys = np.random.default_rng(seed).integers(0, 2**64, n, dtype=np.uint64)
    return bench.Light(np.full(n, drift_us), np.full(n, electrons), *(np.full(n, v) for v in xy), keys)


@pytest.fixture(params=[EVERY, NONE], ids=["followed", "shared"])
def way(request, monkeypatch):
    monkeypatch.setattr(_s2, "FEW_PHOTONS", request.param)
    return request.param


# Numbers and electrons


def test_normals():
    half = _s2.half_normals().astype(float)
    pairs = (half[:, np.newaxis] + half).ravel()  # every one of the 2^24 that occur
    assert pairs.mean() == pytest.approx(0, abs=1e-6) and pairs.var() == pytest.approx(1, abs=1e-6)
    assert kurtosis(pairs) == pytest.approx(0, abs=0.015)
    for z, rel in ((1, 2e-3), (2, 2e-3), (3, 0.02), (4, 0.2)):
        assert np.mean(pairs > z) == pytest.approx(norm.sf(z), rel=rel)


def draw_electrons(tpc, n, drift_us):
    gain = tpc.single_electron_gain, np.sqrt(_s2.photon_variance(tpc))
    spread = _s2.spread_ns(tpc, np.float64(drift_us))
    return _s2.draw_electrons(np.uint64(3), n, spread, tpc.electron_trapping_us * 1e3, gain, _s2.half_normals())


@pytest.mark.parametrize("i", range(len(S2["drift_cm"])))
def test_width_from_diffusion(i):
    drift_us = S2["drift_cm"][i] * 10 / DARWIN.drift_velocity_mm_us
    times, _ = draw_electrons(override(electron_trapping_us=1e-9), 100_000, drift_us)
    assert times.std() / 1e3 == pytest.approx(S2["width_us"][i], abs=S2["width_abs"] + 0.003 * S2["width_us"][i])
    assert times.mean() == pytest.approx(0, abs=4 * times.std() / np.sqrt(len(times)))


def test_electrons_are_trapped():
    times = draw_electrons(DARWIN, 100_000, 0.0)[0] / 1e3
    assert times.mean() == pytest.approx(S2["trapping_us"], rel=0.015)
    assert times.std() == pytest.approx(S2["trapping_us"], rel=0.03) and times.min() >= 0


def test_photons_per_electron():
    times, drawn = draw_electrons(DARWIN, 200_000, 500.0)
    made, g = PHOTONS["el_photons"], PHOTONS["g1_gas"]
    variance = made * g * (1 - g) + PHOTONS["el_fano"] * made * g**2
    assert drawn.mean() == pytest.approx(made * g, rel=0.001)
    assert drawn.var() == pytest.approx(variance, rel=0.015)
    assert abs(np.corrcoef(times, drawn)[0, 1]) < 4 / np.sqrt(len(times))


# Times in the gas


def test_gas_times():
    delays = _s2.gas_delays_ns(DARWIN.gas_transit_us, DARWIN.pmt_transit_ns)
    singlet = S2["singlet_to_triplet"] / (1 + S2["singlet_to_triplet"])
    excimer = singlet * S2["excimer_ns"][0] + (1 - singlet) * S2["excimer_ns"][1]
    assert delays.mean(dtype=float) == pytest.approx(S2["gas_transit_ns"] / 2 + excimer, abs=S2["table_abs_ns"])
    plateau = np.array([0.5, 0.7, 0.9])  # long after the excimers of the first electrons, before the last's
    expected = plateau * S2["gas_transit_ns"] + excimer
    np.testing.assert_allclose(np.quantile(delays, plateau), expected, rtol=0, atol=S2["table_abs_ns"])


def test_kernel_is_the_histogram_of_delays():
    gas = DARWIN.gas_transit_us, DARWIN.pmt_transit_ns
    kernel = _s2.gas_kernel(*gas, 10.0)
    histogram = np.histogram(_s2.gas_delays_ns(*gas), len(kernel), (0, 10.0 * len(kernel)))[0] / _pulses.TABLE_SIZE
    assert kernel.sum() == pytest.approx(1) and kernel.min() >= 0
    np.testing.assert_allclose(np.cumsum(kernel), np.cumsum(histogram), rtol=0, atol=2 / _pulses.TABLE_SIZE)


def test_expected_light_is_every_electrons_own():
    rng, kernel, n = np.random.default_rng(8), np.array([0.1, 0.5, 0.3, 0.1]), 50
    arrived, made = np.append(0.0, rng.uniform(0, 60, 40)), rng.poisson(62, 41)
    expected, slow = np.empty(n + 1), np.zeros(100)
    _s2.expect_light(arrived, made, kernel, expected)
    for time, photons in zip(arrived, made, strict=True):
        for start, part in ((int(time), 1 - time % 1), (int(time) + 1, time % 1)):
            slow[start : start + 4] += photons * part * kernel
    np.testing.assert_allclose(expected[:n], slow[:n], atol=1e-9)
    assert expected[n] == pytest.approx(slow[n:].sum()) and expected[n] > 0


# Shares


@pytest.mark.parametrize("expected", [0.3, 3.0, 7.9, 8.1, 12.0, 60.0])
def test_share_of_the_charge(expected):
    """As a Poisson number of photons' charges: 40 000 shares tell a distance of 0.01; 8.0 divides the two ways."""
    n, rng = 40_000, np.random.default_rng(12)
    shares = _s2.share_out(
        np.uint64(1), n * expected * MEAN, np.full(n, expected), CHARGES, _s2._moments(CHARGES), _s2.half_normals()
    )  # fmt: skip
    photons = rng.poisson(expected, n)
    plain = np.bincount(np.repeat(np.arange(n), photons), rng.choice(CHARGES, photons.sum()), minlength=n)
    assert ks_2samp(shares, plain).pvalue > 0.005
    assert shares.var() == pytest.approx(SQUARE * expected, rel=4.5 * np.sqrt((2 + 2 / expected) / n))


def test_shares_of_one_total_are_a_multinomials():
    """Variance N p (1 - p) and covariance -N p q of the mean square charge, about p times the total."""
    p = np.concatenate([[0.3, 0.2, 0.05, 0.01], np.full(440, 0.001)])
    n, repeats, moments, half = 5000, 6000, _s2._moments(CHARGES), _s2.half_normals()
    keys = np.random.default_rng(3).integers(0, 2**64, repeats, dtype=np.uint64)
    drawn = np.array([_s2.share_out(key, n * MEAN, n * p, CHARGES, moments, half) for key in keys])
    np.testing.assert_allclose(drawn.sum(axis=1), n * MEAN)
    variance = n * p * (1 - p) * SQUARE
    error = np.sqrt(variance / repeats)
    assert np.max(np.abs(drawn.mean(axis=0) - n * p * MEAN) / error) < 4.5
    np.testing.assert_allclose(drawn.var(axis=0), variance, rtol=4.5 * np.sqrt(2.5 / repeats))
    for i, j in ((0, 1), (0, 2), (1, 2)):
        covariance = np.cov(drawn[:, i], drawn[:, j])[0, 1]
        error = np.sqrt(variance[i] * variance[j] * 2 / repeats)
        assert covariance == pytest.approx(-n * p[i] * p[j] * SQUARE, abs=4.5 * error)


# Pulses, followed and shared


@pytest.mark.usefixtures("way")
def test_samples_and_tubes_hold_the_same_charge_as_the_area():
    waveform, hits, charge = bench.fast_s2(DARWIN, light(200, 60))
    np.testing.assert_allclose(waveform.sum(axis=1, dtype=float), charge, rtol=1e-5)
    np.testing.assert_allclose(hits.sum(axis=1, dtype=float), charge, rtol=1e-5)


@pytest.mark.usefixtures("way")
def test_n_photons_have_the_charge_of_n_photons():
    """The charge's variance is the photons' alone: none is drawn again when it is given a sample and a tube."""
    n, photons = 4000, 1000
    *_, charge = bench.fast_s2(fixed_photons(100), light(n, 10))
    sigma = np.sqrt(SQUARE - MEAN**2)
    assert charge.mean() == pytest.approx(photons * MEAN, abs=4 * sigma * np.sqrt(photons / n))
    assert charge.var() == pytest.approx(photons * sigma**2, rel=4 * np.sqrt(2 / n))


@pytest.mark.usefixtures("way")
def test_without_charge_noise_the_charge_is_the_number_of_photons():
    _, hits, charge = bench.fast_s2(fixed_photons(100, **ONES), light(50, 30))
    np.testing.assert_array_equal(charge, 3000)
    np.testing.assert_allclose(hits.sum(axis=1, dtype=float), 3000, rtol=1e-6)


@pytest.mark.usefixtures("way")
def test_what_falls_behind_the_window_is_in_the_area_alone():
    gas = _s2.gas_kernel(DARWIN.gas_transit_us, DARWIN.pmt_transit_ns, DARWIN.s2_sample_ns)
    waveform, hits, charge = bench.fast_s2(override(s2_samples=60, **FLASH), light(400, 100))
    np.testing.assert_allclose(hits.sum(axis=1, dtype=float), charge, rtol=1e-5)
    within = waveform.sum(axis=1, dtype=float) / charge
    assert within.mean() == pytest.approx(gas[:60].sum(), abs=4 * within.std() / np.sqrt(400))


@pytest.mark.usefixtures("way")
def test_an_event_does_not_depend_on_its_neighbours():
    together = light(3, 80)
    alone = bench.Light(*(values[2:] for values in vars(together).values()))
    for part, own in zip(bench.fast_s2(DARWIN, together), bench.fast_s2(DARWIN, alone), strict=True):
        np.testing.assert_array_equal(part[2], own[0])
        assert np.any(part[0] != part[2])


@pytest.mark.usefixtures("way")
def test_an_s2_without_electrons_is_empty():
    for part in bench.fast_s2(DARWIN, light(3, 0)):
        assert not np.any(part)


def pattern(xy, height_cm=PATTERN["height_cm"]):
    weight = (((PMTS - xy) ** 2).sum(axis=1) + height_cm**2) ** -1.5
    return weight / weight.sum()


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("xy", [(0.0, 0.0), (33.3, -51.7), (-90.0, 80.0)])
def test_hits_follow_the_pattern(xy):
    n, top, focused = 1_000_000, PATTERN["top_fraction"], PATTERN["focused_fraction"]
    _, hits, _ = bench.fast_s2(fixed_photons(1000, **ONES), light(1, 1000, xy))
    expected_top = n * top * (focused * pattern(xy) + (1 - focused) / len(PMTS))
    expected = np.concatenate([expected_top, np.full(len(PMTS), n * (1 - top) / len(PMTS))])
    assert chisquare(hits[0] * (n / hits[0].sum(dtype=float)), expected, sum_check=False).pvalue > 0.005
    assert hits[0, : len(PMTS)].sum() / n == pytest.approx(top, abs=4 * np.sqrt(top * (1 - top) / n))


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    ("x", "name"), [(0.0, "hottest_below_a_tube"), (DARWIN.pmt_pitch_cm / 2, "hottest_between_two")]
)
def test_hottest_tube(x, name):
    tpc = fixed_photons(1000, s2_top_fraction=1.0, s2_focused_fraction=1.0)
    _, hits, _ = bench.fast_s2(tpc, light(1, 1000, (x, 0.0)))
    assert hits[0, len(PMTS) :].sum() == 0
    assert hits.max() / hits.sum() == pytest.approx(PATTERN[name], abs=PATTERN["hottest_abs"] + 0.0015)


@pytest.mark.usefixtures("way")
def test_numbers_in_tubes_are_a_multinomials():
    """Of 1000 photons without charge noise: the noise of a shared total would give none of the covariance."""
    n, repeats, xy = 1000, 8000, (10.0, 20.0)
    _, hits, _ = bench.fast_s2(fixed_photons(100, **ONES), light(repeats, 10, xy))
    share, hottest = bench.plain_share(DARWIN, *xy), pattern(xy).argmax()
    bottom = hits[:, len(PMTS) :].sum(axis=1, dtype=float)
    p, q = share[hottest], share[len(PMTS) :].sum()
    for drawn, mean in ((hits[:, hottest].astype(float), p), (bottom, q)):
        variance = n * mean * (1 - mean)
        assert drawn.mean() == pytest.approx(n * mean, abs=4 * np.sqrt(variance / repeats))
        assert drawn.var() == pytest.approx(variance, rel=4 * np.sqrt(2 / repeats))
    correlation = -np.sqrt(p * q / (1 - p) / (1 - q))
    assert correlation < -0.15
    assert np.corrcoef(hits[:, hottest], bottom)[0, 1] == pytest.approx(correlation, abs=4 / np.sqrt(repeats))


@pytest.mark.usefixtures("way")
def test_samples_and_tubes_have_noise_of_their_own():
    """But for the charge that they share: the i-th sample's correlates with no i-th tube's."""
    n, first, count = 400, 20, 80
    waveform, hits, charge = bench.fast_s2(fixed_photons(1000, **FLASH), light(n, 60))
    parts = (part[:, first : first + count] / charge[:, np.newaxis] for part in (waveform, hits))
    one, other = ((part - part.mean(axis=0)) / part.std(axis=0) for part in parts)
    assert abs(np.mean(one * other)) < 4 / np.sqrt(n * count)


def test_time_tube_and_charge_are_independent():
    """The three come from one 64-bit draw; an event of one photon shows all of them."""
    n = 10_000
    waveform, hits, charge = bench.fast_s2(fixed_photons(1), light(n, 1))
    assert np.all((waveform > 0).sum(axis=1) == 1) and np.all((hits > 0).sum(axis=1) == 1)
    channel = hits.argmax(axis=1)
    seen = [waveform.argmax(axis=1), charge, channel, channel < len(PMTS), channel % len(PMTS)]
    correlation = np.corrcoef(seen)
    independent = [(0, 1), (0, 2), (0, 3), (0, 4), (1, 2), (1, 3), (1, 4)]
    assert max(abs(correlation[pair]) for pair in independent) < 4 / np.sqrt(n)


# Against the twin

N, ELECTRONS, ERRORS = 1500, 100, 4.5


@cache
def twin():
    """Waveform, hits and charge of events alike, photon by photon, with the twin's own random numbers."""
    return bench.plain_s2(np.random.default_rng(4), DARWIN, light(N, ELECTRONS))


def ours():
    return bench.fast_s2(DARWIN, light(N, ELECTRONS))


@pytest.mark.usefixtures("way")
def test_charge_is_the_twins():
    """The quantity that discriminates: mean, width and the whole distribution."""
    (*_, charge), (*_, plain) = ours(), twin()
    assert charge.mean() == pytest.approx(plain.mean(), abs=ERRORS * plain.std() * np.sqrt(2 / N))
    assert charge.std() == pytest.approx(plain.std(), rel=ERRORS / np.sqrt(N))
    assert ks_2samp(charge, plain).pvalue > 0.005


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("part", [0, 1], ids=["waveform", "hits"])
def test_means_and_variances_are_the_twins(part):
    """Per sample and tube: within the errors of 1500 events, none of some 2300 beyond 4.5 of them."""
    fast, plain = (drawn[part].astype(float) for drawn in (ours(), twin()))
    seen = plain.mean(axis=0) > 1
    assert seen.sum() > 300
    fast, plain = fast[:, seen], plain[:, seen]
    error = np.sqrt((fast.var(axis=0) + plain.var(axis=0)) / N)
    assert np.max(np.abs(fast.mean(axis=0) - plain.mean(axis=0)) / error) < ERRORS
    log_ratio = np.log(fast.var(axis=0) / plain.var(axis=0))
    error = np.sqrt((kurtosis(fast) + 2 + kurtosis(plain) + 2) / N)
    assert np.max(np.abs(log_ratio) / error) < ERRORS + 0.5


@pytest.mark.usefixtures("way")
def test_photon_noise_of_samples_is_the_twins():
    """Differences of neighbouring samples, from which the electrons cancel: within 2 % over all samples."""
    fast, plain = (np.diff(drawn[0].astype(float), axis=1).var(axis=0).sum() for drawn in (ours(), twin()))
    assert fast == pytest.approx(plain, rel=0.02)


@pytest.mark.usefixtures("way")
def test_samples_go_together_as_the_twins():
    """Correlations between stretches of 0.5 us: by electrons that come in one and shine into the next."""
    fast, plain = (np.corrcoef(drawn[0][:, :500].reshape(N, 10, 50).sum(axis=2).T) for drawn in (ours(), twin()))
    assert np.abs(plain - np.eye(10)).max() > 0.5
    assert np.abs(fast - plain).max() < ERRORS * np.sqrt(2 / N)
