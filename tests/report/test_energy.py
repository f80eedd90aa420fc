"""Energies in a physics report: from a few events, what is counted and said of them."""

import numpy as np
import pytest

from engine.errors import BadInput
from engine.plan.plan import Plan
from engine.plots import energy as figures
from engine.report import energy, energy_page, physics_report
from engine.report.energy import Estimate, EventSet, Judgement
from engine.study import load

QUICK = {"epochs": 2, "hidden": [8], "batch_size": 100}


@pytest.fixture(scope="module")
def plan(request):
    return Plan(load(str(request.path.parents[1] / "studies" / "tiny.toml")))


@pytest.fixture(scope="module")
def judged(plan):
    return energy.judge(plan, "ER", 3000, **QUICK)


def made(holds_68, holds_95, energy_keV):
    """A judgement of one method whose intervals hold the truth where it is said."""
    n = len(energy_keV)
    features = np.column_stack([np.ones((n, 2)), np.arange(n) % 7])
    flow = Estimate(1.1 * energy_keV, np.array([holds_68, holds_95]), 0.2 * energy_keV)
    events = EventSet(energy_keV, features, energy_keV)
    return Judgement("NR", (1.0, 100.0), (0.5, 150.0), 5, 6, events, {"flow": flow}, np.full(20, n // 20))


def test_coverage_is_counted_in_bins_and_cells():
    energy_keV = np.exp(np.random.default_rng(1).uniform(0, np.log(100), 20_000))
    index = np.arange(20_000)
    good = made(index % 1000 < 683, index % 100 < 95, energy_keV)
    rows = energy.rows(good)
    assert len(rows) == energy.N_BINS and sum(row["n"] for row in rows) == 20_000
    for row in rows:
        assert row["bias"] == pytest.approx(0.1) and row["resolution"] == pytest.approx(0, abs=1e-9)
        assert row["half_width"] == pytest.approx(0.2)
        assert abs(row["coverage_68"] - 0.683) < 4 * row["coverage_68_error"]
    cells = energy.grid(good, "flow")
    assert cells["cells"] == 40 and cells["coverage_68"] < 80 and cells["coverage_95"] < 80
    bad = made((index % 1000 < 683) & (energy_keV > 1.5), index % 100 < 95, energy_keV)
    (off, error), _ = energy.largest_off(bad, "flow", energy_keV)
    assert off == pytest.approx(-0.6, abs=0.1) and 0.005 < error < 0.02
    assert energy.grid(bad, "flow")["coverage_68"] > 500


def test_bins_with_few_events_are_left_out():
    energy_keV = np.concatenate([np.full(200, 20.0), np.full(energy.FEWEST - 1, 2.0)])
    rows = energy.rows(made(energy_keV > 0, energy_keV > 0, energy_keV))
    assert [row["n"] for row in rows] == [200]


def test_three_sets_share_no_event(plan):
    names = "fit", "calibrate", "judge"
    sets = [energy.throw(plan, "ER", name, (1.0, 100.0), 300).energy_keV for name in names]
    assert len(np.unique(np.concatenate(sets))) == sum(map(len, sets))


def test_the_prior_reaches_beyond_what_is_judged_and_stays_within_nest():
    assert energy.prior((1.0, 100.0)) == pytest.approx((1 / 1.5, 150))
    assert energy.prior((0.06, 290.0)) == (0.05, 300.0)


def test_methods_are_judged_by_the_same_events(judged):
    n = len(judged.events.energy_keV)
    assert list(judged.estimates) == ["CES", "flow", "WALDO"]
    for estimate in judged.estimates.values():
        assert estimate.value_keV.shape == (n,) and estimate.holds.shape == (2, n)
        assert (estimate.holds[1] | ~estimate.holds[0]).mean() > 0.97, "the wider interval holds what the other does"
    assert judged.ranks.sum() == n


def test_combined_energy_has_the_spread_of_its_bins(judged):
    rows = [row for row in energy.rows(judged) if row["method"] == "CES" and row["low_keV"] > 2]
    assert len(rows) >= 5
    for row in rows:
        assert abs(row["bias"]) < 0.05 and row["half_width"] == pytest.approx(row["resolution"], rel=0.25)
        assert abs(row["coverage_68"] - 0.683) < 5 * row["coverage_68_error"]


def test_nuclear_recoils_have_no_electron_equivalent(plan):
    assert list(energy.judge(plan, "NR", 1000, **QUICK | {"epochs": 1}).estimates) == ["flow", "WALDO"]


def test_the_page_says_and_shows_it(plan, judged, monkeypatch):
    monkeypatch.setattr(energy, "judge", lambda *_: judged)
    text, figure = energy_page.section(plan, "ER", 100, "png")
    for words in ("prior flat in log E", "| CES |", "| flow |", "| WALDO |", "(energy.png)", "chi2"):
        assert words in text
    assert figure.startswith(b"\x89PNG")


def test_the_figure_has_a_point_per_row_and_method(judged):
    rows = energy.rows(judged)
    drawn = figures.energy(rows, {"coverage_68": energy.LEVELS[0], "coverage_95": energy.LEVELS[1]}, "keV")
    bias, _, coverage = drawn.axes
    assert [label.get_text() for label in coverage.get_legend().get_texts()] == ["CES", "flow", "WALDO"]
    flow = [row["bias"] for row in rows if row["method"] == "flow"]
    np.testing.assert_allclose(bias.containers[1].lines[0].get_ydata(orig=False), flow)
    assert len(bias.containers) == 2 and len(coverage.containers) == 6


def test_a_report_with_energies_has_a_name_of_its_own(plan):
    names = {physics_report.identity(plan.study, 100, energy_of=kind) for kind in (None, "ER", "NR")}
    assert len(names) == 3 and physics_report.identity(plan.study, 100) in names


def test_the_command_refuses_another_kind(tiny):
    from engine.cli.physics import physics

    with pytest.raises(BadInput, match="'XR'.*ER"):
        physics(tiny, energy="XR", events=100)
