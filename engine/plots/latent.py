"""The latent space as a t-SNE map, coloured by true energy (Fig. 6, right, of the semi-supervised paper)."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from engine.plots import plain_numbers, styled
from engine.plots._rows import column

PANELS = {"ER": "ER, the kind it is trained on", "NR": "NR on the same map"}


@styled
def latent(table: pa.Table) -> Figure:
    """One map of both kinds, shown in a panel each; `table`: `engine.schemas.LATENT`.

    Neighbours are alike, and the axes have no meaning of their own.
    """
    shown = table.filter(pc.field("tsne_1").is_valid())
    figure = Figure(figsize=(13, 6.2), layout="constrained")
    panels = figure.subplots(1, len(PANELS), sharex=True, sharey=True)
    if not len(shown):
        panels[0].text(0.5, 0.5, "too few events", ha="center", transform=panels[0].transAxes)
        return figure
    energy = column(shown, "energy_keV")
    norm = {"norm": "log", "vmin": energy.min(), "vmax": max(energy.max(), 1.01 * energy.min())}
    for axes, (kind, title) in zip(panels, PANELS.items(), strict=True):
        drawn = _panel(axes, shown, kind, norm)
        axes.set_title(f"{title}: {len(drawn.get_offsets())} events")
    bar = figure.colorbar(drawn, ax=panels, label=r"true recoil energy $E_R$ [keV]")
    plain_numbers(bar.ax.yaxis)
    return figure


def _panel(axes: Axes, shown: pa.Table, kind: str, norm: dict):
    is_kind = np.array(shown["kind"].to_pylist()) == kind
    x, y, energy = (column(shown, name) for name in ("tsne_1", "tsne_2", "energy_keV"))
    axes.plot(x[~is_kind], y[~is_kind], ".", color="0.88", ms=4, zorder=0)
    axes.set(xlabel="t-SNE 1", ylabel="t-SNE 2")
    return axes.scatter(x[is_kind], y[is_kind], c=energy[is_kind], s=14, lw=0, cmap="viridis", **norm)
