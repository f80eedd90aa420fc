"""Recoil spectra against published rates, and the contract of the package on every module in it."""

import json
import pkgutil
import tomllib
from functools import partial
from importlib import import_module
from inspect import Parameter, signature
from pathlib import Path

import numericalunits as nu
import numpy as np
import pytest

from engine import lineage
from engine.errors import BadInput
from engine.physics import spectra
from engine.physics.spectra import _cevns, _halo, _wimp, be7, hep, pp, wimp_si
from engine.physics.spectra._fusion import neutrino_spectrum
from engine.size import STRENGTH, Size

REFERENCES = tomllib.loads((Path(__file__).parents[1] / "references" / "spectra.toml").read_text())
SPECTRA = {
    name: import_module(f"{spectra.__name__}.{name}")
    for _, name, _ in pkgutil.iter_modules(spectra.__path__)
    if not name.startswith("_") and name != "user_events"  # which is events: see test_user_events
}
ER_NAMES = ["pp", "be7", "pb214", "kr85", "xe136"]
CEVNS_NAMES = ["b8", "hep", "atm", "dsnb"]
INTERACTIONS = {"wimp_si": "SI", "wimp_sd_neutron": "SD_n_central", "wimp_sd_proton": "SD_p_central"}  # wimprates'
WIMPS = [*INTERACTIONS, "wimp_migdal"]
ER, CEVNS, WIMP = (REFERENCES[key] for key in ("er", "cevns", "wimp_si"))
NEEDED = {
    "user_table": {"path": str(Path(__file__).parents[1] / "references" / "user_table.csv"), "kind": "ER"},
    "flat": {"per_ty_keV": 15.8},
}


def integral(rate, window_keV):
    energy_keV = np.linspace(*window_keV, 20_001)
    return np.trapezoid(rate(energy_keV), energy_keV)


def rate_of(spectrum):
    if is_signal(spectrum):
        return partial(spectrum.rate, m_chi_GeV=50.0, **sized(spectrum))
    return partial(spectrum.rate, **options_of(spectrum).model_dump())


def is_signal(spectrum):
    return "m_chi_GeV" in signature(spectrum.rate).parameters


def sized(spectrum, times=1.0):
    size = spectra.size(spectrum)
    return {size.name: times * size.reference}


def table_of(spectrum):
    return getattr(spectrum, "_table", _wimp.elastic_table)


def options_of(spectrum):
    return spectra.configure(spectrum, NEEDED.get(spectrum.__name__.split(".")[-1], {}))


# The contract


@pytest.mark.parametrize("name", SPECTRA)
def test_contract_constants(name):
    spectrum = SPECTRA[name]
    kind, relative_uncertainty = spectra.describe(spectrum, options_of(spectrum))
    assert kind in ("ER", "NR")
    assert (relative_uncertainty is None) == is_signal(spectrum)
    assert is_signal(spectrum) or 0 <= relative_uncertainty < 1
    assert isinstance(spectrum.LABEL, str) and spectrum.LABEL
    assert spectrum.__doc__ and spectrum.rate.__doc__


@pytest.mark.parametrize("name", sorted(SPECTRA.keys() - NEEDED.keys()))
def test_contract_uncertainty_stands_at_the_top(name):
    spectrum = SPECTRA[name]
    assert hasattr(spectrum, "RELATIVE_UNCERTAINTY") != is_signal(spectrum)
    found = spectra.describe(spectrum, options_of(spectrum))
    assert found == (spectrum.KIND, getattr(spectrum, "RELATIVE_UNCERTAINTY", None))
    assert is_signal(spectrum) or spectrum.RELATIVE_UNCERTAINTY > 0


@pytest.mark.parametrize("name", SPECTRA)
def test_contract_size_is_the_argument_of_a_signal_with_a_mass(name):
    spectrum = SPECTRA[name]
    size, arguments = spectra.size(spectrum), list(signature(spectrum.rate).parameters)
    assert isinstance(size, Size) and size.has_mass == is_signal(spectrum)
    if not is_signal(spectrum):
        assert size is STRENGTH
        return
    assert arguments[:3] == ["energy_keV", "m_chi_GeV", size.name] and size.name.endswith(f"_{size.unit}")
    assert 0 < size.benchmark <= size.shown <= size.reference
    assert size.meaning and size.symbol.startswith("$")


@pytest.mark.parametrize("name", SPECTRA)
def test_contract_options_are_the_keywords_of_rate(name):
    spectrum = SPECTRA[name]
    fields = getattr(spectrum, "Options", spectra.Options).model_fields
    assert issubclass(getattr(spectrum, "Options", spectra.Options), spectra.Options)
    keywords = [p for p in signature(spectrum.rate).parameters.values() if p.kind is Parameter.KEYWORD_ONLY]
    assert [p.name for p in keywords] == list(fields)
    for keyword in keywords:
        field = fields[keyword.name]
        assert (keyword.default is Parameter.empty) == field.is_required()
        assert field.is_required() or keyword.default == field.default
    assert all(field.description for field in fields.values())


@pytest.mark.parametrize("name", SPECTRA)
def test_contract_identity_is_plain_and_follows_the_options(name):
    spectrum = SPECTRA[name]
    identity = spectra.identity(spectrum, options_of(spectrum))
    assert lineage.digest("spectrum", 1, identity) == lineage.digest("spectrum", 1, json.loads(json.dumps(identity)))
    assert "path" not in identity
    if "flux_per_cm2_s" in identity:
        moved = {"flux_per_cm2_s": 1.01 * identity["flux_per_cm2_s"]}
        other = spectra.identity(spectrum, spectra.configure(spectrum, moved))
        assert other != identity


@pytest.mark.parametrize("name", SPECTRA)
def test_contract_unknown_options_are_refused(name):
    given = NEEDED.get(name, {}) | {"flux_per_cm2": 1.0}
    with pytest.raises(BadInput, match=f"unknown option of '{name}' 'flux_per_cm2'"):
        spectra.configure(SPECTRA[name], given)


@pytest.mark.parametrize("name", SPECTRA)
def test_contract_rate(name):
    energy_keV = np.concatenate([[-1.0, 0.0, 1e-9], np.geomspace(1e-6, 1e6, 997)]).reshape(10, 100)
    rate = rate_of(SPECTRA[name])(energy_keV)
    assert rate.shape == energy_keV.shape and rate.dtype == np.float64
    assert np.all(np.isfinite(rate)) and np.all(rate >= 0)
    assert np.all(rate[energy_keV <= 0] == 0) and np.all(rate[energy_keV > 3e3] == 0) and rate.max() > 0
    assert rate_of(SPECTRA[name])(np.array([])).shape == (0,)


@pytest.mark.parametrize("name", SPECTRA)
def test_rate_is_pointwise(name):
    energy_keV, rate = np.array([7.0, 1.6, 3.0, 40.0]), rate_of(SPECTRA[name])
    np.testing.assert_array_equal(rate(energy_keV), [rate(e[None])[0] for e in energy_keV])


@pytest.mark.parametrize(("name", "uncertainty"), REFERENCES["uncertainty"].items())
def test_uncertainties_of_the_paper(name, uncertainty):
    assert SPECTRA[name].RELATIVE_UNCERTAINTY == uncertainty


def test_kinds():
    assert all(SPECTRA[name].KIND == "ER" for name in [*ER_NAMES, "pep", "cno", "xe124_ec", "wimp_migdal"])
    assert all(SPECTRA[name].KIND == "NR" for name in [*CEVNS_NAMES, "neutrons", *INTERACTIONS])


# Electronic recoils


@pytest.mark.parametrize("name", ER_NAMES)
def test_er_component(name):
    rate, reference = SPECTRA[name].rate, ER[name]
    assert integral(rate, ER["window_keV"]) == pytest.approx(reference["integral"], rel=reference["rel"])
    np.testing.assert_allclose(rate(np.array(ER["energies_keV"])), reference["rates"], rtol=reference["rel"])


def test_er_total():
    per_ty = sum(integral(SPECTRA[name].rate, ER["window_keV"]) for name in ER_NAMES)
    assert per_ty == pytest.approx(ER["total"], abs=0.05)
    assert per_ty * ER["exposure_ty"] == pytest.approx(ER["events"], rel=0.001)


def test_free_electrons():
    reference = REFERENCES["free_electron"]
    rates = pp.free_electron_rate(np.array(reference["energies_keV"]))
    np.testing.assert_allclose(rates, reference["pp_rates"], rtol=reference["rel"])
    for spectrum, name in ((pp, "pp"), (be7, "be7")):
        per_ty = integral(spectrum.free_electron_rate, reference["window_keV"])
        assert per_ty == pytest.approx(reference[name], rel=reference["rel"])


def test_er_of_other_authors():
    reference = REFERENCES["other_er"]
    per_ty = {name: integral(SPECTRA[name].rate, reference["window_keV"]) for name in ER_NAMES}
    solar = per_ty["pp"] + per_ty["be7"]
    assert solar == pytest.approx(reference["solar_flamedisx"], rel=reference["solar_rel"])
    events = ER["exposure_ty"] * (sum(per_ty.values()) - per_ty["kr85"])
    assert events == pytest.approx(reference["without_krypton_events"], rel=reference["without_krypton_rel"])


def test_pp_table_is_the_folded_formula():
    energy_keV = np.linspace(0.37, 250.0, 173)
    from_rate = pp.rate(energy_keV) / pp.SCALE / pp.scattering.binding_factor(energy_keV)
    np.testing.assert_allclose(from_rate, pp.free_electron_rate(energy_keV), rtol=2e-4)


@pytest.mark.parametrize("name", REFERENCES["solar_er"]["flux"])
def test_rare_solar_neutrinos_on_free_electrons(name):
    """Far below the endpoints every recoil is as likely: the flux times the cross-section of soft recoils."""
    reference, spectrum = REFERENCES["solar_er"], SPECTRA[name]
    soft = sum(
        reference["flux"][name] * share * plain_soft_cross_section(energy_MeV, spectrum.SURVIVAL)
        for energy_MeV, share in zip(*reference["energies_MeV"][name], strict=True)
    )
    plain = soft * 54 * 6.02214e23 / 131.293e-6 * 3.15576e7
    assert spectrum.rate(np.array([2.0]), atomic_binding=False)[0] == pytest.approx(plain, rel=reference["rel"][name])
    bound = integral(spectrum.rate, reference["window_keV"])
    assert bound == pytest.approx(reference["per_ty"][name], rel=0.01)


def plain_soft_cross_section(neutrino_MeV, survival):
    """cm2 / keV of a recoil of 2 keV, by the sum over flavours with 2 G_F^2 m_e / pi = 1.7234e-47 cm2 / keV."""
    recoil, right = 2e-3, 0.2387
    of = [left**2 + right**2 * (1 - recoil / neutrino_MeV) ** 2 - left * right * 0.511 * recoil / neutrino_MeV**2
          for left in (right + 0.5, right - 0.5)]  # fmt: skip
    return 1.7234e-47 * (survival * of[0] + (1 - survival) * of[1])


# Coherent scattering


@pytest.mark.parametrize("name", CEVNS_NAMES)
def test_cevns_integrals(name):
    rate, reference, rel = SPECTRA[name].rate, CEVNS[name], CEVNS["rel"][name]
    above = [integral(rate, (threshold, CEVNS["ceiling_keV"])) for threshold in CEVNS["above_keV"]]
    np.testing.assert_allclose(above, reference["above"], rtol=rel)
    windows = [integral(rate, window) for window in CEVNS["windows_keV"]]
    np.testing.assert_allclose(windows, reference["windows"], rtol=rel, atol=0)
    assert rate(np.array([2.0]))[0] == pytest.approx(reference["at_2_keV"], rel=rel)


@pytest.mark.parametrize(("name", "above"), CEVNS["above_4_keV"].items())
def test_cevns_above_the_solar_8b_neutrinos(name, above):
    assert integral(SPECTRA[name].rate, (4.0, CEVNS["ceiling_keV"])) == pytest.approx(above, rel=CEVNS["above_4_rel"])


def test_cevns_of_other_authors():
    reference = REFERENCES["cevns_published"]
    window_keV = (reference["above_keV"], CEVNS["ceiling_keV"])
    per_ty = {name: integral(SPECTRA[name].rate, window_keV) for name in CEVNS_NAMES}
    solar, diffuse = per_ty["b8"] + per_ty["hep"], per_ty["atm"] + per_ty["dsnb"]
    assert solar == pytest.approx(reference["solar_flamedisx"], rel=reference["solar_rel"])
    assert diffuse == pytest.approx(reference["diffuse_flamedisx"], rel=reference["diffuse_rel"])
    for name, published in reference["at_2_keV"].items():
        at_2_keV = SPECTRA[name].rate(np.array([2.0]))[0]
        assert at_2_keV == pytest.approx(published, rel=reference["at_2_keV_rel"]), name


def test_cevns_endpoint_is_that_of_the_lightest_isotope():
    endpoint_keV = 2 * 16.0**2 / (124 * 931.494) * 1e3
    rate = SPECTRA["b8"].rate(endpoint_keV * np.array([0.98, 1.001]))
    assert rate[0] > 0 and rate[1] == 0


def test_hep_is_the_plain_sum_over_neutrino_energies():
    energy_keV, spectrum = np.array([0.7, 2.1, 4.3]), neutrino_spectrum(hep.ENDPOINT_MEV)
    neutrino_MeV = np.linspace(1e-3, hep.ENDPOINT_MEV, 40_001)
    plain = np.zeros(len(energy_keV))
    for mass_number, fraction in _cevns.ISOTOPES.items():
        mass_MeV = mass_number * 931.494
        weak_charge = mass_number - 54 - (1 - 4 * 0.2387) * 54
        for i, recoil_MeV in enumerate(energy_keV / 1e3):
            kinematics = np.clip(1 - mass_MeV * recoil_MeV / (2 * neutrino_MeV**2), 0, None)
            folded = np.trapezoid(spectrum(neutrino_MeV) * kinematics, neutrino_MeV)
            helm = _cevns.form_factor(energy_keV[i], mass_number)
            plain[i] += fraction * weak_charge**2 * mass_MeV * helm**2 * folded
    coupling = 1.16638e-11**2 / (4 * np.pi) * 1.97327e-11**2 / 1e3  # G_F^2 / 4 pi: cm2 / (MeV keV)
    plain *= coupling * hep.FLUX * 6.02214e23 / 131.293e-6 * 3.15576e7
    np.testing.assert_allclose(hep.rate(energy_keV), plain, rtol=1e-3)


def test_neutrons():
    reference, rate = REFERENCES["neutrons"], SPECTRA["neutrons"].rate
    per_ty = integral(rate, reference["window_keV"])
    assert per_ty == pytest.approx(reference["integral"], rel=reference["rel"])
    per_ty = integral(rate, reference["ces_window_keV"])
    assert per_ty == pytest.approx(reference["ces_integral"], rel=reference["rel"])


# The signals: more of those but for wimp_si in test_spectra_wimp


@pytest.mark.parametrize("mass", WIMP["integrals"])
def test_wimp_integrals(mass):
    rate = partial(wimp_si.rate, m_chi_GeV=float(mass), sigma_si_cm2=WIMP["sigma_si_cm2"])
    windows = [integral(rate, window) for window in WIMP["windows_keV"]]
    np.testing.assert_allclose(windows, WIMP["integrals"][mass], rtol=WIMP["rel"])


def test_wimp_benchmark():
    benchmark = WIMP["benchmark"]
    per_ty = integral(
        lambda e: wimp_si.rate(e, benchmark["m_chi_GeV"], benchmark["sigma_si_cm2"]), WIMP["windows_keV"][0]
    )
    assert per_ty * benchmark["exposure_ty"] == pytest.approx(benchmark["events"], abs=0.6)


@pytest.mark.parametrize(("mass", "events"), WIMP["cvae"]["events"].items())
def test_wimp_totals_of_the_cvae_study(mass, events):
    rate = partial(wimp_si.rate, m_chi_GeV=float(mass), sigma_si_cm2=WIMP["sigma_si_cm2"])
    expected = WIMP["cvae"]["exposure_ty"] * integral(rate, WIMP["windows_keV"][0])
    assert expected == pytest.approx(events, rel=0.001)


def test_wimps_are_all_tested():
    assert {name for name, spectrum in SPECTRA.items() if is_signal(spectrum)} == set(WIMPS)


@pytest.mark.parametrize("name", INTERACTIONS)
@pytest.mark.parametrize("m_chi_GeV", [10.0, 35.0, 100.0, 1000.0])
def test_wimp_interpolation_agrees_with_wimprates(m_chi_GeV, name):
    energy_keV = np.geomspace(0.5, 100.0, 57)
    direct = _halo.wimprates.rate_wimp_std(energy_keV, m_chi_GeV, 1e-45, interaction=INTERACTIONS[name])
    fast = SPECTRA[name].rate(energy_keV, m_chi_GeV, 1e-45)
    np.testing.assert_allclose(fast, direct, rtol=1e-3, atol=1e-6 * direct.max())
    np.testing.assert_array_equal(fast == 0, direct == 0)


@pytest.mark.parametrize("name", WIMPS)
def test_wimp_is_linear_in_its_size(name):
    energy_keV, rate = np.linspace(-1, 120, 333), SPECTRA[name].rate
    one, seven, none = (rate(energy_keV, 50.0, **sized(SPECTRA[name], times)) for times in (1.0, 7.0, 0.0))
    np.testing.assert_allclose(seven, 7 * one, rtol=1e-12)
    np.testing.assert_array_equal(none, np.zeros(333))


@pytest.mark.parametrize("name", WIMPS)
def test_wimp_bytes_do_not_depend_on_the_random_units(name):
    energy_keV, spectrum = np.linspace(0.5, 40, 100), SPECTRA[name]
    results = []
    for seed in (1, 2):
        nu.reset_units(seed)
        before = nu.keV
        table_of(spectrum).cache_clear()
        results.append(spectrum.rate(energy_keV, 20.0, 1e-45).tobytes())
        assert nu.keV == before
    assert results[0] == results[1]


@pytest.mark.parametrize("name", WIMPS)
def test_wimp_table_is_made_once_per_mass(name):
    spectrum = SPECTRA[name]
    table_of(spectrum).cache_clear()
    for mass in (60.0, 60, 60.0, 70.0):
        spectrum.rate(np.array([5.0]), mass, 1e-47)
    assert table_of(spectrum).cache_info().misses == 2
