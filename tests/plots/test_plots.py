"""Every figure shows what it was given, leaves nothing behind, and gives the same bytes twice."""

import matplotlib
import matplotlib.pyplot
import numpy as np
import pyarrow as pa
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PatchCollection
from matplotlib.patches import StepPatch
from scipy.stats import norm

from engine.assembly.contours import contours
from engine.errors import BadInput
from engine.physics.spectra.wimp_si import SIZE
from engine.plots import canvas, legend_below, render
from engine.plots.exposure import p_against_exposure
from engine.plots.plane import log_edges, plane
from engine.plots.scores import score_distribution
from engine.size import STRENGTH

MASSES = np.geomspace(10, 1000, 9)
SIGMAS = np.concatenate([[0.0], np.geomspace(1e-49, 1e-46, 10)])
EXPOSURES = (20.0, 60.0, 200.0, 600.0)
SETTING = {"models": "vae = dense_vae, classifier = mlp_classifier", "score": "elbo_and_classifier, beta = 10",
           "rates": "prior_predictive"}  # fmt: skip
SIGNS = ("at most this: no toy is beyond", "too few pool events behind it")
POINT = {"exposure_ty": 200.0, "statistic": "extended_poisson", "R": 2.5e5}


def make_row(m, sigma, exposure, statistic, R, n_toys=10_000, **other):
    """A result row as toys would give it: z grows with S / sqrt(B), counted down to 1 / (n + 1)."""
    strength = sigma / 6.5e-48 * np.sqrt(exposure / 200) * np.exp(-(np.log(m / 45) ** 2) / 3)
    z = (3.0 if statistic == "extended_poisson" else 4.2) * (1.0 if R else 0.6) * strength
    k = int(n_toys * norm.sf(z))
    p = (k + 1) / (n_toys + 1)
    low, high = (0.0 if k == 0 else p * (1 - 1 / np.sqrt(k + 1))), min(1.0, p * (1 + 1 / np.sqrt(k + 1)))
    return {
        "m_chi_GeV": m, "sigma_si_cm2": sigma, "exposure_ty": exposure, "statistic": statistic, "R": R,
        "p_median": p, "p_low": low, "p_high": high, "z_median": norm.isf(p), "z_count": 0.5 * z,
        "tail": "counted" if k else "bound", "nr_window": "ces", "leakage_known": 1.0,
        "pool_limited": bool(R == 0.0 and m > 700),
    } | SETTING | other  # fmt: skip


@pytest.fixture(scope="module")
def table():
    cells = [(m, s, x, t, R) for m in MASSES for s in SIGMAS for x in EXPOSURES
             for t in ("extended_poisson", "tail_count") for R in (0.0, 2.5e5)]  # fmt: skip
    return pa.Table.from_pylist([make_row(*cell) for cell in cells])


@pytest.fixture(scope="module")
def pool():
    rng = np.random.default_rng(7)
    er, nr = rng.normal(2.5, 0.3, 20_000), rng.normal(6.0, 0.35, 5_000)
    ts, is_nr = np.exp(np.concatenate([er, nr])), np.repeat([False, True], [20_000, 5_000])
    backgrounds = {"ER": np.where(is_nr, 0.0, 6600 / 20_000), "NR": np.where(is_nr, 7.5 / 5_000, 0.0)}
    bump = np.exp(-((np.log(ts) - 6.2) ** 2) / 0.05)
    signals = {"WIMP 20 GeV": is_nr * 0.5, "WIMP 500 GeV": is_nr * bump}
    return ts, backgrounds, signals


@pytest.fixture(params=["plane", "exposure", "scores"])
def figure(request, table, pool):
    ts, backgrounds, signals = pool
    if request.param == "plane":
        return plane(table, contours(table, SIZE), SIZE, **POINT, benchmark=(50, 6.5e-48))
    if request.param == "exposure":
        return p_against_exposure(table, SIZE, m_chi_GeV=float(MASSES[3]), sigma_si_cm2=float(SIGMAS[7]))
    return score_distribution(ts, backgrounds, signals, exposure_ty=200.0, R=2.5e5)


def test_a_figure_renders_to_the_same_bytes_twice(figure):
    first = [render(figure, format) for format in ("png", "pdf")]
    assert first == [render(figure, format) for format in ("png", "pdf")]
    assert [image[:4] for image in first] == [b"\x89PNG", b"%PDF"]
    assert b"CreationDate" not in first[1]


def test_drawing_leaves_no_global_figure_and_no_style_behind(table):
    before = dict(matplotlib.rcParams)
    render(plane(table, contours(table, SIZE), SIZE, **POINT), "png")
    assert dict(matplotlib.rcParams) == before
    assert not matplotlib.pyplot.get_fignums()


def test_an_unknown_format_lists_the_known_ones(figure):
    with pytest.raises(BadInput, match="'bmp'; accepted: png, pdf"):
        render(figure, "bmp")


def test_the_plane_shows_the_contour_table_the_bound_cells_and_the_curves(table):
    curves = contours(table, SIZE)
    limit = ("limit", MASSES, MASSES * 1e-49)
    figure = plane(table, curves, SIZE, **POINT, curves=[limit], benchmark=(50, 6.5e-48))
    axes = figure.axes[0]
    drawn = {line.get_gid(): line for line in axes.lines}
    for level in (1.0, 2.0, 3.0):
        wanted = POINT | {"level_sigma": level}
        chosen = [row for row in curves.to_pylist() if wanted.items() <= row.items()]
        sigma = np.array([row["sigma_si_cm2"] for row in chosen], dtype=float)
        np.testing.assert_array_equal(drawn[rf"contour {level:g}$\sigma$"].get_ydata(), sigma)
    hatched = [one for one in axes.collections if isinstance(one, PatchCollection)]
    bounds = [row for row in table.to_pylist() if POINT.items() <= row.items() and row["tail"] == "bound"]
    assert [len(one.get_paths()) for one in hatched] == [len(bounds)]
    assert hatched[0].get_hatch()
    labels = {text.get_text() for text in figure.legends[0].texts}
    assert labels == {"limit", "benchmark", "Z is a lower bound", "contour: upper estimate",
                      "error of a contour, from that of p"}  # fmt: skip


def test_the_plane_shows_a_limit_as_a_dashed_curve_of_its_own(table):
    """By mass, at the exposure that is shown; broken where there is none, and no contour of Z."""
    rows = [{"exposure_ty": x, "m_chi_GeV": m, "sigma_si_90_cm2": None if m == MASSES[3] else m * x * 1e-51,
             "interval": "upper", "method": "none" if m == MASSES[3] else "neyman"}
            for x in EXPOSURES for m in MASSES[::-1]]  # fmt: skip
    figure = plane(table, contours(table, SIZE), SIZE, **POINT, limits=pa.Table.from_pylist(rows))
    (line,) = [line for line in figure.axes[0].lines if line.get_gid() == "limit"]
    assert line.get_linestyle() == "--" and line.get_label() == "90 % CL limit, profile likelihood"
    np.testing.assert_array_equal(line.get_xdata(), MASSES)
    np.testing.assert_allclose(line.get_ydata(), np.where(MASSES == MASSES[3], np.nan, MASSES * 200 * 1e-51))
    assert line.get_label() in {text.get_text() for text in figure.legends[0].texts}


@pytest.mark.parametrize(
    ("interval", "method", "said"),
    [
        ("upper", "asymptotic", "90 % CL limit, profile likelihood, asymptotic"),
        ("unified", "neyman", "upper end, unified 90 % CL interval, profile likelihood"),
    ],
)
def test_a_limit_that_is_asymptotic_or_an_end_says_so(table, interval, method, said):
    rows = [{"exposure_ty": 200.0, "m_chi_GeV": m, "sigma_si_90_cm2": m * 1e-49, "interval": interval, "method": method}
            for m in MASSES]  # fmt: skip
    figure = plane(table, contours(table, SIZE), SIZE, **POINT, limits=pa.Table.from_pylist(rows))
    assert said in {text.get_text() for text in figure.legends[0].texts}


def test_colours_of_two_planes_are_the_same_and_one_that_shows_nothing_says_so(table):
    """R = 0 finds less: on a scale of its own it would look alike, and below one sigma it would look empty."""
    planes = [plane(table, contours(table, SIZE), SIZE, **POINT | {"R": R}) for R in (0.0, 2.5e5)]
    assert len({figure.axes[0].collections[0].get_clim() for figure in planes}) == 1
    assert not [text for figure in planes for text in figure.axes[0].texts if "Z is below 1" in text.get_text()]
    low = pa.Table.from_pylist([make_row(m, s, 200.0, "tail_count", 0.0) for m in MASSES for s in (1e-49, 2e-49)])
    figure = plane(low, contours(low, SIZE), SIZE, **POINT | {"statistic": "tail_count", "R": 0.0})
    highest = max(low["z_median"].to_pylist())
    said = f"Z is below 1 on all of this plane, {highest:.2f} at most"
    assert said in [text.get_text() for text in figure.axes[0].texts]


def test_no_title_is_cut(table):
    """Every line ends within the figure, whatever the setting is called."""
    windows = pa.array(["N4T200, CES 2-10 keVee, cs1_phd 3-80"] * len(table))
    long = table.set_column(table.column_names.index("nr_window"), "nr_window", windows)
    point = {"m_chi_GeV": float(MASSES[3]), "sigma_si_cm2": float(SIGMAS[7])}
    for figure in (plane(long, contours(long, SIZE), SIZE, **POINT), p_against_exposure(long, SIZE, **point)):
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        for text in [figure._suptitle, *(axes._left_title for axes in figure.axes)]:
            if text is not None and text.get_text():
                assert text.get_window_extent(canvas.get_renderer()).x1 <= figure.bbox.x1


@pytest.mark.parametrize("labels", [
    ["short", "as short"], [f"a long name of a statistic, number {i}" for i in range(7)],
    [rf"$\sigma_{{SI}}$ of signal {i}" for i in range(9)],
])  # fmt: skip
def test_a_legend_does_not_reach_beyond_its_figure(labels):
    figure, axes = canvas()
    for label in labels:
        axes.plot([0, 1], [0, 1], label=label)
    legend_below(figure, columns=3)
    figure.draw(FigureCanvasAgg(figure).get_renderer())
    box, whole = figure.legends[0].get_window_extent(), figure.bbox
    assert whole.x0 <= box.x0 and box.x1 <= whole.x1


def test_the_plane_without_bounds_has_no_hatch_and_no_legend():
    table = pa.Table.from_pylist([make_row(m, 1e-48, 200.0, "extended_poisson", 2.5e5) for m in MASSES])
    figure = plane(table, contours(table, SIZE), SIZE, **POINT)
    assert not [one for one in figure.axes[0].collections if isinstance(one, PatchCollection)]
    assert not figure.legends


def test_the_mesh_leaves_a_missing_cell_open_and_drops_sigma_zero(table):
    rows = [row for row in table.to_pylist() if POINT.items() <= row.items()]
    axes = plane(pa.Table.from_pylist(rows[:-1]), contours(table, SIZE), SIZE, **POINT).axes[0]
    z = axes.collections[0].get_array()
    assert z.shape == (len(SIGMAS) - 1, len(MASSES))
    assert np.ma.getmaskarray(z).sum() == 1


def test_a_figure_says_its_models_the_numbers_of_the_score_and_the_size_by_its_symbol(table):
    said = p_against_exposure(table, SIZE, m_chi_GeV=float(MASSES[3]), sigma_si_cm2=float(SIGMAS[7])).get_suptitle()
    place, *setting = said.split("\n")
    assert place.startswith(r"$m_\chi$ = ") and SIZE.symbol in place and place.endswith("cm$^2$")
    words = r"dense VAE + MLP classifier, $\beta$ = 10; NR: ces; prior predictive rates, leakage exactly known"
    assert " ".join(setting) == words
    axes = plane(table, contours(table, SIZE), SIZE, **POINT).axes[0]
    assert axes.get_ylabel() == SIZE.label and axes.get_title("left").replace("\n", " ").endswith(words)


def test_log_edges_lie_midway():
    np.testing.assert_allclose(log_edges(np.array([1.0, 100.0, 1e4])), [0.1, 10.0, 1e3, 1e5])
    assert log_edges(np.array([50.0])).size == 2


def test_the_exposure_plot_follows_a_strength_where_there_is_no_plane():
    rows = [make_row(50.0, 6.5e-48 * s, x, "tail_count", 2.5e5, strength=s) for s in (1.0, 3.0) for x in EXPOSURES]
    table = pa.Table.from_pylist([row | {"m_chi_GeV": None} for row in rows]).drop_columns(["sigma_si_cm2"])
    axes = p_against_exposure(table, STRENGTH, strength=3.0).axes[0]
    assert axes.get_title("left").startswith("strength = 3\n")
    drawn = next(line for line in axes.lines if len(line.get_xdata()) == len(EXPOSURES) and line.get_marker() == "o")
    np.testing.assert_array_equal(drawn.get_ydata(), [row["p_median"] for row in rows if row["strength"] == 3.0])
    with pytest.raises(BadInput, match="no row with strength = 2.0; there is 1.0, 3.0"):
        p_against_exposure(table, STRENGTH, strength=2.0)


def test_a_missing_value_and_a_mixed_table_are_refused(table):
    with pytest.raises(BadInput, match=r"exposure_ty = 7\.0; there is 20\.0, 60\.0, 200\.0, 600\.0"):
        plane(table, contours(table, SIZE), SIZE, **POINT | {"exposure_ty": 7.0})
    with pytest.raises(BadInput, match=r"no row with m_chi_GeV = 11; there is 10\.0"):
        p_against_exposure(table, SIZE, m_chi_GeV=11, sigma_si_cm2=1e-47)
    other = make_row(10.0, 1e-47, 200.0, "tail_count", 0.0, score="elbo_and_classifier, beta = 1")
    mixed = pa.concat_tables([table, pa.Table.from_pylist([other])])
    with pytest.raises(BadInput, match="one figure shows one score, the rows have .*beta = 1, .*beta = 10"):
        p_against_exposure(mixed, SIZE, m_chi_GeV=10, sigma_si_cm2=1e-47)


def test_exposure_has_a_series_per_statistic_and_R_and_arrows_at_bounds(table):
    figure = p_against_exposure(table, SIZE, m_chi_GeV=float(MASSES[3]), sigma_si_cm2=float(SIGMAS[7]))
    labels = [text.get_text() for text in figure.legends[0].texts]
    assert labels == ["count of all events", "extended Poisson", "count above a threshold", *SIGNS[:1]]
    arrows = [line for axes in figure.axes for line in axes.lines
              if line.get_marker() == matplotlib.markers.CARETDOWNBASE]  # fmt: skip
    point = {"m_chi_GeV": MASSES[3], "sigma_si_cm2": SIGMAS[7]}
    held = [row for row in table.to_pylist() if point.items() <= row.items()]
    assert sum(len(line.get_xdata()) for line in arrows) == sum(row["tail"] == "bound" for row in held) > 0
    levels = {float(line.get_ydata()[0]) for line in figure.axes[0].lines if line.get_linestyle() == "--"}
    np.testing.assert_allclose(sorted(levels), [1.349898e-3, 2.275013e-2, 0.1586553], rtol=1e-6)


def test_points_stand_at_their_exposure_in_the_panel_of_their_R_and_equal_ones_stay_visible():
    named = [("count", None), *((name, R) for name in ("tail_count", "excess_scan") for R in (0.0, 1e4))]
    rows = [make_row(50.0, 1e-48, x, *one, pool_limited=one[1] is None) for one in named for x in EXPOSURES]
    figure = p_against_exposure(pa.Table.from_pylist(rows), SIZE, m_chi_GeV=50.0, sigma_si_cm2=1e-48)
    assert [axes.get_title("left") for axes in figure.axes] == ["R = 0", "R = $10^{4}$"]
    for axes in figure.axes:
        series = [line for line in axes.lines if line.get_marker() in "osD" and len(line.get_xdata()) == len(EXPOSURES)]
        assert len(series) == 3 and {line.get_markerfacecolor() for line in series} == {"none"}
        assert len({line.get_marker() for line in series}) == 3
        assert all(list(line.get_xdata()) == list(EXPOSURES) for line in series)
    labels = [text.get_text() for text in figure.legends[0].texts]
    assert labels.count("count of all events") == 1 and SIGNS[1] in labels, "once, whether by toys or by its law"


@pytest.mark.parametrize("shift", [0.0, 100.0], ids=["positive", "both signs"])
def test_bars_lines_and_f0_hold_the_expected_events_but_those_said_to_be_beyond(pool, shift):
    ts, backgrounds, signals = pool
    ts, total = ts - shift, sum(weights.sum() for weights in backgrounds.values())
    spread = ts.max() - ts.min()
    flat = {"f0": lambda x: np.ones_like(x) / spread}
    axes = score_distribution(ts, backgrounds, signals, exposure_ty=200.0, R=0.0, **flat).axes[0]
    steps = {step.get_label(): step.get_data() for step in axes.patches if isinstance(step, StepPatch)}
    for label, weights in (backgrounds | signals).items():
        bars = steps[label]
        base = 0.0 if bars.baseline is None else bars.baseline
        inside = (ts >= bars.edges[0]) & (ts <= bars.edges[-1])
        assert np.sum(bars.values - base) == pytest.approx(weights[inside].sum(), rel=1e-9)
        assert 0.99 * weights.sum() < weights[inside].sum()
    beyond = sum(weights[(ts < bars.edges[0])].sum() for weights in backgrounds.values())
    (said,) = [text.get_text() for text in axes.texts if text.get_gid() == "beyond left"]
    assert f"{beyond:.2g} background" in said
    line = next(line for line in axes.lines if line.get_color() == "black")
    covered = (bars.edges[-1] - bars.edges[0]) / spread
    assert line.get_ydata()[5::10].sum() == pytest.approx(total * covered, rel=1e-2)


@pytest.mark.parametrize("low", [-2e4, -50.0, 0.5, 7000.0])
def test_ticks_of_a_score_stand_apart(low):
    """Of an asinh axis matplotlib draws 0 and 10^3 over each other; a stray event empties most of a log axis."""
    ts = np.append(np.geomspace(1, 3e4, 5000) + low, 1e9)
    axes = score_distribution(ts, {"ER": np.ones(5001)}, {}, exposure_ty=1.0, R=0.0).axes[0]
    place = axes.transAxes.inverted().transform(axes.transData.transform([(x, 1) for x in axes.get_xticks()]))[:, 0]
    assert len(place) >= 2 and np.diff(np.sort(place)).min() > 0.1
    assert axes.get_xlim()[1] < 1e5
    assert "to TS = $10^{9}$:\n" in axes.texts[-1].get_text()


def test_a_score_that_varies_little_has_ticks_too():
    """Between 150 and 350 one number alone is 1, 2 or 5 times a power of ten."""
    ts = np.geomspace(150, 350, 1000)
    axes = score_distribution(ts, {"ER": np.ones(1000)}, {}, exposure_ty=1.0, R=0.0).axes[0]
    (low, high), ticks = axes.get_xlim(), axes.get_xticks()
    assert sum(low <= x <= high for x in ticks) >= 3



@pytest.mark.parametrize("ts", [[], [3.0], [0.0, 0.0]])
def test_few_scores_still_make_a_figure(ts):
    weights = np.ones(len(ts))
    assert render(score_distribution(np.array(ts), {"ER": weights}, {}, exposure_ty=1.0, R=0.0), "png")
