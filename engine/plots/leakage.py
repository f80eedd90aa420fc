"""What is left of a search by how well the leakage is known: Z and the exposure of three sigma."""

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from engine.plots import legend_below, styled
from engine.plots._rows import SETTING, describe, number, score_words, setting
from engine.size import Size

LINES = ("-", "--", ":", "-.")  # by exposure, the largest first
KNOWN = "leakage_known"
LABELS = {KNOWN: "leakage known to a factor (1: exactly)", "calibration_events": "calibration events"}


@styled
def leakage(table: pa.Table, size: Size) -> Figure:
    """Z at the benchmark (above) and the exposure of three sigma (below) against the factor to which the leakage is
    known (left) and against the number of calibration events that tell it (right).

    `table`: `engine.schemas.leakage`. An arrow marks a bound: Z is larger, the exposure beyond the range that was
    searched. One colour per statistic and R, one line per exposure.
    """
    shared = setting(table, [name for name in SETTING if name != KNOWN])
    rows = table.to_pylist()
    of = {KNOWN: [row for row in rows if row["calibration_events"] is None],
          "calibration_events": [row for row in rows if row["calibration_events"] is not None]}  # fmt: skip
    of = {name: mine for name, mine in of.items() if mine}
    figure = Figure(layout="constrained", figsize=(1.0 + 5.0 * len(of), 9.0))
    panels = figure.subplots(2, len(of), sharey="row", squeeze=False)
    for axes, (name, mine) in zip(panels.T, of.items(), strict=True):
        _significances(axes[0], [row for row in mine if row["exposure_ty"] is not None], name)
        _exposures(axes[1], [row for row in mine if row["exposure_ty"] is None], name)
        axes[1].set_xlabel(LABELS[name])
        if name != KNOWN:
            axes[0].set_xscale("log")
            axes[1].set_xscale("log")
    panels[0, 0].set_ylabel("Z, one-sided")
    panels[1, 0].set_ylabel("exposure for 3$\\sigma$ [t y]")
    if any(row["t3_ty"] is not None for row in rows):
        panels[1, 0].set_yscale("log")
    first = rows[0]
    place = size.of(number(first[size.name])) if first[size.name] is not None else ""
    mass = "" if first["m_chi_GeV"] is None else f"{first['m_chi_GeV']:g} GeV, "
    panels[0, 0].set_title(f"{mass}{place}; {first['er_leakage']:.2g} of ER leak\n{describe(shared)}")
    legend_below(figure)
    return figure


def _series(rows: list[dict]) -> dict[tuple, list[dict]]:
    made: dict[tuple, list[dict]] = {}
    for row in rows:
        made.setdefault((row["statistic"], row["R"]), []).append(row)
    return made


def _significances(axes: Axes, rows: list[dict], name: str) -> None:
    exposures = sorted({row["exposure_ty"] for row in rows}, reverse=True)
    for i, ((statistic, R), mine) in enumerate(_series(rows).items()):
        for exposure_ty, line in zip(exposures, LINES, strict=False):
            some = [row for row in mine if row["exposure_ty"] == exposure_ty]
            x, z = (np.array([row[key] for row in some]) for key in (name, "z"))
            label = f"{score_words(statistic, R)}, {exposure_ty:g} t y"
            axes.plot(x, z, line, marker="o", ms=5, color=f"C{i}", label=label if name == KNOWN else None)
            bound = np.array([row["tail"] == "bound" for row in some])
            axes.plot(x[bound], z[bound], "^", ms=10, color=f"C{i}", fillstyle="none")
    for level in (3, 5):
        axes.axhline(level, color="black", ls="--", lw=1, zorder=0)


def _exposures(axes: Axes, rows: list[dict], name: str) -> None:
    for i, mine in enumerate(_series(rows).values()):
        x = np.array([row[name] for row in mine])
        t3 = np.array([np.nan if row["t3_ty"] is None else row["t3_ty"] for row in mine])
        axes.plot(x, t3, "-", marker="o", ms=5, color=f"C{i}")
        known = t3[np.isfinite(t3)]
        beyond = ~np.isfinite(t3)
        if len(known) and beyond.any():
            axes.plot(x[beyond], np.full(beyond.sum(), 1.3 * known.max()), "^", ms=10, color=f"C{i}", fillstyle="none")
