"""Median p-value against R, the weight of H_B: what the papers tune, beside statistics that no unit moves."""

import numpy as np
import pyarrow as pa
import scipy
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from engine.plots import styled
from engine.plots._rows import column, describe, number, select, setting, words, wrapped
from engine.plots.exposure import LEVELS_SIGMA, LOWEST_P
from engine.size import Size

Best = tuple[float, float, float]  # an R, and the ends of its interval
SIDES = {False: "moves with a map of TS", True: "invariant under monotone maps of TS"}
PANEL_INCHES = (5.5, 3.4)


@styled
def p_against_R(table: pa.Table, size: Size, best: Best | None = None, lowest_p: float = LOWEST_P) -> Figure:
    """One row of panels per mass; left the statistics that depend on the unit of TS, right those that do not.

    Lines are exact laws, points with their 68 % interval are toys; an arrow marks a bound. Grey: the p of the bare
    count, which no R changes. R H_B changes the unit of TS: what of an optimum on the left is not on the right is
    that. The band is the best R with its error, where one was sought. Sides without a statistic are left out, and a p
    below lowest_p is drawn there.
    """
    shared, rows = setting(table), table.sort_by("R")
    masses = sorted(set(rows["m_chi_GeV"].to_pylist()), key=lambda mass: mass or 0.0)
    sides = {side: title for side, title in SIDES.items() if side in rows["monotone_invariant"].to_pylist()}
    width, height = PANEL_INCHES
    figure = Figure(layout="constrained", figsize=(max(width * len(sides), 8.0), height * len(masses) + 1.6))
    panels = figure.subplots(len(masses), len(sides), sharex=True, sharey=True, squeeze=False)
    colours = {name: f"C{i}" for i, name in enumerate(sorted(set(rows["statistic"].to_pylist())))}
    for mass, pair in zip(masses, panels, strict=True):
        of_mass = select(rows, m_chi_GeV=mass) if mass is not None else rows
        for (invariant, title), axes in zip(sides.items(), pair, strict=True):
            _panel(axes, of_mass, invariant, colours, lowest_p)
            if best:
                axes.axvspan(*best[1:], color="0.9", zorder=-1, label="best R with its error")
                axes.axvline(best[0], color="0.5", lw=1, ls=":")
            axes.set_title(title if mass is None else rf"{title}; $m_\chi$ = {number(mass)} GeV")
    _finish(figure, panels, rows, lowest_p)
    known = f"; best R = {number(best[0])}" if best else ""
    title = wrapped(f"{_place(rows, size)}{known}", describe(shared), width=int(10 * figure.get_figwidth()))
    figure.suptitle(title, fontsize=13, x=0.02, ha="left")
    return figure


def _panel(axes: Axes, rows: pa.Table, invariant: bool, colours: dict[str, str], lowest_p: float) -> None:
    R, first = np.unique(column(rows, "R"), return_index=True)
    axes.plot(R, scipy.stats.norm.sf(column(rows, "z_count")[first]), color="0.6", lw=2.5, label=words("count"))
    chosen = rows.filter(pa.array(value == invariant for value in rows["monotone_invariant"].to_pylist()))
    for name, colour in colours.items():
        if name in chosen["statistic"].to_pylist():
            _series(axes, select(chosen, statistic=name), colour, words(name), lowest_p)


def _series(axes: Axes, rows: pa.Table, colour: str, label: str, lowest_p: float) -> None:
    R, p, exact = (column(rows, name) for name in ("R", "p_median", "p_exact"))
    if np.isfinite(exact).any():
        axes.plot(R, np.maximum(exact, lowest_p), color=colour, lw=1.6, label=label)
        label = None
    if not np.isfinite(p).any():
        return
    bound = rows["tail"].to_numpy(zero_copy_only=False) == "bound"
    low = np.where(bound, 0.0, np.clip(p - column(rows, "p_low"), 0.0, None))
    high = np.clip(column(rows, "p_high") - p, 0.0, None)
    axes.errorbar(R, p, [low, high], fmt="o", ms=3.5, color=colour, elinewidth=1, label=label)
    if bound.any():
        arrow = {"uplims": True, "fmt": "none", "color": colour, "elinewidth": 1}
        axes.errorbar(R[bound], p[bound], 0.5 * p[bound], label="at most this: no toy is beyond", **arrow)


def _finish(figure: Figure, panels: np.ndarray, rows: pa.Table, lowest_p: float) -> None:
    p = np.concatenate([column(rows, "p_median"), column(rows, "p_exact"), [scipy.stats.norm.sf(LEVELS_SIGMA[-1])]])
    lowest = max(np.nanmin(p[p > 0]), lowest_p)
    panels[0, 0].set(xscale="log", yscale="log", ylim=(lowest / 5, 1.5))
    for axes in panels.flat:
        for level in LEVELS_SIGMA:
            axes.axhline(scipy.stats.norm.sf(level), color="black", ls="--", lw=0.8, zorder=0)
    for axes in panels[-1]:
        axes.set_xlabel(r"R in TS = $-$ELBO + R $H_B$", fontsize="medium")
    figure.supylabel("median p-value (one-sided)", fontsize="medium")
    labels = dict(zip(*_legend(panels), strict=True))
    figure.legend(labels.values(), labels.keys(), loc="outside lower center", ncols=4)


def _legend(panels: np.ndarray) -> tuple[list[str], list]:
    pairs = [axes.get_legend_handles_labels() for axes in panels[0]]
    return [label for _, labels in pairs for label in labels], [handle for handles, _ in pairs for handle in handles]


def _place(rows: pa.Table, size: Size) -> str:
    first = rows.slice(0, 1).to_pylist()[0]
    return f"{size.of(number(first[size.name]))}, {number(first['exposure_ty'])} t y"
