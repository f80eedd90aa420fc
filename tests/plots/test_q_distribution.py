"""The figure of q without and with signal: what is drawn, and that nothing is lost at its ends."""

import re

import numpy as np
import pytest

from engine import plots
from engine.physics.spectra.wimp_si import SIZE
from engine.plots.q_distribution import BINS, COLOURS, Panel, q_distribution

AT = {"m_chi_GeV": 50.0, "sigma_si_cm2": 6.5e-48}
WHERE = {"statistic": "tail_count", "R": 1e4, "exposure_ty": 20.0, "size": SIZE, "at": AT}


def drawn(null, with_signal, statistic, R, **where):
    return q_distribution([Panel(statistic, R, null, with_signal)], **where)


@pytest.fixture
def rng():
    return np.random.default_rng(1)


@pytest.mark.parametrize("outlier", [0.0, 1e6])
def test_every_toy_is_in_a_bin_or_said_to_be_beyond_the_axis(rng, outlier):
    null, with_signal = rng.normal(size=2000), rng.normal(3, 1, 1500)
    null[0] = outlier
    figure = drawn(null, with_signal, **WHERE)
    axes = figure.axes[0]
    inside = [round(np.sum(patch.get_xy()[1:-1:2, 1])) for patch in axes.patches]
    said = {label: sum(map(int, re.findall(rf"(\d+) {label}", "\n".join(text.get_text() for text in axes.texts))))
            for label in COLOURS}  # fmt: skip
    low, high = axes.get_xlim()
    assert sorted(said.values()) == sorted([((null < low) | (null > high)).sum(), (with_signal > high).sum()])
    assert dict(zip(COLOURS, inside, strict=True)) == {
        "background only": 2000 - said["background only"], "with signal": 1500 - said["with signal"],
    } and high - low < 50  # fmt: skip
    assert plots.render(figure, "png").startswith(b"\x89PNG")


def test_a_count_has_a_bar_for_each_value(rng):
    figure = drawn(rng.poisson(2, 2000).astype(float), rng.poisson(9, 2000).astype(float), **WHERE)
    low, high = figure.axes[0].get_xlim()
    assert low == -0.5 and high == int(high) + 0.5
    medians = [line.get_xdata()[0] for line in figure.axes[0].lines]
    assert medians == [9.0]


def test_bins_of_a_count_of_thousands_hold_as_many_whole_numbers_each(rng):
    """Even bins between quantiles would hold 4 in one and 5 in the next: a comb."""
    axes = drawn(rng.poisson(7000, 10_000) * 1.0, rng.poisson(7100, 10_000) * 1.0, **WHERE).axes[0]
    edges = np.unique(axes.patches[0].get_xy()[:, 0])
    steps = np.diff(edges)
    assert np.all(edges % 1 == 0.5) and steps.min() == steps.max() > 1 and len(edges) <= BINS + 2
    assert axes.get_ylabel() == f"toys per {steps[0]:.0f} events"


def test_the_place_has_symbols_and_units(rng):
    title = drawn(rng.normal(size=100), rng.normal(size=100), **WHERE).axes[0].get_title(loc="left")
    assert title.endswith(rf"$m_\chi$ = 50 GeV, {SIZE.symbol} = $6.5\times10^{{-48}}$ cm$^2$")


def test_statistics_without_a_score_have_no_r(rng):
    figure = drawn(rng.normal(size=100), rng.normal(size=100), **WHERE | {"statistic": "count", "R": None})
    title = figure.axes[0].get_title(loc="left")
    assert "R =" not in title and "20 t y; count of all events" in title


def test_one_value_is_drawn(rng):
    drawn(np.full(10, 0.25), np.full(10, 0.25), **WHERE)


def test_panels_stand_beside_each_other_and_shade_their_p(rng):
    null, far = rng.normal(size=999), np.full(999, 50.0)
    panels = [Panel("tail_count", 1e4, null, np.full(999, np.median(null))), Panel("count", None, null, far)]
    figure = q_distribution(panels, exposure_ty=20.0, size=SIZE, at=AT)
    said = [[text.get_text() for text in axes.texts if text.get_text().startswith("p")] for axes in figure.axes]
    assert said == [["p = 0.5"], ["p < 0.001"]], "501 of 1000, and none of 999: never zero"
    shaded = [axes.collections[0].get_paths()[0].vertices[:, 0] for axes in figure.axes]
    assert shaded[0].max() > np.median(null)
