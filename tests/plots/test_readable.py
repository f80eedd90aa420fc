"""What is written in a figure is within it, and labels of ticks do not run into each other."""

import itertools

import numpy as np
import pyarrow as pa
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from engine.physics.spectra.wimp_si import SIZE
from engine.plots.coverage import coverage
from engine.plots.leakage import leakage
from engine.plots.q_distribution import Panel, q_distribution
from engine.plots.scores import score_distribution
from engine.plots.search import objective_against_fields

LONG = (
    "R, models.vae.latent, models.vae.beta: wimp_si, 30, 50, 100 GeV at 6.5e-48 cm2, 200 t y, worst Z of tail_count, "
)
LEVELS = [(1.0, None), (1.2, None), (2.0, None), (1.5, 1e3), (1.1, 1e5)]  # leakage_known, calibration_events


def searched():
    n, rng = 12, np.random.default_rng(1)
    table = pa.table({
        "objective": rng.normal(3, 0.4, n), "objective_error": np.full(n, 0.2), "state": ["complete"] * n,
        "best": [i == 4 for i in range(n)], "objective_is": ["worst_z"] * n,
        "models.vae.latent": rng.choice([8, 16], n), "models.vae.beta": 10 ** rng.uniform(-1, 2, n),
    })  # fmt: skip
    fields = {"models.vae.latent": None, "models.vae.beta": True}
    return objective_against_fields(table, fields, LONG + ", on a pool of its own")


def leakages():
    setting = {
        "models": "vae = dense_vae, classifier = log_sum_classifier", "score": "elbo_and_classifier, beta = 10",
        "rates": "prior_predictive", "nr_window": "N4T200, CES 2-10 keVee", "m_chi_GeV": 50.0, "sigma_si_cm2": 6.5e-48,
        "er_leakage": 0.003,
    }  # fmt: skip
    rows = [setting | {"statistic": name, "R": R, "leakage_known": known, "calibration_events": events,
                       "exposure_ty": x, "z": x and 3.0, "tail": x and "bound", "t3_ty": None if x else 50.0}
            for name, R in itertools.product(("tail_count", "excess_scan", "extended_poisson"), (0.0, 2.5e5))
            for known, events in LEVELS for x in (20.0, 200.0, 1000.0, None)]  # fmt: skip
    return leakage(pa.Table.from_pylist(rows), SIZE)


def mapped():
    masses, sizes = np.geomspace(10, 1000, 40), np.geomspace(1e-49, 1e-46, 30)
    return coverage([np.zeros((30, 40), int)] * 4, [20.0, 60.0, 200.0, 600.0], list(masses), list(sizes), SIZE)


def large_q():
    q = np.random.default_rng(2).normal(1e6, 5e4, (2, 3000))
    panels = [Panel("extended_poisson", 0.0, *q)]
    return q_distribution(panels, exposure_ty=200.0, size=SIZE, at={"m_chi_GeV": 50.0, "sigma_si_cm2": 6.5e-48})


def scored():
    return score_distribution(*late(), exposure_ty=200.0, R=2.5e5)


def late():
    """Scores of which the signal's are the last tenth, where an axis of powers of ten has no room."""
    rng = np.random.default_rng(3)
    ts = np.concatenate([rng.uniform(5e3, 7e5, 20_000), rng.normal(7e5, 2e4, 3000)])
    is_signal = np.arange(len(ts)) >= 20_000
    return ts, {"ER": 1.0 - is_signal}, {"signal": 1.0 * is_signal}


FIGURES = {"search": searched, "leakage": leakages, "map": mapped, "q": large_q, "scores": scored}


@pytest.mark.parametrize("name", FIGURES)
def test_texts_are_within_the_figure_and_apart(name):
    figure = FIGURES[name]()
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer, edge = canvas.get_renderer(), figure.bbox
    titles = [figure._suptitle, *(axes._left_title for axes in figure.axes)]
    texts = [*titles, *(text for legend in figure.legends for text in legend.texts)]
    for text in (one for one in texts if one is not None and one.get_text()):
        box = text.get_window_extent(renderer)
        assert edge.x0 <= box.x0 and box.x1 <= edge.x1 and edge.y0 <= box.y0 and box.y1 <= edge.y1, text.get_text()
    for axes in figure.axes:
        boxes = [label.get_window_extent(renderer) for label in axes.get_xticklabels() if label.get_text()]
        inside = sorted((box for box in boxes if axes.bbox.x0 <= (box.x0 + box.x1) / 2 <= axes.bbox.x1),
                        key=lambda box: box.x0)  # fmt: skip
        assert all(one.x1 < other.x0 for one, other in itertools.pairwise(inside)), name
        assert not axes.xaxis.get_offset_text().get_text(), "it would stand on the axis' label"


def test_the_legend_of_leakages_names_colours_once_and_exposures_once():
    labels = [text.get_text() for text in leakages().legends[0].texts]
    assert len(labels) == 6 + 3 + 1 and "200 t y" in labels and labels[-1] == "a bound: more than this"


def test_scores_have_the_axis_that_shows_the_narrowest_sample():
    assert scored().axes[0].get_xscale() == "linear"
    ts = np.exp(np.random.default_rng(4).normal(8, 1.5, 5000))
    spread = score_distribution(ts, {"ER": np.ones(5000)}, {}, exposure_ty=1.0, R=0.0)
    assert spread.axes[0].get_xscale() == "log"
