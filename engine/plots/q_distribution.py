"""A statistic under background only and with signal (Fig. 9 of the arXiv paper)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from engine.plots import legend_below, styled
from engine.plots._rows import few_numbers, number, place_words, score_words, words, wrapped
from engine.size import Size

BINS = 80
WIDTH_INCHES = 8.0  # of a panel
TOYS_PER_BIN = 50  # in the mean at least: with fewer, bins show the toys' noise
SHOWN = 0.998  # share of either sample between the ends of the axis
COLOURS = {"background only": "C0", "with signal": "C3"}


@dataclass(frozen=True)
class Panel:
    """q of a statistic over toys, (n,) each."""

    statistic: str
    R: float | None
    null: np.ndarray
    with_signal: np.ndarray


@styled
def q_distribution(panels: Sequence[Panel], *, exposure_ty: float, size: Size, at: dict) -> Figure:
    """Histograms of q in panels beside each other, and the median with signal; `at`: the signal's place by name.

    Shaded: the toys without signal from that median on, whose share is the median's p, (k + 1) / (n + 1).
    Of whole numbers a bin holds the same number of them everywhere. Toys beyond the axis are told in words at its ends,
    and in no bin.
    """
    figure = Figure(layout="constrained", figsize=(WIDTH_INCHES * len(panels), 6.0))
    for axes, panel in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels, strict=True):
        _panel(axes, panel)
        title = f"{number(exposure_ty)} t y; {score_words(panel.statistic, panel.R)}"
        axes.set_title(wrapped(title, place_words(size, at)))
    legend_below(figure, columns=2)
    return figure


def _panel(axes: Axes, panel: Panel) -> None:
    null, with_signal = panel.null, panel.with_signal
    samples = dict(zip(COLOURS, (null, with_signal), strict=True))
    edges, whole = _edges(null, with_signal)
    median, at_least = np.median(with_signal), int(np.sum(null >= np.median(with_signal)))
    beyond_median = np.append(np.histogram(null[null >= median], edges)[0], 0)
    axes.fill_between(edges, beyond_median, step="post", color="C0", alpha=0.35, lw=0,
                      label="background only from that median on")  # fmt: skip
    for (label, values), colour in zip(samples.items(), COLOURS.values(), strict=True):
        axes.hist(values, edges, histtype="step", lw=2, color=colour, label=f"{label}, {len(values)} toys")
    axes.axvline(median, color="C3", ls="--", lw=1.5, label="median with signal")
    per_bin = f" per {edges[1] - edges[0]:.0f} events" if whole and edges[1] - edges[0] > 1 else ""
    axes.set(yscale="log", xlabel=f"q: {words(panel.statistic)}{' [events]' * whole}", ylabel=f"toys{per_bin}")
    axes.set(xlim=(edges[0], edges[-1]), ylim=(0.5, 3 * axes.get_ylim()[1]))  # room for the words
    p = number(float(f"{(at_least + 1) / (len(null) + 1):.2g}"))
    axes.text(0.5, 0.97, f"p {'<' if at_least == 0 else '='} {p}", ha="center", va="top", transform=axes.transAxes,
              bbox={"color": "white", "pad": 1.0})  # fmt: skip
    few_numbers(axes)
    for side, beyond in (("left", np.less), ("right", np.greater)):
        _beyond(axes, side, {label: int(beyond(values, edges[0 if side == "left" else -1]).sum())
                             for label, values in samples.items()})  # fmt: skip


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
