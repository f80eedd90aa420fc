"""The objective of a search against each field that it changed: one panel per field, every trial in all of them."""

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from engine.plots import styled
from engine.plots._rows import column, words, wrapped

PANEL_INCHES = (4.2, 3.8)
COLUMNS = 3
MARKS = {"pruned": ("v", "given up"), "diverged": ("x", "diverged")}


@styled
def objective_against_fields(table: pa.Table, fields: dict[str, bool | None], title: str) -> Figure:
    """`table`: `search_tables.SEARCHED`; fields: True for a log axis, False for a linear one, None for choices.

    Points are trials that ended, with the jack-knife error of their objective; at the lower edge those that did not.
    A star marks the best, a square the first: the study as it was.
    """
    rows = -(-len(fields) // COLUMNS)
    columns = min(len(fields), COLUMNS)
    width, height = PANEL_INCHES
    figure = Figure(layout="constrained", figsize=(width * max(columns, 2), height * rows + 1.2))
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for axes, (name, is_log) in zip(panels.flat, fields.items(), strict=False):
        x = _places(axes, table[name].to_pylist(), is_log)
        _trials(axes, table, x)
        axes.set_xlabel(words(name.removeprefix("models.").replace(".", ": ")), fontsize="medium")
    for axes in panels.flat[len(fields) :]:
        axes.set_visible(False)
    figure.supylabel(words(table["objective_is"][0].as_py()), fontsize="medium")
    labels = dict(zip(*panels[0, 0].get_legend_handles_labels()[::-1], strict=True))
    figure.legend(labels.values(), labels.keys(), loc="outside lower center", ncols=5)
    figure.suptitle(wrapped(title, width=int(10 * figure.get_figwidth())), fontsize=13, x=0.02, ha="left")
    return figure


def _places(axes: Axes, values: list, is_log: bool | None) -> np.ndarray:
    """(n,) where the values stand: on an axis of numbers, or side by side as words in the order of their text."""
    if is_log is not None:
        axes.set_xscale("log" if is_log else "linear")
        return np.array(values, float)
    known = sorted(set(values), key=lambda value: (isinstance(value, str), value))
    axes.set_xticks(range(len(known)), [str(value) for value in known])
    axes.set_xlim(-0.5, len(known) - 0.5)
    return np.array([known.index(value) for value in values], float)


def _trials(axes: Axes, table: pa.Table, x: np.ndarray) -> None:
    y, error = column(table, "objective"), np.nan_to_num(column(table, "objective_error"))
    state = table["state"].to_numpy(zero_copy_only=False)
    ended = (state == "complete") & np.isfinite(y)
    style = {"fmt": "o", "ms": 5, "color": "C0", "elinewidth": 1}
    axes.errorbar(x[ended], y[ended], error[ended], label="trial", **style)
    for name, (marker, label) in MARKS.items():
        mine = state == name
        if mine.any():
            axes.plot(x[mine], np.full(mine.sum(), 0.03), marker, color="0.5", ms=6, label=label,
                      transform=axes.get_xaxis_transform())  # fmt: skip
    best = table["best"].to_numpy(zero_copy_only=False) & ended
    axes.plot(x[best], y[best], "*", color="C3", ms=14, label="best", zorder=3)
    first = ended & (np.arange(len(x)) == 0)
    axes.plot(x[first], y[first], "s", color="black", ms=10, fillstyle="none", label="first", zorder=3)
