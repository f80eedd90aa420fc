"""What the XENONnT paper's figures show: bands over R, images beside what they are of, scores with a signal in them."""

import numpy as np
import pyarrow as pa
import pytest

from engine.assembly.contours import contours
from engine.errors import BadInput
from engine.physics.detectors import xenonnt
from engine.physics.spectra.wimp_si import SIZE
from engine.plots import render
from engine.plots.discovery import size_against_exposure
from engine.plots.images import Composite, reduction
from engine.plots.injected import injected_scores

EXPOSURES = (1.0, 5.0, 20.0, 100.0)
SIGMAS = np.geomspace(1e-48, 1e-44, 41)
BEST = {100.0: 1.0, 170.0: 2.0, 250.0: 1.5, None: 0.5}  # Z at 1e-46 cm2 and 20 t y


def row(exposure_ty, sigma, R):
    z = BEST[R] * (sigma / 1e-46) * np.sqrt(exposure_ty / 20)
    return {
        "m_chi_GeV": 50.0, "sigma_si_cm2": sigma, "exposure_ty": exposure_ty, "R": R, "rates": "idealised",
        "statistic": "pearson" if R else "binned_poisson", "models": "vae = conv_vae, classifier = cnn_classifier",
        "score": "elbo_and_classifier, beta = 0.5", "z_median": z, "p_low": 1e-3, "p_high": 1e-2, "tail": "exact",
    }  # fmt: skip


def found(sigmas=SIGMAS):
    rows = [row(x, sigma, R) for x in EXPOSURES for sigma in sigmas for R in BEST]
    return contours(pa.Table.from_pylist(rows), SIZE, [2.0, 5.0])


@pytest.fixture(scope="module")
def curves():
    return found()


def test_the_band_lies_between_the_lowest_and_the_highest_of_several_r(curves):
    figure = size_against_exposure(curves, SIZE, 50.0, 5.0)
    (axes,) = figure.axes
    (band,) = (one for one in axes.collections if one.get_gid() == "band")
    at_20 = band.get_paths()[0].vertices
    at_20 = at_20[np.isclose(at_20[:, 0], 20), 1]
    assert at_20.min() == pytest.approx(5e-46 / 2, rel=0.03) and at_20.max() == pytest.approx(5e-46, rel=0.03)
    line = axes.lines[0]  # the statistic without R comes first
    assert line.get_ydata()[2] == pytest.approx(1e-45, rel=0.03)
    labels = [text.get_text() for text in figure.legends[0].texts]
    assert labels == ["Poisson in bins of (cS1, cS2)", "Pearson, R = 100 to 250"]
    assert render(figure, "png") == render(size_against_exposure(curves, SIZE, 50.0, 5.0), "png")


def test_where_some_r_leave_the_grid_the_upper_end_is_open():
    axes = size_against_exposure(found(SIGMAS[SIGMAS < 3e-46]), SIZE, 50.0, 5.0).axes[0]
    whole, dotted = (line.get_xdata() for line in axes.lines[2:4])  # at 20 t y only the best R is below 3e-46 cm2
    assert np.array_equal(whole, [np.nan, 100.0], equal_nan=True)
    assert np.array_equal(dotted, [20.0, np.nan], equal_nan=True)
    assert axes.lines[3].get_ydata()[0] == pytest.approx(2.5e-46, rel=0.03)


def test_a_level_that_no_contour_has_is_refused(curves):
    with pytest.raises(BadInput, match="there is 2.0, 5.0"):
        size_against_exposure(curves, SIZE, 50.0, 3.0)


def test_an_event_is_beside_its_image():
    tpc, rng = xenonnt.CONSTANTS, np.random.default_rng(1)
    hits = {
        name: (centres := tpc.pmt_positions_cm(name), rng.exponential(2, len(centres))) for name in ("bottom", "top")
    }
    pulses = {"S1": (np.r_[np.zeros(30), 5.0, 3.0, 1.0, np.zeros(90)], 10.0), "S2": (np.zeros(50), 10.0)}
    image = np.full((75, 75, 3), 255, np.uint8)
    event = Composite(hits, pulses, image, tpc.radius_cm)
    figure = reduction({"ER, 6.0 keV": event, "NR, 25.0 keV": event})
    shown = [axes.images[0].get_array() for part in figure.subfigs for axes in part.subfigs[1].axes]
    assert len(shown) == 2 and shown[0].shape == (75, 75, 3) and (shown[0] == 1).all()
    s1 = figure.subfigs[0].subfigs[0].axes[2].patches[0].get_data()
    assert s1.values.sum() == 9 and s1.edges[-1] < 0.3, "the pulse, and not the window"
    assert render(figure, "png")


def test_a_signal_is_drawn_on_top_of_the_background():
    rng = np.random.default_rng(2)
    ts = np.concatenate([rng.normal(0, 1, 5000), rng.normal(9, 1, 5000)])
    background, signal = np.repeat([0.1, 0.0], 5000), np.repeat([0.0, 0.02], 5000)
    figure = injected_scores(ts, background, {"10 GeV": 0.1 * signal, "500 GeV": signal}, exposure_ty=5.0, R=170.0)
    for axes, n_signal in zip(figure.axes, (10, 100), strict=True):
        under, both = (patch.get_data().values for patch in axes.patches)
        assert under.sum() == pytest.approx(500, rel=1e-3)
        assert (both - under).sum() == pytest.approx(n_signal, rel=1e-2) and (both >= under).all()
    assert "100 events on 500" in figure.axes[1].get_title("left")
