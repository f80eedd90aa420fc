"""An event's panels as recorded, and the image that networks see of them (Fig. 1 of the XENONnT paper)."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from engine.plots import styled
from engine.plots._tubes import charge_scale, hit_pattern

SIDE_INCHES = 4.6  # of the four panels, and of the image
OUTSIDE = 5e-3  # share of a pulse's charge that may be left out at each end: lone dark counts


@dataclass(frozen=True)
class Composite:
    """An event before the reduction and after it.

    hits: centres in cm (n, 2) and charges in PE (n,) of an array, by its title; pulses: PE per sample (n,) and a
    sample's ns, by title; image: (rows, columns, 3), white 255.
    """

    hits: dict[str, tuple[np.ndarray, np.ndarray]]
    pulses: dict[str, tuple[np.ndarray, float]]
    image: np.ndarray
    radius_cm: float


@styled
def reduction(events: dict[str, Composite]) -> Figure:
    """A row for every event, by its title: hit patterns and pulses on the left, the image of them on the right."""
    figure = Figure(figsize=(2.3 * SIDE_INCHES, (SIDE_INCHES + 0.5) * max(len(events), 1)), layout="constrained")
    strips = np.atleast_1d(figure.subfigures(max(len(events), 1), 1))
    for strip, (title, event) in zip(strips, events.items(), strict=False):
        left, right = strip.subfigures(1, 2, width_ratios=(1.25, 1))
        left.suptitle(title, fontsize=15, x=0.02, ha="left")
        _before(left, event)
        axes = right.subplots()
        axes.imshow(event.image / 255, interpolation="nearest")
        axes.set(xticks=[], yticks=[], title="{} x {} pixels".format(*event.image.shape[:2]))
    return figure


def _before(part: SubFigure, event: Composite) -> None:
    panels = part.subplots(2, 2)
    colours = charge_scale(event.hits)
    for axes, (title, (centres_cm, charge)) in zip(panels[0], event.hits.items(), strict=True):
        hit_pattern(axes, centres_cm, charge, colours, event.radius_cm)
        axes.set(title=title, xticks=[], yticks=[], xlabel="", ylabel="")
    part.colorbar(colours, ax=list(panels[0]), label="charge [PE]", shrink=0.9)
    for axes, (title, pulse) in zip(panels[1], event.pulses.items(), strict=True):
        _pulse(axes, *pulse)
        axes.set_title(title)


def _pulse(axes: Axes, samples: np.ndarray, sample_ns: float) -> None:
    """All of its charge but OUTSIDE at each end, and a fifth of that time before and behind."""
    share = np.cumsum(samples) / (samples.sum() or 1.0)
    first, last = np.searchsorted(share, [OUTSIDE, 1 - OUTSIDE]) if share[-1] > 0 else (0, len(samples))
    more = max((last - first) // 5, 5)
    first, last = max(first - more, 0), min(last + more, len(samples))
    axes.stairs(samples[first:last], np.arange(last - first + 1) * sample_ns / 1000, color="black", lw=1)
    axes.set(xlabel=r"time [$\mu$s]", ylabel="PE / sample", ylim=(0, None))
