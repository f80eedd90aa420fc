"""Detector constants and quanta against NEST itself and against its formulas, written independently."""

import subprocess
import sys
import tomllib
from pathlib import Path

import nestpy
import numpy as np
import pytest

from engine.physics.detectors import _field, _quanta, darwin, xenonnt

REFERENCES = {
    name: tomllib.loads((Path(__file__).parents[1] / "references" / f"{name}.toml").read_text())
    for name in ("darwin", "xenonnt")
}
DETECTORS = {"darwin": darwin.CONSTANTS, "xenonnt": xenonnt.CONSTANTS}
NEST, WIDTHS, DIFFUSION = (REFERENCES["darwin"][table] for table in ("nest", "widths", "diffusion"))


def calculator(conditions):
    """NESTcalc and its detector, to which it keeps a raw pointer; the gas alone enters CalculateG2."""
    detector = nestpy.detectors.VDetector()
    detector.set_T_Kelvin(conditions["temperature_K"])
    detector.set_p_bar(conditions["pressure_bar"])
    detector.set_inGas(False)
    return nestpy.NESTcalc(detector), detector


# Constants of the detectors


@pytest.mark.parametrize("name", DETECTORS)
def test_density_and_drift_velocity_of_nest(name):
    nest, tpc = REFERENCES[name]["nest"], DETECTORS[name]
    calc, _ = calculator(nest)
    temperature_K, pressure_bar = nest["temperature_K"], nest["pressure_bar"]
    density = calc.SetDensity(temperature_K, pressure_bar)
    velocity = calc.SetDriftVelocity(temperature_K, density, tpc.drift_field_V_cm, pressure_bar)
    assert density == pytest.approx(nest["density_g_cm3"], rel=nest["rel"])
    assert velocity == pytest.approx(nest["drift_velocity_mm_us"], rel=nest["rel"])
    assert tpc.density_g_cm3 == pytest.approx(density, rel=2e-4)


def test_drift_of_darwin_is_nests():
    assert DETECTORS["darwin"].drift_velocity_mm_us == pytest.approx(NEST["drift_velocity_mm_us"], rel=NEST["rel"])
    found = DETECTORS["darwin"].diffusion_longitudinal_cm2_s
    assert found == pytest.approx(DIFFUSION["longitudinal_cm2_s"], rel=DIFFUSION["rel"])


def test_drift_of_xenonnt_is_the_measured_one():
    tpc, drift = DETECTORS["xenonnt"], REFERENCES["xenonnt"]["drift"]
    found = (tpc.drift_field_V_cm, tpc.drift_velocity_mm_us, tpc.diffusion_longitudinal_cm2_s, tpc.electron_lifetime_us)
    assert found == tuple(
        drift[key] for key in ("field_V_cm", "velocity_mm_us", "longitudinal_cm2_s", "lifetime_us")
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("darwin", (DIFFUSION["longitudinal_cm2_s"], DIFFUSION["rel"])),
        ("xenonnt", tuple(REFERENCES["xenonnt"]["nest"][key] for key in ("longitudinal_cm2_s", "diffusion_rel"))),
    ],
)
def test_longitudinal_diffusion_of_nest(name, expected):
    field_V_cm, (a, power, b, scale) = DETECTORS[name].drift_field_V_cm, DIFFUSION["terms"]
    formula = a * field_V_cm**power + b * np.exp(-field_V_cm / scale)
    assert formula == pytest.approx(expected[0], rel=expected[1])


@pytest.mark.parametrize("field_V_cm", [23.0, 50.0, 97.0, 400.0, 1000.0])
def test_what_follows_from_the_field_is_nests(field_V_cm):
    calc, _ = calculator(NEST)
    density = calc.SetDensity(NEST["temperature_K"], NEST["pressure_bar"])
    velocity = calc.SetDriftVelocity(NEST["temperature_K"], density, field_V_cm, NEST["pressure_bar"])
    a, power, b, scale = DIFFUSION["terms"]
    moved = _field.override(darwin.CONSTANTS, {"drift_field_V_cm": field_V_cm})
    assert moved.drift_velocity_mm_us == pytest.approx(velocity, rel=NEST["rel"])
    longitudinal = a * field_V_cm**power + b * np.exp(-field_V_cm / scale)
    assert moved.diffusion_longitudinal_cm2_s == pytest.approx(longitudinal, rel=DIFFUSION["rel"])
    assert moved.electron_trapping_us == pytest.approx(0.28326 + 5303 / field_V_cm**2, rel=1e-3)
    kept = moved.model_dump() | {f.__name__: getattr(darwin.CONSTANTS, f.__name__) for f in _field.FOLLOWS}
    assert kept == darwin.CONSTANTS.model_dump() | {"drift_field_V_cm": field_V_cm}


def test_a_measured_drift_moves_by_nests_ratio():
    moved = _field.override(xenonnt.CONSTANTS, {"drift_field_V_cm": 200.0})
    ratio = NEST["drift_velocity_mm_us"] / REFERENCES["xenonnt"]["nest"]["drift_velocity_mm_us"]
    assert moved.drift_velocity_mm_us == pytest.approx(0.677 * ratio, rel=0.01)  # of two temperatures
    assert moved.diffusion_longitudinal_cm2_s == pytest.approx(44.5 * DIFFUSION["longitudinal_cm2_s"] / 91.7, rel=2e-3)


def test_what_is_given_beside_the_field_stays():
    given = {"drift_field_V_cm": 80.0, "drift_velocity_mm_us": 1.3, "electron_trapping_us": 0.2}
    moved = _field.override(darwin.CONSTANTS, given)
    assert given.items() <= moved.model_dump().items()
    assert moved.diffusion_longitudinal_cm2_s == pytest.approx(32.8, abs=0.1)
    same = {"drift_field_V_cm": 200.0, "g1": 0.12}
    assert _field.override(darwin.CONSTANTS, same).model_dump() == darwin.CONSTANTS.model_dump() | same


def test_gains_of_nest():
    tpc, (calc, detector) = DETECTORS["darwin"], calculator(NEST)
    detector.set_E_gas(NEST["gas_field_kV_cm"])
    detector.set_g1_gas(tpc.g1_gas)
    detector.set_TopDrift(NEST["surface_mm"])
    detector.set_anode(NEST["anode_mm"])
    calc.SetDensity(NEST["temperature_K"], NEST["pressure_bar"])
    made, extraction, single, g2, _ = calc.CalculateG2(0)
    names = ("el_photons_per_electron", "extraction", "single_electron_gain", "g2")
    for name, nests in zip(names, (made, extraction, single, g2), strict=True):
        assert nests == pytest.approx(NEST[name], rel=NEST["rel"]), name
        ours, rel = getattr(tpc, name), NEST["g2_rel" if name == "g2" else "gains_rel"]
        assert ours == pytest.approx(nests, rel=rel), name


# Quanta


@pytest.mark.parametrize("density_g_cm3", [2.8, 2.8749, 2.9])
def test_work_function_of_nest(density_g_cm3):
    nests = nestpy.NESTcalc.WorkFunction(density_g_cm3).Wq_eV
    assert _quanta.work_function_eV(density_g_cm3) == pytest.approx(nests, rel=1e-9)


@pytest.mark.parametrize("kind", ["ER", "NR"])
@pytest.mark.parametrize("i", range(len(WIDTHS["energies_keV"])))
def test_widths_and_correlation(kind, i):
    energy_keV, n, reference = WIDTHS["energies_keV"][i], 20_000, WIDTHS[kind]
    photons, electrons = _quanta.quanta(kind, np.full(n, energy_keV), 200.0, 2.9, seed=17)[:, :2].T
    rel = WIDTHS["rel"] + 3.5 / np.sqrt(2 * n)
    assert photons.std() == pytest.approx(reference["photons"][i], rel=rel)
    assert electrons.std() == pytest.approx(reference["electrons"][i], rel=rel)
    correlation = reference["correlation"][i]
    tolerance = WIDTHS["correlation_abs"] + 3.5 * (1 - correlation**2) / np.sqrt(n)
    assert np.corrcoef(photons, electrons)[0, 1] == pytest.approx(correlation, abs=tolerance)


def test_what_nest_says_of_its_model_once_in_a_process_is_not_on_the_terminal():
    ours = ("import numpy as np; from engine.physics.detectors import _quanta; "
            "_quanta.quanta('ER', np.array([5.0]), 200.0, 2.9, 1)")  # fmt: skip
    of_nest = ("import nestpy; detector = nestpy.detectors.VDetector(); "
               "nestpy.NESTcalc(detector).GetYields(nestpy.interactions.beta, 5.0, 2.9, 200.0)")  # fmt: skip
    said = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
            for code in (ours, of_nest)]  # fmt: skip
    assert (said[0].stdout, said[0].stderr) == ("", "") and "energy dependent" in said[1].stderr
