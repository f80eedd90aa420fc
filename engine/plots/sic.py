"""Significance improvement of classifiers: NR kept over the root of ER leaked, at every cut."""

import numpy as np
import pyarrow as pa
from matplotlib.figure import Figure

from engine.inference.merit import FEWEST
from engine.plots import canvas, legend_below, styled
from engine.plots._rows import FLOOR, model_words, population_words
from engine.plots.roc import FLOOR_COLOUR, LINES


@styled
def sic(table: pa.Table) -> Figure:
    """NR acceptance / sqrt(ER leakage) against NR acceptance, a curve per classifier and population, with its error.

    `table`: `engine.schemas.DIAGNOSTICS`. The band is that of the electron recoils kept, 1 / (2 sqrt n) of the value; a
    curve ends where fewer than 100 effective ones are. A dot marks the largest ARGOS (arXiv:2511.14832).
    """
    figure, axes = canvas()
    axes.set(xlabel="NR acceptance", ylabel="NR acceptance / (ER leakage)$^{1/2}$", yscale="log")
    populations = list(dict.fromkeys(table["population"].to_pylist()))
    rows, roles = table.to_pylist(), list(dict.fromkeys(table["role"].to_pylist()))
    for row in rows:
        colour = FLOOR_COLOUR if row["role"] == FLOOR else f"C{roles.index(row['role'])}"
        line, label = LINES[populations.index(row["population"]) % len(LINES)], model_words(row)
        leaked, kept, n = (np.array(row[f"roc_{name}"]) for name in ("er_leakage", "nr_acceptance", "er_events"))
        shown = n >= FEWEST
        value = kept[shown] / np.sqrt(leaked[shown])
        summary = "" if row["argos"] is None else f", ARGOS {row['argos']:.3g} $\\pm$ {row['argos_error']:.1g}"
        label = f"{label}; {population_words(row['population'])}{summary}"
        axes.plot(kept[shown], value, color=colour, ls=line, lw=2, label=label)
        error = value / (2 * np.sqrt(n[shown]))
        axes.fill_between(kept[shown], value - error, value + error, color=colour, alpha=0.2, lw=0)
        if summary:
            at = row["argos_nr_acceptance"]
            axes.plot(at, at / np.sqrt(row["argos_er_leakage"]), "o", color=colour, ms=8, gid="argos", zorder=4)
    accepted = np.linspace(0.01, 1, 100)
    axes.plot(accepted, np.sqrt(accepted), ":", color="C2", lw=1.5, label="by chance")
    axes.set(xlim=(0, 1))
    legend_below(figure, columns=1)
    return figure
