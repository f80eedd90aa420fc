"""Numbers in another unit, and spectra that the pool does not hold, are refused unless a study says that they are
meant; what it says enters no result."""

import pytest

from engine import stages, study
from engine.errors import BadInput
from engine.physics import spectra
from engine.plan.plan import Plan

GRID = {"m_chi_GeV": [20, 50], "sigma_si_cm2": [0.0, 1e-48], "exposure_ty": [200]}


def parsed(*, grid: dict = {}, **raw: object) -> study.Study:  # noqa: B006
    return study.parse({"grid": GRID | grid} | raw)


def table(folder, *energies_keV):
    rows = "".join(f"{energy},1\n" for energy in energies_keV)
    (folder / "t.csv").write_text(f"energy_keV,rate\n{rows}")
    options = {"spectrum": "user_table", "path": str(folder / "t.csv"), "kind": "ER"}
    return {"components": ["pp", "line"], "options": {"line": options}}


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"grid": {"exposure_ty": 365000}}, ["grid.exposure_ty = 365000", "0.01 to 5000", 'confirm = ["exposure_ty"]']),
        ({"grid": {"sigma_si_cm2": [0.0, 6.5]}}, ["grid.sigma_si_cm2 = 6.5", "1e-50 to 1e-40", "'wimp_si'"]),
        ({"grid": {"sigma_si_cm2": {"log": [1e-12, 1e-9], "n": 3}}}, ["grid.sigma_si_cm2 = 1e-12"]),
        ({"grid": {"m_chi_GeV": [20_000, 50_000]}}, ["grid.m_chi_GeV = 20000", "1 to 10000"]),
        ({"grid": {"m_chi_GeV": {"log": [10, 1e6], "n": 7}}}, ["grid.m_chi_GeV = 1e+06"]),
        ({"benchmark": {"sigma_si_cm2": 6.5e-3}}, ["benchmark.sigma_si_cm2 = 0.0065"]),
        ({"benchmark": {"m_chi_GeV": 0.05}}, ["benchmark.m_chi_GeV = 0.05"]),
        ({"reach": {"exposure_ty": [1, 1e6]}}, ["reach.exposure_ty = 1e+06"]),
        ({"reach": {"m_chi_GeV": [5e4]}}, ["reach.m_chi_GeV = 50000"]),
        ({"tune": {"R": [1, 10], "exposure_ty": 73_000}}, ["tune.exposure_ty = 73000"]),
        ({"toys": {"options": {"tail_count": {"exposure_ty": 73_000}}}}, ["tail_count.exposure_ty = 73000"]),
        ({"signal": {"options": {"v0_km_s": 238_000}}}, ["v0_km_s", "238000", "1000"]),
        ({"signal": {"options": {"rho_GeV_cm3": 3e5}}}, ["rho_GeV_cm3", "300000", "10"]),
        ({"backgrounds": {"options": {"b8": {"flux_per_cm2_s": 5.16e10}}}}, ["flux_per_cm2_s", "51600000000"]),
        ({"confirm": ["exposure"]}, ["name to confirm 'exposure'", "did you mean 'exposure_ty'"]),
    ],
)  # fmt: skip
def test_another_unit_is_refused(raw, said):
    with pytest.raises(BadInput) as error:
        parsed(**raw)
    for words in said:
        assert words in str(error.value)


@pytest.mark.parametrize(
    ("name", "axis"),
    [("wimp_si", "sigma_si_cm2"), ("wimp_sd_neutron", "sigma_sd_neutron_cm2"),
     ("wimp_sd_proton", "sigma_sd_proton_cm2"), ("wimp_migdal", "sigma_si_cm2")],
)  # fmt: skip
def test_a_size_in_barns_is_refused_for_every_signal_and_its_own_benchmark_is_not(name, axis):
    size = spectra.size(study.Signal(name=name).spectrum()[0])
    mass = 2.0 if name == "wimp_migdal" else 50.0
    grid = {"m_chi_GeV": [mass], axis: [size.benchmark, size.reference, size.shown], "exposure_ty": [200]}
    assert study.parse({"grid": grid, "signal": {"name": name}}).grid.size.n_points > 1
    for unit_cm2 in (1e-24, 1e-36, 1e-39, 1e-45):  # b, pb, fb, zb
        with pytest.raises(BadInput, match=f"grid.{axis} = "):
            study.parse({"grid": grid | {axis: [size.benchmark / unit_cm2]}, "signal": {"name": name}})
    with pytest.raises(BadInput, match="grid.m_chi_GeV = "):  # in MeV
        study.parse({"grid": grid | {"m_chi_GeV": [1000 * mass]}, "signal": {"name": name}})


def test_energies_of_a_table_in_eV_or_MeV_are_refused(tmp_path):
    with pytest.raises(BadInput, match="line: energy_keV = 14000: .*0 to 3000"):
        parsed(backgrounds=table(tmp_path, 1000, 5000, 14_000))
    with pytest.raises(BadInput, match=r"backgrounds.line adds nothing: .* 0.001\d* to 0.014 keV, .*er_energy_keV 1 t"):
        parsed(backgrounds=table(tmp_path, 0.001, 0.014))


def test_what_adds_nothing_is_named_with_both_ranges():
    with pytest.raises(BadInput, match=r"backgrounds.b8 adds nothing: .* to 4\.\d* keV, .*nr_energy_keV 8 to 70"):
        parsed(pool={"nr_energy_keV": [8, 70]})
    with pytest.raises(BadInput, match=r"signal m_chi_GeV = 2, .* adds nothing: .* keV, .*nr_energy_keV 1 to 70"):
        parsed(grid={"m_chi_GeV": [2, 50]})
    assert parsed(pool={"nr_energy_keV": [8, 70]}, confirm=["b8", "hep"])
    assert parsed(grid={"m_chi_GeV": [2, 50]}, confirm=["wimp_si"])


def test_what_is_confirmed_is_accepted_and_enters_no_digest():
    meant = parsed(grid={"exposure_ty": [6000]}, confirm=["exposure_ty"])
    assert meant.grid.exposure_ty.points() == (6000.0,)
    plain, confirmed = parsed(), parsed(confirm=["exposure_ty", "sigma_si_cm2"])
    assert stages.items(Plan(plain)) == stages.items(Plan(confirmed))
    assert plain.model_dump() == confirmed.model_dump() and "confirm" not in confirmed.fields()


def test_a_spectrum_of_ones_own_may_name_no_range(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from engine.size import Size\n"
        'KIND = "NR"\n'
        'SIZE = Size("coupling", "", "of mine", "g", 1.0, 1.0, 1.0)\n'
        "def rate(energy_keV, m_chi_GeV, coupling):\n    return coupling + 0 * energy_keV\n"
    )
    grid = {"m_chi_GeV": [1e9], "coupling": [1e12], "exposure_ty": [1]}
    assert study.parse({"grid": grid, "signal": {"name": str(tmp_path / "mine.py")}}).signal.size.usual is None


def test_a_rate_of_ones_own_that_fails_is_one_line(tmp_path):
    head = 'KIND, RELATIVE_UNCERTAINTY = "ER", 0.1\ndef rate(energy_keV):\n    return '
    for number, body in enumerate(("1 / 0", "undefined", "energy_keV[:, None, 7]")):
        path = tmp_path / f"mine{number}.py"
        path.write_text(head + body + "\n")
        with pytest.raises(BadInput, match="its rate cannot be computed: .*Error") as error:
            parsed(backgrounds={"components": ["pp", str(path)]})
        assert "\n" not in str(error.value)
