"""Median p-value against exposure at one point of the plane (Fig. 4, left, of the EPJC paper)."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from engine.plots import columns_that_fit, plain_numbers, styled
from engine.plots._rows import column, describe, number, place_words, select, setting, words, wrapped
from engine.size import Size

LEVELS_SIGMA = (1, 2, 3)
MARKERS = "osD^vP*Xhp<>"  # by statistic, hollow: equal points stay visible
LINES = ("-", "--", ":", "-.")
LOWEST_P = 1e-12  # seven sigma: what is below would flatten all else, and its line leaves the axis
ABREAST = 3  # panels beside each other at most
PANEL_INCHES = (6.4, 5.2)


@styled
def p_against_exposure(
    table: pa.Table, size: Size, combined: pa.Table | None = None, *, beside: Sequence[dict[str, float]] = (),
    statistics: Sequence[str] | None = None, levels_sigma: Sequence[float] = LEVELS_SIGMA, **point: float,
) -> Figure:  # fmt: skip
    """p_median with its interval for each statistic, of the smallest of them, and the p of the bare count, in a panel
    for every R; what looks at no score is in all of them.

    `point`: m_chi_GeV, if the signal has a mass, and a value of its `size`, by their names; combined: the rows of the
    smallest (`engine.schemas.combined`), perhaps none; beside: further points, each in a colour of its own;
    statistics: those that are shown, all unless said.
    An arrow marks a bound (the toys end there, p is at most this), a cross a point limited by the pool. The point must
    be one of the table: BadInput lists what there is, or names what differs between the rows.
    """
    if statistics is not None:
        table = table.filter(pc.is_in(table["statistic"], pa.array(statistics)))
    places = [select(table, **one).sort_by("exposure_ty") for one in (point, *beside)]
    rows = pa.concat_tables(places)
    shared = setting(rows)
    weights = sorted(set(rows["R"].to_pylist()) - {None}) or [None]
    n_rows, n_columns = -(-len(weights) // ABREAST), min(len(weights), ABREAST)
    width, height = PANEL_INCHES
    figure = Figure(layout="constrained", figsize=(max(width * n_columns, 8.0), height * n_rows + 1.8))
    panels = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False)
    names = sorted(set(rows["statistic"].to_pylist()), key=lambda name: (name != "count", name))
    for axes, R in zip(panels.flat, weights, strict=False):
        if beside:
            _points(axes, places, R, names, [place_words(size, one) for one in (point, *beside)])
        else:
            _panel(axes, rows, R, names)
        if combined is not None and len(combined):
            smallest = select(combined, **point)
            label = f"smallest of {smallest['n_choices'][0]}, calibrated"
            _series(axes, smallest.sort_by("exposure_ty"), label, {"color": "black", "ls": "--", "marker": "."})
        if len(weights) > 1:
            axes.set_title(f"R = {number(R)}")
    for axes in panels.flat[len(weights) :]:
        axes.set_visible(False)
    _finish(panels, rows, levels_sigma)
    of_all = [describe(shared)] if beside else [place_words(size, point), describe(shared)]
    title = wrapped(*of_all, width=int(13 * figure.get_figwidth() - 22))
    if len(weights) > 1:
        figure.suptitle(title, fontsize=13, x=0.02, ha="left")
    else:
        panels[0, 0].set_title(title)
    handles, labels = _legend(panels, rows, combined)
    columns = columns_that_fit(figure, labels, 1 if beside else 2 + (n_columns > 1))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns)
    return figure


def _panel(axes: Axes, rows: pa.Table, R: float | None, statistics: list[str]) -> None:
    if "count" not in statistics:
        x, first = np.unique(column(rows, "exposure_ty"), return_index=True)
        axes.plot(x, scipy.stats.norm.sf(column(rows, "z_count")[first]), color="0.6", lw=1, label=words("count"))
    shown = rows.filter(pa.array(value is None or value == R for value in rows["R"].to_pylist()))
    for i, statistic in enumerate(statistics):
        if statistic in shown["statistic"].to_pylist():
            look = {"color": f"C{i}", "marker": MARKERS[i % len(MARKERS)], "ls": "-"}
            _series(axes, select(shown, statistic=statistic), words(statistic), look)


def _points(axes: Axes, places: list[pa.Table], R: float | None, names: list[str], labels: list[str]) -> None:
    """Several signals: a colour for each, and a marker and a line for each statistic."""
    for number_of, (rows, label) in enumerate(zip(places, labels, strict=True)):
        shown = rows.filter(pa.array(value is None or value == R for value in rows["R"].to_pylist()))
        for i, statistic in enumerate(names):
            if statistic in shown["statistic"].to_pylist():
                look = {"color": f"C{number_of}", "marker": MARKERS[i % len(MARKERS)], "ls": LINES[i % len(LINES)]}
                of = f"{label}: {words(statistic)}" if len(names) > 1 else label
                _series(axes, select(shown, statistic=statistic), of, look)


def _series(axes: Axes, rows: pa.Table, label: str, look: dict) -> None:
    x, p = column(rows, "exposure_ty"), column(rows, "p_median")
    bound = rows["tail"].to_numpy(zero_copy_only=False) == "bound"
    low = np.where(bound, 0.0, np.clip(p - column(rows, "p_low"), 0.0, None))
    high = np.clip(column(rows, "p_high") - p, 0.0, None)
    style = {"ms": 8, "mfc": "none", "mew": 1.8, "lw": 1.6, "elinewidth": 1.5, "capsize": 3}
    axes.errorbar(x, p, [low, high], label=label, **look | style)
    if bound.any():
        arrow = {"uplims": True, "fmt": "none", "color": look["color"], "elinewidth": 1.5}
        axes.errorbar(x[bound], p[bound], 0.5 * p[bound], **arrow)
    poor = column(rows, "pool_limited") == 1
    axes.plot(x[poor], p[poor], "x", color="black", ms=9, zorder=4)


def _legend(panels: np.ndarray, rows: pa.Table, combined: pa.Table | None) -> tuple[list, list[str]]:
    """What is drawn in any panel, and what arrows and crosses mean, where there are any."""
    known = {label: handle for axes in panels.flat
             for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}  # fmt: skip
    tables = [rows, *([combined] if combined is not None and len(combined) else [])]
    if any("bound" in one["tail"].to_pylist() for one in tables):
        known["at most this: no toy is beyond"] = Line2D([], [], ls="", marker=r"$\downarrow$", color="black", ms=11)
    if any(True in one["pool_limited"].to_pylist() for one in tables):
        known["too few pool events behind it"] = Line2D([], [], ls="", marker="x", color="black", ms=9)
    return list(known.values()), list(known)


def _finish(panels: np.ndarray, rows: pa.Table, levels_sigma: Sequence[float]) -> None:
    p = column(rows, "p_median")
    lowest = np.nanmin(np.append(p[p > LOWEST_P], scipy.stats.norm.sf(max(levels_sigma))))
    panels[0, 0].set(xscale="log", yscale="log", ylim=(lowest / 5, 1.5))
    for axes in panels.flat:
        plain_numbers(axes.xaxis)
        for level in levels_sigma:
            axes.axhline(scipy.stats.norm.sf(level), color="black", ls="--", lw=1, zorder=0)
            axes.annotate(
                rf"{level:g}$\sigma$", (1, scipy.stats.norm.sf(level)), (-6, 3), xycoords=("axes fraction", "data"),
                textcoords="offset points", ha="right", fontsize="small",
            )  # fmt: skip
    for axes in panels[-1]:
        axes.set_xlabel("exposure [t y]")
    for axes in panels[:, 0]:
        axes.set_ylabel("median p-value (one-sided)")
