"""Real events against what the autoencoder makes of them (Fig. 4 of the XENONnT paper)."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from engine.plots import styled
from engine.plots._rows import words
from engine.plots._tubes import charge_scale, hit_pattern

REAL, MADE = "black", "C1"


@dataclass(frozen=True)
class Stretch:
    """A section of an event, real and reconstructed: (n,) PE per sample or tube, or an image (rows, columns, 3).

    centres_cm: (n, 2) of the tubes of a hit pattern, else None; radius_cm: of the TPC.
    """

    name: str
    real: np.ndarray
    reconstructed: np.ndarray
    centres_cm: np.ndarray | None = None
    radius_cm: float = 0.0

    @property
    def pair(self) -> tuple[np.ndarray, np.ndarray]:
        """Both, the real one first."""
        return self.real, self.reconstructed

    @property
    def overlaid(self) -> bool:
        """Whether both are lines in one panel; else each has its own."""
        return self.centres_cm is None and self.real.ndim == 1


@styled
def reconstruction(events: dict[str, list[Stretch]]) -> Figure:
    """A row of panels for every event, by its title; waveforms overlaid, hit patterns and images side by side."""
    n_columns = max((sum(1 if one.overlaid else 2 for one in event) for event in events.values()), default=1)
    figure = Figure(figsize=(3.9 * n_columns, 4.7 * max(len(events), 1)), layout="constrained")
    for row, (title, event) in zip(np.atleast_1d(figure.subfigures(max(len(events), 1), 1)), events.items(),
                                   strict=False):  # fmt: skip
        row.suptitle(title, fontsize=16, x=0.01, ha="left")
        _event(row, event, row.subplots(1, n_columns, squeeze=False)[0])
    return figure


def _event(figure, event: list[Stretch], panels: np.ndarray) -> None:
    places, hit_panels = iter(panels), []
    patterns = [one for one in event if one.centres_cm is not None]
    colours = charge_scale({i: (None, one) for i, one in enumerate(each for p in patterns for each in p.pair)})
    for one in event:
        if one.overlaid:
            _lines(next(places), one)
            continue
        for label, values in zip(("real", "reconstructed"), one.pair, strict=True):
            axes = next(places)
            if one.centres_cm is None:
                _image(axes, values)
            else:
                hit_pattern(axes, one.centres_cm, values, colours, one.radius_cm)
                axes.minorticks_off()  # they take longer to draw than all else
                axes.locator_params(nbins=3)
                hit_panels.append(axes)
            axes.set_title(f"{words(one.name)}, {label}")
    if hit_panels:
        figure.colorbar(colours, ax=hit_panels, label="charge [PE]", shrink=0.8)


def _lines(axes: Axes, one: Stretch) -> None:
    used = np.flatnonzero(one.real > 0) if len(one.real) > 10 else np.arange(len(one.real))
    first, last = (max(used[0] - 10, 0), used[-1] + 11) if len(used) else (0, len(one.real))
    edges = np.arange(min(last, len(one.real)) - first + 1) + first - 0.5
    for values, colour, label in zip(one.pair, (REAL, MADE), ("real", "reconstructed"), strict=True):
        axes.stairs(values[first:last], edges, color=colour, lw=1.4, label=f"{label}, {values.sum():.0f} PE")
    axes.set(xlabel="sample", ylabel="PE / sample", xlim=(edges[0], edges[-1]))
    low, high = axes.get_ylim()
    axes.set(title=words(one.name), ylim=(low, low + 1.35 * (high - low)))  # room for the legend
    axes.legend(loc="upper right")


def _image(axes: Axes, values: np.ndarray) -> None:
    axes.imshow(np.clip(values / 255, 0, 1), interpolation="nearest")
    axes.set(xticks=[], yticks=[])
