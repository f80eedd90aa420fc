"""Options of the spectra against published rates: a choice changes what it names, and nothing else."""

import importlib.resources
import tomllib
from functools import partial
from importlib import import_module
from pathlib import Path

import numericalunits as nu
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import gamma

from engine.errors import BadInput
from engine.inference.pools import effective_size
from engine.physics import spectra
from engine.physics.spectra import _cevns, _halo, _tables, _wimp, neutrons, wimp_si, xe124_ec, xe136

REFERENCES = tomllib.loads((Path(__file__).parents[1] / "references" / "spectra.toml").read_text())
OPTIONS, WIMP, XE124 = (REFERENCES[key] for key in ("options", "wimp_si", "xe124_ec"))
ENERGIES_KEV = np.geomspace(0.05, 300.0, 200)


def load(name):
    return import_module(f"{spectra.__name__}.{name}")


def integral(rate, window_keV):
    energy_keV = np.linspace(*window_keV, 20_001)
    return np.trapezoid(rate(energy_keV), energy_keV)


# Electronic recoils


@pytest.mark.parametrize("name", ["pp", "be7"])
def test_free_electrons(name):
    reference, spectrum = OPTIONS["free_electrons"], load(name)
    per_ty = integral(partial(spectrum.rate, atomic_binding=False), reference["window_keV"])
    assert per_ty == pytest.approx(reference[name], rel=reference["rel"])
    energy_keV = ENERGIES_KEV[ENERGIES_KEV < 250]
    free = spectrum.rate(energy_keV, atomic_binding=False)
    np.testing.assert_allclose(free, spectrum.free_electron_rate(energy_keV), rtol=2e-4)


def test_fermi_functions():
    reference = OPTIONS["xe136"]
    per_ty = integral(partial(xe136.rate, shape="fermi"), reference["window_keV"])
    assert per_ty == pytest.approx(reference["fermi"], rel=reference["rel"])
    ratio = xe136.rate(np.array([6.0]), shape="fermi") / xe136.rate(np.array([6.0]))
    assert ratio[0] == pytest.approx(reference["fermi_over_pr"], rel=reference["rel"])


@pytest.mark.parametrize("shape", ["pr", "fermi"])
def test_every_shape_counts_all_decays(shape):
    rate = partial(xe136.rate, shape=shape)
    assert integral(rate, (0.0, xe136.Q_KEV)) == pytest.approx(OPTIONS["xe136"]["decays_per_ty"], rel=5e-4)


def test_fermi_shape_is_the_plain_integral_over_the_shared_energy():
    def electron(kinetic):
        total, alpha_z = kinetic + 1, 56 / 137.036
        momentum, root = np.sqrt(total**2 - 1), np.sqrt(1 - alpha_z**2)
        coulomb = np.exp(np.pi * alpha_z * total / momentum) * abs(gamma(root + 1j * alpha_z * total / momentum)) ** 2
        return momentum * total * momentum ** (2 * root - 2) * coulomb

    def plain(energy_keV):
        summed, released = energy_keV / 510.999, 2457.83 / 510.999
        return quad(lambda t: electron(t) * electron(summed - t), 0, summed)[0] * (released - summed) ** 5

    energies_keV = np.array([1.0, 6.0, 300.0, 1500.0])
    rates, expected = xe136.rate(energies_keV, shape="fermi"), np.array([plain(e) for e in energies_keV])
    np.testing.assert_allclose(rates / rates[0], expected / expected[0], rtol=3e-4)


def test_decays_of_xe136_are_by_the_atom_fraction():
    assert xe136.DECAYS_PER_TY == pytest.approx(OPTIONS["xe136"]["decays_per_ty"], rel=5e-4)
    with pytest.raises(BadInput, match="unknown option of 'xe136' 'abundance'"):
        spectra.configure(xe136, {"abundance": "mass"})


def test_krypton_and_radon_are_linear_in_what_was_measured():
    density = OPTIONS["intrinsic"]
    for name, option in (("kr85", "ppt"), ("pb214", "uBq_kg")):
        spectrum, reference = load(name), density[name]
        one = spectrum.rate(np.array([5.0]), **{option: reference["at"]})[0]
        assert one == pytest.approx(reference["per_ty_keV"], rel=reference["rel"])
        assert spectrum.rate(np.array([5.0]), **{option: 3 * reference["at"]})[0] == pytest.approx(3 * one)
        assert spectrum.rate(np.array([5.0]), **{option: 0.0})[0] == 0


def test_the_factor_on_pp_is_told_where_it_is_one():
    pp = load("pp")
    assert "times 0.932" in pp.note(pp.Options()) and "options.pp.scale = 1" in pp.note(pp.Options())
    assert not pp.note(pp.Options(scale=1.0)) and not pp.note(pp.Options(atomic_binding=False))
    bound = integral(partial(pp.rate, scale=1.0), (2.0, 10.0))
    assert bound == pytest.approx(OPTIONS["pp"]["per_ty"], rel=OPTIONS["pp"]["rel"])


def test_a_flat_rate_is_what_was_measured_and_nothing_elsewhere():
    flat = load("flat")
    rate = partial(flat.rate, per_ty_keV=15.8, low_keV=1.0, high_keV=30.0)
    assert integral(rate, (0.5, 40.0)) == pytest.approx(15.8 * 29.0, rel=1e-3)
    assert rate(np.array([0.9, 30.1])).tolist() == [0, 0]
    options = spectra.configure(flat, {"per_ty_keV": 2.0, "kind": "NR", "relative_uncertainty": 0.3})
    assert spectra.describe(flat, options) == ("NR", 0.3)


# Nuclear recoils


def test_neutrons_of_the_purity_achieved():
    reference, rate = OPTIONS["neutrons"], partial(neutrons.rate, level="achieved")
    assert integral(rate, reference["window_keV"]) == pytest.approx(reference["integral"], rel=reference["rel"])
    per_ty = integral(rate, reference["ces_window_keV"])
    assert per_ty == pytest.approx(reference["ces_integral"], rel=reference["ces_rel"])


@pytest.mark.parametrize("name", OPTIONS["flux"])
def test_rates_are_linear_in_the_flux(name):
    flux, rate = OPTIONS["flux"][name], load(name).rate
    default = rate(ENERGIES_KEV)
    np.testing.assert_array_equal(rate(ENERGIES_KEV, flux_per_cm2_s=flux["default"]), default)
    for other in (flux["recommended"], 3 * flux["default"]):
        np.testing.assert_allclose(
            rate(ENERGIES_KEV, flux_per_cm2_s=other), other / flux["default"] * default, rtol=1e-12
        )


# The signals' halo

INTERACTIONS = {"wimp_si": "SI", "wimp_sd_neutron": "SD_n_central", "wimp_sd_proton": "SD_p_central"}  # wimprates'
WIMPS = [*INTERACTIONS, "wimp_migdal"]


def plain_rate(name, energy_keV, m_chi_GeV, rho_GeV_cm3, v0_km_s, v_esc_km_s):
    halo = _halo.wimprates.StandardHaloModel(
        v_0=v0_km_s * nu.km / nu.s, v_esc=v_esc_km_s * nu.km / nu.s, rho_dm=rho_GeV_cm3 * nu.GeV / nu.c0**2 / nu.cm**3
    )
    return _halo.wimprates.rate_wimp_std(energy_keV, m_chi_GeV, 1e-45, interaction=INTERACTIONS[name], halo_model=halo)


@pytest.mark.parametrize("name", WIMPS)
def test_default_halo(name):
    halo, wimp = WIMP["halo"], load(name)
    assert wimp.Options().model_dump(exclude={"structure"}) == halo
    energy_keV = np.linspace(0.5, 80, 200)
    np.testing.assert_array_equal(wimp.rate(energy_keV, 50.0, 1e-45, **halo), wimp.rate(energy_keV, 50.0, 1e-45))


@pytest.mark.parametrize("halo", [(0.3, 220.0, 544.0), (0.4, 238.0, 544.0), (0.3, 238.0, 600.0), (0.55, 200.0, 500.0)])
@pytest.mark.parametrize("m_chi_GeV", [10.0, 100.0])
@pytest.mark.parametrize("name", INTERACTIONS)
def test_halo_agrees_with_wimprates(name, halo, m_chi_GeV):
    options = dict(zip(WIMP["halo"], halo, strict=True))
    energy_keV = np.geomspace(0.5, 100.0, 41)
    direct = plain_rate(name, energy_keV, m_chi_GeV, **options)
    fast = load(name).rate(energy_keV, m_chi_GeV, 1e-45, **options)
    # wimprates integrates up to the fastest WIMP of its own v0, with steps as coarse as 1.4e-3 for a lower one
    np.testing.assert_allclose(fast, direct, rtol=2e-3, atol=1e-5 * direct.max())


def test_old_halo_of_the_cvae_study():
    reference = WIMP["old_halo"]
    for mass, (old, new) in reference["events"].items():
        rate = partial(wimp_si.rate, m_chi_GeV=float(mass), sigma_si_cm2=1e-45)
        before = integral(partial(rate, v0_km_s=reference["v0_km_s"]), reference["window_keV"])
        assert before / integral(rate, reference["window_keV"]) == pytest.approx(old / new, rel=reference["rel"]), mass


@pytest.mark.parametrize("name", WIMPS)
@pytest.mark.parametrize("v0_km_s", [200.0, 238.0, 280.0])
def test_recoils_reach_the_endpoint_of_their_own_halo(v0_km_s, name):
    # 2 mu^2 v_max^2 / m_N with v_max = v_esc + |v0 + the Sun's and the Earth's own speed| (29 Feb 2000); Migdal's is
    # all that a WIMP can give, mu v_max^2 / 2, and stays below the table's electrons of 70 keV for a lighter WIMP
    earth_km_s = np.linalg.norm([11.1, v0_km_s + 12.2, 7.3] + 29.8 * np.array([0.9352, 0.2827, 0.2136]))
    nucleus_GeV, m_chi_GeV = 131.293 * 0.9314941, 30.0 if name in INTERACTIONS else 3.0
    reduced_GeV = m_chi_GeV * nucleus_GeV / (m_chi_GeV + nucleus_GeV)
    full_keV = reduced_GeV * ((544 + earth_km_s) / 299792.458) ** 2 / 2 * 1e6
    endpoint_keV = full_keV * 4 * reduced_GeV / nucleus_GeV if name in INTERACTIONS else full_keV
    rate = load(name).rate(endpoint_keV * np.array([0.97, 1.03]), m_chi_GeV, 1e-45, v0_km_s=v0_km_s)
    assert rate[0] > 0 and rate[1] == 0


@pytest.mark.parametrize("name", WIMPS)
def test_wimp_table_is_made_once_per_halo(name):
    table = getattr(load(name), "_table", _wimp.elastic_table)
    table.cache_clear()
    for options in ({}, {"v0_km_s": 238}, {"rho_GeV_cm3": 0.4}, {"v0_km_s": 221.0}, {"v_esc_km_s": 533.0}):
        load(name).rate(np.array([5.0]), 60.0, 1e-47, **options)
    assert table.cache_info().misses == 3


# 124Xe


@pytest.mark.parametrize("line", ["LL", "LM"])
@pytest.mark.parametrize("width_keV", [0.05, 0.2, 0.4])
def test_lines_of_xe124(line, width_keV):
    reference, rate = XE124[line], partial(xe124_ec.rate, width_keV=width_keV)
    window_keV = (reference["energy_keV"] - 2.0, reference["energy_keV"] + 2.0)
    per_ty = integral(rate, window_keV)
    assert per_ty == pytest.approx(reference["per_ty"], rel=XE124["rel"])
    assert per_ty * XE124["exposure_ty"] == pytest.approx(reference["events"], rel=XE124["rel"])
    mean_keV = integral(lambda e: e * rate(e), window_keV) / per_ty
    assert mean_keV == pytest.approx(reference["energy_keV"], abs=1e-3)
    spread_keV2 = integral(lambda e: (e - mean_keV) ** 2 * rate(e), window_keV) / per_ty
    assert np.sqrt(spread_keV2) == pytest.approx(width_keV, rel=1e-3)


def test_xe124_of_other_authors():
    ratio = XE124["LL"]["per_ty"] / XE124["LM"]["per_ty"]
    assert ratio == pytest.approx(XE124["LL_over_LM"], rel=XE124["LL_over_LM_rel"])
    without_k = sum(xe124_ec.LINES[line][1] for line in xe124_ec.BELOW_K)
    assert without_k == pytest.approx(XE124["without_k_electron"], abs=XE124["without_k_abs"])
    assert abs(xe124_ec.HALF_LIFE_Y - XE124["half_life_y"]) < XE124["half_life_sigma_y"]


def test_a_pool_carries_the_lines():
    # a uniform pool of 1e4 events in 1-14 keV: what the docstring of the width promises
    energy_keV = np.random.default_rng(1).uniform(1.0, 14.0, 10_000)
    weights = xe124_ec.rate(energy_keV) * 13.0 / len(energy_keV)
    ll = weights[energy_keV > 8]
    assert effective_size(ll) == pytest.approx(545, rel=0.15)
    assert ll.sum() == pytest.approx(XE124["LL"]["per_ty"], rel=0.15)


def test_xe124_is_thrown_on_its_lines_with_their_charge_yields():
    n = 20_000
    energy_keV, density, ratio = xe124_ec.throw(n, np.random.default_rng(3), xe124_ec.Options(charge_yield_sd=0.02))
    weights = xe124_ec.rate(energy_keV) / density / n
    total = XE124["LL"]["per_ty"] + XE124["LM"]["per_ty"]
    np.testing.assert_allclose(weights.sum(), total, rtol=XE124["rel"])
    assert effective_size(weights) == pytest.approx(n)
    for line, expected in (("LL", 0.70), ("LM", 0.88)):
        mine = np.abs(energy_keV - XE124[line]["energy_keV"]) < 1.5
        assert weights[mine].sum() == pytest.approx(XE124[line]["per_ty"], rel=4 / np.sqrt(n / 3) + XE124["rel"])
        assert energy_keV[mine].std() == pytest.approx(0.2, rel=0.05)
        assert ratio[mine].mean() == pytest.approx(expected, abs=4 * 0.02 / np.sqrt(mine.sum()))
        assert ratio[mine].std() == pytest.approx(0.02, rel=0.05)
    wide = xe124_ec.throw(n, np.random.default_rng(3), xe124_ec.Options(charge_yield_sd=0.3))[2]
    assert wide.min() >= 0 and wide.max() == 1


def test_captures_of_k_electrons_are_there_where_a_study_asks_for_them():
    """KK at 64.3 and KL at 36.7 keV; who does not ask has the events, and the digest, that there were before."""
    n, options = 20_000, xe124_ec.Options(lines=["KL", "KK", "LL"], charge_yield_ratio_KK=0.5, charge_yield_sd=0.0)
    assert options.lines == ("LL", "KK", "KL")
    energy_keV, density, ratio = xe124_ec.throw(n, np.random.default_rng(3), options)
    weights = xe124_ec.rate(energy_keV, **options.model_dump()) / density / n
    for at_keV, fraction, expected in ((64.3, 0.724, 0.5), (36.7, 0.200, 1.0), (10.0, 0.014, 0.70)):
        mine = np.abs(energy_keV - at_keV) < 2
        error = 4 * np.sqrt(fraction / n) * xe124_ec.DECAYS_PER_TY
        assert weights[mine].sum() == pytest.approx(fraction * xe124_ec.DECAYS_PER_TY, abs=error)
        np.testing.assert_allclose(ratio[mine], expected)
    assert not (np.abs(energy_keV - 5.98) < 1.5).any()
    assert 0.724 + 0.200 == pytest.approx(0.74 + 0.24, abs=0.06)  # less KM to KO; Nitescu et al. 2402.13784
    assert set(xe124_ec.Options().model_dump()) == {"width_keV", "charge_yield_ratio_LL", "charge_yield_ratio_LM",
                                                    "charge_yield_sd"}  # fmt: skip
    assert (xe124_ec.rate(np.linspace(20, 100, 800)) == 0).all()


# Anomalies whose rate is a user's


@pytest.mark.parametrize(
    ("name", "options", "mean_keV"),
    [("line", {"at_keV": 3.0}, 3.0), ("tritium", {}, 5.7), ("solar_axion", {}, 1.205 * (1.481 + 1)),
     ("accidentals", {"low_keV": 1.0, "high_keV": np.e}, np.e - 1), ("wall", {"low_keV": 2.0, "high_keV": 6.0}, 4.0)],
)  # fmt: skip
def test_a_rate_of_ones_own_is_all_there_and_where_it_should_be(name, options, mean_keV):
    spectrum = load(name)
    rate = partial(spectrum.rate, **options, per_ty=7.0)
    assert integral(rate, (0.0, 40.0)) == pytest.approx(7.0, rel=2e-3)
    assert integral(lambda e: e * rate(e), (0.0, 40.0)) / 7.0 == pytest.approx(mean_keV, rel=5e-3)


@pytest.mark.parametrize("name", ["accidentals", "wall"])
def test_what_is_thrown_follows_its_rate(name):
    spectrum = load(name)
    energy_keV, density, ratio = spectrum.throw(2000, np.random.default_rng(1), spectrum.Options(per_ty=3.0))
    np.testing.assert_allclose(spectrum.rate(energy_keV, per_ty=3.0) / density, 3.0)
    assert (ratio == 1).all()


def test_walls_keep_a_share_and_pairs_are_pairs():
    kept = load("wall").charge_kept(2000, np.random.default_rng(1), load("wall").Options(most_kept=0.3))
    assert 0.1 <= kept.min() < 0.11 and 0.29 < kept.max() <= 0.3
    assert load("accidentals").PAIRED and not hasattr(load("wall"), "PAIRED")


# What a user can get wrong, and where the tables come from


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("pp", {"atomic_bindings": False}, "unknown option of 'pp' 'atomic_bindings'; did you mean"),
        ("pb214", {"flux_per_cm2_s": 1.0}, "unknown option of 'pb214'"),
        ("b8", {"flux_per_cm2_s": -1.0}, "b8.flux_per_cm2_s: .*greater than or equal to 51600 .given: -1.0"),
        ("b8", {"flux_per_cm2_s": float("nan")}, "b8.flux_per_cm2_s: .*finite"),
        ("xe136", {"shape": "flat"}, "xe136.shape: .*'pr' or 'fermi' .given: 'flat'"),
        ("kr85", {"ppt": -0.1}, "kr85.ppt: .*greater than or equal to 0 .given: -0.1"),
        ("pb214", {"uBq": 1.0}, "unknown option of 'pb214' 'uBq'; did you mean 'uBq_kg'"),
        ("flat", {}, "flat.per_ty_keV: Field required"),
        ("flat", {"per_ty_keV": 1.0, "low_keV": 9.0, "high_keV": 3.0}, "low_keV = 9 must be below high_keV = 3"),
        ("neutrons", {"level": "best"}, "neutrons.level: .*'goal' or 'achieved' .given: 'best'"),
        ("wimp_si", {"v0_km_s": 0.0}, "wimp_si.v0_km_s: .*greater than or equal to 10"),
        ("wimp_si", {"structure": "up"}, "unknown option of 'wimp_si' 'structure'"),
        ("wimp_sd_proton", {"structure": "best"}, "wimp_sd_proton.structure: .*'central', 'up' or 'down'"),
        ("wimp_migdal", {"v_esc_km_s": -1.0}, "wimp_migdal.v_esc_km_s: .*greater than or equal to 10"),
        ("xe124_ec", {"charge_yield_ratio_LL": 1.2}, "xe124_ec.charge_yield_ratio_LL: .*less than or equal to 1"),
        ("xe124_ec", {"lines": ["KK", "KK"]}, "xe124_ec: lines = .'KK', 'KK'. names one twice"),
        ("xe124_ec", {"lines": ["KO"]}, "xe124_ec.lines.0: "),
        ("wall", {"least_kept": 0.95}, "least_kept = 0.95 must be below most_kept = 0.9"),
        ("accidentals", {"low_keV": 30.0}, "low_keV = 30 must be below high_keV = 20"),
        ("xe124_ec", {"width_keV": 3.0}, "xe124_ec.width_keV: .*less than or equal to 1 .given: 3.0"),
    ],
)
def test_bad_options_are_named_in_one_line(name, fields, message):
    with pytest.raises(BadInput, match=message) as caught:
        spectra.configure(load(name), fields)
    assert "\n" not in str(caught.value)


def test_options_are_frozen():
    options = spectra.configure(load("pp"), {})
    with pytest.raises(ValueError, match="frozen"):
        options.atomic_binding = False


def test_shipped_tables_name_their_source_and_units():
    files = [f for f in importlib.resources.files(spectra).joinpath("data").iterdir() if f.name.endswith(".csv")]
    assert {f.name for f in files} == {"atm_flux.csv", "b8_flux.csv", "binding_factor.csv", "dsnb_flux.csv"}
    for file in files:
        source, columns, names = file.read_text().splitlines()[:3]
        assert source.startswith("# source: ") and columns.startswith("# columns: ")
        assert all(f"{name} = " in columns for name in names.split(","))


@pytest.mark.parametrize(("name", "tolerance"), [("atm_flux", 1e-3), ("b8_flux", 1e-3), ("dsnb_flux", 7e-3)])
def test_shipped_fluxes_have_unit_integral(name, tolerance):
    neutrino_MeV, per_MeV = _tables.shipped(name)
    assert np.all(np.diff(neutrino_MeV) > 0)
    if name == "b8_flux":
        total = np.trapezoid(per_MeV, neutrino_MeV)
    else:
        total = integral(_cevns.log_log(neutrino_MeV, per_MeV), neutrino_MeV[[0, -1]])
    assert total == pytest.approx(1.0, abs=tolerance)
    with pytest.raises(ValueError, match="read-only"):
        per_MeV[0] = 1.0


@pytest.mark.parametrize(("name", "m_chi_GeV"), [*((name, 0.05) for name in INTERACTIONS), ("wimp_migdal", 2e-4)])
def test_a_wimp_too_light_to_be_seen_has_no_rate(name, m_chi_GeV):
    assert not load(name).rate(np.array([0.01, 1.0, 10.0]), m_chi_GeV, 1e-45).any()
