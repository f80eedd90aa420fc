"""The physics report: its numbers against known rates and bands, and the page as a user gets it."""

import dataclasses
import tomllib

import numpy as np
import pytest
from scipy.stats import norm, poisson

from engine.errors import BadInput
from engine.plan.plan import Plan
from engine.report import event_display, physics_page, physics_report
from engine.report.physics_report import ComponentRate, LeakedShare, ThrownEvents
from engine.study import load

N = 2000
FIGURES = ("spectra", "bands", "response", "event_ER", "event_NR")


@pytest.fixture(scope="module")
def study(request):
    return load(str(request.path.parents[1] / "studies" / "tiny.toml"))


@pytest.fixture(scope="module")
def samples(study):
    return [physics_report.throw(Plan(study), kind, N) for kind in ("ER", "NR")]


@pytest.fixture(scope="module")
def rows(study, samples):
    return tabulate(study, samples)


def tabulate(study, samples):
    found, signal = physics_report.components(study), physics_report.benchmark(study)
    table = physics_report.rates(Plan(study), found, signal, physics_report.pool(samples))
    return {row.name: row for row in table}


def flat_samples(n, seed):
    """Uniform in 1-14 keV, selected above 7.5 keV: half of the range."""
    energy = np.random.default_rng(seed).uniform(1, 14, n)
    charges = {"cs1_pe": energy, "cs2_pe": energy}
    return [ThrownEvents(kind, (1.0, 14.0), energy, charges, energy > 7.5) for kind in ("ER", "NR")]


def test_the_same_events_are_thrown_again_and_others_for_another_kind_or_seed(study, samples):
    again = physics_report.throw(Plan(study), "ER", N)
    for name, values in samples[0].columns.items():
        np.testing.assert_array_equal(again.columns[name], values)
    other = physics_report.throw(Plan(study.model_copy(update={"seed": 4})), "ER", N)
    for energy in (samples[1].energy_keV, other.energy_keV):
        assert not np.isin(energy, samples[0].energy_keV).any()


def test_weights_give_a_known_flat_rate_and_its_error():
    found, errors = [], []
    for seed in range(300):
        pool = physics_report.pool(flat_samples(500, seed))
        weights = pool.weights("ER", lambda energy_keV: np.full(energy_keV.shape, 2.0))
        found.append(weights.sum())
        errors.append(physics_report.standard_error(weights, pool.n_thrown[0]))
    assert np.mean(found) == pytest.approx(2.0 * 6.5, rel=0.01)
    assert np.mean(errors) == pytest.approx(np.std(found), rel=0.15)  # 300 pools: 4 %


def test_totals_are_sums_and_the_signal_is_in_none(rows):
    for kind in ("ER", "NR"):
        single = [row for row in rows.values() if row.kind == kind and row.name not in ("wimp_si", f"{kind} total")]
        total = rows[f"{kind} total"]
        assert total.per_ty == pytest.approx(sum(row.per_ty for row in single))
        assert total.before_per_ty == pytest.approx(sum(row.before_per_ty for row in single))
        shared = max(row.error_per_ty for row in single)  # the same events: errors add up, not in quadrature
        assert total.error_per_ty > np.sqrt(sum(row.error_per_ty**2 for row in single)) >= shared
    assert list(rows)[-1] == "wimp_si"


def test_rates_agree_with_the_reference_computation(rows):
    for name in physics_report.REFERENCE_EVENTS:
        assert abs(rows[name].pull) < 4, name
    assert rows["ER total"].reference[0] == pytest.approx(6720, abs=2)
    assert rows["ER total"].ratio == pytest.approx(1, abs=0.06)
    assert rows["pp"].before_per_ty == pytest.approx(18.3, abs=0.1)
    assert rows["pp"].uncertainty == 0.03 and rows["wimp_si"].uncertainty is None


def test_references_are_for_the_default_alone(study, samples, request):
    tiny = str(request.path.parents[1] / "studies" / "tiny.toml")
    other = load(tiny, ("backgrounds.options.neutrons.level='achieved'", "benchmark.m_chi_GeV=20.0"))
    shown = tabulate(other, samples)
    missing = {name for name, row in shown.items() if row.reference is None}
    assert missing == {"neutrons", "NR total", "wimp_si"}
    for setting in ("detector.g1=0.12", "backgrounds.nr_window=[5.0, 35.0]"):
        assert not any(row.reference for row in tabulate(load(tiny, (setting,)), samples).values())


def test_pull_counts_the_simulation_and_the_rounding():
    row = ComponentRate("x", "NR", 1.0, 0.006, 0.0, None, 1.0, reference=(1.0, 0.1))
    assert row.ratio == pytest.approx(1.2) and row.pull == pytest.approx(0.2 / (0.1 / np.sqrt(12)))
    assert dataclasses.replace(row, reference=None).pull is None
    assert dataclasses.replace(row, reference=(0.0, 0.1)).ratio is None


def test_a_fraction_without_events_is_no_zero():
    sample = ThrownEvents("ER", (1.0, 3.0), np.array([1.5, 1.6]), {}, np.array([True, False]))
    np.testing.assert_array_equal(sample.fraction(sample.selected, np.array([1.0, 2.0, 3.0])), [0.5, np.nan])


@pytest.mark.parametrize("acceptance", [0.3, 0.5])
def test_leakage_of_gaussian_bands_that_move_with_energy(acceptance):
    rng, edges = np.random.default_rng(1), np.linspace(1, 11, 21)
    ces_er, ces_nr = rng.uniform(0, 12, (2, 400_000))
    place = [5 * np.floor(2 * ces) for ces in (ces_er, ces_nr)]  # steps at the bins' edges, wider than the bands
    value_er, value_nr = place[0] + rng.normal(2, 1, 400_000), place[1] + rng.normal(0, 1, 400_000)
    found = physics_report.leakage(ces_er, value_er, ces_nr, value_nr, acceptance, edges)
    expected = norm.cdf(norm.ppf(acceptance) - 2)
    assert found.n_er == ((ces_er >= 1) & (ces_er < 11)).sum()
    assert found.interval[0] == pytest.approx(expected, rel=0.05)
    unbinned = physics_report.leakage(ces_er, value_er, ces_nr, value_nr, acceptance, np.array([1, 11]))
    assert unbinned.interval[0] > 5 * expected


def test_leakage_counts_only_where_there_is_a_line():
    er, nothing = np.array([1.5, 2.5]), np.array([])
    found = physics_report.leakage(er, np.zeros(2), np.array([2.5]), np.ones(1), 0.5, np.array([1.0, 2.0, 3.0]))
    assert (found.n_leaked, found.n_er) == (1, 1)
    share, low, high = physics_report.leakage(er, er, nothing, nothing, 0.5).interval
    assert np.isnan(share) and (low, high) == (0, 1)
    share, low, high = LeakedShare(0.3, 0, 1000).interval
    assert share == low == 0 and 0.001 < high < 0.002


def test_leakage_of_the_detector_has_the_size_of_the_reference(samples):
    at_30, at_50 = physics_report.leakages(*samples)
    assert at_30.n_leaked <= at_50.n_leaked <= 10  # 1.5 are expected of 1500
    assert at_30.n_er == at_50.n_er > 0.7 * N


def test_leakage_is_the_published_one(study, request):
    text = (request.path.parents[1] / "references" / "darwin.toml").read_text()
    published = tomllib.loads(text)["leakage"]["binned"]
    er, nr = (physics_report.throw(Plan(study), kind, n) for kind, n in (("ER", 40_000), ("NR", 10_000)))
    for leak in physics_report.leakages(er, nr):
        expected = leak.n_er * published["fraction"][str(leak.acceptance)]
        assert expected > 5, "too few events to tell"
        assert poisson.sf(leak.n_leaked - 1, expected * (1 + published["rel"])) > 1e-3, leak
        assert poisson.cdf(leak.n_leaked, expected * (1 - published["rel"])) > 1e-3, leak


def test_response_at_the_reference_energies(study):
    for line in physics_report.lines(Plan(study)):
        expected = physics_report.REFERENCE_RESOLUTION[line["energy_keV"]]
        assert line["resolution"] == pytest.approx(expected, rel=0.06)  # 2000 events: 1.6 %
        assert abs(line["bias"]) < 0.02
        efficiency = physics_report.REFERENCE_EFFICIENCY.get(line["energy_keV"], 1.0)
        assert line["registered"] == pytest.approx(efficiency, abs=0.03)


def test_response_is_of_the_events_thrown(samples):
    er = physics_report.response(samples[0])
    assert np.all(er["selected"] <= er["registered"]) and np.nanmax(er["registered"]) == 1
    assert np.nanmean(er["mean"]) == pytest.approx(1, abs=0.02)
    assert np.nanmean(physics_report.response(samples[1])["mean"]) < 0.3, "NR make less light and charge"


def test_events_on_display_are_single_and_coincident(study):
    for kind in ("ER", "NR"):
        truth, readout = physics_page.display(Plan(study), kind)
        assert readout.registered.all() and len(readout.s1_area) == 1
        assert truth["ces_keVee"] == pytest.approx(6, abs=1.5)
    assert event_display.image(readout, study.detector.constants).shape == (75, 75, 3)


def test_a_report_is_named_by_what_makes_it(study, request):
    tiny = str(request.path.parents[1] / "studies" / "tiny.toml")
    name = physics_report.identity(study, N)
    assert physics_report.identity(load(tiny, ("toys.null=2000", "models.vae.epochs=3")), N) == name
    changed = ("seed=4", "detector.g1=0.12", "backgrounds.options.neutrons.level='achieved'",
               "backgrounds.nr_window=[5.0, 35.0]", "pool.nr_energy_keV=[1.0, 80.0]")  # fmt: skip
    others = {physics_report.identity(load(tiny, (one,)), N) for one in changed} | {physics_report.identity(study, 1)}
    assert len(others | {name}) == len(changed) + 2


def test_the_command_writes_a_page_that_shows_everything(run_here, tiny, study, tmp_path):
    done = run_here("physics", tiny, "--store", "here", "--events", 500)
    folder = tmp_path / "here" / "physics" / physics_report.identity(study, 500)
    assert f"report: {folder / 'report.md'}" in done.stdout
    text = (folder / "report.md").read_text()
    for name in (*study.backgrounds.components, "ER total", "NR total", "wimp_si"):
        assert f"| {name} |" in text
    for words in ("ER leakage", "| 30% |", "| 50% |", "500 events", "CES sigma"):
        assert words in text
    for name in FIGURES:
        assert f"({name}.png)" in text
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert len(list(folder.iterdir())) == 1 + len(FIGURES)


def test_an_unknown_format_is_refused_before_any_work(study, monkeypatch):
    monkeypatch.setattr(physics_report, "throw", None)
    with pytest.raises(BadInput, match="'gif'.*pdf"):
        physics_page.files(study, 500, "gif")


def test_numbers_have_the_digits_of_their_errors():
    written = [physics_page._measured(*pair) for pair in ((1217.3, 251.0), (18.2391, 0.1043), (5.5172, 0.053), (0, 0))]
    assert written == ["1217 ± 251", "18.24 ± 0.10", "5.517 ± 0.053", "0"]


def test_the_waveforms_of_both_arrays_are_those_of_the_sum():
    """Every photoelectron is in one of them; as many in the bottom one as its tubes have, whenever they came."""
    rng = np.random.default_rng(1)
    waveform = rng.poisson(3.0, 400).astype(float)
    total = waveform.sum()
    parts = event_display.apart(waveform, 0.25 * total, 0.75 * total, rng)
    np.testing.assert_allclose(parts["top"] + parts["bottom"], waveform)
    assert parts["bottom"].sum() == round(0.75 * total) and np.all(parts["top"] >= 0)
    halves = [part.sum() for part in np.split(parts["bottom"], 2)]
    assert abs(halves[0] / waveform[:200].sum() - 0.75) < 0.07, "no time belongs to an array"
    empty = event_display.apart(np.zeros(3), 0.0, 0.0, rng)
    assert not empty["top"].any() and not empty["bottom"].any()
