"""Events from recoil to readout: resolution, efficiency, photon noise, discrimination and determinism."""

import tomllib
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from engine import plugins
from engine.physics import events
from engine.physics.detectors import TPC, _collection, _pulses, _quanta, darwin, xenonnt

REFERENCES = tomllib.loads((Path(__file__).parents[1] / "references" / "darwin.toml").read_text())
# what tubes and digitisers add to the charge has its own tests (test_electronics.py)
BARE = dict.fromkeys(("spe_rise_ns", "spe_fall_ns", "baseline_noise_pe", "dark_count_rate_hz"), 0.0)
DETECTORS = {
    name: plugins.load("engine.physics.detectors", name).CONSTANTS
    for name in plugins.names("engine.physics.detectors")
}  # fmt: skip
DETECTORS = {name: TPC(**tpc.model_dump() | BARE) for name, tpc in DETECTORS.items()}
DARWIN = DETECTORS["darwin"]
CES, LEAKAGE, CAPTURES = (REFERENCES[key] for key in ("ces", "leakage", "captures"))
COLUMNS = {
    "x_cm", "y_cm", "z_cm", "s1_pe", "s2_pe", "cs1_pe", "cs2_pe", "drift_us", "ces_keVee", "registered",
}  # fmt: skip


def override(detector=DARWIN, **constants):
    return TPC(**detector.model_dump() | constants)


def lengths(tpc):
    top, bottom = (len(tpc.pmt_positions_cm(array)) for array in ("top", "bottom"))
    return {
        "s1_waveform": tpc.s1_samples, "s2_waveform": tpc.s2_samples,
        "s1_top": top, "s1_bottom": bottom, "s2_top": top, "s2_bottom": bottom,
    }  # fmt: skip


def as_bytes(simulated):
    columns, readout = simulated
    return [column.tobytes() for column in (*columns.values(), *vars(readout).values())]


@cache
def line(kind, energy_keV, n=4000):
    columns, _ = events.simulate(DARWIN, kind, np.full(n, energy_keV), ["line", kind, energy_keV])
    return columns["ces_keVee"], columns["registered"]


@cache
def in_window(kind):
    """True energy, CES and log10(cS2/cS1) of flat recoils that pass the coincidence and the CES window."""
    low, high, n = {"ER": (1, 14, 20_000), "NR": (5, 70, 10_000)}[kind]
    energy_keV = np.random.default_rng(21).uniform(low, high, n)
    columns, _ = events.simulate(DARWIN, kind, energy_keV, ["flat", kind])
    lowest, highest = CES["window_keVee"]
    ces = columns["ces_keVee"]
    keep = columns["registered"] & (ces > lowest) & (ces < highest)
    return energy_keV[keep], ces[keep], np.log10(columns["cs2_pe"][keep] / columns["cs1_pe"][keep])


@pytest.fixture
def fixed_quanta(monkeypatch):
    """Recoils of 800 photons, 300 of them from excitons, and 100 electrons."""
    monkeypatch.setattr(_quanta, "quanta", lambda kind, energy_keV, *_: np.tile([800, 100, 300], (len(energy_keV), 1)))
    return 800, 100


# What comes out


@pytest.mark.parametrize("kind", ["ER", "NR"])
@pytest.mark.parametrize("energy_keV", [[], [0.05] * 200, [3.0, 40.0, 100.0]])
@pytest.mark.parametrize("tpc", DETECTORS.values(), ids=DETECTORS)
def test_columns_and_readout(tpc, kind, energy_keV):
    columns, readout = events.simulate(tpc, kind, np.array(energy_keV), ["columns", kind])
    n = len(energy_keV)
    assert set(columns) == COLUMNS
    for name, column in columns.items():
        assert column.shape == (n,) and np.all(np.isfinite(column)), name
        assert column.dtype == (bool if name == "registered" else np.float64), name
    for name, length in lengths(tpc).items():
        recorded = getattr(readout, name)
        assert recorded.shape == (n, length) and recorded.dtype == np.float32, name
        assert np.all(np.isfinite(recorded)) and np.all(recorded >= 0), name
    np.testing.assert_array_equal(readout.registered, columns["registered"])


@pytest.mark.parametrize("kind", ["ER", "NR"])
def test_recoils_without_light(kind):
    columns, readout = events.simulate(DARWIN, kind, np.full(200, 0.05), ["dark", kind])
    dark = columns["s1_pe"] == 0
    assert dark.sum() > 190 and not np.any(columns["registered"][dark])
    assert np.all(readout.s1_waveform[dark] == 0)


@pytest.mark.parametrize("tpc", DETECTORS.values(), ids=DETECTORS)
def test_pulses_and_patterns_hold_the_area(tpc):
    energy_keV = np.random.default_rng(22).uniform(1, 60, 200)
    columns, readout = events.simulate(tpc, "ER", energy_keV, "area")
    # the windows hold it all: an S2 of some six sigma of diffusion, 2 us an S1 whose recombination is cut at 1 us
    s1_hits = np.concatenate([readout.s1_top, readout.s1_bottom], axis=1)
    s2_hits = np.concatenate([readout.s2_top, readout.s2_bottom], axis=1)
    for name, waveform, hits in (("s1_pe", readout.s1_waveform, s1_hits), ("s2_pe", readout.s2_waveform, s2_hits)):
        for recorded in (waveform, hits):
            np.testing.assert_allclose(recorded.sum(axis=1, dtype=float), columns[name], rtol=1e-5)


@pytest.mark.parametrize("tpc", DETECTORS.values(), ids=DETECTORS)
def test_a_waveform_that_starts_at_the_s1_holds_the_drift_time(tpc):
    n_samples, energy_keV = 2300, np.geomspace(3, 60, 100)
    coarse = {"s2_sample_ns": 1000.0, "s2_samples": n_samples}
    (started, early), (columns, late) = (
        events.simulate(override(tpc, s2_origin=origin, **coarse), "ER", energy_keV, "origin")
        for origin in ("pulse_start", "s1_trigger")
    )
    at_us = [
        readout.s2_waveform @ (np.arange(n_samples) + 0.5) / readout.s2_waveform.sum(axis=1)
        for readout in (early, late)
    ]
    behind = at_us[1] - columns["drift_us"] - (tpc.electron_trapping_us + tpc.gas_transit_us / 2 + 0.1)
    assert behind.mean() == pytest.approx(0, abs=0.3) and np.abs(behind).max() < 4
    assert at_us[0].max() < 40 < columns["drift_us"].min()
    np.testing.assert_allclose(late.s2_waveform.sum(axis=1), columns["s2_pe"], rtol=1e-5)
    np.testing.assert_array_equal(columns["s2_pe"], started["s2_pe"])


@pytest.mark.parametrize("tpc", DETECTORS.values(), ids=DETECTORS)
def test_only_enough_photons_and_enough_charge_are_registered(tpc):
    energy_keV = np.geomspace(0.3, 30, 600)
    counting = override(tpc, double_pe_probability=0.0, spe_resolution=0.0, s1_coincidence_ns=1e9)
    columns, readout = events.simulate(counting, "NR", energy_keV, "registered")
    photons, fold, threshold = readout.s1_area, tpc.s1_coincidence, tpc.s2_threshold_pe
    enough = (photons >= fold) & (columns["s2_pe"] >= threshold)
    np.testing.assert_array_equal(columns["registered"], enough)
    assert np.any(photons < fold) and np.any(enough)
    median = float(np.median(columns["s2_pe"][enough]))
    higher, _ = events.simulate(override(counting, s2_threshold_pe=median), "NR", energy_keV, "registered")
    np.testing.assert_array_equal(higher["registered"], enough & (columns["s2_pe"] >= median))


def test_positions_and_drift():
    columns, _ = events.simulate(DARWIN, "NR", np.full(500, 3.0), "positions")
    np.testing.assert_allclose(columns["drift_us"], _collection.drift_us(DARWIN, columns["z_cm"]))
    assert np.hypot(columns["x_cm"], columns["y_cm"]).max() < DARWIN.fiducial_radius_cm


def test_the_pattern_is_centred_on_the_event():
    columns, readout = events.simulate(DARWIN, "ER", np.full(100, 20.0), "pattern")
    brightest = DARWIN.pmt_positions_cm()[readout.s2_top.argmax(axis=1)]
    distance = np.hypot(brightest[:, 0] - columns["x_cm"], brightest[:, 1] - columns["y_cm"])
    assert distance.max() < DARWIN.pmt_pitch_cm


# The energy scale


@pytest.mark.parametrize("i", range(len(CES["energies_keV"])))
def test_energy_and_resolution(i):
    energy_keV = CES["energies_keV"][i]
    ces, _ = line("ER", energy_keV)
    assert ces.mean() == pytest.approx(energy_keV, rel=CES["mean_rel"])
    resolution = ces.std() / ces.mean()
    assert resolution == pytest.approx(CES["resolution"][i], rel=CES["resolution_rel"] + 3.5 / np.sqrt(2 * len(ces)))


@pytest.mark.parametrize("tpc", DETECTORS.values(), ids=DETECTORS)
@pytest.mark.parametrize("energy_keV", [5.0, 10.0])
def test_combined_energy_is_the_true_one(tpc, energy_keV):
    columns, _ = events.simulate(tpc, "ER", np.full(2000, energy_keV), "ces")
    assert columns["ces_keVee"].mean() == pytest.approx(energy_keV, rel=0.015)


@pytest.mark.parametrize("i", range(len(CES["n4_energies_keV"])))
def test_coincidence_efficiency(i):
    _, registered = line("ER", CES["n4_energies_keV"][i])
    efficiency = CES["n4_efficiency"][i]
    tolerance = CES["n4_abs"] + 3 * np.sqrt(efficiency * (1 - efficiency) / len(registered))
    assert registered.mean() == pytest.approx(efficiency, abs=tolerance)


@pytest.mark.parametrize("i", range(len(CES["nr"]["energies_keV"])))
def test_energy_of_nuclear_recoils(i):
    ces, _ = line("NR", CES["nr"]["energies_keV"][i])
    rel = CES["nr_rel"] + 3 * ces.std() / ces.mean() / np.sqrt(len(ces))
    assert ces.mean() == pytest.approx(CES["nr"]["ces_keVee"][i], rel=rel)


@pytest.mark.parametrize("kind", ["ER", "NR"])
def test_true_energies_in_the_window(kind):
    interval = np.quantile(in_window(kind)[0], [0.005, 0.995])
    assert np.all(np.abs(interval - CES["true_keV"][kind]) < CES["true_abs"][kind])


def test_leakage():
    """Too wide an ER band (photons drawn twice) leaks more, too narrow a band (no recombination) less."""
    (_, er_ces, er), (_, nr_ces, nr) = in_window("ER"), in_window("NR")
    edges = np.arange(CES["window_keVee"][0], CES["window_keVee"][1] + 0.5)
    leaked = 0
    for low, high in zip(edges, edges[1:], strict=False):
        median = np.median(nr[(nr_ces >= low) & (nr_ces < high)])
        leaked += np.sum(er[(er_ces >= low) & (er_ces < high)] < median)
    assert LEAKAGE["range"][0] < leaked / len(er) < LEAKAGE["range"][1]


# Noise


def test_noise_is_that_of_detection_and_charge_alone(fixed_quanta):
    """Each photon and electron is drawn once: binomial detection plus the spread of its charge."""
    photons, electrons = fixed_quanta
    n = 4000
    tpc = override(light_collection_map=(1.0,), electron_lifetime_us=1e12)
    _, readout = events.simulate(tpc, "ER", np.full(n, 10.0), "noise")
    charge = _pulses.charge_table(tpc.double_pe_probability, tpc.spe_resolution).astype(float)
    spread = charge.var() / charge.mean() ** 2
    s1_variance = photons * tpc.g1 * (1 - tpc.g1 + spread)
    gain, detection = tpc.single_electron_gain, tpc.g1_gas
    per_electron = gain * (1 - detection + tpc.el_fano * detection + spread)
    s2_variance = electrons * tpc.extraction * ((1 - tpc.extraction) * gain**2 + per_electron)
    for area, mean, variance in (
        (readout.s1_area, photons * tpc.g1, s1_variance), (readout.s2_area, electrons * tpc.g2, s2_variance),
    ):  # fmt: skip
        assert area.mean() == pytest.approx(mean, abs=4 * np.sqrt(variance / n))
        assert area.var() == pytest.approx(variance, rel=4 * np.sqrt(2 / n))
    assert abs(np.corrcoef(readout.s1_area, readout.s2_area)[0, 1]) < 4 / np.sqrt(n)


def test_corrections_undo_the_detector(fixed_quanta):
    photons, electrons = fixed_quanta
    tpc = override(electron_lifetime_us=800.0, light_collection_map=(1.5, 0.005))
    columns, _ = events.simulate(tpc, "ER", np.full(2000, 10.0), "corrections")
    pe, survival = events.mean_charge(tpc), np.exp(-columns["drift_us"] / 800.0)
    assert columns["s2_pe"].mean() == pytest.approx(electrons * tpc.g2 * pe * survival.mean(), rel=0.01)
    top = columns["z_cm"] > tpc.drift_length_cm / 2
    for half in (top, ~top):
        assert columns["cs2_pe"][half].mean() == pytest.approx(electrons * tpc.g2 * pe, rel=0.012)
        assert columns["cs1_pe"][half].mean() == pytest.approx(photons * tpc.g1 * pe, rel=0.016)
    assert columns["s2_pe"][top].mean() > 1.5 * columns["s2_pe"][~top].mean()
    assert columns["s1_pe"][top].mean() > 1.3 * columns["s1_pe"][~top].mean()


@pytest.mark.parametrize("tpc", [DARWIN, xenonnt.CONSTANTS], ids=["darwin", "xenonnt"])
def test_steep_light_collection_is_corrected(fixed_quanta, tpc):
    photons, n = fixed_quanta[0], 4000
    steep = override(tpc, light_collection_map=darwin.STEEP_LIGHT_COLLECTION_MAP, light_collection_height_cm=193.36)
    columns, _ = events.simulate(steep, "ER", np.full(n, 10.0), "steep")
    low = columns["z_cm"] < tpc.drift_length_cm / 2
    assert columns["s1_pe"][low].mean() > 1.3 * columns["s1_pe"][~low].mean()
    truth, corrected = photons * tpc.g1 * events.mean_charge(tpc), columns["cs1_pe"]
    for part in (corrected[low], corrected[~low]):
        assert part.mean() == pytest.approx(truth, abs=4 * part.std() / np.sqrt(len(part)))
    assert abs(np.corrcoef(columns["z_cm"], corrected)[0, 1]) < 4 / np.sqrt(n)


# Determinism


def test_the_key_alone_decides():
    energy_keV = np.linspace(2, 30, 50)
    shards = [("ER", "a"), ("NR", "a"), ("ER", "b")]

    def run(order):
        return {shard: as_bytes(events.simulate(DARWIN, shard[0], energy_keV, shard, channel_times=True))
                for shard in order}  # fmt: skip

    forward, backward = run(shards), run(shards[::-1])
    assert forward == backward
    for i in range(len(forward["ER", "a"])):
        different = [forward[shard][i] for shard in shards]
        assert len(set(different)) > 1, i
    assert forward["ER", "a"][0] != forward["ER", "b"][0]


def test_shards_share_no_randomness():
    energy_keV = np.full(1500, 8.0)
    one, other = (events.simulate(DARWIN, "ER", energy_keV, ["shard", i])[0] for i in range(2))
    for name in COLUMNS - {"registered"}:
        assert abs(np.corrcoef(one[name], other[name])[0, 1]) < 4 / np.sqrt(len(energy_keV)), name


class TestNuisance:
    """Shifted constants: drawn per shard, seen by the events and not by their reconstruction."""

    ENERGY = np.full(3000, 8.0)

    def test_no_uncertainty_is_no_shift(self):
        assert events.shifted(darwin.CONSTANTS, {}, "a") is darwin.CONSTANTS

    def test_draws_have_the_stated_spread_and_follow_their_key(self):
        drawn = np.array([events.shifted(darwin.CONSTANTS, {"g1": 0.05}, i).g1 for i in range(2000)])
        assert np.mean(drawn) == pytest.approx(0.125, abs=4 * 0.125 * 0.05 / np.sqrt(2000))
        assert np.std(drawn) == pytest.approx(0.125 * 0.05, rel=0.07)
        assert drawn[7] == events.shifted(darwin.CONSTANTS, {"g1": 0.05}, 7).g1

    def test_a_draw_stays_within_what_is_valid(self):
        light = darwin.CONSTANTS.model_copy(update={"extraction": 0.95})
        assert max(events.shifted(light, {"extraction": 0.1}, i).extraction for i in range(200)) <= 1

    @pytest.mark.parametrize(
        ("name", "factor", "expected"),
        [("g1", 1.1, (1.1, 1.0)), ("g1_gas", 0.9, (1.0, 0.9)), ("work_function_scale", 1.1, (1 / 1.1, 1 / 1.1))],
    )
    def test_the_energy_scale_takes_the_detector_for_the_nominal_one(self, name, factor, expected):
        tpc = darwin.CONSTANTS
        true = tpc.model_copy(update={name: getattr(tpc, name) * factor})
        nominal, _ = events.simulate(tpc, "ER", self.ENERGY, "n")
        shifted, _ = events.simulate(true, "ER", self.ENERGY, "n", assumed=tpc)
        for column, ratio in zip(("cs1_pe", "cs2_pe"), expected, strict=True):
            found = shifted[column].mean() / nominal[column].mean()
            # 4 %: W changes the energy and with it the split into light and charge
            assert found == pytest.approx(ratio, rel=0.04 if name == "work_function_scale" else 0.01)

    @pytest.mark.parametrize("kind", ["ER", "NR"])
    def test_a_charge_yield_scale_moves_its_own_kind(self, kind):
        own, other = f"{kind.lower()}_charge_yield_scale", {"ER": "nr", "NR": "er"}[kind] + "_charge_yield_scale"
        columns = [events.simulate(darwin.CONSTANTS.model_copy(update=update), kind, self.ENERGY, "n")[0]
                   for update in ({}, {own: 1.1}, {other: 1.1})]  # fmt: skip
        charge = [found["cs2_pe"].mean() for found in columns]
        assert charge[1] / charge[0] == pytest.approx(1.1, abs=0.01)
        assert charge[2] == charge[0]
        assert columns[1]["cs1_pe"].mean() < columns[0]["cs1_pe"].mean()

    def test_a_known_lifetime_is_corrected_and_an_assumed_one_is_not(self):
        tpc = darwin.CONSTANTS
        true = tpc.model_copy(update={"electron_lifetime_us": 1500.0})
        nominal, known, wrong = (
            events.simulate(detector, "ER", self.ENERGY, "n", assumed)[0]["cs2_pe"].mean()
            for detector, assumed in ((tpc, None), (true, None), (true, tpc))
        )
        assert known == pytest.approx(nominal, rel=0.01)
        assert wrong < 0.8 * nominal


class TestChargeYield:
    """Electrons that recombine make photons: what two-neutrino double electron capture does more than a beta."""

    ENERGY = np.full(3000, 10.0)

    def run(self, ratio):
        return events.simulate(darwin.CONSTANTS, "ER", self.ENERGY, "yield", charge_yield_ratio=ratio)[0]

    def test_a_ratio_of_one_is_an_ordinary_recoil(self):
        ordinary, _ = events.simulate(darwin.CONSTANTS, "ER", self.ENERGY, "yield")
        for name, column in self.run(np.ones(3000)).items():
            np.testing.assert_array_equal(column, ordinary[name], err_msg=name)

    @pytest.mark.parametrize("ratio", [0.70, 0.88])
    def test_charge_falls_by_the_ratio_and_the_energy_stays(self, ratio):
        ordinary, captured = self.run(np.ones(3000)), self.run(np.full(3000, ratio))
        assert captured["cs2_pe"].mean() / ordinary["cs2_pe"].mean() == pytest.approx(ratio, rel=0.01)
        assert captured["cs1_pe"].mean() > 1.05 * ordinary["cs1_pe"].mean()
        assert captured["ces_keVee"].mean() == pytest.approx(ordinary["ces_keVee"].mean(), rel=0.005)

    def test_captures_fall_below_the_nr_median_as_often_as_the_reference_says(self):
        """Of the LL line at 10 keV, at its CES in the window; betas hardly ever do."""
        _, nr_ces, nr = in_window("NR")
        share = {}
        for ratio in (1.0, CAPTURES["ratio"]):
            columns = self.run(np.full(3000, ratio))
            ces, value = columns["ces_keVee"], np.log10(columns["cs2_pe"] / columns["cs1_pe"])
            below, seen = 0, (ces >= 7) & (ces < 10)
            for low in (7, 8, 9):
                median = np.median(nr[(nr_ces >= low) & (nr_ces < low + 1)])
                below += np.sum(value[(ces >= low) & (ces < low + 1)] < median)
            share[ratio] = below / seen.sum()
        assert share[1.0] < 0.005
        assert CAPTURES["range"][0] < share[CAPTURES["ratio"]] < CAPTURES["range"][1]

    def test_no_quantum_is_lost(self):
        photons, electrons = np.full(2000, 400), np.arange(2000) % 500
        lit, free = _quanta.recombined(photons, electrons, np.full(2000, 0.7), "quanta")
        np.testing.assert_array_equal(lit + free, photons + electrons)
        assert free.sum() / electrons.sum() == pytest.approx(0.7, abs=4 * np.sqrt(0.21 / electrons.sum()))
        assert np.all(_quanta.recombined(photons, electrons, np.zeros(2000), "quanta")[1] == 0)


class TestLostChargeAndPairs:
    """What wall events and accidental pairs are made of."""

    N = 400

    def columns(self, **how):
        energy_keV = np.linspace(2, 20, self.N)
        return events.simulate(DARWIN, "ER", energy_keV, "lost", pulses=False, **how)[0]

    def test_lost_electrons_leave_the_light_as_it_is(self):
        whole, half = self.columns(), self.columns(charge_kept=np.full(self.N, 0.5))
        np.testing.assert_array_equal(half["cs1_pe"], whole["cs1_pe"])
        assert half["cs2_pe"].sum() / whole["cs2_pe"].sum() == pytest.approx(0.5, abs=0.02)
        same = self.columns(charge_kept=np.ones(self.N))
        assert all((same[name] == whole[name]).all() for name in whole)

    def test_a_pair_has_the_light_of_another_recoil_and_its_own_charge_and_place(self):
        alone, pairs = self.columns(), self.columns(paired=True)
        for name in ("cs2_pe", "drift_us", "z_cm"):
            np.testing.assert_array_equal(pairs[name], alone[name])
        of_other = np.roll(alone["s1_pe"], 1)[1:]
        assert np.corrcoef(pairs["s1_pe"][1:], of_other)[0, 1] > 0.98  # but for the charge of each photon
        assert pairs["s1_pe"][0] > 10 * alone["s1_pe"][0] / 2  # the first has the last one's, at 20 keV
