"""Distribution of the anomaly score, background stacked and signals as lines (Fig. 2 of the EPJC paper)."""

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from engine.inference.density import weighted_quantiles
from engine.plots import canvas, styled
from engine.plots._rows import few_numbers, number

BINS = 80
FINE = 10  # points of the f0 line per bin
BEYOND = 1e-3  # share of the background and of every signal that may lie beyond each end of the axis
TICKS_APART = 0.11  # of the axis at least


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
    times the total background. Bins are even in TS or log TS, whichever shows the narrowest sample wider, or in asinh
    TS where a score is not positive. The axis ends where BEYOND of every sample lie further out, and says how many do.
    """
    figure, axes = canvas()
    axes.set(xlabel="anomaly score TS", ylabel=f"expected events per bin in {number(exposure_ty)} t y")
    axes.set_title(f"{number(exposure_ty)} t y; R = {number(R)}")
    samples = {"background": sum(weights_by_label.values(), np.zeros(len(ts)))} | signals
    if not any(weights.sum() > 0 for weights in samples.values()):
        axes.text(0.5, 0.5, "no events", ha="center", transform=axes.transAxes)
        return figure
    ts = np.asarray(ts, dtype=float)
    ends = _ends(ts, samples)
    x = points(axes, np.clip(ts, *ends), _spreads_evenly(ts, samples, ends))
    edges = x[::FINE]
    total = _stack(axes, ts, weights_by_label, edges)
    for i, (label, weights) in enumerate(signals.items()):
        axes.stairs(np.histogram(ts, edges, weights=weights)[0], edges, lw=2, color=f"C{i}", label=label)
    if f0 is not None:
        axes.plot(x, total.sum() * f0(x) * np.gradient(x) * FINE, color="black", lw=1.8, label=r"$B\,f_0$")
    _finish(axes, x, total)
    _beyond(axes, ts, samples, x)
    return figure


@styled
def pure_scores(ts: np.ndarray, weights_by_kind: dict[str, np.ndarray], *, R: float) -> Figure:
    """The distribution of TS in each kind of recoil, every one of area one (Fig. 1 of the arXiv paper).

    `ts` and weights as in `score_distribution`; bins and the ends of the axis are as there.
    """
    figure, axes = canvas()
    ts = np.asarray(ts, dtype=float)
    ends = _ends(ts, weights_by_kind)
    edges = points(axes, np.clip(ts, *ends), _spreads_evenly(ts, weights_by_kind, ends))[::FINE]
    for i, (label, weights) in enumerate(weights_by_kind.items()):
        n_in = np.histogram(ts, edges, weights=weights)[0]
        axes.stairs(n_in / weights.sum(), edges, lw=2, color=f"C{i}", fill=True, alpha=0.35)
        axes.stairs(n_in / weights.sum(), edges, lw=2, color=f"C{i}", label=label)
    axes.set(xlabel="anomaly score TS", ylabel="share of the events per bin", yscale="log", xlim=(edges[0], edges[-1]))
    axes.set_title(f"each of area one; R = {number(R)}")
    few_numbers(axes) if axes.get_xscale() == "linear" else spaced_ticks(axes)
    axes.legend()
    return figure


def _ends(ts: np.ndarray, samples: dict[str, np.ndarray]) -> np.ndarray:
    """(2,) between which all of every sample lies but BEYOND at each end."""
    ends = [weighted_quantiles(ts[weights > 0], weights[weights > 0], (BEYOND, 1 - BEYOND))
            for weights in samples.values() if weights.sum() > 0]  # fmt: skip
    return np.array([np.min(ends), np.max(ends)])


def _spreads_evenly(ts: np.ndarray, samples: dict[str, np.ndarray], ends: np.ndarray) -> bool:
    """Whether an even axis shows the sample that it shows narrowest wider than one in powers of ten does."""
    if ends[0] <= 0:
        return False
    inner = [weighted_quantiles(ts[weights > 0], weights[weights > 0], (0.05, 0.95))
             for weights in samples.values() if weights.sum() > 0]  # fmt: skip
    narrowest = [np.diff(scale(np.array(inner))).min() / (np.diff(scale(ends))[0] or 1.0)
                 for scale in (np.asarray, np.log)]  # fmt: skip
    return narrowest[0] > narrowest[1]


def _beyond(axes: Axes, ts: np.ndarray, samples: dict[str, np.ndarray], x: np.ndarray) -> None:
    """How many events lie beyond an end of the axis, where any do, and how far they reach."""
    for side, outside, place in (("left", ts < x[0], 0.02), ("right", ts > x[-1], 0.98)):
        n_of = {label: weights[outside].sum() for label, weights in samples.items()}
        some = outside & (sum(samples.values()) > 0)
        if any(n_of.values()):
            end = number(float(f"{(ts[some].min() if side == 'left' else ts[some].max()):.2g}"))
            what = (f"{n:.2g} {label.partition(',')[0]}" for label, n in n_of.items() if n)
            lines = [f"beyond, to TS = {end}:", *what]
            axes.text(place, 0.6, "\n".join(lines), ha=side, va="top", transform=axes.transAxes, fontsize="x-small",
                      gid=f"beyond {side}")  # fmt: skip


def points(axes: Axes, ts: np.ndarray, is_even: bool = False) -> np.ndarray:
    """Points from the lowest to the highest score, FINE per bin and even on the scale given to the axes: of TS, of
    log TS, or of asinh TS where a score is not positive."""
    lo, hi = ts.min(), ts.max()
    if lo == hi:
        lo, hi = lo - 0.5, hi + 0.5
    if is_even:
        return np.linspace(lo, hi, BINS * FINE + 1)
    if lo > 0:
        axes.set_xscale("log")
        return np.geomspace(lo, hi, BINS * FINE + 1)
    width = np.median(np.abs(ts)) or 1.0
    axes.set_xscale("asinh", linear_width=width)
    x = width * np.sinh(np.linspace(np.arcsinh(lo / width), np.arcsinh(hi / width), BINS * FINE + 1))
    x[[0, -1]] = lo, hi  # rounding must not lose the outermost events
    return x


def spaced_ticks(axes: Axes) -> None:
    """Zero and powers of ten, and between them 2 and 5 of each, where they stand apart; matplotlib's meet at zero. Of a
    range that holds fewer than three of these, even ones."""
    low, high = axes.get_xlim()
    transform = axes.xaxis.get_transform().transform
    ends = transform(np.array([low, high]))
    tens = 10.0 ** np.arange(np.floor(np.log10(max(abs(low), abs(high)))), -13, -1)
    candidates = [0.0, *(sign * step * ten for step in (1, 2, 5) for ten in tens for sign in (1, -1))]
    if sum(low <= value <= high for value in candidates) < 3:
        candidates = MaxNLocator(6).tick_values(low, high).tolist()
    kept: dict[float, float] = {}
    for value in (value for value in candidates if low <= value <= high and (value or low < 0 < high)):
        place = (transform(np.array([value]))[0] - ends[0]) / (ends[1] - ends[0])
        if all(abs(place - other) >= TICKS_APART for other in kept.values()):
            kept[value] = place
    axes.set_xticks(list(kept), [number(value) for value in kept])
    axes.minorticks_off()


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
    few_numbers(axes) if axes.get_xscale() == "linear" else spaced_ticks(axes)
    axes.legend(ncols=2)
