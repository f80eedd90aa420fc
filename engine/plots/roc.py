"""ROC of classifiers: NR kept against ER leaked, on each population of events (Fig. 3 of the semi-supervised paper)."""

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from engine.plots import canvas, legend_below, styled
from engine.plots._rows import FLOOR, model_words, population_words

NR_ACCEPTANCE = 0.3  # benchmark acceptance of the DARWIN studies quoted by the papers
LEAKAGE = "er_leakage_at_30_percent_nr"
FLOOR_COLOUR = "0.45"
LINES = ("-", "--")  # by population


@styled
def roc(table: pa.Table) -> Figure:
    """True positive (NR) against false positive rate (ER), a curve per classifier and population, with the AUC.

    `table`: `engine.schemas.DIAGNOSTICS`. A cross with its error marks the ER leakage at 30 % NR acceptance; if no ER
    event leaks there, an arrow marks the upper end of its error. Slanting is a stretch of equal logits, of which a cut
    takes all.
    """
    figure, axes = canvas()
    axes.set(xlabel="ER leakage (false positive rate)", ylabel="NR acceptance (true positive rate)", xscale="log")
    axes.axhline(NR_ACCEPTANCE, color="0.6", ls=":", lw=1)
    populations = list(dict.fromkeys(table["population"].to_pylist()))
    rows, roles = table.to_pylist(), list(dict.fromkeys(table["role"].to_pylist()))
    for row in rows:
        colour = FLOOR_COLOUR if row["role"] == FLOOR else f"C{roles.index(row['role'])}"
        line = LINES[populations.index(row["population"]) % len(LINES)]
        _curve(axes, row, {"color": colour, "ls": line})
    marked = [row[LEAKAGE] or row[f"{LEAKAGE}_high"] for row in rows if row["auc"] is not None]
    ends = [row[f"{LEAKAGE}_low"] for row in rows if row["auc"] is not None and row[f"{LEAKAGE}_low"]]
    x = np.geomspace(0.5 * min([*marked, *ends, *(1 / (row["n_er"] or 1) for row in rows)]), 1, 200)
    axes.plot(x, x, ":", color="C2", lw=1.5, label="by chance")
    axes.set(xlim=(x[0], 1), ylim=(0, 1.02))
    legend_below(figure, columns=1)
    return figure


def _curve(axes: Axes, row: dict, look: dict) -> None:
    label = f"{model_words(row)}; {population_words(row['population'])}"
    if row["auc"] is None:
        axes.plot([], [], label=f"{label}: {row['n_er']} ER and {row['n_nr']} NR events", **look)
        return
    leakage, high = row[LEAKAGE], row[f"{LEAKAGE}_high"]
    summary = f"AUC = {row['auc']:.4f}, ER leakage at 30 % NR {f'= {leakage:.2g}' if leakage else f'< {high:.2g}'}"
    axes.plot(row["roc_er_leakage"], row["roc_nr_acceptance"], lw=2, label=f"{label}: {summary}", **look)
    if not leakage:  # no electron recoil passes, of however many an event of the pool stands for
        axes.plot(high, NR_ACCEPTANCE, "<", color=look["color"], ms=9, gid="leakage", zorder=4)
        return
    ends = [[leakage - row[f"{LEAKAGE}_low"]], [high - leakage]]
    axes.errorbar(leakage, NR_ACCEPTANCE, xerr=ends, fmt="x", color=look["color"], ms=9, mew=2.5, capsize=3,
                  gid="leakage", zorder=4)  # fmt: skip
