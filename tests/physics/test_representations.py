"""The contract of the package on every module in it, and the papers' vector."""

import pkgutil
import tomllib
from dataclasses import fields, replace
from functools import cache
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from engine.physics import events, representations
from engine.physics.detectors import TPC, Readout, darwin
from engine.physics.representations import channels, corrected, summary, vector

REFERENCES = tomllib.loads((Path(__file__).parents[1] / "references" / "darwin.toml").read_text())
REPRESENTATIONS = {
    name: import_module(f"{representations.__name__}.{name}")
    for _, name, _ in pkgutil.iter_modules(representations.__path__)
    if not name.startswith("_")
}
SMALL = {"s1_samples": 20, "s2_samples": 70, "pmt_top_radius_cm": 30.0, "pmt_bottom_radius_cm": 30.0}
WHOLE = TPC(**darwin.CONSTANTS.model_dump() | {"sample_step_pe": 1.0})
DETECTORS = {"darwin": darwin.CONSTANTS, "small": TPC(**darwin.CONSTANTS.model_dump() | SMALL)}


@cache
def readout_of(detector, n=12):
    tpc, energy_keV = DETECTORS[detector], np.linspace(1, 100, n)
    return events.simulate(tpc, "ER", energy_keV, "representation", channel_times=True)[1]


def constant(**parts):
    """A readout of one event whose named parts hold this value, and whose others hold none."""
    lengths = vector.sections(darwin.CONSTANTS) | {"s1_top": 955, "s1_bottom": 955}
    empty = {name: np.zeros((1, length), np.float32) for name, length in lengths.items()}
    filled = {name: np.full_like(empty[name], value) for name, value in parts.items()}
    single = {field.name: np.zeros(1) for field in fields(Readout) if field.name not in (*empty, "registered")}
    return Readout(**empty | filled, **single, registered=np.ones(1, bool))


# The contract


@pytest.mark.parametrize("name", REPRESENTATIONS)
@pytest.mark.parametrize("detector", DETECTORS)
def test_contract(name, detector):
    representation, readout, tpc = REPRESENTATIONS[name], readout_of(detector), DETECTORS[detector]
    sections, features = representation.sections(tpc), representation.features(readout, tpc)
    assert features.dtype.kind == "u" or features.dtype == np.float32
    assert features.shape == (len(readout.s1_area), sum(sections.values())) and min(sections.values()) > 0
    assert len(np.unique(features, axis=0)) == len(features)
    assert representation.__doc__ and representation.features.__doc__ and representation.sections.__doc__


@pytest.mark.parametrize("name", REPRESENTATIONS)
def test_features_are_per_event_and_leave_the_readout_alone(name):
    representation, readout, tpc = REPRESENTATIONS[name], readout_of("small"), DETECTORS["small"]
    before = [part.copy() for part in vars(readout).values()]
    features = representation.features(readout, tpc)
    order = np.array([4, 0, 7])
    some = replace(readout, **{part: value[order] for part, value in vars(readout).items()})
    np.testing.assert_array_equal(representation.features(some, tpc), features[order])
    none = replace(readout, **{part: value[:0] for part, value in vars(readout).items()})
    assert representation.features(none, tpc).shape == (0, features.shape[1])
    for part, value in zip(before, vars(readout).values(), strict=True):
        np.testing.assert_array_equal(part, value)


@pytest.mark.parametrize("name", [name for name, view in REPRESENTATIONS.items() if not getattr(view, "PULSES", True)])
def test_what_needs_no_pulses_is_the_same_without_them(name):
    assert name in {"corrected", "detected_quanta", "summary"}
    bare = events.simulate(DETECTORS["darwin"], "ER", np.linspace(1, 100, 12), "representation", pulses=False)[1]
    whole = readout_of("darwin")
    for tpc in DETECTORS.values():
        seen = [REPRESENTATIONS[name].features(readout, tpc) for readout in (bare, whole)]
        np.testing.assert_array_equal(*seen)


def test_detected_quanta_are_those_of_the_pulses():
    """Photons and electrons are the charge's over the mean of one; the mean time is that of the waveform's samples."""
    quiet = {"dark_count_rate_hz": 0.0, "baseline_noise_pe": 0.0, "spe_rise_ns": 0.0, "spe_fall_ns": 0.0}
    tpc = TPC(**darwin.CONSTANTS.model_dump() | quiet)
    readout = events.simulate(tpc, "ER", np.linspace(1, 100, 200), "quanta")[1]
    photons, mean_ns, electrons, drift_us = REPRESENTATIONS["detected_quanta"].features(readout, tpc).T
    np.testing.assert_array_equal(drift_us, readout.drift_us.astype(np.float32))
    for area, n in ((readout.s1_area, photons), (readout.s2_area, electrons * tpc.single_electron_gain)):
        assert np.corrcoef(area, n)[0, 1] > 0.99 and abs(np.mean(area[n > 0] / n[n > 0]) - 1) < 0.02
    seen = readout.s1_waveform.sum(axis=1) > 0
    samples = tpc.s1_sample_ns * (np.arange(tpc.s1_samples) + 0.5)
    of_waveform = readout.s1_waveform[seen] @ samples / readout.s1_waveform[seen].sum(axis=1)
    assert np.corrcoef(of_waveform, mean_ns[seen])[0, 1] > 0.9 and np.all(mean_ns >= 0)


def test_corrected_is_the_summary_without_the_drift_time():
    readout, tpc = readout_of("darwin"), DETECTORS["darwin"]
    np.testing.assert_array_equal(corrected.features(readout, tpc), summary.features(readout, tpc)[:, :2])
    assert list(corrected.sections(tpc)) == list(summary.sections(tpc))[:2]


# The papers' vector


def test_sections_of_the_papers():
    sections, expected = vector.sections(darwin.CONSTANTS), REFERENCES["geometry"]["vector"]
    assert list(sections.items()) == list(expected.items()) and sum(sections.values()) == 3835


def test_order_of_the_sections():
    values = {"s1_waveform": 1, "s2_waveform": 2, "s2_top": 3, "s2_bottom": 4}
    lengths = vector.sections(darwin.CONSTANTS)
    expected = np.concatenate([np.full(lengths[name], value) for name, value in values.items()])
    np.testing.assert_array_equal(vector.features(constant(**values), WHOLE)[0], expected)


@pytest.mark.parametrize(
    ("pe", "whole"), [(0.4, 0), (0.6, 1), (7.4, 7), (65534.6, 65535), (65536.0, 65535), (70_000.0, 65535), (1e9, 65535)]
)
def test_whole_photoelectrons_that_saturate(pe, whole):
    assert set(vector.features(constant(s2_waveform=pe), WHOLE)[0]) == {0, whole}


def test_samples_are_in_the_detectors_steps_and_never_negative():
    tenths = vector.features(constant(s1_waveform=0.26, s2_waveform=-0.4, s2_top=2.6), darwin.CONSTANTS)[0]
    values = {"s1_waveform": 3, "s2_waveform": 0, "s2_top": 3, "s2_bottom": 0}
    expected = np.repeat(list(values.values()), list(vector.sections(darwin.CONSTANTS).values()))
    np.testing.assert_array_equal(tenths, expected)


def test_rounding_moves_no_sample_by_more_than_half():
    readout = readout_of("darwin")
    parts = [np.maximum(getattr(readout, name), 0) for name in vector.sections(darwin.CONSTANTS)]
    assert np.abs(vector.features(readout, WHOLE) - np.concatenate(parts, axis=1)).max() <= 0.5


def test_saturation_is_far_above_an_electron_recoil():
    readout = events.simulate(darwin.CONSTANTS, "ER", np.full(40, 100.0), "hot")[1]
    hottest_tube, hottest_sample = readout.s2_top.max(), readout.s2_waveform.max()
    assert vector.SATURATION > 4 * hottest_tube > 4 * hottest_sample


# The summary


def test_summary_is_what_the_columns_say():
    """The constants that the corrections assume are others than the true ones: those of the columns are meant."""
    tpc = DETECTORS["darwin"]
    assumed = TPC(**tpc.model_dump() | {"electron_lifetime_us": 2000.0})
    columns, readout = events.simulate(tpc, "NR", np.linspace(3, 60, 20), "summary", assumed)
    features = summary.features(readout, assumed)
    for name, feature in zip(summary.sections(assumed), features.T, strict=True):
        np.testing.assert_array_equal(feature, columns[name].astype(np.float32))
    plain = events.simulate(tpc, "NR", np.linspace(3, 60, 20), "summary")[0]
    np.testing.assert_array_equal(features[:, 0], plain["cs1_pe"].astype(np.float32))
    assert np.all(features[:, 1] > plain["cs2_pe"])


# Channels


def slots(tpc, n=60, kind="ER", **constants):
    """Slots (n, pulse, slot, number) of events of 2 to 100 keV, and the readout they are of."""
    tpc = TPC(**tpc.model_dump() | constants)
    readout = events.simulate(tpc, kind, np.linspace(2, 100, n), "channels", channel_times=True)[1]
    return channels.features(readout, tpc).reshape(n, 2, 1 + channels.BRIGHTEST, len(channels.NUMBERS)), readout


def test_slots_are_the_brightest_tubes_by_area_and_the_first_of_equal_ones():
    tpc = DETECTORS["small"]
    n_top, n_bottom = (len(tpc.pmt_positions_cm(array)) for array in ("top", "bottom"))
    areas, times = np.zeros((3, n_top + n_bottom), np.float32), np.zeros((3, n_top + n_bottom, 2), np.float32)
    areas[0, [2, 5, n_top + 1]] = [1.0, 3.0, 1.0]
    times[0, :, 0] = np.arange(n_top + n_bottom)
    areas[1] = np.random.default_rng(1).permutation(n_top + n_bottom) + 1.0
    tubes = channels._slots(np.column_stack([np.arange(n_top + n_bottom)] * 2).astype(float), areas, times)
    np.testing.assert_array_equal(tubes[0, 1:5, [0, 2, 3]], [[5, 2, n_top + 1, 0], [3, 1, 1, 0], [5, 2, n_top + 1, 0]])
    np.testing.assert_array_equal(tubes[1, 1:, 0], np.argsort(-areas[1])[: channels.BRIGHTEST])
    mean = (5 * 3 + 2 + n_top + 1) / 5
    assert tubes[0, 0, 2] == 5 and tubes[0, 0, 0] == tubes[0, 0, 3] == pytest.approx(mean) and tubes[0, 0, 4] > 0
    assert not tubes[0, 4:].any() and not tubes[2].any()


def test_arrays_lie_side_by_side():
    tpc, places = darwin.CONSTANTS, channels._places(darwin.CONSTANTS)
    top = len(tpc.pmt_positions_cm("top"))
    assert places.min() >= 0 and places[:, 0].max() <= 4 * tpc.radius_cm and places[:, 1].max() <= 2 * tpc.radius_cm
    assert np.hypot(*np.subtract(places[:top].mean(axis=0), places[top:].mean(axis=0))) == pytest.approx(260)
    np.testing.assert_allclose(places[:top] - places[0], tpc.pmt_positions_cm("top") - tpc.pmt_positions_cm("top")[0])


@pytest.mark.parametrize("origin", ["pulse_start", "s1_trigger"])
def test_times_of_channels_are_those_of_the_waveforms(origin):
    """Without noise and pulse shapes; an S2's tubes scatter about its mean as so many photons do."""
    quiet = dict.fromkeys(("baseline_noise_pe", "dark_count_rate_hz", "spe_rise_ns", "spe_fall_ns"), 0.0)
    quiet |= {"s1_samples": 300}
    quiet |= {"s2_origin": origin, "s2_samples": 180_000 if origin == "s1_trigger" else 1725}
    seen, readout = slots(DETECTORS["small"], 30, **quiet)
    for pulse, name, rough_ns in ((0, "s1", 10), (1, "s2", 60)):
        waveform = getattr(readout, f"{name}_waveform").astype(float)
        samples = 10.0 * (np.arange(waveform.shape[1]) + 0.5)
        mean = waveform @ samples / waveform.sum(axis=1)
        spread = np.sqrt(np.maximum(waveform @ samples**2 / waveform.sum(axis=1) - mean**2, 0))
        expected = mean if pulse == 0 else readout.drift_us * 1e3
        np.testing.assert_allclose(seen[:, pulse, 0, 3], expected, atol=rough_ns, rtol=1e-6)
        np.testing.assert_allclose(seen[:, pulse, 0, 4], spread, atol=rough_ns, rtol=0.03)
    tubes, charge = seen[:, 1, 1:], events.mean_charge(darwin.CONSTANTS)
    pull = (tubes[:, :, 3] - seen[:, 1, :1, 3]) * np.sqrt(tubes[:, :, 2] / charge) / seen[:, 1, :1, 4]
    assert pull.std() == pytest.approx(1, abs=0.08)


def test_slots_hold_what_a_small_s1_lights():
    seen, readout = slots(DETECTORS["darwin"], 8)
    hits = np.hstack([readout.s1_top, readout.s1_bottom])
    few = np.count_nonzero(hits, axis=1) <= channels.BRIGHTEST
    assert few.any() and not few.all()
    held, area = seen[:, 0, 1:, 2].sum(axis=1), hits.sum(axis=1)
    np.testing.assert_allclose(held[few], area[few], rtol=1e-5)
    assert np.all(held[~few] < 0.95 * area[~few])
    np.testing.assert_allclose(seen[:, 0, 0, 2], area, rtol=1e-5)


def test_times_of_channels_change_nothing_else():
    tpc, energy_keV = DETECTORS["small"], np.linspace(1, 100, 12)
    columns, without = events.simulate(tpc, "ER", energy_keV, "times")
    again, readout = events.simulate(tpc, "ER", energy_keV, "times", channel_times=True)
    for name, column in columns.items():
        np.testing.assert_array_equal(again[name], column)
    for name, part in vars(without).items():
        if name.endswith("channel_ns"):
            assert part.shape == (12, 0, 2) and getattr(readout, name).any()
        else:
            np.testing.assert_array_equal(getattr(readout, name), part)
