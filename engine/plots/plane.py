"""Median significance over the WIMP plane with its contours (Fig. 4, right, of the EPJC paper)."""

import itertools

import matplotlib.patheffects as effects
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection, QuadMesh
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from engine.plots import canvas, legend_below, plain_numbers, styled
from engine.plots._rows import MODELS, column, describe, number, score_words, select, setting, wrapped
from engine.size import Size

HATCH = {"facecolor": "none", "edgecolor": (0.0, 0.0, 0.0, 0.35), "hatch": "////", "linewidth": 0.0}
Z_TOP = 5.0  # of the colours: the same on every plane, so that two can be compared
CURVE_COLOURS = ("#ff5e5e", "#7fe5ff", "#ffb347", "#ff9de2")
OUTLINE = [effects.withStroke(linewidth=3.5, foreground="black")]
WHITE_OUTLINE = [effects.withStroke(linewidth=3.5, foreground="white")]


@styled
def plane(
    table: pa.Table,
    contours: pa.Table,
    size: Size,
    *,
    exposure_ty: float,
    statistic: str,
    R: float,
    curves=(),
    benchmark: tuple[float, float] | None = None,
    limits: pa.Table | None = None,
) -> Figure:
    """Colour map of z_median over (m_chi, sigma_SI) from 0 to Z_TOP, contours with the error of p, bounds hatched.

    `size`: what the signal is linear in; `curves` are (label, m_chi_GeV, values of it), `benchmark` is a point;
    `limits` upper limits of a search that knows the signal (`engine.schemas.limits`): no contour of Z. Triangles mark
    contour points that are upper estimates, crosses cells limited by the pool. Raises BadInput if the table
    has no such rows, or rows of several settings.
    """
    wanted = {"exposure_ty": exposure_ty, "statistic": statistic, "R": R}
    rows = select(table.filter(pc.field(size.name) > 0), **wanted)
    shared = setting(rows)
    figure, axes = canvas()
    axes.set(xscale="log", yscale="log", xlabel=r"$m_\chi$ [GeV]", ylabel=size.label)
    mesh = _cells(axes, rows, size.name)
    curves_of_z = select(contours, **wanted, **{name: shared[name] for name in MODELS})
    _colour_bar(figure, mesh, curves_of_z["level_sigma"].unique().to_pylist())
    _contours(axes, curves_of_z, size)
    if limits is not None and limits.num_rows:
        _limit(axes, select(limits, exposure_ty=exposure_ty).sort_by("m_chi_GeV"), size.named("90"))
    for (label, m_chi_GeV, values), colour in zip(curves, itertools.cycle(CURVE_COLOURS)):
        axes.plot(m_chi_GeV, values, "--", color=colour, lw=2, label=label, path_effects=OUTLINE)
    if benchmark is not None:
        axes.plot(*benchmark, "*", color="#ffcc33", mec="black", ms=18, label="benchmark", zorder=5)
    axes.set_title(wrapped(f"{number(exposure_ty)} t y; {score_words(statistic, R)}", describe(shared)))
    plain_numbers(axes.xaxis)
    legend_below(figure, columns=2)
    return figure


def log_edges(points: np.ndarray) -> np.ndarray:
    """Edges of cells around sorted positive points: midway in the log, the outer ones as far outward."""
    x = np.log10(points)
    half = np.diff(x) / 2 if len(x) > 1 else np.array([0.25])
    return 10 ** np.concatenate([[x[0] - half[0]], (x[1:] + x[:-1]) / 2, [x[-1] + half[-1]]])


def _cells(axes: Axes, rows: pa.Table, size: str) -> QuadMesh:
    m, sigma = column(rows, "m_chi_GeV"), column(rows, size)
    (masses, i), (sigmas, j) = np.unique(m, return_inverse=True), np.unique(sigma, return_inverse=True)
    z = np.full((len(sigmas), len(masses)), np.nan)
    z[j, i] = column(rows, "z_median")
    x, y = log_edges(masses), log_edges(sigmas)
    axes.set_facecolor("0.85")
    shown = np.clip(z, -99.0, 99.0)  # p = 1 and p = 0 have colours too; only a missing cell has none
    mesh = axes.pcolormesh(x, y, shown, cmap="viridis", vmin=0.0, vmax=Z_TOP, rasterized=True)
    if (highest := np.max(z, where=np.isfinite(z), initial=-99.0)) < 1:
        said = f"Z is below 1 on all of this plane, {highest:.2f} at most"
        axes.text(0.03, 0.97, said, color="white", va="top", transform=axes.transAxes)
    bound = rows["tail"].to_numpy() == "bound"
    _hatch(axes, x, y, zip(i[bound], j[bound], strict=True))
    poor = column(rows, "pool_limited") == 1
    if poor.any():
        axes.plot(m[poor], sigma[poor], "x", color="white", mec="0.6", ms=5, mew=1.2, label="too few pool events")
    axes.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
    return mesh


def _hatch(axes: Axes, x: np.ndarray, y: np.ndarray, cells) -> None:
    boxes = [Rectangle((x[i], y[j]), x[i + 1] - x[i], y[j + 1] - y[j]) for i, j in cells]
    if boxes:
        axes.add_collection(PatchCollection(boxes, **HATCH))
        axes.fill([], [], label="Z is a lower bound", **HATCH)  # a collection has no hatch in the legend


def _colour_bar(figure: Figure, mesh: QuadMesh, levels_sigma: list[float]) -> None:
    bar = figure.colorbar(mesh, extend="both", label="median significance Z (one-sided)")
    for level in levels_sigma:
        bar.ax.axhline(level, color="white", lw=1.5)


def _limit(axes: Axes, rows: pa.Table, limit: str) -> None:
    m, sigma = column(rows, "m_chi_GeV"), column(rows, limit)
    if np.isfinite(sigma).any():
        label = _limit_label(rows)
        axes.plot(m, sigma, "--", color="black", lw=2, label=label, path_effects=WHITE_OUTLINE, gid="limit")


def _limit_label(rows: pa.Table) -> str:
    """A limit by toys is one; what is asymptotic says so, and so does the upper end of a unified interval."""
    said = "90 % CL limit" if rows["interval"][0].as_py() == "upper" else "upper end, unified 90 % CL interval"
    return f"{said}, profile likelihood{', asymptotic' if 'asymptotic' in rows['method'].to_pylist() else ''}"


def _contours(axes: Axes, curves: pa.Table, size: Size) -> None:
    levels = [select(curves, level_sigma=level) for level in curves["level_sigma"].unique().to_pylist()]
    shown = [curve.sort_by("m_chi_GeV") for curve in levels if np.isfinite(column(curve, size.name)).any()]
    for curve in shown:
        _contour(axes, curve, rf"{curve['level_sigma'][0].as_py():g}$\sigma$", size)
    if shown:
        axes.fill_between([], [], color="white", ec="0.6", alpha=0.6, label="error of a contour, from that of p")
    estimates = curves.filter((pc.field("status") == "bound_limited") & pc.field(size.name).is_valid())
    if estimates.num_rows:
        m, sigma = column(estimates, "m_chi_GeV"), column(estimates, size.name)
        axes.plot(m, sigma, "v", color="white", mec="black", ms=8, zorder=4, label="contour: upper estimate")


def _contour(axes: Axes, curve: pa.Table, label: str, size: Size) -> None:
    m, sigma = column(curve, "m_chi_GeV"), column(curve, size.name)
    finite = np.isfinite(sigma)
    bottom, top = axes.get_ylim()  # an error that leaves the grid is drawn to its edge
    low = np.nan_to_num(column(curve, size.named("low")), nan=bottom)
    high = np.nan_to_num(column(curve, size.named("high")), nan=top)
    axes.fill_between(m, low, high, where=finite, color="white", alpha=0.3, lw=0)
    axes.plot(m, sigma, "o-", color="white", ms=3, lw=2, path_effects=OUTLINE, gid=f"contour {label}")
    at = np.flatnonzero(finite)[3 * finite.sum() // 4]
    text = {"ha": "center", "va": "center", "fontsize": "small", "zorder": 5, "path_effects": OUTLINE}
    axes.text(m[at], sigma[at], label, color="white", **text)
