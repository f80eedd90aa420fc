"""p against R shows every statistic on its side, the bare count on both, and the best R with its error."""

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import norm

from engine.physics.spectra.wimp_si import SIZE
from engine.plots import render
from engine.plots.weight import SIDES, p_against_R
from engine.size import STRENGTH

WEIGHTS = np.geomspace(1, 1e7, 8)
INVARIANT = {"extended_poisson": False, "conditional": False, "tail_count": True}
SETTING = {"models": "vae = dense_vae, classifier = mlp_classifier", "score": "elbo_and_classifier, beta = 10",
           "rates": "prior_predictive"}  # fmt: skip


def make_row(R, mass, name):
    z = 2.0 if not INVARIANT[name] else 6 / (1 + (np.log10(R) - 5) ** 2)
    p = float(norm.sf(z))
    return {
        "R": R, "m_chi_GeV": mass, "statistic": name, "exposure_ty": 200.0, "z_count": 0.8,
        "p_median": max(p, 1e-4), "p_low": 0.0 if p < 1e-4 else p * 0.9, "p_high": max(p, 1e-4) * 1.1,
        "tail": "bound" if p < 1e-4 else "counted", "p_exact": None if name == "conditional" else p,
        "monotone_invariant": INVARIANT[name], "nr_window": "ces", "leakage_known": 1.0,
    } | ({"strength": 1.0} if mass is None else {"sigma_si_cm2": 6.5e-48}) | SETTING  # fmt: skip


def make_table(masses):
    return pa.Table.from_pylist([make_row(R, mass, name) for R in WEIGHTS for mass in masses for name in INVARIANT])


@pytest.fixture(scope="module")
def figure():
    return p_against_R(make_table((30.0, 100.0)), SIZE, (1e5, 1e4, 1e6))


def drawn(axes):
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


def test_literal_and_invariant_statistics_stand_side_by_side_for_every_mass(figure):
    panels = np.array(figure.axes).reshape(2, 2)
    assert [axes.get_title(loc="left").partition(";")[0] for axes in panels[0]] == list(SIDES.values())
    for left, right in panels:
        assert "count of all events" in drawn(left)
        assert set(drawn(right)) == {"count of all events", "count above a threshold"}
        assert "extended Poisson" in drawn(left) and "count above a threshold" not in drawn(left)
        np.testing.assert_allclose(drawn(left)["count of all events"].get_ydata(), norm.sf(0.8))
        np.testing.assert_allclose(drawn(right)["count above a threshold"].get_ydata()[5], norm.sf(6.0))


def test_a_statistic_without_a_law_is_shown_by_its_toys(figure):
    labels = {container.get_label() for container in figure.axes[0].containers}
    assert "conditional" in labels and "conditional" in {text.get_text() for text in figure.legends[0].get_texts()}


def test_the_best_R_and_its_error_are_marked(figure):
    (band,) = list(figure.axes[1].patches)
    assert (band.get_x(), band.get_x() + band.get_width()) == (1e4, 1e6)
    assert any(list(line.get_xdata()) == [1e5, 1e5] for line in figure.axes[1].lines)


def test_it_renders_to_the_same_bytes_twice_and_without_a_mass(figure):
    assert render(figure, "png") == render(figure, "png")
    alone = p_against_R(make_table((None,)), STRENGTH, (1e5, 1e4, 1e6))
    assert alone.get_suptitle().startswith("strength = 1, 200 t y; best R = $10^{5}$\n")
    assert len(alone.axes) == 2 and render(alone, "pdf")[:4] == b"%PDF"


def test_a_scan_over_r_of_literal_statistics_alone_has_one_side_no_best_and_goes_as_far_down_as_asked():
    table = pa.Table.from_pylist([make_row(R, mass, "extended_poisson") | {"p_exact": 1e-40 * R} for R in WEIGHTS
                                  for mass in (30.0, 100.0)])  # fmt: skip
    figure = p_against_R(table, SIZE, lowest_p=1e-100)
    assert len(figure.axes) == 2 and not figure.axes[0].patches
    assert drawn(figure.axes[0])["extended Poisson"].get_ydata()[0] == pytest.approx(1e-40)
    assert figure.axes[0].get_ylim()[0] < 1e-40 and "best" not in figure.get_suptitle()
