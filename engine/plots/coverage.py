"""How much of a study's grid is done, missing, failed or corrupt: a tile for each point."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from engine.plots import styled
from engine.plots._rows import number
from engine.size import Size

COLOURS = {"done": "#2a9d8f", "missing": "#d9d9d9", "failed": "#e9a03b", "corrupt": "#c0392b"}
MOST_LABELS = {"x": 5, "y": 10}  # of an axis: more run into each other
ABREAST = 3  # panels beside each other at most


@styled
def coverage(
    states: list[np.ndarray], exposures_ty: list[float], masses_GeV: list[float | None], sizes: list[float], size: Size
) -> Figure:
    """One panel an exposure; states (sizes, masses) are places in COLOURS, -1: no point.

    masses_GeV and sizes: the values along the axes of all panels; `size` names the latter.
    """
    n_rows, n_columns = -(-len(states) // ABREAST), min(len(states), ABREAST)
    figure = Figure(figsize=(max(1.5 + 4.0 * n_columns, 7.0), 4.4 * n_rows + 0.8), layout="constrained")
    panels = figure.subplots(n_rows, n_columns, squeeze=False)
    for axes in panels.flat[len(states) :]:
        axes.set_visible(False)
    for axes, state, exposure_ty in zip(panels.flat, states, exposures_ty, strict=False):
        _panel(axes, state)
        axes.set_title(f"{exposure_ty:g} t y: {np.mean(state[state >= 0] == 0):.0%} done")
        _ticks(axes.xaxis, masses_GeV)
        _ticks(axes.yaxis, sizes)
        axes.set_xlabel("" if masses_GeV == [None] else r"$m_\chi$ [GeV]")
    for axes in panels[:, 0]:
        axes.set_ylabel(size.label)
    handles = [Patch(color=colour, label=name) for name, colour in COLOURS.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(COLOURS))
    return figure


def _panel(axes: Axes, state: np.ndarray) -> None:
    colours = ListedColormap(["white", *COLOURS.values()])
    limits = BoundaryNorm(np.arange(-1.5, len(COLOURS)), colours.N)
    axes.imshow(state, cmap=colours, norm=limits, origin="lower", aspect="auto", interpolation="nearest")
    axes.minorticks_off()


def _ticks(axis, values: list[float | None]) -> None:
    step = -(-len(values) // MOST_LABELS[axis.axis_name])
    said = ["" if value is None else number(float(f"{value:.3g}")) for value in values[::step]]
    axis.set_ticks(range(0, len(values), step), said)
