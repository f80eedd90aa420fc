"""Losses of every epoch, of training and of validation events, for each model of a score."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from engine.plots import legend_below, styled

WIDTH_INCHES = 6.5  # of a panel
LOOKS = {"train": ("C0", "-"), "validation": ("C3", "--")}


@styled
def losses(history_by_role: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    """A panel per role; its history has `train_loss` and `validation_loss`, one value per epoch (`zoo.Fitted`).

    What is below zero has a linear axis, since -ln of a density may be; else it is logarithmic.
    """
    figure = Figure(layout="constrained", figsize=(WIDTH_INCHES * len(history_by_role), 5.5))
    panels = np.atleast_1d(figure.subplots(1, len(history_by_role)))
    for axes, (role, history) in zip(panels, history_by_role.items(), strict=True):
        for part, (colour, line) in LOOKS.items():
            values = history.get(f"{part}_loss", ())
            axes.plot(np.arange(1, len(values) + 1), values, line, color=colour, marker="o", ms=4, label=part)
        held = [value for part in LOOKS for value in history.get(f"{part}_loss", ())]
        axes.set(xlabel="epoch", ylabel="loss per event", yscale="log" if held and min(held) > 0 else "linear")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_title(role)
    legend_below(figure)
    return figure
