"""Distribution of the anomaly score, background stacked and signals as lines (Fig. 2 of the EPJC paper)."""

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from engine.plots import canvas, styled
from engine.plots._rows import number

BINS = 80
FINE = 10  # points of the f0 line per bin


@styled
def score_distribution(
    ts: np.ndarray,
    weights_by_label: dict[str, np.ndarray],
    signals: dict[str, np.ndarray],
    *,
    exposure_ty: float,
    R: float,
    f0: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Figure:
    """Expected events per bin of TS: backgrounds stacked in the order given, each signal a line of its own.

    `ts` holds the scores of one pool, (n,); every dict maps a label to the (n,) expected events that each of
    them stands for, 0 for an event of another kind. `f0` is the normalised background density in TS, drawn
    times the total background. Bins are even in log TS, or in asinh TS where a score is not positive.
    """
    figure, axes = canvas()
    axes.set(xlabel="anomaly score TS", ylabel=f"expected events per bin in {number(exposure_ty)} t y")
    axes.set_title(f"{number(exposure_ty)} t y; R = {number(R)}")
    if len(ts) == 0:
        axes.text(0.5, 0.5, "no events", ha="center", transform=axes.transAxes)
        return figure
    x = points(axes, np.asarray(ts, dtype=float))
    edges = x[::FINE]
    total = _stack(axes, ts, weights_by_label, edges)
    for i, (label, weights) in enumerate(signals.items()):
        axes.stairs(np.histogram(ts, edges, weights=weights)[0], edges, lw=2, color=f"C{i}", label=label)
    if f0 is not None:
        axes.plot(x, total.sum() * f0(x) * np.gradient(x) * FINE, color="black", lw=1.8, label=r"$B\,f_0$")
    _finish(axes, x, total)
    return figure


def points(axes: Axes, ts: np.ndarray) -> np.ndarray:
    """Points from the lowest to the highest score, FINE per bin and even on the scale given to the axes."""
    lo, hi = ts.min(), ts.max()
    if lo == hi:
        lo, hi = lo - 0.5, hi + 0.5
    if lo > 0:
        axes.set_xscale("log")
        return np.geomspace(lo, hi, BINS * FINE + 1)
    width = np.median(np.abs(ts)) or 1.0
    axes.set_xscale("asinh", linear_width=width)
    x = width * np.sinh(np.linspace(np.arcsinh(lo / width), np.arcsinh(hi / width), BINS * FINE + 1))
    x[[0, -1]] = lo, hi  # rounding must not lose the outermost events
    return x


def _stack(axes: Axes, ts: np.ndarray, weights_by_label: dict, edges: np.ndarray) -> np.ndarray:
    base = np.zeros(len(edges) - 1)
    greys = np.linspace(0.82, 0.45, len(weights_by_label))
    for (label, weights), grey in zip(weights_by_label.items(), greys, strict=True):
        top = base + np.histogram(ts, edges, weights=weights)[0]
        axes.stairs(top, edges, baseline=base, fill=True, color=str(grey), label=label)
        base = top
    return base


def _finish(axes: Axes, x: np.ndarray, total: np.ndarray) -> None:
    axes.set_yscale("log")
    filled = total[total > 0]
    if len(filled):
        axes.set_ylim(max(filled.min() / 3, filled.max() * 1e-7), filled.max() * 10)
    axes.set_xlim(x[0], x[-1])
    axes.legend(ncols=2)
