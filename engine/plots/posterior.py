"""Posterior predictive check, feature by feature (Fig. 2 of the semi-supervised paper)."""

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from engine.diagnostics.posterior import varies
from engine.plots import styled
from engine.plots._rows import column, words, wrapped

BANDS = ((2, "#f5df4d", r"$\pm 2\sigma$"), (1, "#57b05c", r"$\pm 1\sigma$"))
LIMIT = 4.0  # of the axis at least; it holds 95 % of the features


@styled
def posterior_predictive(table: pa.Table) -> Figure:
    """Mean of (drawn - simulated) / sigma_test against the feature's index, with the spread over events; 0 is perfect.

    `table`: `engine.schemas.POSTERIOR_PREDICTIVE`. Dashed lines part the sections; a gap is a feature that varies by
    less than its rounding in the test events, whose sigma_test says nothing.
    """
    figure = Figure(figsize=(12, 6.5), layout="constrained")
    axes = figure.subplots()
    varying, x = varies(column(table, "test_sd")), np.arange(table.num_rows)
    mean, sd = (np.where(varying, column(table, name), np.nan) for name in ("ppc_mean", "ppc_sd"))
    for n, colour, label in BANDS:
        axes.fill_between(x, mean - n * sd, mean + n * sd, step="mid", color=colour, lw=0, label=label, rasterized=True)
    axes.step(x, mean, where="mid", color="black", lw=0.8, label="mean, Eq. (3)")
    axes.axhline(0, color="0.3", ls=":", lw=1)
    _sections(axes, table["section"].to_pylist())
    highest = np.nanpercentile(np.abs(mean) + 2 * sd, 95) if np.isfinite(mean).any() else 0.0
    limit = max(LIMIT, 1.3 * highest)
    axes.set(xlabel="feature index", xlim=(-0.5, max(len(x), 1) - 0.5), ylim=(-limit, limit))
    axes.set_ylabel(r"(drawn $-$ simulated) / $\sigma_\mathrm{test}$")
    left_out = f"{np.isnan(mean).sum()} of {len(x)} features vary by less than their rounding in the test events"
    beyond = int((np.abs(mean) > limit).sum())
    axes.set_title(wrapped(f"{left_out}: left out" + f"; {beyond} means lie beyond the axis" * bool(beyond), width=125))
    axes.legend(loc="lower right", ncols=3)
    return figure


def _sections(axes: Axes, sections: list[str]) -> None:
    starts = [i for i, name in enumerate(sections) if i == 0 or name != sections[i - 1]]
    for start, end in zip(starts, [*starts[1:], len(sections)], strict=True):
        if start:
            axes.axvline(start - 0.5, color="0.4", ls="--", lw=1.2, gid="section")
        placement = {"ha": "center", "va": "top", "transform": axes.get_xaxis_transform(), "fontsize": 13}
        axes.text((start + end - 1) / 2, 0.97, words(sections[start]).replace(" ", "\n", 1), **placement)
