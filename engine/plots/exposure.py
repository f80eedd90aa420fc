"""Median p-value against exposure at one point of the plane (Fig. 4, left, of the EPJC paper)."""

import numpy as np
import pyarrow as pa
import scipy
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from engine.plots import canvas, legend_below, styled
from engine.plots._rows import column, describe, place_words, score_words, select, setting
from engine.size import Size

LEVELS_SIGMA = (1, 2, 3)
LINES = ("-", ":", "-.")  # by R; a colour is a statistic


@styled
def p_against_exposure(table: pa.Table, size: Size, combined: pa.Table | None = None, **point: float) -> Figure:
    """p_median with its interval for each statistic and R, of the smallest of them, and the p of the bare count.

    `point`: m_chi_GeV, if the signal has a mass, and a value of its `size`, by their names; combined: the rows of the
    smallest (`engine.schemas.combined`), perhaps none.
    An arrow marks a bound (the toys end there, p is at most this), a cross a point limited by the pool.
    Series are set apart by 2 % in exposure so that equal points stay visible. The point must be one of the
    table: BadInput lists what there is, or names what differs between the rows.
    """
    rows = select(table, **point).sort_by("exposure_ty")
    shared = setting(rows)
    figure, axes = canvas()
    axes.set(xscale="log", yscale="log", xlabel="exposure [t y]", ylabel="median p-value (one-sided)")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    _count(axes, rows)
    names = sorted(set(zip(rows["statistic"].to_pylist(), rows["R"].to_pylist(), strict=True)), key=_order)
    statistics, weights = (list(dict.fromkeys(values)) for values in zip(*names, strict=True))
    for i, (statistic, R) in enumerate(names):
        look = f"C{statistics.index(statistic)}", LINES[weights.index(R) % len(LINES)]
        one = select(rows, statistic=statistic, R=R)
        _series(axes, one, 1.02 ** (i - (len(names) - 1) / 2), score_words(statistic, R), look)
    if combined is not None and len(combined):
        smallest = select(combined, **point)
        _series(axes, smallest, 1.0, f"smallest of {smallest['n_choices'][0]}, calibrated", ("black", "--"))
    _levels(axes, column(rows, "p_median"))
    place = place_words(size, point)
    axes.set_title(f"{place}\n{describe(shared)}")
    legend_below(figure)
    return figure


def _order(pair: tuple[str, float | None]) -> tuple:
    statistic, R = pair
    return R is not None, statistic, R or 0.0


def _series(axes: Axes, rows: pa.Table, shift: float, label: str, look: tuple[str, str]) -> None:
    colour, line = look
    x, p = column(rows, "exposure_ty") * shift, column(rows, "p_median")
    bound = rows["tail"].to_numpy() == "bound"
    low = np.where(bound, 0.0, np.clip(p - column(rows, "p_low"), 0.0, None))
    high = np.clip(column(rows, "p_high") - p, 0.0, None)
    style = {"fmt": "o", "ls": line, "color": colour, "ms": 6, "lw": 1.8, "elinewidth": 1.5, "capsize": 3}
    axes.errorbar(x, p, [low, high], label=label, **style)
    if bound.any():
        arrow = {"uplims": True, "fmt": "none", "color": colour, "elinewidth": 1.5}
        axes.errorbar(x[bound], p[bound], 0.5 * p[bound], **arrow)
    poor = column(rows, "pool_limited") == 1
    axes.plot(x[poor], p[poor], "x", color="black", ms=9, zorder=4)


def _count(axes: Axes, rows: pa.Table) -> None:
    x, first = np.unique(column(rows, "exposure_ty"), return_index=True)
    axes.plot(x, scipy.stats.norm.sf(column(rows, "z_count")[first]), color="0.6", lw=1, label="count alone")


def _levels(axes: Axes, p: np.ndarray) -> None:
    lowest = np.nanmin(np.append(p[p > 0], scipy.stats.norm.sf(LEVELS_SIGMA[-1])))
    axes.set_ylim(lowest / 5, 1.5)
    for level in LEVELS_SIGMA:
        axes.axhline(scipy.stats.norm.sf(level), color="black", ls="--", lw=1, zorder=0)
        axes.annotate(
            rf"{level}$\sigma$", (1, scipy.stats.norm.sf(level)), (-6, 3), xycoords=("axes fraction", "data"),
            textcoords="offset points", ha="right", fontsize="small",
        )  # fmt: skip
