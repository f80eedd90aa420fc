"""The section of a study about figures: what it refuses, and that no result depends on it."""

import pytest
from studies import TINY

from engine import study
from engine.errors import BadInput
from engine.plan.plan import Plan
from engine.report import figures


def load(*settings):
    return study.load(TINY, settings)


def test_no_result_depends_on_what_is_drawn():
    usual, own = Plan(load()), Plan(load("figures.m_chi_GeV=[10]", "figures.kinds=['q']"))
    assert usual.table == own.table
    assert figures.place(usual) == f"figures/{usual.table}" != figures.place(own)


@pytest.mark.parametrize(("setting", "said"), [
    ("kinds=['rok']", "did you mean 'roc'"),
    ("exposure_ty=[30]", "accepted: 20, 50"),
    ("panels=[['count']]", "unknown figures.panels: statistic 'count'"),
    ("points=[{ m_chi_GeV = 20, sigma_si_cm2 = 3e-47 }]", "20, 3e-47 is no point of the grid"),
    ("points=[{ m_chi_GeV = 20, size = 1e-47 }]", "unknown key 'size'"),
    ("levels_sigma=[]", "empty"),
])  # fmt: skip
def test_what_the_scan_does_not_have_is_refused(setting, said):
    with pytest.raises(BadInput, match=said):
        load(f"figures.{setting}")


def test_points_are_of_the_grid_or_the_benchmark():
    shown = load("figures.points=[{m_chi_GeV=20, sigma_si_cm2=1e-47}, {m_chi_GeV=50, sigma_si_cm2=6.5e-48}]")
    assert [(one.m_chi_GeV, one.size) for one in shown.figures.points] == [(20, 1e-47), (50, 6.5e-48)]
    line = load("signal.name='pp'", "grid={strength=[1, 2], exposure_ty=[20]}", "figures.points=[{strength=2}]")
    assert line.figures.points[0].size == 2
