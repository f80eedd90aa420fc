"""Pulses, noise and dark counts in waveforms, and S1 light by place: against closed forms, and off without a trace."""

import numpy as np
import pytest
from scipy.stats import binomtest, chisquare, kstest, norm

from engine import plugins
from engine.physics import events
from engine.physics.detectors import TPC, _electronics, _pulses, _s1_light, darwin, xenonnt
from engine.physics.representations import vector

DARWIN, NT = darwin.CONSTANTS, xenonnt.CONSTANTS
ALL = {"spe_rise_ns", "spe_fall_ns", "baseline_noise_pe", "dark_count_rate_hz", "s1_direct_efficiency"}
DETECTORS = {name: plugins.load("engine.physics.detectors", name).CONSTANTS
             for name in plugins.names("engine.physics.detectors")}  # fmt: skip
TUBES = len(DARWIN.pmt_positions_cm("top")) + len(DARWIN.pmt_positions_cm("bottom"))
each_detector = pytest.mark.parametrize("tpc", DETECTORS.values(), ids=DETECTORS)


def only(*kept, tpc=DARWIN, **constants):
    """The detector without all that is not kept."""
    return TPC(**tpc.model_dump() | dict.fromkeys(ALL - set(kept), 0.0) | constants)


def keys(n):
    return np.random.default_rng(5).integers(0, 2**64, n, dtype=np.uint64)


def digitised(tpc, waveform, sample_ns=10.0):
    return _electronics.digitise(tpc, sample_ns, np.array(waveform, np.float32), keys(len(waveform)))


# Pulses


@pytest.mark.parametrize(("rise", "fall"), [(1.4, 15.0), (0.0, 20.0), (6.0, 8.0)])
def test_a_pulse_is_that_of_two_exponential_delays(rise, fall):
    """Its charge is one; mean and width are those of the delays, and of the sample in which it starts and ends."""
    kernel = _electronics.spe_kernel(rise, fall, 2.0).astype(float)
    t = 2.0 * np.arange(len(kernel))
    assert kernel.sum() == pytest.approx(1, abs=1e-6) and kernel.min() >= -1e-7
    mean = kernel @ t
    assert mean == pytest.approx(rise + fall, rel=2e-3)
    assert kernel @ t**2 - mean**2 == pytest.approx(rise**2 + fall**2 + 2 * 2.0**2 / 12, rel=2e-2)  # its end is cut off


def test_samples_hold_the_delays_of_many_photoelectrons():
    rng, n = np.random.default_rng(1), 400_000
    late = 10 * rng.random(n) + rng.exponential(1.4, n) + rng.exponential(15.0, n)
    kernel = _electronics.spe_kernel(1.4, 15.0, 10.0).astype(float)
    counts = np.histogram(late, 10.0 * np.arange(len(kernel) + 1))[0]
    assert chisquare(counts[:9], kernel[:9] / kernel[:9].sum() * counts[:9].sum()).pvalue > 0.005


def test_pulses_conserve_the_charge():
    waveform = np.zeros((3, 300), np.float32)
    waveform[:, :200] = np.random.default_rng(2).poisson(0.1, (3, 200)) * 1.3
    out = digitised(only("spe_rise_ns", "spe_fall_ns"), waveform)
    np.testing.assert_allclose(out.sum(axis=1), waveform.sum(axis=1), rtol=1e-5)
    kernel = _electronics.spe_kernel(DARWIN.spe_rise_ns, DARWIN.spe_fall_ns, 10.0)
    plain = [np.convolve(one, kernel)[:300] for one in waveform]
    np.testing.assert_allclose(out, plain, atol=1e-5)


def test_a_pulse_that_rises_more_slowly_than_it_falls_is_refused():
    with pytest.raises(ValueError, match="spe_rise_ns = 20 is not below spe_fall_ns = 15"):
        only("spe_fall_ns", spe_rise_ns=20.0)


# Noise


@pytest.mark.parametrize("photoelectrons", [1.0, 50.0, 1e6])
def test_noise_is_that_of_the_tubes_that_see_light(photoelectrons):
    waveform = np.zeros((3000, 40), np.float32)
    waveform[:, 20] = photoelectrons
    early = digitised(only(baseline_noise_pe=0.02), waveform[:, 20:]) - waveform[:, 20:]
    assert early[:, :7].std(axis=0).min() > 0 and not early[:, 7:].any()
    noise = digitised(only(baseline_noise_pe=0.02), waveform).astype(float) - waveform
    assert not noise[:, :17].any() and not noise[:, 27:].any()
    rms = 0.02 * np.sqrt(photoelectrons * TUBES / (photoelectrons + TUBES))
    assert noise[:, 17:27].std() == pytest.approx(rms, rel=0.02)
    assert kstest(noise[:, 17] / rms, norm.cdf).pvalue > 0.005
    assert np.abs(np.corrcoef(noise[:, 17:27].T) - np.eye(10)).max() < 4.5 / np.sqrt(3000)


# Dark counts


def test_dark_counts_are_poisson_single_photoelectrons_anywhere():
    tpc = only(dark_count_rate_hz=400.0)
    waveform, hits = np.zeros((2000, 200), np.float32), [np.zeros((2000, TUBES // 2), np.float32) for _ in range(2)]
    _electronics.add_dark_counts(tpc, 10.0, waveform, hits, np.random.default_rng(3))
    mean = 400.0 * TUBES * 2e-6
    charge = waveform.sum(axis=1, dtype=float)
    one = _pulses.charge_table(0.0, tpc.spe_resolution).astype(float)
    assert charge.mean() / one.mean() == pytest.approx(mean, abs=4 * np.sqrt(mean / 2000))
    assert charge.var() == pytest.approx(mean * (one**2).mean(), rel=0.2)
    np.testing.assert_allclose(sum(each.sum(axis=1) for each in hits), charge, rtol=1e-5)
    lit = np.concatenate([each > 0 for each in hits], axis=1).sum(axis=0)
    assert chisquare(lit.reshape(10, -1).sum(axis=1)).pvalue > 0.005
    assert chisquare((waveform > 0).sum(axis=0).reshape(20, -1).sum(axis=1)).pvalue > 0.005


# In an event


@pytest.mark.parametrize("tpc", [DARWIN, NT], ids=["darwin", "xenonnt"])
def test_s1_and_s2_know_nothing_of_it(tpc):
    energy_keV = np.linspace(1, 60, 30)
    columns, readout = events.simulate(tpc, "ER", energy_keV, "electronics")
    bare_columns, bare = events.simulate(only(tpc=tpc), "ER", energy_keV, "electronics")
    assert all(np.array_equal(columns[name], bare_columns[name]) for name in columns)
    assert all(np.array_equal(getattr(readout, f"{s}_area"), getattr(bare, f"{s}_area")) for s in ("s1", "s2"))
    assert np.all(np.any(readout.s1_waveform != bare.s1_waveform, axis=1))


def test_an_enriched_event_has_the_s1_and_s2_that_it_was_kept_for():
    energy_keV, seen = np.linspace(1, 60, 60), {}

    def probability(columns):
        seen.update(columns)
        return np.full(60, 0.5)

    kept, _, columns, _ = events.enriched(DARWIN, "ER", energy_keV, "electronics", probability)
    for name in ("s1_pe", "s2_pe", "cs1_pe", "cs2_pe"):
        np.testing.assert_array_equal(columns[name], seen[name][kept])


def test_without_all_of_it_a_detector_is_what_it_was():
    """No part of an identity, and nothing drawn: waveforms are sums of photons' charges, the first at the start."""
    fields = only(sample_step_pe=1.0).model_dump(mode="json")
    assert not (ALL | {"sample_step_pe"}) & fields.keys()
    readout = events.simulate(only(spe_resolution=0.0), "NR", np.linspace(8, 30, 20), "bare")[1]
    assert np.all(readout.s1_waveform == np.rint(readout.s1_waveform)) and np.all(readout.s1_waveform[:, 0] > 0)
    mean = events.mean_charge(only(spe_resolution=0.0))
    np.testing.assert_allclose(readout.s1_bottom.sum(axis=1) + readout.s1_top.sum(axis=1), readout.s1_area * mean)


def test_the_vector_keeps_a_single_photoelectron():
    """Spread over samples it would be none in whole PE."""
    tpc = only("spe_rise_ns", "spe_fall_ns", spe_resolution=0.0, double_pe_probability=0.0)
    readout = events.simulate(tpc, "NR", np.full(30, 3.0), "few")[1]
    s1 = vector.features(readout, tpc)[:, : tpc.s1_samples] * tpc.sample_step_pe
    lost = s1.sum(axis=1) - readout.s1_area
    assert readout.s1_area.max() < 30 and abs(lost.mean()) < 0.1 * readout.s1_area.mean()


# S1 by place


def straight(tpc, x, y, z):
    """Shares of detected light that reach the top and the bottom tubes straight."""
    places, tubes = _s1_light.optics(tpc, *(np.array([float(each)]) for each in (x, y, z)))
    summed = np.empty(sum(each.shape[1] for each in tubes))
    _s1_light.direct(places[0], *tubes, summed)
    return np.split(np.diff(summed, prepend=0.0), [tubes[0].shape[1]])


@each_detector
def test_the_nearest_tube_has_the_largest_share(tpc):
    x, y, z = 0.4 * tpc.radius_cm, -0.3 * tpc.radius_cm, 0.8 * tpc.drift_length_cm
    for array, shares in zip(("top", "bottom"), straight(tpc, x, y, z), strict=True):
        nearest = np.argmin(np.hypot(*(tpc.pmt_positions_cm(array) - [x, y]).T))
        assert np.argmax(shares) == nearest and shares.min() > 0


@each_detector
def test_a_turned_event_has_the_turned_pattern(tpc):
    """By 60 degrees the lattice is mapped onto itself."""
    turn = np.array([[np.cos(np.pi / 3), -np.sin(np.pi / 3)], [np.sin(np.pi / 3), np.cos(np.pi / 3)]])
    place = np.array([0.5, 0.1]) * tpc.radius_cm
    for array, one, other in zip(
        ("top", "bottom"), straight(tpc, *place, 30.0), straight(tpc, *(turn @ place), 30.0), strict=True
    ):
        tubes = tpc.pmt_positions_cm(array)
        at = np.argmin(np.linalg.norm(tubes[None] - (tubes @ turn.T)[:, None], axis=2), axis=1)
        np.testing.assert_allclose(other[at], one, rtol=1e-9)


def test_solid_angles():
    """Far below the middle of many tubes, they cover as much of the sphere as their windows' disc."""
    tpc = only("s1_direct_efficiency", light_collection_map=(1.0,))
    bottom = straight(tpc, 0, 0, 195.0)[1].sum() * tpc.g1 / tpc.s1_direct_efficiency
    cover = np.pi * 3.2**2 / (tpc.pmt_pitch_cm**2 * np.sqrt(3) / 2)
    assert bottom == pytest.approx(cover * (1 - 200 / np.hypot(200, 130)) / 2, rel=0.02)


@each_detector
def test_the_bottom_array_has_its_share_in_the_mean(tpc):
    assert 0 < _s1_light.bottom_share(tpc) < 1
    if tpc.s1_coincidence == 4:  # two detectors are enough for what photons do
        readout = events.simulate(tpc, "ER", np.full(150, 40.0), "shares")[1]
        shares = readout.s1_bottom.sum(axis=1) / (readout.s1_bottom.sum(axis=1) + readout.s1_top.sum(axis=1))
        assert shares.mean() == pytest.approx(tpc.s1_bottom_fraction, abs=4 * shares.std() / np.sqrt(150) + 2e-3)
        assert shares.std() > 0.01


def test_photons_follow_the_shares():
    n, place = 200_000, (40.0, -70.0, 200.0)
    tpc = only("s1_direct_efficiency", tpc=NT, radius_cm=100.0, drift_length_cm=230.0)
    places, tubes = _s1_light.optics(tpc, *(np.array([each]) for each in place))
    top, bottom = (np.zeros((1, each.shape[1]), np.float32) for each in tubes)
    ones = np.ones(_pulses.TABLE_SIZE, np.float32)
    samples, area = np.zeros((1, 9), np.float32), np.zeros(1)
    _pulses.fill_s1(
        np.zeros(n), np.array([0, n]), keys(1), ones, 10.0, 0.7, places, tubes, samples, top, bottom, area,
        np.zeros((0, 0, 2)),
    )  # fmt: skip
    expected = straight(tpc, *place)
    rest = 1 - sum(each.sum() for each in expected)
    for hits, shares, share in ((top, expected[0], 0.3), (bottom, expected[1], 0.7)):
        mean = n * (shares + rest * share / len(shares))
        assert np.sum((hits[0] - mean) ** 2 / mean) < len(mean) + 4 * np.sqrt(2 * len(mean))
    assert binomtest(int(top.sum()), n, expected[0].sum() + rest * 0.3).pvalue > 1e-4
