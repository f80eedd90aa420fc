"""A statistic under background only and with signal (Fig. 9 of the arXiv paper)."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from engine.plots import canvas, legend_below, styled
from engine.plots._rows import few_numbers, number, place_words, score_words, words, wrapped
from engine.size import Size

BINS = 80
TOYS_PER_BIN = 50  # in the mean at least: with fewer, bins show the toys' noise
SHOWN = 0.998  # share of either sample between the ends of the axis
COLOURS = {"background only": "C0", "with signal": "C3"}


@styled
def q_distribution(
    null: np.ndarray, with_signal: np.ndarray, *, statistic: str, R: float | None, exposure_ty: float, size: Size,
    at: dict,
) -> Figure:  # fmt: skip
    """Histograms of q over toys, (n,) each, and the median with signal; `at`: the signal's place by name.

    Of whole numbers a bin holds the same number of them everywhere. Toys beyond the axis are told in words at its ends,
    and in no bin.
    """
    figure, axes = canvas()
    samples = dict(zip(COLOURS, (null, with_signal), strict=True))
    edges, whole = _edges(null, with_signal)
    for (label, values), colour in zip(samples.items(), COLOURS.values(), strict=True):
        axes.hist(values, edges, histtype="step", lw=2, color=colour, label=f"{label}, {len(values)} toys")
    axes.axvline(np.median(with_signal), color="C3", ls="--", lw=1.5, label="median with signal")
    per_bin = f" per {edges[1] - edges[0]:.0f} events" if whole and edges[1] - edges[0] > 1 else ""
    axes.set(yscale="log", xlabel=f"q: {words(statistic)}{' [events]' * whole}", ylabel=f"toys{per_bin}")
    axes.set(xlim=(edges[0], edges[-1]), ylim=(0.5, 3 * axes.get_ylim()[1]))  # room for the words
    few_numbers(axes)
    for side, beyond in (("left", np.less), ("right", np.greater)):
        _beyond(axes, side, {label: int(beyond(values, edges[0 if side == "left" else -1]).sum())
                             for label, values in samples.items()})  # fmt: skip
    title = f"{number(exposure_ty)} t y; {score_words(statistic, R)}"
    axes.set_title(wrapped(title, place_words(size, at)))
    legend_below(figure)
    return figure


def _edges(null: np.ndarray, with_signal: np.ndarray) -> tuple[np.ndarray, bool]:
    """Edges of the bins, and whether they are of whole numbers."""
    q = np.concatenate([null, with_signal])
    n_bins = int(np.clip(len(null) // TOYS_PER_BIN, 20, BINS))
    ends = np.array([np.quantile(values, [(1 - SHOWN) / 2, (1 + SHOWN) / 2]) for values in (null, with_signal)])
    low, high = ends[:, 0].min(), ends[:, 1].max()
    if np.all(q == np.rint(q)):
        low, high = (np.floor(low), np.ceil(high)) if np.ptp(q) > n_bins else (q.min(), q.max())
        step = np.ceil((high - low + 1) / n_bins)
        return low - 0.5 + step * np.arange(np.ceil((high - low + 1) / step) + 1), True
    return np.linspace(low, high if high > low else low + 1, n_bins + 1), False


def _beyond(axes: Axes, side: str, n_of: dict[str, int]) -> None:
    """How many toys lie beyond an end of the axis, where any do."""
    if any(n_of.values()):
        said = "\n".join(f"{n} {label}" for label, n in n_of.items() if n)
        axes.text(0.02 if side == "left" else 0.98, 0.97, f"beyond this end:\n{said}", ha=side, va="top",
                  transform=axes.transAxes, fontsize="small", gid=f"beyond {side}")  # fmt: skip
