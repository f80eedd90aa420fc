"""-ELBO against the true recoil energy, with marginals (Fig. 6, left, of the semi-supervised paper)."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.ndimage import gaussian_filter

from engine.plots import plain_numbers, styled

BINS = 60
SMOOTH = 1.5  # bins: of the contours, not of the marginals
INSIDE = (0.9, 0.5)  # shares of the events within a contour
OUTER = 0.01  # share of a sample that may be beyond each end of an axis
BACKGROUND = "0.55"


@styled
def elbo_against_energy(
    energy_keV: np.ndarray, negative_elbo: np.ndarray, background: np.ndarray, signals: dict[str, np.ndarray]
) -> Figure:
    """Contours that hold 50 and 90 % of the background and of each signal, and their normalised marginals.

    All arrays are (n,), of the events of one pool: the weights say what each stands for, in any unit; 0: nothing.
    Events without a true energy (NaN or 0) are left out.
    """
    figure = Figure(figsize=(8.5, 8.0), layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=(4, 1.1), height_ratios=(1.1, 4))
    axes = figure.add_subplot(grid[1, 0])
    top, right = figure.add_subplot(grid[0, 0], sharex=axes), figure.add_subplot(grid[1, 1], sharey=axes)
    samples = {"background, ER and NR": background} | signals
    has_energy = energy_keV > 0  # recorded events may have no true one
    energy_keV, negative_elbo = energy_keV[has_energy], negative_elbo[has_energy]
    samples = {label: weights[has_energy] for label, weights in samples.items()}
    samples = {label: weights for label, weights in samples.items() if weights.sum() > 0}
    colours = dict(zip(samples, (BACKGROUND, *(f"C{i}" for i in range(len(signals)))), strict=False))
    axes.set(xlabel=r"true recoil energy $E_R$ [keV]", ylabel=r"$-$ELBO [nat]", xscale="log")
    if samples:
        edges = _edges(np.log(energy_keV), samples), _edges(negative_elbo, samples)
        edges = np.exp(edges[0]), edges[1]
        for label, weights in samples.items():
            look = {"color": colours[label], "filled": label not in signals}
            _sample(axes, top, right, (energy_keV, negative_elbo), weights, edges, look)
    _finish(axes, top, right)
    handles = [Line2D([], [], color=colour, lw=3, label=label) for label, colour in colours.items() if label in samples]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def _edges(values: np.ndarray, samples: dict[str, np.ndarray]) -> np.ndarray:
    """Even bins that hold all of every sample but OUTER at each end."""
    ends = np.array([_quantiles(values, weights, (OUTER, 1 - OUTER)) for weights in samples.values()])
    low, high = ends[:, 0].min(), ends[:, 1].max()
    margin = 0.1 * (high - low) or 0.5
    return np.linspace(low - margin, high + margin, BINS + 1)


def _quantiles(values: np.ndarray, weights: np.ndarray, shares: tuple[float, ...]) -> np.ndarray:
    order = np.argsort(values)
    index = np.searchsorted(np.cumsum(weights[order]), np.array(shares) * weights.sum())
    return values[order][np.minimum(index, len(values) - 1)]


def _sample(axes: Axes, top: Axes, right: Axes, points: tuple, weights: np.ndarray, edges: tuple, look: dict) -> None:
    events = np.histogram2d(*points, bins=edges, weights=weights / weights.sum())[0]
    density = gaussian_filter(events, SMOOTH, mode="constant").T
    centres = np.sqrt(edges[0][1:] * edges[0][:-1]), (edges[1][1:] + edges[1][:-1]) / 2
    levels = _levels(density)
    colour = look["color"]
    if look["filled"]:
        axes.contourf(*centres, density, [*levels, density.max() * 1.01], colors=["0.88", "0.72"], zorder=0)
    axes.contour(*centres, density, levels, colors=[colour], linewidths=(1.5, 2.5), linestyles=("--", "-"))
    for marginal, side, along in ((events.sum(axis=1), top, 0), (events.sum(axis=0), right, 1)):
        orientation = ("vertical", "horizontal")[along]
        side.stairs(marginal, edges[along], orientation=orientation, color=colour, lw=2, fill=look["filled"],
                    alpha=0.6 if look["filled"] else 1.0)  # fmt: skip


def _levels(density: np.ndarray) -> list[float]:
    """Heights above which the shares INSIDE of the density lie, ascending."""
    ranked = np.sort(density.ravel())[::-1]
    total = np.cumsum(ranked)
    levels = [float(ranked[np.searchsorted(total, share * total[-1])]) for share in INSIDE]
    return levels if levels[0] < levels[1] else [levels[0] * 0.99, levels[0]]


def _finish(axes: Axes, top: Axes, right: Axes) -> None:
    plain_numbers(axes.xaxis)
    top.tick_params(labelbottom=False)
    right.tick_params(labelleft=False)
    top.set(ylabel="share / bin", ylim=(0, None))
    right.set(xlabel="share / bin", xlim=(0, None))
    axes.plot([], [], color="black", lw=2.5, label="50 % of the events")
    axes.plot([], [], color="black", lw=1.5, ls="--", label="90 %")
    axes.legend(loc="upper left")
