"""The figure of q without and with signal: what is drawn, and that nothing is lost at its ends."""

import numpy as np
import pytest

from engine import plots
from engine.plots.q_distribution import q_distribution

AT = {"m_chi_GeV": 50.0, "sigma_si_cm2": 6.5e-48}
WHERE = {"statistic": "tail_count", "R": 1e4, "exposure_ty": 20.0, "at": AT}


@pytest.fixture
def rng():
    return np.random.default_rng(1)


@pytest.mark.parametrize("outlier", [0.0, 1e6])
def test_every_toy_is_in_the_figure(rng, outlier):
    null, with_signal = rng.normal(size=2000), rng.normal(3, 1, 1500)
    null[0] = outlier
    figure = q_distribution(null, with_signal, **WHERE)
    found = {round(np.sum(patch.get_xy()[1:-1:2, 1])) for patch in figure.axes[0].patches}
    assert found == {2000, 1500}
    low, high = figure.axes[0].get_xlim()
    assert high - low < 50
    assert plots.render(figure, "png").startswith(b"\x89PNG")


def test_a_count_has_a_bar_for_each_value(rng):
    figure = q_distribution(rng.poisson(2, 2000).astype(float), rng.poisson(9, 2000).astype(float), **WHERE)
    low, high = figure.axes[0].get_xlim()
    assert low == -0.5 and high == int(high) + 0.5
    medians = [line.get_xdata()[0] for line in figure.axes[0].lines]
    assert medians == [9.0]


def test_statistics_without_a_score_have_no_r(rng):
    figure = q_distribution(rng.normal(size=100), rng.normal(size=100), **WHERE | {"statistic": "count", "R": None})
    assert "R =" not in figure.axes[0].get_title(loc="left") and "20 t y; count" in figure.axes[0].get_title(loc="left")


def test_one_value_is_drawn(rng):
    q_distribution(np.full(10, 0.25), np.full(10, 0.25), **WHERE)
