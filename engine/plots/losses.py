"""Losses of every epoch, of training, validation and watched events, for each model of a score."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from engine.plots import legend_below, styled

WIDTH_INCHES = 6.5  # of a panel
LOOKS = {  # by what the loss is of: its words, colour and line
    "train": ("training", "C0", "-"),
    "validation": ("validation", "C3", "--"),
    "watched": ("nuclear recoils, which it does not train on", "0.3", ":"),
}


@styled
def losses(history_by_role: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    """A panel per role; its history has `train_loss`, `validation_loss` and perhaps `watched_loss`, one value per
    epoch (`zoo.Fitted`).

    What is below zero has a linear axis, since -ln of a density may be; else it is logarithmic.
    """
    figure = Figure(layout="constrained", figsize=(WIDTH_INCHES * len(history_by_role), 5.5))
    panels = np.atleast_1d(figure.subplots(1, len(history_by_role)))
    for axes, (role, history) in zip(panels, history_by_role.items(), strict=True):
        curves = {part: history[f"{part}_loss"] for part in LOOKS if f"{part}_loss" in history}
        for part, values in curves.items():
            label, colour, line = LOOKS[part]
            axes.plot(np.arange(1, len(values) + 1), values, line, color=colour, marker="o", ms=4, label=label)
        held = [value for values in curves.values() for value in values]
        axes.set(xlabel="epoch", ylabel="loss per event", yscale="log" if held and min(held) > 0 else "linear")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_title(role)
    legend_below(figure)
    return figure
