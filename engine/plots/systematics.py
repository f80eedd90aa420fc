"""How much more often background alone passes a three-sigma threshold, and what power is left, by nuisance."""

import numpy as np
import pyarrow as pa
from matplotlib.figure import Figure

from engine.plots import legend_below, styled
from engine.plots._rows import column, score_words, select, words

SMALLEST = 1e-3  # an inflation below is drawn here: a search that never gives a false alarm has no harm in it


@styled
def inflation(table: pa.Table, exposure_ty: float) -> Figure:
    """Inflation of the false-alarm probability at a fixed threshold (`engine.schemas.systematics`), with its error;
    beside it the power at the threshold that the search ought to have, and the nominal one as a hollow circle.

    One row per nuisance and direction, one colour per statistic and R. A cross marks what the pool limits. Another
    training seed has a power only.
    """
    rows = select(table, exposure_ty=exposure_ty)
    labels = list(dict.fromkeys(_labels(rows)))
    pairs = list(dict.fromkeys(zip(rows["statistic"].to_pylist(), rows["R"].to_pylist(), strict=True)))
    figure = Figure(layout="constrained", figsize=(11.0, 2.5 + 0.45 * len(labels)))
    axes, beside = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    for i, (statistic, R) in enumerate(pairs):
        mine = select(rows, statistic=statistic, R=R)
        y = np.array([labels.index(label) for label in _labels(mine)]) + 0.6 * ((i + 0.5) / len(pairs) - 0.5)
        ratio = np.maximum(column(mine, "inflation"), SMALLEST)
        error = column(mine, "inflation_error")
        low = np.minimum(error, ratio - ratio / 10)  # a bar that reaches zero has no end on this axis
        same = {"color": f"C{i}", "fmt": "o"}
        axes.errorbar(ratio, y, xerr=[low, error], ms=6, capsize=3, label=score_words(statistic, R), **same)
        beside.errorbar(column(mine, "power"), y, ms=10, mfc="none", **same)
        beside.errorbar(column(mine, "power_recalibrated"), y, ms=6, **same)
        poor = column(mine, "pool_limited") == 1
        axes.plot(ratio[poor], y[poor], "x", color="black", ms=9, zorder=4)
    axes.axvline(1.0, color="black", ls="--", lw=1, zorder=0)
    axes.set(xscale="log", xlabel=r"false alarms at the 3$\sigma$ threshold, over nominal")
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.minorticks_off()
    axes.set_title(f"{exposure_ty:g} t y, background only")
    beside.set(xlim=(-0.03, 1.03), xlabel="power, new threshold")
    beside.set_title("benchmark signal; hollow: nominal")
    legend_below(figure)
    return figure


def _labels(rows: pa.Table) -> list[str]:
    """A nuisance, its direction and amount in words."""
    labels = []
    for row in rows.select(["nuisance", "direction", "amount"]).to_pylist():
        amount = {"rates": ""}.get(row["nuisance"], f" {row['amount']:+.3g}")
        if row["nuisance"] == "leakage":
            amount = rf" $\times$ {row['amount']:.3g}"
        if row["nuisance"] == "training_seed":
            amount = f" {row['amount']:g}"
        if "." in row["nuisance"]:
            amount = f" = {row['amount']:g}"
        turn = {"averaged": " (averaged)", "drawn": " drawn"}.get(row["direction"], "")
        labels.append(f"{words(row['nuisance'])}{amount}{turn}")
    return labels
