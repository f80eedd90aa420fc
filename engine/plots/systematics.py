"""How much more often background alone passes a three-sigma threshold, nuisance by nuisance."""

import numpy as np
import pyarrow as pa
from matplotlib.figure import Figure

from engine.plots import canvas, legend_below, styled
from engine.plots._rows import column, score_words, select, words

SMALLEST = 1e-3  # an inflation below is drawn here: a search that never gives a false alarm has no harm in it


@styled
def inflation(table: pa.Table, exposure_ty: float) -> Figure:
    """Inflation of the false-alarm probability at a fixed threshold (`engine.schemas.SYSTEMATICS`), with its error.

    One row per nuisance and direction, one colour per statistic and R. A cross marks what the pool limits.
    """
    rows = select(table, exposure_ty=exposure_ty)
    labels = list(dict.fromkeys(_labels(rows)))
    pairs = list(dict.fromkeys(zip(rows["statistic"].to_pylist(), rows["R"].to_pylist(), strict=True)))
    figure, axes = canvas()
    figure.set_size_inches(8.0, 2.5 + 0.45 * len(labels))
    for i, (statistic, R) in enumerate(pairs):
        mine = select(rows, statistic=statistic, R=R)
        y = np.array([labels.index(label) for label in _labels(mine)]) + 0.6 * ((i + 0.5) / len(pairs) - 0.5)
        ratio = np.maximum(column(mine, "inflation"), SMALLEST)
        error = column(mine, "inflation_error")
        low = np.minimum(error, ratio - ratio / 10)  # a bar that reaches zero has no end on this axis
        axes.errorbar(ratio, y, xerr=[low, error], fmt="o", ms=6, capsize=3, label=score_words(statistic, R))
        poor = column(mine, "pool_limited") == 1
        axes.plot(ratio[poor], y[poor], "x", color="black", ms=9, zorder=4)
    axes.axvline(1.0, color="black", ls="--", lw=1, zorder=0)
    axes.set(xscale="log", xlabel=r"false alarms at the 3$\sigma$ threshold, over nominal")
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.minorticks_off()
    axes.set_title(f"{exposure_ty:g} t y, background only")
    legend_below(figure)
    return figure


def _labels(rows: pa.Table) -> list[str]:
    """A nuisance, its direction and amount in words."""
    said = []
    for row in rows.select(["nuisance", "direction", "amount"]).to_pylist():
        amount = {"rates": ""}.get(row["nuisance"], f" {row['amount']:+.3g}")
        if row["nuisance"] == "leakage":
            amount = rf" $\times$ {row['amount']:.3g}"
        turn = {"averaged": " (averaged)", "drawn": " drawn"}.get(row["direction"], "")
        said.append(f"{words(row['nuisance'])}{amount}{turn}")
    return said
