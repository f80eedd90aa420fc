"""Simulated events against what the autoencoder makes of them (Fig. 4 of the XENONnT paper)."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from engine.plots import styled
from engine.plots._rows import words
from engine.plots._tubes import charge_scale, hit_pattern

COLOURS = {"simulated": "black", "reconstructed": "C1"}
ABREAST = 4  # panels of an event beside each other at most


@dataclass(frozen=True)
class Stretch:
    """A section of an event, simulated and reconstructed: (n,) PE per sample or tube, or an image (rows, columns, 3).

    centres_cm: (n, 2) of the tubes of a hit pattern, else None; radius_cm: of the TPC.
    """

    name: str
    simulated: np.ndarray
    reconstructed: np.ndarray
    centres_cm: np.ndarray | None = None
    radius_cm: float = 0.0

    @property
    def pair(self) -> tuple[np.ndarray, np.ndarray]:
        """Both, the simulated one first."""
        return self.simulated, self.reconstructed

    @property
    def overlaid(self) -> bool:
        """Whether both are lines in one panel; else each has its own."""
        return self.centres_cm is None and self.simulated.ndim == 1


@styled
def reconstruction(events: dict[str, list[Stretch]]) -> Figure:
    """Panels for every event, by its title: waveforms overlaid, below them hit patterns and images side by side."""
    rows = [_in_rows(event) for event in events.values()]
    n_columns = max((_n_panels(row) for of_event in rows for row in of_event), default=1)
    width = max(3.3 * n_columns, 8.0)
    figure = Figure(figsize=(width, sum(4.0 * len(of_event) + 0.6 for of_event in rows) or 4.0), layout="constrained")
    parts = np.atleast_1d(figure.subfigures(max(len(events), 1), 1))
    for part, title, of_event in zip(parts, events, rows, strict=False):
        part.suptitle(title, fontsize=18, x=0.01, ha="left")
        for strip, row in zip(np.atleast_1d(part.subfigures(len(of_event), 1)), of_event, strict=True):
            _event(strip, row, strip.subplots(1, _n_panels(row), squeeze=False)[0])
    return figure


def _in_rows(event: list[Stretch]) -> list[list[Stretch]]:
    """What is overlaid above the rest, where one row would be too long."""
    if _n_panels(event) <= ABREAST:
        return [event]
    return [row for overlaid in (True, False) if (row := [one for one in event if one.overlaid is overlaid])]


def _n_panels(row: list[Stretch]) -> int:
    return sum(1 if one.overlaid else 2 for one in row)


def _event(figure, event: list[Stretch], panels: np.ndarray) -> None:
    places, hit_panels = iter(panels), []
    patterns = [one for one in event if one.centres_cm is not None]
    colours = charge_scale({i: (None, one) for i, one in enumerate(each for p in patterns for each in p.pair)})
    for one in event:
        if one.overlaid:
            _lines(next(places), one)
            continue
        for label, values in zip(COLOURS, one.pair, strict=True):
            axes = next(places)
            if one.centres_cm is None:
                _image(axes, values)
            else:
                hit_pattern(axes, one.centres_cm, values, colours, one.radius_cm)
                axes.minorticks_off()  # they take longer to draw than all else
                axes.locator_params(nbins=3)
                hit_panels.append(axes)
            axes.set_title(f"{words(one.name)}\n{label}")
    if hit_panels:
        figure.colorbar(colours, ax=hit_panels, label="charge [PE]", shrink=0.8)


def _lines(axes: Axes, one: Stretch) -> None:
    used = np.flatnonzero(one.simulated > 0) if len(one.simulated) > 10 else np.arange(len(one.simulated))
    first, last = (max(used[0] - 10, 0), used[-1] + 11) if len(used) else (0, len(one.simulated))
    edges = np.arange(min(last, len(one.simulated)) - first + 1) + first - 0.5
    for values, (label, colour) in zip(one.pair, COLOURS.items(), strict=True):
        axes.stairs(values[first:last], edges, color=colour, lw=1.4, label=f"{label}, {values.sum():.0f} PE")
    axes.set(xlabel="sample", ylabel="PE / sample", xlim=(edges[0], edges[-1]))
    low, high = axes.get_ylim()
    axes.set(title=words(one.name), ylim=(low, low + 1.35 * (high - low)))  # room for the legend
    axes.legend(loc="upper right")


def _image(axes: Axes, values: np.ndarray) -> None:
    axes.imshow(np.clip(values / 255, 0, 1), interpolation="nearest")
    axes.set(xticks=[], yticks=[])
