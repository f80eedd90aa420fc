"""Observed events: over the bands of electron and nuclear recoils, and by their score beside what is expected."""

import numpy as np
import pyarrow as pa
from matplotlib.figure import Figure

from engine.plots import canvas, legend_below, styled
from engine.plots._rows import number
from engine.plots.physics import COLOURS, DARK, quantiles
from engine.plots.scores import FINE, points, spaced_ticks
from engine.schemas import SIGMA, limit_name
from engine.size import Size

BANDS = tuple(f"sensitivity_{name}sigma" for name in SIGMA)
WORDS = ("sensitivity_median", *BANDS, "unconstrained_upper_limit", "upper_limit")


@styled
def page(
    bands: dict[str, tuple[np.ndarray, np.ndarray]],
    areas: tuple[np.ndarray, np.ndarray],
    top: np.ndarray,
    ts: np.ndarray,
    pool_ts: np.ndarray,
    expected: np.ndarray,
    *,
    exposure_ty: float,
    R: float,
) -> Figure:
    """Left: log10(cS2 / cS1) against cS1 in PE, the most anomalous events numbered. Right: events per bin of TS over
    what is expected.

    bands: cS1 and cS2 (pool,) by kind; areas: those of the n events; top: places of the most anomalous of these; ts
    (n,); pool_ts and expected (pool,): scores, and the background events that each stands for.
    """
    figure = Figure(figsize=(15, 6.5), layout="constrained")
    plane, scores = figure.subplots(1, 2)
    for kind, (cs1, cs2) in bands.items():
        seen = (cs1 > 0) & (cs2 > 0)
        quantiles(plane, kind, cs1[seen], np.log10(cs2[seen] / cs1[seen]))
    x, y = areas[0], np.log10(areas[1] / areas[0])
    plane.plot(x, y, ".", color="black", ms=4, label="observed")
    plane.plot(x[top], y[top], "o", color=DARK["NR"], ms=9, fillstyle="none", label="most anomalous")
    for rank, event in enumerate(top, 1):
        plane.annotate(str(rank), (x[event], y[event]), xytext=(5, 5), textcoords="offset points", fontsize=11)
    plane.set(xlabel="cS1 [PE]", ylabel=r"$\log_{10}$(cS2 / cS1)")
    plane.legend()
    edges = points(scores, np.concatenate([pool_ts[expected > 0], ts]))[::FINE]
    scores.stairs(np.histogram(pool_ts, edges, weights=expected)[0], edges, fill=True, color="0.75", label="background")
    counts, middles = np.histogram(ts, edges)[0], (edges[1:] + edges[:-1]) / 2
    some = counts > 0
    look = {"fmt": "o", "ms": 4, "color": COLOURS["NR"], "label": "observed"}
    scores.errorbar(middles[some], counts[some], np.sqrt(counts[some]), **look)
    scores.set(xlabel="anomaly score TS", ylabel="events per bin", yscale="log")
    scores.set_ylim(bottom=1e-3)
    spaced_ticks(scores)
    scores.set_title(f"{number(exposure_ty)} t y; R = {number(R)}")
    scores.legend()
    return figure


@styled
def limits(table: pa.Table, size: Size) -> Figure:
    """Observed upper limits by mass (`engine.schemas.observed_limits`), and the bands of those without signal."""
    figure, axes = canvas()
    named = {word: np.array(table[limit_name(word, size)].to_pylist(), float) for word in WORDS}
    mass = table["dm_mass_gev"].to_numpy()
    for n_sigma, colour in ((2, "#f5d547"), (1, "#7bc77b")):
        ends = (named[f"sensitivity_{side}{n_sigma}sigma"] for side in "mp")
        axes.fill_between(mass, *ends, color=colour, label=rf"{n_sigma}$\sigma$ without signal")
    axes.plot(mass, named["sensitivity_median"], "--", color="black", label="median without signal")
    axes.plot(mass, named["unconstrained_upper_limit"], "o:", color=DARK["NR"], label="observed, unconstrained")
    axes.plot(mass, named["upper_limit"], "o-", color="black", label="observed upper limit")
    axes.set(xscale="log", yscale="log", xlabel=r"$m_\chi$ [GeV]", ylabel=size.label)
    row = table.slice(0, 1).to_pylist()[0]
    axes.set_title(f"{number(row['exposure_ty'])} t y; {row['level']:.0%} CL, {row['interval']}, {row['method']}")
    legend_below(figure)
    return figure
