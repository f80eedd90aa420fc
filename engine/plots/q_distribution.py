"""A statistic under background only and with signal (Fig. 9 of the arXiv paper)."""

import numpy as np
from matplotlib.figure import Figure

from engine.plots import canvas, legend_below, styled
from engine.plots._rows import number, score_words

BINS = 80
SHOWN = 0.998  # share of either sample between the ends of the axis


@styled
def q_distribution(
    null: np.ndarray, with_signal: np.ndarray, *, statistic: str, R: float | None, exposure_ty: float, at: dict
) -> Figure:
    """Histograms of q over toys, (n,) each, and the median with signal; `at`: the signal's place by name.

    A statistic of few values has a bar for each. What lies beyond the axis is counted at its ends.
    """
    figure, axes = canvas()
    edges = _edges(np.concatenate([null, with_signal]))
    for values, label, colour in ((null, "background only", "C0"), (with_signal, "with signal", "C3")):
        inside = np.clip(values, edges[0], np.nextafter(edges[-1], -np.inf))
        axes.hist(inside, edges, histtype="step", lw=2, color=colour, label=f"{label}, {len(values)} toys")
    axes.axvline(np.median(with_signal), color="C3", ls="--", lw=1.5, label="median with signal")
    axes.set(yscale="log", xlabel="q", ylabel="toys", xlim=(edges[0], edges[-1]))
    place = ", ".join(f"{name} = {number(value)}" for name, value in at.items())
    axes.set_title(f"{number(exposure_ty)} t y; {score_words(statistic, R)}\n{place.replace('_', ' ')}")
    legend_below(figure)
    return figure


def _edges(q: np.ndarray) -> np.ndarray:
    values = np.unique(q)
    if len(values) <= BINS and np.all(values == np.rint(values)):
        return np.arange(values[0] - 0.5, values[-1] + 1.5)
    low, high = np.quantile(q, [(1 - SHOWN) / 2, (1 + SHOWN) / 2])
    return np.linspace(low, high if high > low else low + 1, BINS + 1)
