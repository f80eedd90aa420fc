"""From which size of the signal on a search has its significance, against exposure (Fig. 9 of the XENONnT paper)."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from engine.plots import canvas, legend_below, plain_numbers, styled
from engine.plots._rows import MODELS, column, describe_models, number, select, setting, words, wrapped
from engine.size import Size


@styled
def size_against_exposure(contours: pa.Table, size: Size, m_chi_GeV: float, level_sigma: float) -> Figure:
    """The contour of one mass and level of every statistic: of several R the band between their lowest and highest.

    `contours`: of `engine.assembly.contours`. An exposure where a contour leaves the grid is not drawn; where only some
    R of a band do, its end is open and dotted. BadInput lists the masses and levels that there are.
    """
    rows = select(contours, m_chi_GeV=m_chi_GeV, level_sigma=level_sigma).sort_by("exposure_ty")
    shared = setting(rows, MODELS)
    figure, axes = canvas()
    axes.set(xscale="log", yscale="log", xlabel="exposure [t y]", ylabel=size.label)
    for i, statistic in enumerate(sorted(rows["statistic"].unique().to_pylist())):
        of_one = select(rows, statistic=statistic)
        weights = sorted(set(of_one["R"].to_pylist()) - {None})
        (_band if len(weights) > 1 else _line)(axes, of_one, size, f"C{i}", _label(statistic, weights))
    plain_numbers(axes.xaxis)
    where = rf"{number(level_sigma)}$\sigma$, $m_\chi$ = {number(m_chi_GeV)} GeV"
    axes.set_title(wrapped(where, f"{describe_models(shared)}; {words(shared['rates'])} rates"))
    legend_below(figure, columns=1)
    return figure


def _label(statistic: str, weights: list[float]) -> str:
    if not weights:
        return words(statistic)
    ends = number(weights[0]) if len(weights) == 1 else f"{number(weights[0])} to {number(weights[-1])}"
    return f"{words(statistic)}, R = {ends}"


def _line(axes: Axes, rows: pa.Table, size: Size, colour: str, label: str) -> None:
    found = rows.filter(pc.field(size.name).is_valid())
    axes.plot(column(found, "exposure_ty"), column(found, size.name), "o-", color=colour, lw=2, ms=4, label=label)


def _band(axes: Axes, rows: pa.Table, size: Size, colour: str, label: str) -> None:
    exposure = np.array(rows["exposure_ty"].unique().to_pylist())
    sizes = [column(select(rows, exposure_ty=one), size.name) for one in exposure]
    some = [np.isfinite(values).any() for values in sizes]
    x = exposure[some]
    low, high = (np.array([end(values) for values in sizes if np.isfinite(values).any()])
                 for end in (np.nanmin, np.nanmax))  # fmt: skip
    whole = np.array([np.isfinite(values).all() for values in sizes])[some]
    axes.fill_between(x, low, high, where=whole, color=colour, alpha=0.35, label=label, gid="band")
    axes.plot(x, low, color=colour, lw=1.5)
    axes.plot(np.where(whole, x, np.nan), high, color=colour, lw=1.5)
    axes.plot(np.where(whole, np.nan, x), high, color=colour, lw=1.5, ls=":")
