"""What passes: windows in areas of either unit, and an efficiency that the simulation does not know."""

import numpy as np
import pytest
from studies import TINY

from engine import study
from engine.assembly.rows import _words
from engine.assembly.samples import sample
from engine.errors import BadInput
from engine.inference.pools import KINDS
from engine.physics import selection
from engine.plan.plan import Plan
from engine.report import physics_report

FEW = ("pool.er_events=2000", "pool.nr_events=2000")
WIDE = ("backgrounds.er_window_keVee='none'", "backgrounds.nr_window='none'")
CUTS = "backgrounds.cuts={ cs1_phd = [3.0, 80.0], s2_pe = [500.0, 1e5] }"


def plan(*settings):
    return Plan(study.load(str(TINY), (*FEW, *settings)))


def pool(of):
    """Columns of the first shard of either kind, and events / (t y) of a flat 1 / (t y keV) that pass."""
    columns = {shard.kind: sample(of, shard)[0] for shard in of.shards["pool"]}
    return columns, {kind: (c["selected"] / c["proposal_per_keV"]).mean() for kind, c in columns.items()}


def test_an_event_passes_within_every_window():
    columns, _ = pool(plan(*WIDE, CUTS))
    everything, _ = pool(plan(*WIDE))
    for kind in KINDS:
        of, pe_per_phd = columns[kind], 1.2  # DARWIN's mean charge: double photoelectrons, the truncation at 0 aside
        cs1, s2 = of["cs1_pe"] / pe_per_phd, of["s2_pe"]
        clear = np.abs(cs1 - 3) > 0.2, np.abs(cs1 - 80) > 2
        inside = (cs1 > 3) & (cs1 < 80) & (s2 >= 500) & (s2 < 1e5) & everything[kind]["selected"]
        np.testing.assert_array_equal(of["selected"][np.logical_and(*clear)], inside[np.logical_and(*clear)])
        assert 0 < of["selected"].sum() < everything[kind]["selected"].sum()


def test_a_window_of_energy_goes_with_cuts():
    both, _ = pool(plan(CUTS))
    energy, _ = pool(plan())
    cuts, _ = pool(plan(*WIDE, CUTS))
    for kind in KINDS:
        np.testing.assert_array_equal(both[kind]["selected"], energy[kind]["selected"] & cuts[kind]["selected"])


def test_an_efficiency_is_so_many_fewer_of_the_same_events(tmp_path):
    path = tmp_path / "efficiency.csv"
    path.write_text("# source: made up\nenergy_keV,efficiency\n0,0\n4,0\n8,0.5\n20,0.8\n")
    plain, rates = pool(plan())
    for given, of_kind in (("0.8", {"ER": 0.8, "NR": 0.8}), ("{ NR = 0.4 }", {"ER": 1.0, "NR": 0.4})):
        some, fewer = pool(plan(f"backgrounds.efficiency={given}"))
        for kind, kept in of_kind.items():
            np.testing.assert_array_equal(some[kind]["selected"], plain[kind]["selected"])
            assert fewer[kind] == pytest.approx(kept * rates[kind])
    curved, fewer = pool(plan(f"backgrounds.efficiency='{path}'"))
    for kind in KINDS:
        of = plain[kind]
        kept = np.interp(of["energy_keV"], [4, 8, 20], [0, 0.5, 0.8])
        np.testing.assert_array_equal(curved[kind]["selected"], of["selected"] & (kept > 0))
        assert fewer[kind] == pytest.approx((kept * of["selected"] / of["proposal_per_keV"]).mean())


def test_a_curve_may_be_in_an_area(tmp_path):
    path = tmp_path / "s1.csv"
    path.write_text("cs1_phd,efficiency\n2,0.1\n20,0.9\n")
    columns = {"registered": np.ones(3, bool), "cs1_pe": np.array([1.2, 13.2, 60.0])}
    assert selection.efficiency(str(path), columns, 1.2).tolist() == pytest.approx([0.1, 0.5, 0.9])


def test_it_is_part_of_what_results_follow_from_and_only_where_there_is_one(tmp_path):
    path = tmp_path / "efficiency.csv"
    path.write_text("energy_keV,efficiency\n0,0.5\n20,0.8\n")
    plain, cut, curved = plan(), plan(CUTS), plan(f"backgrounds.efficiency='{path}'")
    assert plain.selection("ER") == {"ces_keVee": (2.0, 10.0)}
    items = {p.scored_pool for p in (plain, cut, curved, plan("backgrounds.efficiency=0.8"))}
    assert len(items) == 4
    assert [shard.item for shard in cut.shards["train"]] == [shard.item for shard in plain.shards["train"]]
    before = curved.selection("NR")
    path.write_text("energy_keV,efficiency\n0,0.5\n20,0.9\n")
    assert plan(f"backgrounds.efficiency='{path}'").selection("NR") != before
    assert _words("N4T200", cut.study.backgrounds, "NR") == "N4T200, CES 2-10 keVee, cs1 3-80 phd, s2 500-100000 pe"
    less = plan(*WIDE, "backgrounds.efficiency=0.95").study.backgrounds
    assert _words("N3T150", less, "ER") == "N3T150, efficiency 0.95"


def test_the_report_has_the_same_rates(tmp_path):
    """From events of its own: within the error of both."""
    path = tmp_path / "efficiency.csv"
    path.write_text("energy_keV,efficiency\n0,0\n20,0.8\n")
    of = plan(*WIDE, CUTS, f"backgrounds.efficiency='{path}'")
    _, rates = pool(of)
    samples = [physics_report.throw(of, kind, 2000) for kind in KINDS]
    events = physics_report.pool(samples)
    for kind in KINDS:
        per_ty = events.weights(kind, np.ones_like).sum()
        assert per_ty == pytest.approx(rates[kind], rel=0.08)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("energy_keV,efficiency\n1,0.5\n", "at least 2 rows, found 1"),
        ("energy_keV,efficiency\n1,0.5\n3,1.2\n", "row 2: 3, 1.2 has an efficiency outside 0 to 1"),
        ("energy_keV,efficiency\n3,0.5\n1,0.2\n", "row 2: 1, 0.2 does not ascend"),
        ("energy_keV,efficiency\n3,0.5\nnan,0.2\n", "row 2: nan, 0.2 is no finite number"),
        ("energy_keV,efficiency\n3,half\n4,1\n", "half"),
        ("energy_keV,efficiency\n3\n4,1\n", "row 1: 1 cells"),
        ("energy,efficiency\n3,0.5\n4,1\n", "axis of an efficiency 'energy'; did you mean 'energy_keV'"),
        ("energy_keV,eff\n3,0.5\n4,1\n", "needs two columns.*found: energy_keV, eff"),
        ("", "needs two columns.*found: none"),
    ],
)
def test_what_is_no_curve_is_refused_in_a_line(tmp_path, text, said):
    path = tmp_path / "efficiency.csv"
    path.write_text(text)
    with pytest.raises(BadInput, match=said) as caught:
        plan(f"backgrounds.efficiency='{path}'")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("backgrounds.cuts={ s3_pe = [1.0, 2.0] }", "quantity to cut on 's3_pe'"),
        ("backgrounds.cuts={ cs1_phd = [80.0, 3.0] }", "low < high"),
        ("backgrounds.efficiency=1.2", "efficiency.*less than or equal to 1"),
        ("backgrounds.efficiency='nowhere.csv'", "no such file: 'nowhere.csv'"),
        ("backgrounds.efficiency={ XR = 0.3 }", "kind of recoil with an efficiency 'XR'"),
        ("backgrounds.er_window_keVee='all'", "er_window_keVee"),
    ],
)
def test_a_selection_that_cannot_be_is_refused(setting, said):
    with pytest.raises(BadInput, match=said):
        plan(setting)
