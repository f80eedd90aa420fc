"""Confusion matrices: what each classifier calls ER and NR on each population of events."""

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from engine.plots import styled
from engine.plots._rows import model_words, population_words

KINDS = ("ER", "NR")


@styled
def confusion(table: pa.Table) -> Figure:
    """Share of each kind called ER or NR at p = 1/2, with the number of events; a row of panels for every classifier.

    `table`: `engine.schemas.DIAGNOSTICS`. Rows of a matrix are the truth; each adds up to one.
    """
    rows = table.to_pylist()
    populations, roles = (list(dict.fromkeys(row[name] for row in rows)) for name in ("population", "role"))
    figure = Figure(figsize=(4.6 * max(len(populations), 2), 4.4 * len(roles)), layout="constrained")
    panels = figure.subplots(len(roles), max(len(populations), 2), squeeze=False)
    for axes in panels.flat:
        axes.set_visible(False)
    for row in rows:
        _matrix(panels[roles.index(row["role"]), populations.index(row["population"])], row)
    return figure


def _matrix(axes: Axes, row: dict) -> None:
    axes.set_visible(True)
    counts = np.array([[row[f"{true}_as_{called}".lower()] for called in KINDS] for true in KINDS], dtype=float)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (i, j), share in np.ndenumerate(shares):
        axes.text(j, i, f"{share:.2%}\n{counts[i, j]:.0f}", ha="center", va="center", fontsize=18,
                  color="white" if share > 0.5 else "black")  # fmt: skip
    axes.set_xticks(range(2), KINDS)
    axes.set_yticks(range(2), KINDS)
    axes.tick_params(which="both", length=0)
    axes.set(xlabel="called", ylabel="true")
    axes.minorticks_off()
    axes.set_title(f"{model_words(row)}\n{population_words(row['population'])}")
