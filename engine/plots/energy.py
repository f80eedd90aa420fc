"""Estimated energies: bias, resolution and coverage of each method against true energy."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from engine.plots import plain_numbers, styled

COLOURS = {"CES": "black", "flow": "#3f90da", "WALDO": "#bd1f01"}
MARKERS = {"CES": "s", "flow": "o", "WALDO": "^"}
SHIFTS = {"CES": 0.97, "flow": 1.0, "WALDO": 1.03}  # of markers, lest one hide another
TOLERANCE = 0.02  # of a coverage, shaded


@styled
def energy(rows: list[dict], levels: dict[str, float], label: str) -> Figure:
    """Three panels over true energy from rows of `low_keV`, `high_keV`, `method`, and values with their `_error`.

    levels: what a coverage is to be, by the name of its column; label: of the energy.
    """
    figure = Figure(figsize=(17, 6), layout="constrained")
    bias, resolution, coverage = figure.subplots(1, 3)
    for method in dict.fromkeys(row["method"] for row in rows):
        mine = [row for row in rows if row["method"] == method]
        if method != "WALDO":  # its value is the flow's
            _points(bias, mine, "bias", method)
            _points(resolution, mine, "resolution", method)
        for name in levels:
            _points(coverage, mine, name, method if name == next(iter(levels)) else None)
    for level in levels.values():
        coverage.axhline(level, color="0.5", ls=":", lw=1.2)
        coverage.axhspan(level - TOLERANCE, level + TOLERANCE, color="0.9", zorder=0)
    bias.axhline(0, color="0.5", ls=":", lw=1.2)
    bias.set(ylabel="mean of estimate / true energy - 1")
    resolution.set(ylabel=r"$\sigma$ of estimate / true energy", ylim=(0, None))
    coverage.set(ylabel="share of intervals with the truth", ylim=(0.5, 1.02))
    for axes in (bias, resolution, coverage):
        axes.set(xscale="log", xlabel=f"true energy [{label}]")
        plain_numbers(axes.xaxis)
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
    return figure


def _points(axes: Axes, rows: list[dict], name: str, label: str | None) -> None:
    method = rows[0]["method"]
    centre = np.array([np.sqrt(row["low_keV"] * row["high_keV"]) for row in rows]) * SHIFTS[method]
    values, errors = ([row[key] for row in rows] for key in (name, f"{name}_error"))
    style = {"color": COLOURS[method], "marker": MARKERS[method], "ls": "none", "ms": 6, "capsize": 2}
    axes.errorbar(centre, values, errors, label=label, **style)
