"""Detector constants and geometry, quanta and collection, against the papers and NEST."""

import tomllib
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.stats import kstest

from engine import plugins
from engine.physics.detectors import TPC, _collection, _quanta, darwin

DETECTORS = {name: plugins.load("engine.physics.detectors", name) for name in plugins.names("engine.physics.detectors")}
PUBLISHED = {
    name: tomllib.loads((Path(__file__).parents[1] / "references" / f"{name}.toml").read_text()) for name in DETECTORS
}
REFERENCES = PUBLISHED["darwin"]
DARWIN = darwin.CONSTANTS
FIELD_V_CM = DARWIN.drift_field_V_cm
YIELDS, PHOTONS = REFERENCES["yields"], REFERENCES["photons"]


def override(**constants):
    return TPC(**DARWIN.model_dump() | constants)


# The contract


@pytest.mark.parametrize("name", DETECTORS)
def test_contract(name):
    tpc = DETECTORS[name].CONSTANTS
    assert isinstance(tpc, TPC) and DETECTORS[name].__doc__
    assert 0 < tpc.fiducial_radius_cm <= tpc.radius_cm and 2 * tpc.wall_distance_cm < tpc.drift_length_cm
    z_cm = np.linspace(0, tpc.drift_length_cm, 101)
    assert np.all(_collection.relative_light_collection(tpc, z_cm) > 0)
    assert np.all(tpc.g1 * _collection.relative_light_collection(tpc, z_cm) <= 1)


@pytest.mark.parametrize("constants", [{"g1": 0.0}, {"g1": 1.1}, {"g3": 0.1}, {"radius_cm": float("nan")}])
def test_impossible_constants_are_refused(constants):
    with pytest.raises(ValidationError, match=next(iter(constants))):
        override(**constants)


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize("array", ["top", "bottom"])
def test_pmt_arrays(name, array):
    tpc, published = DETECTORS[name].CONSTANTS, PUBLISHED[name]["geometry"]["n_pmts"]
    pmts = tpc.pmt_positions_cm(array)
    assert len(pmts) == published[array] == len(np.unique(pmts.round(6), axis=0))
    assert np.hypot(*pmts.T).min() == pytest.approx(0, abs=1e-9)
    distance = np.hypot(*(pmts[:, None] - pmts).transpose(2, 0, 1)) + 1e9 * np.eye(len(pmts))
    np.testing.assert_allclose(distance.min(axis=1), tpc.pmt_pitch_cm)


@pytest.mark.parametrize("name", DETECTORS)
def test_masses_gains_and_selection(name):
    tpc, (geometry, gains) = DETECTORS[name].CONSTANTS, (PUBLISHED[name][table] for table in ("geometry", "gains"))
    active_mass_t = np.pi * tpc.radius_cm**2 * tpc.drift_length_cm * tpc.density_g_cm3 * 1e-6
    assert active_mass_t == pytest.approx(geometry["active_mass_t"], abs=geometry["active_abs"])
    assert tpc.fiducial_mass_t == pytest.approx(geometry["fiducial_mass_t"], abs=geometry["mass_abs"])
    assert tpc.g2 == pytest.approx(gains["g2"], rel=gains["rel"])
    assert tpc.single_electron_gain == pytest.approx(gains["single_electron_gain"], rel=gains["rel"])
    cathode, surface = _collection.drift_us(tpc, np.array([0.0, tpc.drift_length_cm]))
    assert cathode == pytest.approx(gains["maximum_drift_us"], rel=gains["rel"])
    assert surface == 0
    for constant, published in PUBLISHED[name]["selection"].items():
        assert getattr(tpc, constant) == published, constant


# The papers' detector


def test_outermost_tube():
    reference, radius = REFERENCES["geometry"], np.hypot(*DARWIN.pmt_positions_cm().T)
    assert radius.max() == pytest.approx(reference["outermost_cm"], abs=reference["outermost_abs"])


def test_photon_constants():
    for name in ("double_pe_probability", "spe_resolution", "el_fano", "g1_gas"):
        assert getattr(DARWIN, name) == PHOTONS[name], name
    assert DARWIN.el_photons_per_electron == PHOTONS["el_photons"]


# Quanta


def test_work_function():
    reference = REFERENCES["work_function"]
    for density, eV in zip(reference["density_g_cm3"], reference["eV"], strict=True):
        assert _quanta.work_function_eV(density) == pytest.approx(eV, abs=reference["abs"])


@pytest.mark.parametrize("kind", ["ER", "NR"])
@pytest.mark.parametrize("i", range(len(YIELDS["energies_keV"])))
def test_mean_yields(kind, i):
    energy_keV, n = YIELDS["energies_keV"][i], 10_000
    drawn = _quanta.quanta(kind, np.full(n, energy_keV), FIELD_V_CM, YIELDS["density_g_cm3"], seed=11)[:, :2]
    expected = energy_keV * np.array([YIELDS[kind][quantum][i] for quantum in ("photons", "electrons")])
    rel = YIELDS["rel_NR_below_5_keV"] if kind == "NR" and energy_keV < 5 else YIELDS["rel"][kind]
    tolerance = rel * expected + 3.5 * drawn.std(axis=0) / np.sqrt(n)
    assert np.all(np.abs(drawn.mean(axis=0) - expected) < tolerance)


@pytest.mark.parametrize(("kind", "exponent"), [("ER", 1.0), ("NR", 1.1)])
def test_quanta_are_the_visible_energy_over_the_work_function(kind, exponent):
    density, energy_keV = YIELDS["density_g_cm3"], np.random.default_rng(1).uniform(1, 100, 20_000)
    quanta = _quanta.quanta(kind, energy_keV, FIELD_V_CM, density, seed=12)[:, :2].sum(axis=1)
    keVee = _quanta.work_function_eV(density) * 1e-3 * quanta
    visible = YIELDS["visible"][kind] * energy_keV**exponent
    assert np.mean(keVee / visible) == pytest.approx(1, abs=YIELDS["visible_rel"])


@pytest.mark.parametrize("kind", ["ER", "NR"])
def test_excitons_are_among_the_photons(kind):
    energy_keV = np.geomspace(0.05, 100, 3000)
    photons, electrons, excitons = _quanta.quanta(kind, energy_keV, FIELD_V_CM, DARWIN.density_g_cm3, seed=13).T
    assert min(photons.min(), electrons.min(), excitons.min()) >= 0
    assert np.mean(excitons > photons) < 0.01
    share = excitons[energy_keV > 10].sum() / photons[energy_keV > 10].sum()
    assert 0.05 < share < 0.35 if kind == "ER" else 0.4 < share < 0.7


def test_the_seed_alone_decides():
    energy_keV = np.linspace(1, 50, 500)
    shards = [("ER", 1), ("NR", 2), ("ER", 2)]

    def run(order):
        return {key: _quanta.quanta(key[0], energy_keV, FIELD_V_CM, 2.9, key[1]) for key in order}

    forward, backward = run(shards), run(shards[::-1])
    for key in shards:
        np.testing.assert_array_equal(forward[key], backward[key])
    assert np.mean(forward["ER", 1] != forward["ER", 2]) > 0.9


def test_wider_recombination_is_wider_and_not_elsewhere():
    energy_keV = np.full(20_000, 5.0)
    drawn = {
        (kind, scale): _quanta.quanta(kind, energy_keV, FIELD_V_CM, 2.9, 7, scale)[:, :2]
        for kind in ("ER", "NR") for scale in (1.0, 1.3)
    }  # fmt: skip
    # photons + electrons - (sum's share) fluctuates by recombination alone: their difference at a fixed sum
    spread = {key: np.std(quanta[:, 1] - quanta.sum(axis=1) * quanta[:, 1].mean() / quanta.sum(axis=1).mean())
              for key, quanta in drawn.items()}  # fmt: skip
    assert 1.1 < spread["ER", 1.3] / spread["ER", 1.0] < 1.3  # binomial noise is left as it is
    np.testing.assert_array_equal(drawn["NR", 1.3], drawn["NR", 1.0])
    assert drawn["ER", 1.3].mean(axis=0) == pytest.approx(drawn["ER", 1.0].mean(axis=0), rel=0.01)


@pytest.mark.parametrize("ratio", [0.8, 1.0, 1.2])
def test_a_charge_yield_moves_quanta_from_light_to_charge(ratio):
    photons, electrons = _quanta.quanta("ER", np.full(5000, 5.0), FIELD_V_CM, 2.9, 7)[:, :2].T
    light, charge = _quanta.recombined(photons, electrons, np.full(5000, ratio), "key")
    np.testing.assert_array_equal(light + charge, photons + electrons)
    assert charge.mean() == pytest.approx(ratio * electrons.mean(), rel=0.002)
    assert min(light.min(), charge.min()) >= 0


def test_no_event_gives_more_charge_than_it_has_quanta():
    photons, electrons = np.array([0, 1, 5]), np.array([3, 9, 5])
    light, charge = _quanta.recombined(photons, electrons, np.full(3, 1.9), "key")
    np.testing.assert_array_equal(light + charge, photons + electrons)
    assert light.min() >= 0


def test_a_scale_of_one_is_no_part_of_an_identity():
    scales = {name for name in TPC.model_fields if name.startswith(("er_", "nr_"))}
    assert len(scales) == 3
    assert not scales & set(DARWIN.model_dump())
    assert DARWIN.model_copy(update={"er_charge_yield_scale": 1.1}).model_dump()["er_charge_yield_scale"] == 1.1


# Collection


def test_positions_are_uniform_in_the_fiducial_volume():
    x, y, z = _collection.positions(DARWIN, 20_000, np.random.default_rng(3))
    radius2 = (x**2 + y**2) / DARWIN.fiducial_radius_cm**2
    low, high = DARWIN.wall_distance_cm, DARWIN.drift_length_cm - DARWIN.wall_distance_cm
    for unit in (radius2, np.arctan2(y, x) / (2 * np.pi) + 0.5, (z - low) / (high - low)):
        assert kstest(unit, "uniform").pvalue > 0.01
    assert abs(np.corrcoef(radius2, z)[0, 1]) < 0.03


def test_light_collection_averages_to_one_and_is_the_stretched_map():
    z_cm = np.linspace(0, DARWIN.drift_length_cm, 100_001)
    relative = _collection.relative_light_collection(DARWIN, z_cm)
    assert np.trapezoid(relative, z_cm) / DARWIN.drift_length_cm == pytest.approx(1, abs=1e-6)
    top_to_bottom = DARWIN.light_collection_map[0] / np.polyval(
        DARWIN.light_collection_map[::-1], -DARWIN.light_collection_height_cm
    )
    assert relative[-1] / relative[0] == pytest.approx(top_to_bottom)


def test_survival_is_exponential_in_the_drift_time():
    tpc = override(electron_lifetime_us=500.0)
    survival = _collection.survival(tpc, np.array([0.0, 500.0, 1000.0]))
    np.testing.assert_allclose(survival, np.exp([0, -1, -2]))


def test_combined_energy_of_mean_quanta():
    photons, electrons = np.array([300.0, 0.0]), np.array([0.0, 200.0])
    ces = _collection.combined_energy_keVee(DARWIN, photons * DARWIN.g1, electrons * DARWIN.g2)
    work = REFERENCES["work_function"]["eV"][0]
    np.testing.assert_allclose(ces, (photons + electrons) * work * 1e-3, rtol=1e-4)
