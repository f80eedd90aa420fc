"""Pairs of networks beside each other: their significance, and what each two say of the same toys."""

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from engine.plots import styled
from engine.plots._rows import column, number, words, wrapped

INCHES_PER_PAIR = 0.55
RED_BLUE = "RdBu"


@styled
def ranking(rows: pa.Table, differences: pa.Table, roles: tuple[str, ...]) -> Figure:
    """Left, best first, Z of every pair and the exposure of three sigma; right, mean difference of Z on the same toys.

    rows and differences: those of `engine.stages.pair_schemas`. Thick bars are errors of the finite pool,
    thin ones with the spread over training seeds; an arrow is a bound. The names of floor and ceiling are grey.
    """
    n = len(rows)
    figure = Figure(layout="constrained", figsize=(16.0, 3.4 + INCHES_PER_PAIR * n))
    left, middle, right = figure.subplots(1, 3, width_ratios=[1, 1, 1.1])
    first = rows.slice(0, 1).to_pylist()[0]
    _points(left, rows, "z", "z_pool_error", "z_seed_error", rows["z_tail"].to_numpy(zero_copy_only=False) == "bound")
    left.set(xlabel=rf"Z ($\sigma$) at {number(first['exposure_ty'])} t y")
    _points(middle, rows, "t3_ty", "t3_error_ty", "t3_seed_error_ty", np.zeros(n, bool))
    middle.set(xlabel="exposure for three sigma (t y)", yticklabels=[])
    _matrix(figure, right, rows["pair"].to_pylist(), differences)
    named = f"{words(first['statistic'])}, R = {number(first['R'])}; pairs: {'-'.join(roles)}"
    figure.suptitle(wrapped(named, width=130), fontsize="small", x=0.02, ha="left")
    return figure


def _points(axes: Axes, rows: pa.Table, value: str, pool: str, seed: str, bound: np.ndarray) -> None:
    y, x = np.arange(len(rows)), column(rows, value)
    of_pool, of_seed = (np.nan_to_num(column(rows, name)) for name in (pool, seed))
    axes.errorbar(x, y, xerr=np.hypot(of_pool, of_seed), fmt="none", color="C0", elinewidth=1.2, capsize=4)
    axes.errorbar(x, y, xerr=of_pool, fmt="o", color="C0", ms=7, elinewidth=3)
    axes.plot(x[bound], y[bound], ">", color="C0", ms=12)
    axes.set(yticks=y, yticklabels=rows["pair"].to_pylist(), ylim=(len(rows) - 0.5, -0.5))
    axes.minorticks_off()
    for label, name in zip(axes.get_yticklabels(), rows["pair"].to_pylist(), strict=True):
        label.set(fontsize="x-small", color="0.45" if {"floor", "ceiling"} & {*name.split("-")} else "black")
    for missing in y[~np.isfinite(x)]:
        axes.text(0.5, missing, "beyond the range", transform=axes.get_yaxis_transform(), ha="center", va="center",
                  fontsize="x-small", color="0.45")  # fmt: skip


def _matrix(figure: Figure, axes: Axes, names: list[str], differences: pa.Table) -> None:
    more = np.full((len(names), len(names)), np.nan)
    for row in differences.to_pylist():
        i, j = names.index(row["pair"]), names.index(row["other"])
        more[i, j], more[j, i] = row["z_difference"], -row["z_difference"]
        for at, sign in (((j, i), 1), ((i, j), -1)):
            label = f"{sign * row['z_difference']:+.2f}\n$\\pm${row['z_difference_error']:.2f}"
            axes.text(*at, label, ha="center", va="center", fontsize="xx-small")
    largest = np.nanmax(np.abs(more)) if np.isfinite(more).any() else 1.0
    shown = axes.imshow(more, cmap=RED_BLUE, vmin=-1.6 * largest, vmax=1.6 * largest, aspect="auto")
    ticks = np.arange(len(names))
    axes.set(xticks=ticks, yticks=ticks, yticklabels=[])
    axes.set_xticklabels(names, fontsize="x-small", rotation=30, ha="right")
    axes.minorticks_off()
    figure.colorbar(shown, ax=axes, label=r"mean of $Z_{row} - Z_{column}$, same toys ($\sigma$)")
