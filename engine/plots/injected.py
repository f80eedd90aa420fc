"""The anomaly score under background and with a signal on top, a panel per signal (Fig. 6 of the XENONnT paper)."""

import numpy as np
from matplotlib.figure import Figure

from engine.plots import legend_below, styled
from engine.plots._rows import number

BINS = 50  # as many as `pearson` compares
HEIGHT_INCHES = 3.2
SHOWN = 1e-4  # share of all expected events that may lie beyond each end


@styled
def injected_scores(
    ts: np.ndarray, background: np.ndarray, signals: dict[str, np.ndarray], *, exposure_ty: float, R: float
) -> Figure:
    """Expected events per bin of TS without and with each signal, by its label.

    `ts` (n,): scores of one pool; `background` and each signal (n,): the expected events that they stand for.
    """
    figure = Figure(figsize=(8.0, HEIGHT_INCHES * len(signals) + 1.2), layout="constrained")
    panels = figure.subplots(len(signals), 1, sharex=True, squeeze=False)[:, 0]
    edges = _edges(ts, sum(signals.values(), background))
    under = np.histogram(ts, edges, weights=background)[0]
    for axes, (label, weights) in zip(panels, signals.items(), strict=True):
        both = under + np.histogram(ts, edges, weights=weights)[0]
        axes.stairs(under, edges, fill=True, color="0.75", label="background")
        axes.stairs(both, edges, color="C3", lw=2, label="background and WIMP")
        axes.set(yscale="log", ylim=(0.3, 3 * max(both.max(), 1.0)), ylabel="events / bin")
        axes.set_title(f"{label}: {weights.sum():.3g} events on {background.sum():.4g}")
    panels[-1].set_xlabel(f"anomaly score TS, R = {number(R)}; {number(exposure_ty)} t y")
    legend_below(figure)
    return figure


def _edges(ts: np.ndarray, expected: np.ndarray) -> np.ndarray:
    order = np.argsort(ts)
    share = np.cumsum(expected[order]) / expected.sum()
    low, high = (ts[order][np.searchsorted(share, at)] for at in (SHOWN, 1 - SHOWN))
    return np.linspace(low, high, BINS + 1)
